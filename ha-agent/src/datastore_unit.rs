//! One datastore as an agent sees it: the machines for its files, and what passes between them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use ha_core::{
    DatastoreEvidence, Deadline, HostId, Incarnation, Instant, Machine, MachineId, Round, StorageCompletion,
    StorageFault, StorageRequest, Term, UnknownRequest,
};
use ha_datastore::format::{Geometry, ListEntry, OwnerDamage, PoweronRecord, Protection};
use ha_datastore::{
    ChangeId, HeartbeatWriter, ListChange, LivenessWatcher, Ownership, PoweronWriter, heartbeat_writer,
    liveness_watcher, ownership, poweron_writer,
};

use crate::{AgentConfig, DatastoreEntry, Event};

/// What a datastore's machines want or tell.
#[derive(Debug)]
pub(crate) enum UnitOutput {
    Storage(StorageRequest),
    Evidence(DatastoreEvidence),
    /// The list is ours: locked, merged and written under this term.
    Owned {
        term: Term,
        protected: usize,
    },
    Lost {
        reason: &'static str,
    },
    /// A list was written under this round.
    RoundSeen(Round),
    Durable(Vec<u64>),
    Dropped(Vec<u64>),
    IncarnationRepeated(Incarnation),
    Event(Event),
}

/// The machines of one datastore. Those for heartbeats exist only where heartbeats are written.
#[derive(Debug)]
pub(crate) struct DatastoreUnit {
    entry: DatastoreEntry,
    first_lane: u32,
    stall_max: core::time::Duration,
    writer: Option<HeartbeatWriter>,
    watcher: Option<LivenessWatcher>,
    poweron: Option<PoweronWriter>,
    ownership: Ownership,
    /// What [`DatastoreUnit::connected`] last said, when time passed or a heartbeat was proven.
    was_connected: bool,
    outputs: VecDeque<UnitOutput>,
}

const WRITER: u32 = 0;
const WATCHER: u32 = 1;
const POWERON: u32 = 2;
const OWNERSHIP: u32 = 3;

impl DatastoreUnit {
    /// How many lanes one unit takes.
    pub(crate) const LANES: u32 = 4;

    pub(crate) fn new(config: &AgentConfig, entry: DatastoreEntry, first_lane: u32, now: Instant) -> Self {
        let AgentConfig { identity, timing, limits, .. } = *config;
        let (datastore, geometry) = (entry.datastore, Geometry::new(limits));
        let machine = |offset| MachineId {
            host: identity.host,
            incarnation: identity.incarnation,
            lane: first_lane + offset,
        };
        let writer = heartbeat_writer::HeartbeatWriterConfig {
            identity,
            machine: machine(WRITER),
            datastore,
            timing,
            // No lease below F3 yet: this agent promises no stop by itself.
            ttl: core::time::Duration::ZERO,
            watchdog: core::time::Duration::ZERO,
        };
        let watcher = liveness_watcher::LivenessWatcherConfig {
            cluster: identity.cluster,
            machine: machine(WATCHER),
            datastore,
            geometry,
            timing,
        };
        let poweron = poweron_writer::PoweronWriterConfig {
            identity,
            machine: machine(POWERON),
            datastore,
            geometry,
            timing,
        };
        let ownership = ownership::OwnershipConfig {
            identity,
            machine: machine(OWNERSHIP),
            datastore,
            hosts: config.hosts.iter().map(|entry| entry.host).collect(),
            geometry,
            timing,
        };
        Self {
            entry,
            first_lane,
            stall_max: timing.storage_stall_max,
            writer: entry.heartbeat.then(|| HeartbeatWriter::new(writer, now)),
            watcher: entry.heartbeat.then(|| LivenessWatcher::new(watcher, now)),
            poweron: entry.heartbeat.then(|| PoweronWriter::new(poweron, now)),
            ownership: Ownership::new(ownership, now),
            was_connected: false,
            outputs: VecDeque::new(),
        }
    }

    pub(crate) const fn entry(&self) -> &DatastoreEntry {
        &self.entry
    }

    pub(crate) const fn owns_lane(&self, lane: u32) -> bool {
        lane >= self.first_lane && lane < self.first_lane + Self::LANES
    }

    /// Whether this host's heartbeat is known to reach the datastore.
    pub(crate) fn connected(&self, now: Instant) -> bool {
        let proven = self.writer.as_ref().and_then(|writer| writer.proven(now));
        proven.is_some_and(|started| now.since(started) <= self.stall_max)
    }

    /// The same as of the last tick or proof: no input makes a heartbeat older.
    pub(crate) const fn was_connected(&self) -> bool {
        self.was_connected
    }

    /// When [`DatastoreUnit::connected`] ends if nothing more is written.
    fn disconnects_at(&self, now: Instant) -> Option<Instant> {
        let proven = self.writer.as_ref().and_then(|writer| writer.proven(now))?;
        let ends = proven.after(self.stall_max).after(core::time::Duration::from_nanos(1));
        self.was_connected.then_some(ends)
    }

    /// Whether the list is this host's to write, and orders on its virtual machines this host's to give.
    pub(crate) fn may_act(&self, now: Instant) -> bool {
        self.ownership.may_act(now)
    }

    pub(crate) const fn owned(&self) -> bool {
        self.ownership.list().is_some()
    }

    /// The protected list, while it is owned.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &ListEntry> {
        self.ownership.list().into_iter().flat_map(|list| list.entries())
    }

    pub(crate) fn watch(&mut self, now: Instant, host: HostId) {
        if let Some(watcher) = &mut self.watcher {
            // Never more hosts than the host list has, which is within the limits.
            let _refused = watcher.handle_input(now, liveness_watcher::Input::Watch { host }).is_err();
        }
    }

    pub(crate) fn unwatch(&mut self, now: Instant, host: HostId) {
        if let Some(watcher) = &mut self.watcher {
            let _refused = watcher.handle_input(now, liveness_watcher::Input::Unwatch { host }).is_err();
        }
    }

    /// Claims the datastore, or tells that the right to take it has come or gone.
    /// Below F3 a conflicting request can strip a partitioned owner of every lock it holds: care is taken there.
    pub(crate) fn claim(&mut self, now: Instant, term: Term, may_take: bool, fences: bool) {
        let caution = ownership::Input::Caution { cautious: !fences };
        let _refused = self.ownership.handle_input(now, caution).is_err();
        let input = if self.ownership.claimed() == Some(term) {
            ownership::Input::Rights { may_take }
        } else {
            ownership::Input::Claim { term, may_take }
        };
        let _refused = self.ownership.handle_input(now, input).is_err();
    }

    /// The end of a host's life was confirmed.
    pub(crate) fn owner_ended(&mut self, now: Instant, host: HostId, incarnation: Incarnation) {
        let ended = ownership::Input::OwnerEnded { host, incarnation };
        let _refused = self.ownership.handle_input(now, ended).is_err();
    }

    /// An operator says that nobody owns the datastore, whose owner record is damaged in this way.
    pub(crate) fn nobody_owns(&mut self, now: Instant, damage: OwnerDamage) {
        let _refused = self.ownership.handle_input(now, ownership::Input::NobodyOwns { damage }).is_err();
    }

    pub(crate) fn release(&mut self, now: Instant) {
        let _refused = self.ownership.handle_input(now, ownership::Input::Release).is_err();
    }

    /// Whether the change was taken; it is answered by `Durable` or `Dropped` then.
    pub(crate) fn change(&mut self, now: Instant, id: u64, change: ListChange) -> bool {
        let input = ownership::Input::Change { id: ChangeId(id), change };
        self.ownership.handle_input(now, input).is_ok()
    }

    pub(crate) fn tell_poweron(&mut self, now: Instant, record: &PoweronRecord) {
        if let Some(poweron) = &mut self.poweron {
            let input = poweron_writer::Input::Inventory(record.clone());
            let _refused = poweron.handle_input(now, input).is_err();
        }
    }

    /// The host was suspended: what was held may be lost.
    pub(crate) fn resumed(&mut self, now: Instant) {
        let _refused = self.ownership.handle_input(now, ownership::Input::Expire).is_err();
    }

    pub(crate) fn handle_storage(
        &mut self,
        now: Instant,
        done: StorageCompletion,
    ) -> Result<(), UnknownRequest> {
        let known = match done.machine().lane - self.first_lane {
            WRITER => self
                .writer
                .as_mut()
                .is_some_and(|m| m.handle_input(now, heartbeat_writer::Input::Storage(done)).is_ok()),
            WATCHER => self
                .watcher
                .as_mut()
                .is_some_and(|m| m.handle_input(now, liveness_watcher::Input::Storage(done)).is_ok()),
            POWERON => self
                .poweron
                .as_mut()
                .is_some_and(|m| m.handle_input(now, poweron_writer::Input::Storage(done)).is_ok()),
            _ => self.ownership.handle_input(now, ownership::Input::Storage(done)).is_ok(),
        };
        if known { Ok(()) } else { Err(UnknownRequest) }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(writer) = &mut self.writer {
            writer.handle_timeout(now);
        }
        if let Some(watcher) = &mut self.watcher {
            watcher.handle_timeout(now);
        }
        if let Some(poweron) = &mut self.poweron {
            poweron.handle_timeout(now);
        }
        self.ownership.handle_timeout(now);
        self.was_connected = self.connected(now);
    }

    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Deadline> {
        Deadline::soonest([
            self.writer.as_ref().and_then(Machine::poll_timeout),
            self.watcher.as_ref().and_then(Machine::poll_timeout),
            self.poweron.as_ref().and_then(Machine::poll_timeout),
            self.ownership.poll_timeout(),
            self.disconnects_at(now).map(|at| Deadline::new(at, "own heartbeat too old")),
        ])
    }

    pub(crate) fn poll_output(&mut self, now: Instant) -> Option<UnitOutput> {
        if self.outputs.is_empty() {
            self.drain_writer(now);
            self.drain_watcher();
            self.drain_poweron();
            self.drain_ownership();
        }
        self.outputs.pop_front()
    }

    fn drain_writer(&mut self, now: Instant) {
        while let Some(output) = self.writer.as_mut().and_then(Machine::poll_output) {
            let told = match output {
                heartbeat_writer::Output::Storage(request) => UnitOutput::Storage(request),
                heartbeat_writer::Output::Event(event) => match event {
                    heartbeat_writer::Event::Proven { started } => {
                        self.was_connected = true;
                        if let Some(watcher) = &mut self.watcher {
                            let input = liveness_watcher::Input::Proven { at: started };
                            let _refused = watcher.handle_input(now, input).is_err();
                        }
                        continue;
                    }
                    heartbeat_writer::Event::Ready => {
                        UnitOutput::Event(Event::HeartbeatReady { datastore: self.entry.datastore })
                    }
                    heartbeat_writer::Event::IncarnationRepeated { found } => {
                        UnitOutput::IncarnationRepeated(found)
                    }
                    heartbeat_writer::Event::Trouble { fault } => self.trouble(fault),
                    heartbeat_writer::Event::Stalled => self.trouble(StorageFault::Unknown),
                    // An older life of this host is ending or has ended; recovery shows in the next heartbeat.
                    heartbeat_writer::Event::LockHeld
                    | heartbeat_writer::Event::OlderLife { .. }
                    | heartbeat_writer::Event::Recovered
                    | _ => continue,
                },
            };
            self.outputs.push_back(told);
        }
    }

    fn drain_watcher(&mut self) {
        while let Some(output) = self.watcher.as_mut().and_then(Machine::poll_output) {
            self.outputs.push_back(match output {
                liveness_watcher::Output::Storage(request) => UnitOutput::Storage(request),
                liveness_watcher::Output::Evidence(evidence) => UnitOutput::Evidence(evidence),
            });
        }
    }

    fn drain_poweron(&mut self) {
        while let Some(output) = self.poweron.as_mut().and_then(Machine::poll_output) {
            let told = match output {
                poweron_writer::Output::Storage(request) => UnitOutput::Storage(request),
                poweron_writer::Output::Event(event) => match event {
                    poweron_writer::Event::IncarnationRepeated { found } => {
                        UnitOutput::IncarnationRepeated(found)
                    }
                    poweron_writer::Event::Trouble { fault } => self.trouble(fault),
                    poweron_writer::Event::Stalled => self.trouble(StorageFault::Unknown),
                    poweron_writer::Event::Durable { .. } | poweron_writer::Event::Recovered | _ => continue,
                },
            };
            self.outputs.push_back(told);
        }
    }

    fn drain_ownership(&mut self) {
        while let Some(output) = self.ownership.poll_output() {
            match output {
                ownership::Output::Storage(request) => self.outputs.push_back(UnitOutput::Storage(request)),
                ownership::Output::Event(event) => self.on_ownership(event),
            }
        }
    }

    fn on_ownership(&mut self, event: ownership::Event) {
        let numbers = |ids: Vec<ChangeId>| ids.into_iter().map(|ChangeId(id)| id).collect();
        let told = match event {
            ownership::Event::Owned { term } => {
                let entries = self.ownership.list().into_iter().flat_map(|list| list.entries());
                let protected = entries.filter(|entry| entry.protection == Protection::Protected).count();
                UnitOutput::Owned { term, protected }
            }
            ownership::Event::RightLost { reason } => UnitOutput::Lost {
                reason: match reason {
                    ownership::LostReason::Fault(_) => "storage failed",
                    ownership::LostReason::Stalled => "a write was overdue for too long",
                    ownership::LostReason::Expired => "the host was suspended",
                },
            },
            ownership::Event::Released { .. } => UnitOutput::Lost { reason: "released" },
            ownership::Event::RoundSeen { round } => UnitOutput::RoundSeen(round),
            ownership::Event::Durable { ids } => UnitOutput::Durable(numbers(ids)),
            ownership::Event::Dropped { ids } => UnitOutput::Dropped(numbers(ids)),
            ownership::Event::Trouble { fault } => self.trouble(fault),
            ownership::Event::Stalled => self.trouble(StorageFault::Unknown),
            ownership::Event::LockHeld => {
                UnitOutput::Event(Event::DatastoreHeld { datastore: self.entry.datastore })
            }
            ownership::Event::OwnerUnproven { host } => {
                UnitOutput::Event(Event::OwnerUnproven { datastore: self.entry.datastore, host })
            }
            ownership::Event::OwnerUnreadable { damage, .. } => {
                UnitOutput::Event(Event::OwnerUnreadable { datastore: self.entry.datastore, damage })
            }
            ownership::Event::ChangesMayBeMissing { host, .. } => {
                UnitOutput::Event(Event::ChangesMayBeMissing { datastore: self.entry.datastore, host })
            }
            ownership::Event::ListUnreadable { host, .. } => {
                UnitOutput::Event(Event::ListUnreadable { datastore: self.entry.datastore, host })
            }
            ownership::Event::MergedListFull(_) => {
                UnitOutput::Event(Event::ListFull { datastore: self.entry.datastore })
            }
            _ => return,
        };
        self.outputs.push_back(told);
    }

    const fn trouble(&self, fault: StorageFault) -> UnitOutput {
        UnitOutput::Event(Event::StorageTrouble { datastore: self.entry.datastore, fault })
    }
}
