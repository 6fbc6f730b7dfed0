//! Orders to start a virtual machine: given by the master, carried out by their target.

use ha_core::{DatastoreId, HostId, Instant, Term, VmEpoch, VmId};
use ha_datastore::format::OrderId;
use ha_datastore::vm_lock::StartExpectation;
use ha_election::Role;

use super::Agent;
use crate::RefusedOrder;
use crate::control::{ControlMessage, Order};
use crate::starts::Asked;

impl Agent {
    /// An order arrived on the stream to the master.
    pub(super) fn on_order(&mut self, now: Instant, from: HostId, order: Order) {
        let asked = Asked::Master { host: from, term: order.term, order: order.id() };
        let followed = match self.role {
            Role::Slave { master, term } if master == from && order.term.host == from => Some(term),
            Role::Slave { .. } | Role::Master { .. } | Role::Candidate | Role::Uninitialized => None,
        };
        if followed.is_none_or(|term| order.term < term) {
            self.answer(now, &order.vm, asked, Err(RefusedOrder::OldTerm));
            return;
        }
        // The order's validity counts from a moment on this host's own clock: when it sent the frame that the
        // master had last heard when it gave the order.
        let anchor = (order.anchor_incarnation == self.config.identity.incarnation)
            .then(|| self.wire.sent_at(from, ha_core::wire::Channel::Datagram, order.anchor_sequence))
            .flatten();
        match anchor.map(|sent_at| sent_at.after(order.validity())) {
            Some(not_after) if not_after > now => {
                self.begin_ordered(now, order.vm, order.expected, asked, not_after);
            }
            Some(_) | None => self.answer(now, &order.vm, asked, Err(RefusedOrder::Expired)),
        }
    }

    fn begin_ordered(&mut self, now: Instant, vm: VmId, expected: VmEpoch, asked: Asked, not_after: Instant) {
        if let Some(running) = self.inventory.get(vm.uuid()) {
            let found = running.epoch;
            self.answer(now, &vm, asked, Err(RefusedOrder::EpochMismatch { found }));
            return;
        }
        if self.starts.contains(vm.uuid()) || !self.may_start(now, &vm) {
            self.answer(now, &vm, asked, Err(RefusedOrder::Busy));
            return;
        }
        self.begin_start(now, vm, StartExpectation::Exactly(expected), asked, not_after);
    }

    pub(super) fn begin_start(
        &mut self,
        now: Instant,
        vm: VmId,
        expect: StartExpectation,
        asked: Asked,
        not_after: Instant,
    ) {
        let uuid = vm.uuid();
        // Below F3 an inventory is a proof of stop, so it has to tell of a start before the record is touched.
        if !self.fences(vm.home()) {
            self.inventory.starting(uuid);
            self.say_inventory(now);
        }
        self.starts.begin(now, vm, expect, asked, not_after);
    }

    /// Whether winning a lock on this datastore proves that the old owner can no longer write.
    pub(super) fn fences(&self, datastore: DatastoreId) -> bool {
        let unit = self.units.get(&datastore);
        unit.is_some_and(|unit| self.effective(unit.entry().capability).rating.fences())
    }

    /// Whether this host may take one more virtual machine of that datastore. Below F3 none starts before a
    /// heartbeat of this life is durable there, because that file is its lease (architecture 8).
    pub(super) fn may_start(&self, now: Instant, vm: &VmId) -> bool {
        let Some(unit) = self.units.get(&vm.home()) else { return false };
        let fences = self.effective(unit.entry().capability).rating.fences();
        let limits = &self.config.limits;
        !self.halted
            && self.inventory.complete()
            && self.starts.len() < limits.restarts_per_host as usize
            && self.inventory.len() + self.starts.len() < limits.vms_per_host as usize
            && (fences || unit.connected(now))
    }

    /// Gives an order, to this host itself or on the slave's stream. The intent is durable by now.
    pub(super) fn give_order(
        &mut self,
        now: Instant,
        target: HostId,
        order: OrderId,
        vm: VmId,
        expected: VmEpoch,
    ) {
        let Some(term) = self.reigning(now) else { return };
        if target == self.host() {
            let asked = Asked::Master { host: target, term, order };
            let not_after = now.after(self.config.timing.order_validity);
            self.begin_ordered(now, vm, expected, asked, not_after);
            return;
        }
        self.send_order(now, target, term, order, vm, expected);
    }

    fn send_order(
        &mut self,
        now: Instant,
        target: HostId,
        term: Term,
        order: OrderId,
        vm: VmId,
        expected: VmEpoch,
    ) {
        let (Some(connection), Some(heard)) = (self.streams.of_slave(target), self.heard.get(&target)) else {
            self.restarts.on_host_gone(now, target);
            return;
        };
        let validity = self.config.timing.order_validity;
        let order = Order {
            term,
            number: order.number,
            intent_term: order.term,
            vm,
            expected,
            validity_nanos: u64::try_from(validity.as_nanos()).unwrap_or(u64::MAX),
            anchor_incarnation: heard.incarnation,
            anchor_sequence: heard.sequence,
        };
        self.say(now, connection, &ControlMessage::Order(order));
    }
}
