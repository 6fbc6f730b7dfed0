use alloc::collections::{BTreeMap, BTreeSet};

use ha_core::wire::{Wire, WireConfig};
use ha_core::{
    BootId, Counter, DatastoreId, Deadline, HostId, HostState, Instant, Machine, MachineId, MonotonicNow,
    Outbox, Rating, TimingPlan, UnknownRequest, Verdict,
};
use ha_election::{Election, ElectionConfig, Role};
use ha_heartbeat::HostMonitor;
use ha_isolation::{IsolationCheck, IsolationConfig};

use crate::config::{AgentConfig, ConfigError};
use crate::datastore_unit::DatastoreUnit;
use crate::epochs::KnownEpochs;
use crate::inventory::{Inventory, PeerInventories};
use crate::restart::Restarts;
use crate::starts::Starts;
use crate::streams::Streams;
use crate::{Event, Input, Output};

mod commands;
mod datagrams;
mod elections;
mod isolation;
mod monitoring;
mod orders;
mod restarting;
mod roles;
mod storage;
mod streaming;
mod virtual_machines;

/// Lanes of the machines that an agent owns once; each datastore has a block of its own after these.
mod lane {
    pub(super) const MONITOR: u32 = 1;
    pub(super) const ISOLATION: u32 = 2;
    pub(super) const RECORDS: u32 = 3;
    pub(super) const FIRST_DATASTORE: u32 = 16;
}

/// More rounds than any one input can cause to go back and forth between the agent's machines.
const MAX_ROUNDS: u32 = 1_000;

/// Counts of what was refused or went unused. For people; nothing depends on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentCounters {
    /// Control messages that could not be read or did not belong where they came.
    pub bad_control: Counter,
    /// Election messages that could not be read.
    pub bad_election: Counter,
    /// Heartbeats that could not be read.
    pub bad_heartbeat: Counter,
    /// Readings of files on a datastore that were damaged, foreign, or went back to older content.
    pub bad_files: Counter,
    /// Lock records of virtual machines that are down which could not be relied upon.
    pub bad_records: Counter,
    /// Virtual machines whose epochs are not remembered, because as many are as may stand in one list.
    pub unremembered_epochs: Counter,
    /// Frames too long to be sent, or to hosts that are not in the list.
    pub unsendable: Counter,
    /// Inputs that one of the agent's own machines refused.
    pub refused_inside: Counter,
}

/// The whole agent of one host. See the [crate documentation](crate).
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    plan: TimingPlan,
    clock: MonotonicNow,
    outbox: Outbox<Output>,
    wire: Wire,
    election: Election,
    isolation: IsolationCheck,
    monitor: HostMonitor,
    units: BTreeMap<DatastoreId, DatastoreUnit>,
    streams: Streams,
    inventory: Inventory,
    peers: PeerInventories,
    starts: Starts,
    epochs: KnownEpochs,
    restarts: Restarts,
    /// The role that the rest of the agent was last arranged for.
    role: Role,
    /// Hosts that the monitor was asked to watch.
    watched: BTreeSet<HostId>,
    /// Hosts that may have ended without anybody seeing it: each virtual machine's lock decides.
    lock_decides: BTreeSet<HostId>,
    /// When each host was last heard with a fresh echo, its life, and the last datagram's sequence.
    heard: BTreeMap<HostId, Heard>,
    last_contact: Instant,
    contact_as_master: bool,
    alone: bool,
    next_beat: Instant,
    standing: (u32, bool),
    rights: bool,
    /// Whether the picture of the virtual machines changed since it was last surveyed.
    dirty: bool,
    next_change: u64,
    poweron_number: u64,
    protections: BTreeMap<u64, Event>,
    invalid: BTreeSet<Option<HostId>>,
    foreign_boot: BTreeSet<HostId>,
    halted: bool,
    counters: AgentCounters,
}

/// The last sign of life of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    at: Instant,
    boot: BootId,
    incarnation: ha_core::Incarnation,
    sequence: u64,
}

/// A mistake of the embedder. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The completion answers no open request of this agent.
    #[error(transparent)]
    UnknownRequest(#[from] UnknownRequest),
    /// The stream was never opened, or is closed.
    #[error("the stream is not known")]
    UnknownStream,
}

impl Agent {
    /// An agent in its first moment. It speaks when its hypervisor driver has reported and a heartbeat of it is
    /// durable on some datastore.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting, what it is, and what would be accepted.
    pub fn new(config: AgentConfig, now: Instant) -> Result<Self, ConfigError> {
        let plan = config.validate()?;
        let identity = config.identity;
        let machine = |lane| MachineId { host: identity.host, incarnation: identity.incarnation, lane };
        let wire = Wire::new(WireConfig {
            identity,
            hosts: config.hosts.iter().map(|entry| entry.host).collect(),
            security: config.security.clone(),
            echo_fresh: config.timing.master_lost,
            probe_spacing: config.timing.heartbeat_period / 4,
        })?;
        let election = Election::new(now, election_config(&config))?;
        let isolation = IsolationCheck::new(
            now,
            IsolationConfig {
                machine: machine(lane::ISOLATION),
                addresses: config.isolation_addresses,
                timing: config.timing,
            },
        )?;
        let monitor = HostMonitor::new(ha_heartbeat::Config { machine: machine(lane::MONITOR), plan }, now);
        let units = (0..)
            .zip(&config.datastores)
            .map(|(index, entry)| {
                let lane = lane::FIRST_DATASTORE + index * DatastoreUnit::LANES;
                (entry.datastore, DatastoreUnit::new(&config, *entry, lane, now))
            })
            .collect();
        let restarts = Restarts::new(machine(lane::RECORDS), identity.cluster, config.timing, config.limits);
        Ok(Self {
            plan,
            clock: MonotonicNow::new(now),
            outbox: Outbox::new(),
            wire,
            role: election.role(),
            election,
            isolation,
            monitor,
            units,
            streams: Streams::new(config.hosts.len()),
            inventory: Inventory::default(),
            peers: PeerInventories::default(),
            starts: Starts::new(identity),
            epochs: KnownEpochs::new(config.limits.vms_per_list),
            restarts,
            watched: BTreeSet::new(),
            lock_decides: BTreeSet::new(),
            heard: BTreeMap::new(),
            last_contact: now,
            contact_as_master: false,
            alone: false,
            next_beat: now,
            standing: (0, false),
            rights: false,
            dirty: false,
            next_change: 0,
            poweron_number: 0,
            protections: BTreeMap::new(),
            invalid: BTreeSet::new(),
            foreign_boot: BTreeSet::new(),
            halted: false,
            counters: AgentCounters::default(),
            config,
        })
    }

    /// The agent's own host.
    #[must_use]
    pub const fn host(&self) -> HostId {
        self.config.identity.host
    }

    /// Master, slave, or on the way to one of them.
    #[must_use]
    pub fn role(&self) -> Role {
        self.election.role()
    }

    /// Whether this host, as master, may order restarts of the virtual machines of `datastore` at `now`.
    #[must_use]
    pub fn may_act(&self, datastore: DatastoreId, now: Instant) -> bool {
        !self.halted
            && self.reigning(now).is_some()
            && self.units.get(&datastore).is_some_and(|unit| unit.may_act(now))
    }

    /// The bounds that follow from the configuration.
    #[must_use]
    pub const fn plan(&self) -> &TimingPlan {
        &self.plan
    }

    /// What is thought of a host, if it is watched: every host on the master, the master on a slave.
    #[must_use]
    pub fn verdict(&self, host: HostId) -> Option<&Verdict> {
        self.monitor.verdict(host)
    }

    /// The state of a host, as [`Agent::verdict`].
    #[must_use]
    pub fn host_state(&self, host: HostId) -> Option<HostState> {
        self.monitor.state(host)
    }

    /// What was refused or went unused.
    #[must_use]
    pub const fn counters(&self) -> AgentCounters {
        AgentCounters {
            bad_records: self.restarts.bad_records,
            unremembered_epochs: self.epochs.unremembered,
            ..self.counters
        }
    }

    /// How often the embedder's clock went back (rule R5).
    #[must_use]
    pub const fn clock_regressions(&self) -> u64 {
        self.clock.regressions()
    }

    /// What the frames' guard refused.
    #[must_use]
    pub const fn wire_counters(&self) -> &ha_core::wire::WireCounters {
        self.wire.counters()
    }

    fn event(&mut self, event: Event) {
        self.outbox.push(Output::Event(event));
    }

    fn refuse_inside<E>(&mut self, result: Result<(), E>) {
        if result.is_err() {
            self.counters.refused_inside.count();
        }
    }

    fn others(&self) -> impl Iterator<Item = HostId> + use<'_> {
        let me = self.config.identity.host;
        self.config.hosts.iter().map(|entry| entry.host).filter(move |host| *host != me)
    }

    /// Carries outputs between the agent's machines until none is left.
    fn settle(&mut self, now: Instant) {
        for _ in 0..MAX_ROUNDS {
            let mut moved = self.drain_monitor(now);
            moved |= self.drain_units(now);
            moved |= self.drain_isolation(now);
            moved |= self.drain_election(now);
            moved |= self.follow_standing(now);
            moved |= self.follow_role(now);
            moved |= self.drain_starts(now);
            moved |= self.drain_restarts(now);
            if !moved {
                return;
            }
        }
        debug_assert!(false, "the agent's machines do not come to rest");
    }

    fn let_time_pass(&mut self, now: Instant) {
        self.election.handle_timeout(now);
        self.isolation.handle_timeout(now);
        self.monitor.handle_timeout(now);
        for unit in self.units.values_mut() {
            unit.handle_timeout(now);
        }
        self.starts.handle_timeout(now);
        self.beat(now);
        self.redial(now);
        self.close_silent_streams(now);
        self.notice_silence(now);
        self.advance_restarts(now);
        self.settle(now);
    }

    /// The next deadline of anything but outputs that wait.
    fn deadline(&self) -> Option<Deadline> {
        let machines = [
            self.election.poll_timeout(),
            self.isolation.poll_timeout(),
            self.monitor.poll_timeout(),
            self.starts.poll_timeout(),
            Deadline::soonest(self.own_deadlines()),
        ];
        let units = self.units.values().map(|unit| unit.poll_timeout(self.clock.latest()));
        Deadline::soonest(machines.into_iter().chain(units))
    }

    fn own_deadlines(&self) -> [Option<Deadline>; 5] {
        let beat = matches!(self.role, Role::Slave { .. })
            .then(|| Deadline::new(self.next_beat, "heartbeat to the master"));
        let redial = self.streams.redial.map(|at| Deadline::new(at, "dial the master again"));
        let contact = (!self.alone).then(|| {
            Deadline::new(self.last_contact.after(self.config.timing.suspicion_after), "contact lost")
        });
        let case = self.reigning(self.clock.latest()).and_then(|_| self.restarts.deadline());
        let case = case.map(|at| Deadline::new(at, "restart of a VM"));
        let silent = self.streams.next_silent(self.config.timing.master_lost);
        let silent = silent.map(|at| Deadline::new(at, "stream that does not speak"));
        [beat, redial, contact, case, silent]
    }
}

impl Machine for Agent {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        // What is refused does not even move the clock.
        let given = now;
        let now = self.clock.latest().max(now);
        match input {
            Input::Datagram(bytes) => self.on_datagram(now, &bytes),
            Input::StreamOpened(connection) => self.on_stream_opened(now, connection)?,
            Input::StreamReceived(connection, bytes) => self.on_stream_received(now, connection, &bytes)?,
            Input::StreamClosed(connection) => self.on_stream_closed(now, connection),
            Input::Storage(done) => self.on_storage(now, done)?,
            Input::Ping(done) => self.on_ping(now, done)?,
            Input::TermStored { acknowledged } => self.on_term_stored(now, acknowledged)?,
            Input::Vm(done) => self.starts.handle(now, done)?,
            Input::Driver(report) => self.on_driver(now, report),
            Input::Command(command) => self.on_command(now, command),
            Input::Resumed { gap: _ } => self.on_resumed(now),
        }
        self.clock.advance(given);
        self.settle(now);
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        self.let_time_pass(now);
        // What one machine does can make something of another one due at once.
        for _ in 0..MAX_ROUNDS {
            // At the end of time no deadline can lie ahead.
            let ahead = self.deadline().is_none_or(|deadline| deadline.at > now);
            if ahead || now == Instant::from_nanos(u64::MAX) {
                return;
            }
            self.let_time_pass(now);
        }
        debug_assert!(false, "a deadline of the agent's machines does not move on");
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.outbox.deadline(self.clock.latest(), self.deadline())
    }
}

/// Whether a declared rating still holds although hosts of another boot were heard.
const fn effective_rating(declared: Rating, foreign_boot: bool) -> Rating {
    match declared {
        Rating::SameKernel if foreign_boot => Rating::F1,
        Rating::SameKernel | Rating::F0 | Rating::F1 | Rating::F2 | Rating::F3 => declared,
    }
}

fn election_config(config: &AgentConfig) -> ElectionConfig {
    ElectionConfig {
        me: config.identity.host,
        hosts: config.hosts.iter().map(|entry| (entry.host, entry.moid.clone())).collect(),
        node_goodness: config.node_goodness,
        isolation_address_configured: config.isolation_addresses > 0,
        timing: config.timing,
        seed: config.seed,
        acknowledged: config.acknowledged,
    }
}
