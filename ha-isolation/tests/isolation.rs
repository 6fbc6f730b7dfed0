//! When a host is isolated and when not, in both profiles, at the boundaries.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

use core::time::Duration;

use ha_core::operation::{Ping, PingOutcome};
use ha_core::{
    Completion, HostId, Incarnation, Instant, Machine, MachineId, Profile, TimingConfig, Token,
    UnknownRequest,
};
use ha_isolation::{
    CancelReason, ConfigError, Event, Input, IsolationCheck, IsolationConfig, Output, Rejected,
};

const TICK: Duration = Duration::from_millis(1);

fn profiles() -> [TimingConfig; 2] {
    [TimingConfig::profile(Profile::Swift), TimingConfig::profile(Profile::Vsphere)]
}

fn config(addresses: u32, timing: TimingConfig, lane: u32) -> IsolationConfig {
    let machine = MachineId { host: HostId::new(1), incarnation: Incarnation::new(1), lane };
    IsolationConfig { machine, addresses, timing }
}

/// A check with a driver whose pings end as they are told to, on a made-up clock.
struct Host {
    check: IsolationCheck,
    now: Instant,
    /// Whether each address answers, after 1 ms; `None` is a driver that never ends its ping.
    answers: Vec<Option<bool>>,
    pings: Vec<(Instant, Completion<Ping>)>,
    asked: u32,
    events: Vec<(Instant, Event)>,
}

impl Host {
    fn new(answers: &[Option<bool>], timing: TimingConfig) -> Self {
        let addresses = u32::try_from(answers.len()).unwrap();
        Self {
            check: IsolationCheck::new(Instant::ORIGIN, config(addresses, timing, 0)).unwrap(),
            now: Instant::ORIGIN,
            answers: answers.to_vec(),
            pings: Vec::new(),
            asked: 0,
            events: Vec::new(),
        }
    }

    fn input(&mut self, input: Input) {
        self.check.handle_input(self.now, input).unwrap();
        self.drain();
    }

    fn alone(&mut self, as_master: bool, since: Instant) {
        self.input(Input::Alone { as_master, since });
    }

    fn drain(&mut self) {
        while let Some(output) = self.check.poll_output() {
            match output {
                Output::Ping { token, address, timeout } => {
                    self.asked += 1;
                    match self.answers[usize::try_from(address).unwrap()] {
                        Some(true) => {
                            self.pings.push((self.now.after(TICK), token.complete(PingOutcome::Answered)));
                        }
                        Some(false) => {
                            let end = self.now.after(timeout);
                            self.pings.push((end, token.complete(PingOutcome::Unanswered)));
                        }
                        None => drop(token),
                    }
                }
                Output::Event(event) => self.events.push((self.now, event)),
            }
        }
    }

    /// Lets time pass, with a step every millisecond.
    fn run_until(&mut self, end: Instant) {
        while self.now < end {
            self.now = self.now.after(TICK).min(end);
            let (due, later) = self.pings.drain(..).partition(|(at, _)| *at <= self.now);
            self.pings = later;
            for (_, completion) in due {
                self.input(Input::Pinged(completion));
            }
            if self.check.poll_timeout().is_some_and(|deadline| deadline.at <= self.now) {
                self.check.handle_timeout(self.now);
                self.drain();
                assert!(self.check.poll_timeout().is_none_or(|deadline| deadline.at > self.now));
            }
        }
    }

    fn run_for(&mut self, span: Duration) {
        self.run_until(self.now.after(span));
    }

    fn declared(&self) -> Option<Instant> {
        let declared = |event: &Event| matches!(event, Event::DeclaredIsolated { .. });
        self.events.iter().find(|(_, event)| declared(event)).map(|(at, _)| *at)
    }

    fn told(&self, event: Event) -> usize {
        self.events.iter().filter(|(_, told)| *told == event).count()
    }
}

#[test]
fn a_slave_is_isolated_exactly_at_its_time_counted_from_the_loss_of_contact() {
    for timing in profiles() {
        let mut host = Host::new(&[Some(false), Some(false)], timing);
        // It finds out when its master counts as lost (fdm-facts 7.3).
        host.run_until(Instant::ORIGIN.after(timing.master_lost));
        host.alone(false, Instant::ORIGIN);
        let due = Instant::ORIGIN.after(timing.slave_isolated_after);
        host.run_until(due.before(TICK));
        assert!(!host.check.isolated());
        host.run_until(due);
        assert!(host.check.isolated());
        assert_eq!(host.told(Event::DeclaredIsolated { after: timing.slave_isolated_after }), 1);
        let respond = due.after(timing.isolation_policy_delay);
        host.run_until(respond.before(TICK));
        assert_eq!(host.told(Event::ResponseDue), 0);
        host.run_until(respond);
        assert_eq!(host.told(Event::ResponseDue), 1);
        host.run_for(timing.slave_isolated_after);
        assert_eq!(host.told(Event::ResponseDue), 1, "once");
    }
}

#[test]
fn a_master_is_isolated_exactly_at_its_time() {
    for timing in profiles() {
        let mut host = Host::new(&[Some(false)], timing);
        host.alone(true, Instant::ORIGIN);
        let due = Instant::ORIGIN.after(timing.master_isolated_after);
        host.run_until(due.before(TICK));
        assert!(!host.check.isolated());
        host.run_until(due);
        assert!(host.check.isolated());
    }
}

#[test]
fn a_master_that_finds_out_late_still_pings_a_whole_round() {
    for timing in profiles() {
        let mut host = Host::new(&[Some(false); 11], timing);
        host.run_until(Instant::ORIGIN.after(timing.master_isolated_after * 3));
        host.alone(true, Instant::ORIGIN);
        let found_out = host.now;
        host.run_for(timing.master_isolated_after * 2);
        assert_eq!(host.declared(), Some(found_out.after(host.check.ping_timeout())));
    }
}

#[test]
fn one_answer_of_many_addresses_is_enough() {
    for timing in profiles() {
        let mut host = Host::new(&[Some(false), Some(false), Some(true)], timing);
        host.alone(true, Instant::ORIGIN);
        host.run_for(timing.slave_isolated_after * 3);
        assert_eq!(host.declared(), None);
        assert!(host.asked > 30, "it goes on pinging while it is alone");
    }
}

#[test]
fn an_address_that_stops_answering_is_waited_for_from_its_last_answer() {
    for timing in profiles() {
        let mut host = Host::new(&[Some(true)], timing);
        host.alone(true, Instant::ORIGIN);
        host.run_for(timing.slave_isolated_after);
        host.answers = vec![Some(false)];
        host.run_for(timing.master_isolated_after * 3);
        let last = |event: &Event| matches!(event, Event::AddressAnswered { .. });
        let last = host.events.iter().rfind(|(_, event)| last(event)).unwrap().0;
        assert_eq!(host.declared(), Some(last.after(timing.master_isolated_after)));
    }
}

#[test]
fn contact_cancels_the_check_and_the_isolation() {
    let contact = |was_isolated| Event::Cancelled { reason: CancelReason::Contact, was_isolated };
    for timing in profiles() {
        let mut host = Host::new(&[Some(false)], timing);
        host.alone(false, Instant::ORIGIN);
        host.run_for(timing.slave_isolated_after - TICK);
        host.input(Input::Contact);
        assert_eq!(host.told(contact(false)), 1);
        host.run_for(timing.slave_isolated_after);
        assert_eq!(host.declared(), None);
        assert_eq!(host.check.poll_timeout(), None, "nothing is left to do");
        host.alone(false, host.now);
        host.run_for(timing.slave_isolated_after);
        assert!(host.check.isolated());
        host.input(Input::Contact);
        assert!(!host.check.isolated());
        assert_eq!(host.told(contact(true)), 1);
        host.run_for(timing.isolation_policy_delay);
        assert_eq!(host.told(Event::ResponseDue), 0);
        host.input(Input::Contact);
        assert_eq!(host.told(contact(false)), 1, "there is nothing to cancel");
    }
}

#[test]
fn an_isolated_host_goes_on_pinging_and_an_answer_ends_it() {
    for timing in profiles() {
        let mut host = Host::new(&[Some(false)], timing);
        host.alone(true, Instant::ORIGIN);
        host.run_for(timing.master_isolated_after);
        assert!(host.check.isolated());
        host.answers = vec![Some(true)];
        host.run_for(timing.master_isolated_after);
        assert!(!host.check.isolated());
        let cancelled = Event::Cancelled { reason: CancelReason::AddressAnswered, was_isolated: true };
        assert_eq!(host.told(cancelled), 1);
        host.run_for(timing.isolation_policy_delay);
        assert_eq!(host.told(Event::ResponseDue), 0);
        // Cut off again, it is declared again.
        host.answers = vec![Some(false)];
        host.run_for(timing.master_isolated_after * 3);
        assert!(host.check.isolated());
    }
}

#[test]
fn without_addresses_a_host_is_never_isolated() {
    for timing in profiles() {
        let mut host = Host::new(&[], timing);
        host.alone(true, Instant::ORIGIN);
        assert_eq!(host.told(Event::NoAddressConfigured), 1);
        host.run_for(timing.slave_isolated_after * 3);
        assert_eq!(host.events.len(), 1);
        assert!(!host.check.isolated());
    }
}

#[test]
fn a_ping_that_never_ends_proves_nothing() {
    for timing in profiles() {
        let mut host = Host::new(&[Some(false), None], timing);
        host.alone(true, Instant::ORIGIN);
        host.run_for(timing.slave_isolated_after * 3);
        assert_eq!(host.declared(), None);
    }
}

#[test]
fn a_check_pings_each_address_once_and_declares_nothing() {
    for timing in profiles() {
        let mut host = Host::new(&[Some(true), Some(false)], timing);
        host.input(Input::Check);
        host.input(Input::Check);
        assert_eq!(host.asked, 2, "a ping under way is not doubled");
        host.run_for(timing.slave_isolated_after * 3);
        assert_eq!(host.asked, 2);
        assert_eq!(host.events.len(), 1);
        assert_eq!(host.told(Event::AddressAnswered { address: 0, asked: Instant::ORIGIN }), 1);
    }
}

#[test]
fn pings_from_before_the_loss_of_contact_prove_nothing() {
    let timing = TimingConfig::profile(Profile::Swift);
    let mut host = Host::new(&[Some(false)], timing);
    host.input(Input::Check);
    host.run_for(TICK);
    host.alone(true, host.now);
    assert_eq!(host.asked, 1, "the ping of the check is still under way");
    // That one goes unanswered; the next, sent after the loss, does not end.
    host.answers = vec![None];
    host.run_for(timing.slave_isolated_after);
    assert_eq!(host.asked, 2);
    assert_eq!(host.declared(), None);
}

#[test]
fn a_repeated_loss_keeps_the_first() {
    let timing = TimingConfig::profile(Profile::Swift);
    let mut host = Host::new(&[Some(false)], timing);
    host.alone(false, Instant::ORIGIN);
    host.run_for(timing.master_isolated_after);
    host.alone(true, host.now);
    host.run_until(Instant::ORIGIN.after(timing.slave_isolated_after));
    assert_eq!(host.declared(), Some(host.now));
}

#[test]
fn without_a_policy_delay_the_response_is_due_at_once() {
    let base = TimingConfig::profile(Profile::Vsphere);
    let timing = TimingConfig { isolation_policy_delay: Duration::ZERO, ..base };
    let mut host = Host::new(&[Some(false)], timing);
    host.alone(true, Instant::ORIGIN);
    host.run_for(timing.master_isolated_after);
    assert_eq!(host.events.last(), Some(&(host.now, Event::ResponseDue)));
}

#[test]
fn a_stop_of_the_agent_begins_the_wait_anew() {
    for timing in profiles() {
        let mut host = Host::new(&[Some(false)], timing);
        host.alone(false, Instant::ORIGIN);
        host.run_for(host.check.ping_timeout() + TICK);
        // Nothing happens on this host for a long time; the answer of a reachable address would lie unread.
        host.now = host.now.after(timing.slave_isolated_after * 10);
        host.check.handle_timeout(host.now);
        host.drain();
        assert_eq!(host.declared(), None);
        let woke = host.now;
        host.run_for(timing.slave_isolated_after * 2);
        assert_eq!(host.declared(), Some(woke.after(timing.slave_isolated_after)));
        // A second stop, after the declaration, postpones the response.
        let mut host = Host::new(&[Some(false)], timing);
        host.alone(true, Instant::ORIGIN);
        host.run_for(timing.master_isolated_after);
        host.now = host.now.after(timing.isolation_policy_delay * 10);
        host.check.handle_timeout(host.now);
        host.drain();
        assert!(host.check.isolated());
        assert_eq!(host.told(Event::ResponseDue), 0);
    }
}

fn token(check: &mut IsolationCheck, now: Instant) -> Token<Ping> {
    check.handle_input(now, Input::Check).unwrap();
    match check.poll_output() {
        Some(Output::Ping { token, .. }) => token,
        other => panic!("a ping was expected, not {other:?}"),
    }
}

#[test]
fn r3_r4_inputs_fire_no_timer_and_waiting_outputs_are_due() {
    let timing = TimingConfig::profile(Profile::Swift);
    let mut host = Host::new(&[Some(false)], timing);
    host.alone(true, Instant::ORIGIN);
    host.run_for(timing.master_isolated_after - TICK);
    let due = host.now.after(TICK);
    assert_eq!(host.check.poll_timeout().unwrap().at, due);
    host.check.handle_input(due, Input::Alone { as_master: true, since: due }).unwrap();
    assert!(host.check.poll_output().is_none());
    assert!(!host.check.isolated(), "an input fires no timer");
    host.check.handle_timeout(due);
    assert!(host.check.isolated());
    assert_eq!(host.check.poll_timeout().unwrap().reason, "queued output");
    host.drain();
    assert!(host.check.poll_timeout().is_none_or(|deadline| deadline.at > due));
}

#[test]
fn r5_time_that_goes_back_or_to_its_end_breaks_nothing() {
    let mut host = Host::new(&[Some(false)], TimingConfig::profile(Profile::Swift));
    host.now = Instant::from_nanos(u64::MAX);
    host.alone(true, host.now);
    host.check.handle_timeout(Instant::ORIGIN);
    host.input(Input::Contact);
    assert!(!host.check.isolated());
}

#[test]
fn r8_foreign_and_stale_completions_are_rejected_and_change_nothing() {
    let now = Instant::ORIGIN;
    let timing = TimingConfig::profile(Profile::Swift);
    let new = |lane| IsolationCheck::new(now, config(1, timing, lane)).unwrap();
    let (mut check, mut other, mut twin) = (new(0), new(1), new(0));
    let mine = token(&mut check, now);
    let before = format!("{check:?}");
    let unknown = Err(Rejected::UnknownRequest(UnknownRequest));
    let foreign = token(&mut other, now).complete(PingOutcome::Answered);
    assert_eq!(check.handle_input(now.after(TICK), Input::Pinged(foreign)), unknown);
    assert_eq!(format!("{check:?}"), before);
    check.handle_input(now, Input::Pinged(mine.complete(PingOutcome::Answered))).unwrap();
    assert!(matches!(check.poll_output(), Some(Output::Event(Event::AddressAnswered { address: 0, .. }))));
    // The twin's first token has the number of the ping that is answered already.
    let stale = token(&mut twin, now).complete(PingOutcome::Answered);
    assert_eq!(check.handle_input(now, Input::Pinged(stale)), unknown);
    assert!(check.poll_output().is_none());
}

#[test]
fn configurations_that_cannot_be_are_named() {
    let timing = TimingConfig::profile(Profile::Swift);
    let new = |config| IsolationCheck::new(Instant::ORIGIN, config).err();
    assert_eq!(new(config(11, timing, 0)), None);
    assert_eq!(new(config(12, timing, 0)), Some(ConfigError::TooManyAddresses { found: 12 }));
    let timing = TimingConfig { heartbeat_period: Duration::ZERO, ..timing };
    assert_eq!(new(config(1, timing, 0)), Some(ConfigError::SpanTooShort { option: "heartbeat_period" }));
}
