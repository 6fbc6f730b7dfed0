//! The story of one dead host on a made-up clock: `cargo run -p ha-heartbeat --example watch`.
//!
//! Host 2 is a group of processes that shares our kernel. It beats every 100 ms, is killed at 950 ms, and beats
//! again, in a new incarnation, at 6 s.
#![allow(clippy::print_stdout, reason = "an example tells its story on standard output")]
#![allow(clippy::std_instead_of_alloc, reason = "an example links std anyway")]

use core::time::Duration;
use std::collections::BTreeMap;

use ha_core::operation::{LookOutcome, PingOutcome};
use ha_core::{
    BootId, Capability, DatastoreId, HostId, Incarnation, Instant, Machine, MachineId, Profile,
    StorageRequest, TimingConfig, TimingPlan,
};
use ha_heartbeat::{Config, Event, HostMonitor, Input, Output};

const HOST: HostId = HostId::new(2);
const DIES: Instant = Instant::from_nanos(950_000_000);

/// What is going to happen, in the order of its time.
#[derive(Default)]
struct Future {
    inputs: BTreeMap<(Instant, usize), Input>,
    planned: usize,
}

impl Future {
    fn plan(&mut self, at: Instant, input: Input) {
        self.planned += 1;
        self.inputs.insert((at, self.planned), input);
    }
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let start = Instant::ORIGIN;
    let plan = TimingPlan::validate(TimingConfig::profile(Profile::Swift), Capability::SAME_KERNEL)?;
    let machine = MachineId { host: HostId::new(1), incarnation: Incarnation::new(1), lane: 0 };
    let mut monitor = HostMonitor::new(Config { machine, plan }, start);

    let mut future = Future::default();
    let datastores = vec![(DatastoreId::new(1), Capability::SAME_KERNEL)];
    future.plan(start, Input::Watch { host: HOST, datastores, heard: None });
    for beat in 0..=9 {
        future.plan(start.after(Duration::from_millis(100 * beat)), heard(1));
    }
    future.plan(DIES, Input::StreamBroken { host: HOST });
    for beat in 60..=63 {
        future.plan(start.after(Duration::from_millis(100 * beat)), heard(2));
    }
    // The embedder's loop: what comes first, the next input or the monitor's own deadline?
    while let Some((&(at, _), _)) = future.inputs.first_key_value() {
        let due = monitor.poll_timeout().map(|deadline| deadline.at).filter(|due| *due < at);
        let now = due.unwrap_or(at);
        if now == DIES && due.is_none() {
            say(now, "(host-2 is killed: its stream breaks)");
        }
        let effects = match future.inputs.first_entry().filter(|_| due.is_none()) {
            Some(entry) => monitor.step(now, entry.remove())?,
            None => monitor.tick(now),
        };
        for output in effects {
            carry_out(now, output, &mut future);
        }
    }
    Ok(())
}

fn heard(incarnation: u64) -> Input {
    // All hosts of one kernel share its boot id.
    let boot = BootId::from_bytes([1; 16]);
    Input::Heard { host: HOST, boot, incarnation: Incarnation::new(incarnation) }
}

fn carry_out(now: Instant, output: Output, future: &mut Future) {
    match output {
        Output::Ping { token, host, timeout } => {
            say(now, &format!("ping {host}, {} ms to answer", timeout.as_millis()));
            future.plan(now.after(timeout), Input::Pinged(token.complete(PingOutcome::Unanswered)));
        }
        Output::Storage(StorageRequest::LookAtLock { token, file }) => {
            say(now, &format!("look at the lock of {file}"));
            // The kernel freed it when its last holder ended.
            let seen = LookOutcome::Free { started: now };
            future.plan(now.after(Duration::from_millis(1)), Input::Looked(token.complete(seen)));
        }
        Output::Storage(other) => say(now, &format!("never asked: {other:?}")),
        Output::WatchDatastores { host, datastores } => {
            say(now, &format!("read the heartbeat files of {host} on {} datastores", datastores.len()));
        }
        Output::UnwatchDatastores { host } => say(now, &format!("no need to read {host}'s files any more")),
        Output::Event(Event::Judged(verdict)) => say(now, &format!("VERDICT: {}", verdict.why())),
        Output::Event(Event::Suspected { host, reason, .. }) => {
            say(now, &format!("{host} suspected: {reason}"))
        }
        Output::Event(other) => say(now, &format!("{other:?}")),
    }
}

fn say(now: Instant, what: &str) {
    println!("{:>5} ms  {what}", now.since(Instant::ORIGIN).as_millis());
}
