//! A slave loses contact with everybody: first its gateway answers, then that falls silent too, then it is back.
//!
//! `cargo run -p ha-isolation --example check`
#![allow(clippy::print_stdout, reason = "an example tells its story")]

use core::time::Duration;

use ha_core::operation::{Ping, PingOutcome};
use ha_core::{Completion, HostId, Incarnation, Instant, Machine, MachineId, Profile, TimingConfig};
use ha_isolation::{ConfigError, Event, Input, IsolationCheck, IsolationConfig, Output};

fn main() -> Result<(), ConfigError> {
    let timing = TimingConfig::profile(Profile::Vsphere);
    let machine = MachineId { host: HostId::new(7), incarnation: Incarnation::new(1), lane: 0 };
    let start = Instant::ORIGIN;
    let mut check = IsolationCheck::new(start, IsolationConfig { machine, addresses: 2, timing })?;
    // The gateway (address 0) answers in two spans of time; address 1 never does.
    let gateway_answers = |now: Instant| {
        let second = now.since(start).as_secs();
        (10..20).contains(&second) || second >= 85
    };
    let mut pings: Vec<(Instant, Completion<Ping>)> = Vec::new();
    let mut last_told = None;
    let mut now = start.after(timing.master_lost);
    println!("{now}  the master has been silent since {start}: alone");
    let mut input = Some(Input::Alone { as_master: false, since: start });
    while now < start.after(Duration::from_secs(90)) {
        let effects = match input.take() {
            None => Ok(check.tick(now)),
            Some(input) => check.step(now, input),
        };
        let outputs: Vec<Output> = effects.map(Iterator::collect).unwrap_or_default();
        for output in outputs {
            match output {
                Output::Ping { token, address: 0, .. } if gateway_answers(now) => {
                    let answered = now.after(Duration::from_millis(1));
                    pings.push((answered, token.complete(PingOutcome::Answered)));
                }
                Output::Ping { token, timeout, .. } => {
                    pings.push((now.after(timeout), token.complete(PingOutcome::Unanswered)));
                }
                Output::Event(Event::AddressAnswered { address, .. }) => {
                    // Enough to say it every five seconds.
                    if last_told.is_none_or(|last| now.since(last) >= Duration::from_secs(5)) {
                        println!("{now}  address {address} answers: not isolated");
                        last_told = Some(now);
                    }
                }
                Output::Event(Event::DeclaredIsolated { after }) => {
                    println!("{now}  isolated: no answer for {after:?}");
                }
                Output::Event(Event::ResponseDue) => println!("{now}  the isolation response is due"),
                Output::Event(Event::Cancelled { reason, .. }) => println!("{now}  no longer: {reason}"),
                Output::Event(other) => println!("{now}  {other:?}"),
            }
        }
        pings.sort_by_key(|(at, _)| *at);
        let deadline = check.poll_timeout().map(|deadline| deadline.at);
        match pings.first().map(|(at, _)| *at) {
            Some(ends) if deadline.is_none_or(|deadline| ends <= deadline) => {
                now = ends;
                input = Some(Input::Pinged(pings.remove(0).1));
            }
            Some(_) | None => match deadline {
                Some(at) => now = now.max(at),
                None => break,
            },
        }
    }
    Ok(())
}
