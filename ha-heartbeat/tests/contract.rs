//! The rules of the `Machine` contract, with random inputs from fixed seeds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod common;

use common::*;
use ha_core::evidence::ContentState;
use ha_core::operation::{LookOutcome, PingOutcome};
use ha_core::{
    BootId, DatastoreEvidence, DatastoreId, Effects, HostId, Incarnation, Instant, Machine, Profile, Random,
    StorageFault, StorageRequest,
};
use ha_heartbeat::{Config, HostMonitor, Input, Output, Rejected};

fn monitor() -> HostMonitor {
    HostMonitor::new(Config { machine: machine(), plan: plan(Profile::Swift, F3) }, at(0))
}

/// A random history of one monitor; answers what it was asked in random order, or never.
struct History {
    random: Random,
    monitor: HostMonitor,
    now: Instant,
    open: Vec<Input>,
    trace: Vec<String>,
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::from_seed(seed),
            monitor: monitor(),
            now: at(0),
            open: Vec::new(),
            trace: Vec::new(),
        }
    }

    fn step(&mut self) {
        let jump = [0, 1, 17, 30, 50, 100, 100, 300, 5_000][self.below(9)];
        let back = self.below(40) == 0;
        self.now = if back { self.now.before(ms(jump)) } else { self.now.after(ms(jump)) };
        if self.below(3) == 0 {
            self.monitor.handle_timeout(self.now);
        } else {
            let input = self.input();
            match self.monitor.handle_input(self.now, input) {
                Ok(()) | Err(Rejected::NotWatched { .. } | Rejected::OtherLife { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.monitor.poll_output() {
            self.trace.push(format!("{:?} {output:?}", self.now));
            match output {
                Output::Ping { token, .. } => {
                    let outcome =
                        if self.below(4) == 0 { PingOutcome::Answered } else { PingOutcome::Unanswered };
                    self.open.push(Input::Pinged(token.complete(outcome)));
                }
                Output::Storage(StorageRequest::LookAtLock { token, .. }) => {
                    let started = self.now;
                    let outcome = [
                        LookOutcome::Free { started },
                        LookOutcome::Held,
                        LookOutcome::Fault(StorageFault::Stale),
                    ][self.below(3)];
                    self.open.push(Input::Looked(token.complete(outcome)));
                }
                Output::Storage(other) => panic!("{other:?}"),
                Output::WatchDatastores { datastores, .. } => assert!(!datastores.is_empty()),
                Output::UnwatchDatastores { .. } | Output::Event(_) => {}
            }
        }
    }

    fn input(&mut self) -> Input {
        let host = HostId::new(u32::try_from(self.below(3)).unwrap());
        let boot = BootId::from_bytes([u8::try_from(self.below(2)).unwrap(); 16]);
        let incarnation = Incarnation::new(u64::try_from(self.below(3)).unwrap());
        match self.below(12) {
            0 => {
                let all = [(DS1, F3), (DS2, F1)];
                let datastores = all[..self.below(3)].to_vec();
                let heard = (self.below(2) == 0).then(|| self.now.before(ms(400)));
                Input::Watch { host, datastores, heard }
            }
            1 if self.below(4) == 0 => Input::Unwatch { host },
            2 => Input::StreamBroken { host },
            3 => Input::StreamOpened { host },
            4 if self.below(4) == 0 => Input::CleanShutdown { host },
            5 if self.below(4) == 0 => Input::Confirmed { host, boot, incarnation },
            6 | 7 => Input::Datastore(self.evidence(host, boot, incarnation)),
            8..=10 if !self.open.is_empty() => {
                let index = self.below(self.open.len());
                self.open.swap_remove(index)
            }
            _ => Input::Heard { host, boot, incarnation },
        }
    }

    fn evidence(&mut self, host: HostId, boot: BootId, incarnation: Incarnation) -> DatastoreEvidence {
        let mut ago = || {
            let millis = self.random.below(2_000);
            (millis < 1_500).then(|| self.now.before(ms(millis)))
        };
        let (first_look, last_change, last_good_round) = (ago(), ago(), ago());
        let states = [
            ContentState::Valid,
            ContentState::NeverWritten,
            ContentState::Unattributable,
            ContentState::Regressed,
            ContentState::Unreadable(StorageFault::Unknown),
        ];
        DatastoreEvidence {
            host,
            datastore: DatastoreId::new(u32::try_from(self.below(3)).unwrap()),
            boot: Some(boot),
            incarnation: Some(incarnation),
            first_look,
            last_change,
            last_good_round,
            state: states[self.below(5)],
            isolated: [None, Some(false), Some(true)][self.below(3)],
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(u64::try_from(bound).unwrap())).unwrap()
    }
}

#[test]
fn r1_equal_inputs_give_equal_outputs() {
    for seed in 0..20 {
        let traces = [0, 1].map(|_| {
            let mut history = History::new(seed);
            (0..2_000).for_each(|_| history.step());
            history.trace
        });
        assert!(traces[0].len() > 100, "seed {seed} did hardly anything: {}", traces[0].len());
        assert_eq!(traces[0], traces[1], "seed {seed}");
    }
}

#[test]
fn r3_after_a_tick_and_a_drain_the_deadline_lies_ahead() {
    for seed in 100..160 {
        let mut history = History::new(seed);
        let mut now = at(0);
        for step in 0..1_000 {
            history.step();
            now = now.max(history.now);
            history.monitor.handle_timeout(now);
            history.drain();
            let deadline = history.monitor.poll_timeout();
            assert!(
                deadline.is_none_or(|deadline| deadline.at > now),
                "seed {seed} step {step}: {deadline:?}"
            );
            history.monitor.handle_timeout(now);
            assert!(history.monitor.poll_output().is_none(), "a second tick at the same time does nothing");
        }
    }
}

#[test]
fn r3_an_input_fires_no_timer() {
    let mut monitor = monitor();
    let other = HostId::new(9);
    for host in [HOST, other] {
        let watch = Input::Watch { host, datastores: vec![(DS1, F3)], heard: Some(at(0)) };
        monitor.handle_input(at(0), watch).unwrap();
    }
    // Pings are due for both at 200.
    let heard = Input::Heard { host: other, boot: BOOT, incarnation: LIFE };
    monitor.handle_input(at(290), heard).unwrap();
    assert_eq!(monitor.poll_output(), None);
    assert_eq!(monitor.poll_timeout().unwrap().at, at(200));
    monitor.handle_timeout(at(290));
    assert!(matches!(monitor.poll_output(), Some(Output::Ping { host: HOST, .. })));
}

#[test]
fn r4_dropped_effects_lose_nothing() {
    let mut monitor = monitor();
    let watch = Input::Watch { host: HOST, datastores: vec![(DS1, F3)], heard: Some(at(0)) };
    assert!(monitor.step(at(0), watch).unwrap().finish().is_some());
    let broken: Effects<'_, HostMonitor> = monitor.step(at(10), Input::StreamBroken { host: HOST }).unwrap();
    drop(broken);
    let deadline = monitor.poll_timeout().unwrap();
    assert_eq!((deadline.at, deadline.reason), (at(10), "queued output"));
    let mut seen = Vec::new();
    let next = monitor.tick(at(11)).run(|output| seen.push(output));
    assert_eq!(seen.len(), 3, "ping, suspicion, watch: {seen:?}");
    assert_eq!(next.unwrap().at, at(40), "the second ping");
}

#[test]
fn r5_a_clock_that_goes_back_or_ends_harms_nothing() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F3)]);
    world.run_until(250);
    world.monitor.handle_timeout(at(10));
    world.monitor.handle_timeout(Instant::ORIGIN);
    assert_eq!(world.monitor.clock_regressions(), 2);
    assert_eq!(world.codes(), [""; 0]);
    world.run_until(300);
    assert_eq!(world.codes(), ["host.suspected", "host.judged"]);

    let end = Instant::from_nanos(u64::MAX);
    let mut monitor = monitor();
    for number in 0..3 {
        let host = HostId::new(number);
        let watch = Input::Watch { host, datastores: vec![(DS1, F3)], heard: None };
        monitor.handle_input(at(u64::from(number)), watch).unwrap();
    }
    for _ in 0..3 {
        monitor.handle_timeout(end);
        let mut count = 0;
        while monitor.poll_output().is_some() {
            count += 1;
        }
        assert!(count < 20);
        assert!(
            monitor.poll_timeout().is_none_or(|deadline| deadline.at > end),
            "no hot loop at the end of time"
        );
        monitor.handle_input(end, Input::StreamBroken { host: HOST }).unwrap();
    }
}

#[test]
fn r6_one_call_asks_only_for_so_much() {
    // An embedder that completes nothing, a host that flaps for ever.
    let mut monitor = monitor();
    let watch = Input::Watch { host: HOST, datastores: vec![(DS1, F3), (DS2, F3)], heard: None };
    monitor.handle_input(at(0), watch).unwrap();
    let (mut pings, mut looks) = (0, 0);
    for round in 0..10_000_u64 {
        let input = if round % 2 == 0 {
            Input::Heard { host: HOST, boot: BOOT, incarnation: LIFE }
        } else {
            Input::StreamBroken { host: HOST }
        };
        monitor.handle_input(at(round * 50), input).unwrap();
        monitor.handle_timeout(at(round * 50));
        while let Some(output) = monitor.poll_output() {
            match output {
                Output::Ping { .. } => pings += 1,
                Output::Storage(_) => looks += 1,
                Output::WatchDatastores { .. } | Output::UnwatchDatastores { .. } | Output::Event(_) => {}
            }
        }
    }
    assert!((3..=14).contains(&pings), "{pings} pings are open");
    assert!(looks <= 2, "{looks} looks are open");
    assert!(monitor.stats().rounds_withheld.get() > 1_000);
}

#[test]
fn r8_a_rejected_input_leaves_even_the_deadline_as_it_was() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F3)]);
    world.run_until(100);
    let before = (world.monitor.poll_timeout(), *world.monitor.stats());
    let refused = world.monitor.handle_input(at(9_000), Input::Unwatch { host: HostId::new(77) });
    assert_eq!(refused, Err(Rejected::NotWatched { host: HostId::new(77) }));
    assert_eq!((world.monitor.poll_timeout(), *world.monitor.stats()), before);
    world.run_until(300);
    assert_eq!(world.judged().len(), 1, "time was not taken in either");
}
