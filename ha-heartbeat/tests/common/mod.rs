//! A made-up world around one monitor: hosts that beat or are silent, pings, heartbeat files and their locks.
//! Times are milliseconds after the world's start.
#![allow(dead_code, reason = "each test file uses its own part of the world")]
#![allow(clippy::std_instead_of_alloc, reason = "tests link std anyway")]
#![allow(unreachable_pub, reason = "shared by several test files")]

use core::time::Duration;
use std::collections::BTreeMap;

use ha_core::evidence::ContentState;
use ha_core::operation::{LookAtLock, LookOutcome, Ping, PingOutcome};
use ha_core::{
    BootId, Capability, DatastoreEvidence, DatastoreId, FileKind, HostId, HostState, Incarnation, Instant,
    Machine, MachineId, Profile, Rating, StorageFault, StorageRequest, Strength, TimingConfig, TimingPlan,
    Token, Verdict,
};
use ha_heartbeat::{Config, Event, HostMonitor, Input, Output};

pub const HOST: HostId = HostId::new(2);
pub const BOOT: BootId = BootId::from_bytes([1; 16]);
pub const LIFE: Incarnation = Incarnation::new(7);
pub const DS1: DatastoreId = DatastoreId::new(1);
pub const DS2: DatastoreId = DatastoreId::new(2);
pub const F1: Capability = Capability::UNDECLARED;
pub const F3: Capability = Capability {
    rating: Rating::F3,
    lock_free_after: Duration::ZERO,
    queued_writes: Duration::ZERO,
    looking_is_safe: true,
};

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn at(millis: u64) -> Instant {
    Instant::from_nanos(1_000_000_000_000).after(ms(millis))
}

pub fn plan(profile: Profile, capability: Capability) -> TimingPlan {
    TimingPlan::validate(TimingConfig::profile(profile), capability).unwrap()
}

pub fn machine() -> MachineId {
    MachineId { host: HostId::new(1), incarnation: Incarnation::new(1), lane: 3 }
}

/// One heartbeat file as the observer's reads see it.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    /// The host writes until then.
    pub writes_until: Option<Instant>,
    /// What reads find.
    pub state: ContentState,
    pub isolated: Option<bool>,
    pub lock: LookOutcomeKind,
    /// Reads there do not come back.
    pub hangs: bool,
    /// The life that its slots name.
    pub life: (BootId, Incarnation),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookOutcomeKind {
    Free,
    Held,
    Fault,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pings {
    Answered,
    Unanswered,
    /// Refused at once.
    Refused,
    /// The embedder never completes them.
    Lost,
}

#[derive(Debug)]
struct Watch {
    next: Instant,
    first: Option<Instant>,
    change: Option<Instant>,
    counter: Option<u64>,
}

pub struct World {
    pub monitor: HostMonitor,
    pub plan: TimingPlan,
    pub now: Instant,
    pub pings: Pings,
    pub disks: BTreeMap<DatastoreId, Disk>,
    pub events: Vec<(u64, Event)>,
    /// Milliseconds at which pings went out, with their timeouts.
    pub pinged: Vec<(u64, u64)>,
    pub looked: Vec<(u64, DatastoreId)>,
    pub kept_pings: Vec<Token<Ping>>,
    pub kept_looks: Vec<(DatastoreId, Token<LookAtLock>)>,
    queue: BTreeMap<(Instant, u64), Input>,
    queued: u64,
    watches: BTreeMap<(HostId, DatastoreId), Watch>,
}

impl World {
    pub fn new(profile: Profile, capability: Capability) -> Self {
        let plan = plan(profile, capability);
        Self {
            monitor: HostMonitor::new(Config { machine: machine(), plan }, at(0)),
            plan,
            now: at(0),
            pings: Pings::Unanswered,
            disks: BTreeMap::new(),
            events: Vec::new(),
            pinged: Vec::new(),
            looked: Vec::new(),
            kept_pings: Vec::new(),
            kept_looks: Vec::new(),
            queue: BTreeMap::new(),
            queued: 0,
            watches: BTreeMap::new(),
        }
    }

    /// A watched host, heard for the last time at 0, that died right then, with these heartbeat datastores.
    pub fn with_dead_host(profile: Profile, datastores: &[(DatastoreId, Capability)]) -> Self {
        let weakest = Capability::weakest(datastores.iter().map(|(_, capability)| *capability));
        let mut world = Self::new(profile, weakest);
        for (datastore, _) in datastores {
            world.disks.insert(*datastore, Disk::written_until(at(0)));
        }
        world.give(Input::Watch { host: HOST, datastores: datastores.to_vec(), heard: None });
        world.beat();
        world.events.clear();
        world
    }

    pub fn disk(&mut self, datastore: DatastoreId) -> &mut Disk {
        self.disks.get_mut(&datastore).unwrap()
    }

    /// Gives one input now.
    pub fn give(&mut self, input: Input) {
        self.monitor.handle_input(self.now, input).unwrap();
        self.carry_out();
    }

    pub fn beat(&mut self) {
        self.give(Input::Heard { host: HOST, boot: BOOT, incarnation: LIFE });
    }

    /// Lets time pass up to and with `millis`; ticks exactly when the monitor asks.
    pub fn run_until(&mut self, millis: u64) {
        let end = at(millis);
        for _ in 0..1_000_000 {
            let queued = self.queue.keys().next().map(|(at, _)| *at);
            let read = self.watches.values().map(|watch| watch.next).min();
            let due = self.monitor.poll_timeout().map(|deadline| deadline.at);
            let Some(next) = [queued, read, due].into_iter().flatten().min().filter(|next| *next <= end)
            else {
                self.now = self.now.max(end);
                return;
            };
            self.now = self.now.max(next);
            if queued.is_some_and(|at| at <= self.now) {
                let (_, input) = self.queue.pop_first().unwrap();
                self.give(input);
            } else if read.is_some_and(|at| at <= self.now) {
                self.read_one();
            } else {
                self.monitor.handle_timeout(self.now);
                self.carry_out();
            }
        }
        panic!("time does not pass: {:?}", self.monitor.poll_timeout());
    }

    pub fn state(&self) -> HostState {
        self.monitor.state(HOST).unwrap()
    }

    pub fn failed(&self) -> Option<Strength> {
        let verdict = self.monitor.verdict(HOST).unwrap();
        (verdict.state == HostState::Failed).then_some(verdict.strength)
    }

    /// When each verdict was reached, with its state.
    pub fn judged(&self) -> Vec<(u64, HostState)> {
        let judged = |(at, event): &(u64, Event)| {
            if let Event::Judged(verdict) = event { Some((*at, verdict.state)) } else { None }
        };
        self.events.iter().filter_map(judged).collect()
    }

    pub fn last_verdict(&self) -> Verdict {
        self.monitor.verdict(HOST).unwrap().clone()
    }

    pub fn codes(&self) -> Vec<&'static str> {
        self.events.iter().map(|(_, event)| event.code()).collect()
    }

    pub fn millis(&self) -> u64 {
        u64::try_from(self.now.since(at(0)).as_millis()).unwrap()
    }

    pub fn carry_out(&mut self) {
        while let Some(output) = self.monitor.poll_output() {
            match output {
                Output::Ping { token, host: _, timeout } => self.ping(token, timeout),
                Output::Storage(StorageRequest::LookAtLock { token, file }) => {
                    assert_eq!(file.kind, FileKind::Heartbeat(HOST));
                    self.look(file.datastore, token);
                }
                Output::Storage(other) => panic!("never asked: {other:?}"),
                Output::WatchDatastores { host, datastores } => {
                    let next = self.now;
                    self.watches.retain(|(watched, _), _| *watched != host);
                    for datastore in datastores {
                        let fresh = Watch { next, first: None, change: None, counter: None };
                        self.watches.insert((host, datastore), fresh);
                    }
                }
                Output::UnwatchDatastores { host } => self.watches.retain(|(watched, _), _| *watched != host),
                Output::Event(event) => self.events.push((self.millis(), event)),
            }
        }
    }

    fn ping(&mut self, token: Token<Ping>, timeout: Duration) {
        self.pinged.push((self.millis(), u64::try_from(timeout.as_millis()).unwrap()));
        let (after, outcome) = match self.pings {
            Pings::Answered => (ms(1), PingOutcome::Answered),
            Pings::Unanswered => (timeout, PingOutcome::Unanswered),
            Pings::Refused => (ms(1), PingOutcome::Unanswered),
            Pings::Lost => return self.kept_pings.push(token),
        };
        self.later(after, Input::Pinged(token.complete(outcome)));
    }

    fn look(&mut self, datastore: DatastoreId, token: Token<LookAtLock>) {
        self.looked.push((self.millis(), datastore));
        let outcome = match self.disks[&datastore].lock {
            LookOutcomeKind::Free => LookOutcome::Free { started: self.now },
            LookOutcomeKind::Held => LookOutcome::Held,
            LookOutcomeKind::Fault => LookOutcome::Fault(StorageFault::Unknown),
            LookOutcomeKind::Never => return self.kept_looks.push((datastore, token)),
        };
        self.later(Duration::ZERO, Input::Looked(token.complete(outcome)));
    }

    pub fn later(&mut self, after: Duration, input: Input) {
        self.queued += 1;
        self.queue.insert((self.now.after(after), self.queued), input);
    }

    fn read_one(&mut self) {
        let now = self.now;
        let key = *self.watches.iter().find(|(_, watch)| watch.next <= now).unwrap().0;
        let disk = self.disks[&key.1];
        let readable = !matches!(disk.state, ContentState::Unreadable(_));
        let period = self.plan.config.datastore_write_period;
        let last_write = disk.writes_until.map_or(now, |end| end.min(now)).as_nanos();
        let counter = last_write / u64::try_from(period.as_nanos()).unwrap();
        let watch = self.watches.get_mut(&key).unwrap();
        watch.next = now.after(self.plan.config.datastore_poll);
        if disk.hangs {
            return;
        }
        if readable {
            watch.first = watch.first.or(Some(now));
            if watch.counter.is_some_and(|known| known != counter) {
                watch.change = Some(now);
            }
            watch.counter = Some(counter);
        }
        let evidence = DatastoreEvidence {
            host: key.0,
            datastore: key.1,
            boot: Some(disk.life.0),
            incarnation: Some(disk.life.1),
            first_look: watch.first,
            last_change: watch.change,
            last_good_round: readable.then_some(now),
            state: disk.state,
            isolated: disk.isolated,
        };
        self.give(Input::Datastore(evidence));
    }
}

impl Disk {
    pub fn written_until(end: Instant) -> Self {
        Self {
            writes_until: Some(end),
            state: ContentState::Valid,
            isolated: None,
            lock: LookOutcomeKind::Free,
            hangs: false,
            life: (BOOT, LIFE),
        }
    }
}
