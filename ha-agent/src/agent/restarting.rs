//! The master's restarts: survey, advance, and carry out what they ask for.

use alloc::collections::{BTreeMap, BTreeSet};

use ha_core::operation::Read;
use ha_core::{Completion, DatastoreId, HostId, Instant, Term};
use ha_datastore::ListChange;

use super::{Agent, Rejected};
use crate::Output;
use crate::datastore_unit::DatastoreUnit;
use crate::restart::{Action, Restarts, Situation};

impl Agent {
    pub(super) fn on_record_read(&mut self, now: Instant, done: Completion<Read>) -> Result<(), Rejected> {
        self.with_situation(now, |restarts, situation, _| restarts.on_read(now, done, situation))?;
        Ok(())
    }

    pub(super) fn advance_restarts(&mut self, now: Instant) {
        if self.reigning(now).is_some() {
            self.restarts.advance(now);
        }
    }

    pub(super) fn drain_restarts(&mut self, now: Instant) -> bool {
        if self.reigning(now).is_none() {
            return false;
        }
        let mut moved = core::mem::take(&mut self.dirty) || self.restarts.wants_survey();
        if moved {
            self.with_situation(now, |restarts, situation, units| {
                restarts.survey(now, units.values().flat_map(DatastoreUnit::entries), situation);
            });
        }
        if self.restarts.deadline().is_some_and(|at| at <= now) {
            moved = true;
            self.restarts.advance(now);
        }
        while let Some(action) = self.restarts.poll_action() {
            moved = true;
            self.act(now, action);
        }
        moved
    }

    fn act(&mut self, now: Instant, action: Action) {
        match action {
            Action::Storage(request) => self.outbox.push(Output::Storage(request)),
            Action::Event(event) => self.event(event),
            Action::Change { datastore, id, change } => {
                // The restarts' changes have even numbers, a manager's odd ones.
                if !self.change_list(now, datastore, id.saturating_mul(2), change) {
                    self.restarts.on_dropped(now, id);
                }
            }
            Action::Order { target, order, vm, expected } => {
                if self.may_act(vm.home(), now) {
                    self.give_order(now, target, order, vm, expected);
                }
            }
        }
    }

    pub(super) fn change_list(
        &mut self,
        now: Instant,
        datastore: DatastoreId,
        id: u64,
        change: ListChange,
    ) -> bool {
        self.may_act(datastore, now)
            && self.units.get_mut(&datastore).is_some_and(|unit| unit.change(now, id, change))
    }

    pub(super) fn on_change_durable(&mut self, now: Instant, id: u64) {
        if id.is_multiple_of(2) {
            self.restarts.on_durable(now, id / 2);
        } else if let Some(event) = self.protections.remove(&id) {
            self.dirty = true;
            self.event(event);
        }
    }

    pub(super) fn on_change_dropped(&mut self, now: Instant, id: u64) {
        if id.is_multiple_of(2) {
            self.restarts.on_dropped(now, id / 2);
        } else {
            self.refuse_change(id);
        }
    }

    /// Lends the restarts the master's picture of this moment.
    fn with_situation<T>(
        &mut self,
        now: Instant,
        run: impl FnOnce(&mut Restarts, &Situation<'_>, &BTreeMap<DatastoreId, DatastoreUnit>) -> T,
    ) -> T {
        let reachable: BTreeSet<HostId> = self.streams.slaves().collect();
        let capabilities = self
            .units
            .iter()
            .map(|(datastore, unit)| (*datastore, self.effective(unit.entry().capability)))
            .collect();
        let owned: BTreeSet<DatastoreId> =
            self.units.iter().filter(|(_, unit)| unit.owned()).map(|(datastore, _)| *datastore).collect();
        let highest = self.election.highest_round();
        let term = self.election.term().unwrap_or(Term::new(highest, self.config.identity.host));
        let situation = Situation {
            now,
            me: self.config.identity.host,
            term,
            monitor: &self.monitor,
            own: &self.inventory,
            peers: &self.peers,
            epochs: &self.epochs,
            lock_decides: &self.lock_decides,
            capabilities: &capabilities,
            owned: &owned,
            reachable: &reachable,
        };
        run(&mut self.restarts, &situation, &self.units)
    }
}
