//! Storage: completions find the machine that asked by its lane; the datastores' machines are drained in turn.

use alloc::vec::Vec;

use ha_core::evidence::ContentState;
use ha_core::{
    Capability, DatastoreId, HostId, Instant, Machine, StorageCompletion, StorageRequest, UnknownRequest,
};
use ha_datastore::format::PoweronRecord;
use ha_election::{Input as ElectionInput, Role};
use ha_heartbeat::Input as MonitorInput;

use super::{Agent, Rejected, effective_rating, lane};
use crate::datastore_unit::UnitOutput;
use crate::{Event, Output};

impl Agent {
    pub(super) fn on_storage(&mut self, now: Instant, done: StorageCompletion) -> Result<(), Rejected> {
        let identity = self.config.identity;
        let machine = done.machine();
        if (machine.host, machine.incarnation) != (identity.host, identity.incarnation) {
            return Err(UnknownRequest.into());
        }
        match (machine.lane, done) {
            (lane::MONITOR, StorageCompletion::LookAtLock(done)) => {
                self.monitor.handle_input(now, MonitorInput::Looked(done)).map_err(|_| UnknownRequest)?;
            }
            (lane::RECORDS, StorageCompletion::Read(done)) => self.on_record_read(now, done)?,
            (lane, done) => {
                let unit = self.units.values_mut().find(|unit| unit.owns_lane(lane)).ok_or(UnknownRequest)?;
                unit.handle_storage(now, done)?;
            }
        }
        Ok(())
    }

    pub(super) fn drain_units(&mut self, now: Instant) -> bool {
        let mut moved = false;
        let datastores: Vec<DatastoreId> = self.units.keys().copied().collect();
        for datastore in datastores {
            while let Some(output) = self.units.get_mut(&datastore).and_then(|unit| unit.poll_output(now)) {
                moved = true;
                self.on_unit_output(now, datastore, output);
            }
        }
        moved
    }

    fn on_unit_output(&mut self, now: Instant, datastore: DatastoreId, output: UnitOutput) {
        match output {
            UnitOutput::Storage(request) => {
                // A halted agent writes nothing more, but it lets go of what it holds.
                if !self.halted || matches!(request, StorageRequest::Unlock { .. }) {
                    self.outbox.push(Output::Storage(request));
                }
            }
            UnitOutput::Event(event) => {
                if matches!(event, Event::ListUnreadable { .. } | Event::OwnerUnreadable { .. }) {
                    self.counters.bad_files.count();
                }
                self.event(event);
            }
            UnitOutput::Evidence(evidence) => {
                match evidence.state {
                    ContentState::Unattributable | ContentState::Regressed => self.counters.bad_files.count(),
                    ContentState::NeverWritten | ContentState::Valid | ContentState::Unreadable(_) => {}
                }
                if self.watched.contains(&evidence.host) {
                    // What an earlier boot left behind proves nothing: the content must have moved.
                    if evidence.last_change.is_some()
                        && evidence.boot.is_some_and(|boot| boot != self.config.identity.boot)
                        && self.foreign_boot.insert(evidence.host)
                    {
                        self.refuse_same_kernel(now, evidence.host);
                    }
                    let result = self.monitor.handle_input(now, MonitorInput::Datastore(evidence));
                    self.refuse_inside(result);
                }
            }
            UnitOutput::Owned { term, protected } => {
                self.dirty = true;
                self.event(Event::DatastoreOwned { datastore, term, protected });
                self.tell_lists_owned(now);
            }
            UnitOutput::Lost { reason } => {
                self.dirty = true;
                self.event(Event::DatastoreLost { datastore, reason });
                self.tell_lists_owned(now);
            }
            UnitOutput::RoundSeen(round) => {
                let result = self.election.handle_input(now, ElectionInput::RoundSeen { round });
                self.refuse_inside(result);
            }
            UnitOutput::Durable(ids) => {
                for id in ids {
                    self.on_change_durable(now, id);
                }
            }
            UnitOutput::Dropped(ids) => {
                for id in ids {
                    self.on_change_dropped(now, id);
                }
            }
            UnitOutput::IncarnationRepeated(found) => {
                self.halted = true;
                self.event(Event::IncarnationRepeated { found });
            }
        }
    }

    fn tell_lists_owned(&mut self, now: Instant) {
        let count = self.units.values().filter(|unit| unit.owned()).count();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let result = self.election.handle_input(now, ElectionInput::ListsOwned { count });
        self.refuse_inside(result);
    }

    /// The datastores on which hosts write heartbeats, with what each is worth now.
    pub(super) fn heartbeat_datastores(&self) -> Vec<(DatastoreId, Capability)> {
        self.units
            .iter()
            .filter(|(_, unit)| unit.entry().heartbeat)
            .map(|(datastore, unit)| (*datastore, self.effective(unit.entry().capability)))
            .collect()
    }

    /// What a declared capability is worth now.
    pub(super) fn effective(&self, declared: Capability) -> Capability {
        let rating = effective_rating(declared.rating, !self.foreign_boot.is_empty());
        if rating == declared.rating { declared } else { Capability { rating, ..Capability::UNDECLARED } }
    }

    /// Another boot id writes or speaks here: what was declared to be one kernel is not.
    pub(super) fn refuse_same_kernel(&mut self, now: Instant, host: HostId) {
        let declared = |unit: &crate::datastore_unit::DatastoreUnit| {
            unit.entry().capability.rating == ha_core::Rating::SameKernel
        };
        if !self.units.values().any(declared) {
            return;
        }
        self.event(Event::SameKernelRefused { host });
        let datastores = self.heartbeat_datastores();
        for host in self.watched.clone() {
            let datastores = datastores.clone();
            let input = MonitorInput::Watch { host, datastores, heard: None };
            let result = self.monitor.handle_input(now, input);
            self.refuse_inside(result);
        }
    }

    /// Tells this host's poweron files what runs here, and whether it is isolated.
    pub(super) fn tell_poweron(&mut self, now: Instant) {
        self.poweron_number = self.poweron_number.saturating_add(1);
        let record = PoweronRecord {
            inventory: self.poweron_number,
            isolated: self.isolation.isolated(),
            inventory_complete: self.inventory.complete(),
            vms: self.inventory.iter().map(|running| (running.vm.uuid(), running.epoch)).collect(),
        };
        for unit in self.units.values_mut() {
            unit.tell_poweron(now, &record);
        }
    }

    /// The term under which lists may be written now.
    pub(super) fn reigning(&self, now: Instant) -> Option<ha_core::Term> {
        match self.role {
            Role::Master { term } if self.election.may_act(now) => Some(term),
            Role::Master { .. } | Role::Slave { .. } | Role::Candidate | Role::Uninitialized => None,
        }
    }
}
