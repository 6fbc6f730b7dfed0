//! What a manager or an operator asks for.

use ha_core::{Instant, Machine, StorageFault, VmEpoch, VmId, VmUuid};
use ha_datastore::ListChange;
use ha_datastore::format::{ListEntry, Protection};
use ha_datastore::vm_lock::StartExpectation;
use ha_heartbeat::Input as MonitorInput;

use super::Agent;
use crate::starts::Asked;
use crate::{Command, Event, RefusedOrder};

impl Agent {
    pub(super) fn on_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::PowerOn { vm } => self.power_on(now, vm),
            Command::Protect { vm, version, priority, cpu_reservation_mhz, memory_overhead_mb } => {
                let entry = ListEntry {
                    vm,
                    protection: Protection::Protected,
                    version,
                    priority,
                    cpu_reservation_mhz,
                    memory_overhead_mb,
                    intent: None,
                };
                self.protect(now, entry);
            }
            Command::Unprotect { vm, version } => self.unprotect(now, &vm, version),
            Command::ConfirmDead { host, boot, incarnation } => {
                let input = MonitorInput::Confirmed { host, boot, incarnation };
                if self.monitor.handle_input(now, input).is_err() {
                    let reason = "it is not watched here, or another life of it was seen since";
                    self.event(Event::ConfirmRefused { host, reason });
                    return;
                }
                for unit in self.units.values_mut() {
                    unit.owner_ended(now, host, incarnation);
                }
            }
            Command::NobodyOwns { datastore, damage } => {
                if let Some(unit) = self.units.get_mut(&datastore) {
                    unit.nobody_owns(now, damage);
                } else {
                    let fault = StorageFault::Missing;
                    self.event(Event::StorageTrouble { datastore, fault });
                }
            }
        }
    }

    fn power_on(&mut self, now: Instant, vm: VmId) {
        let asked = Asked::Person;
        if !self.units.contains_key(&vm.home()) {
            let refused = RefusedOrder::Fault(StorageFault::Unsupported);
            self.answer(now, &vm, asked, Err(refused));
            return;
        }
        if self.starts.contains(vm.uuid())
            || self.inventory.get(vm.uuid()).is_some()
            || !self.may_start(now, &vm)
        {
            self.answer(now, &vm, asked, Err(RefusedOrder::Busy));
            return;
        }
        let not_after = now.after(self.config.timing.order_validity);
        let fences = self.fences(vm.home());
        let at_least = self.epochs.of(vm.uuid()).max(self.intended_epoch(&vm));
        self.begin_start(now, vm, StartExpectation::PowerOn { fences, at_least }, asked, not_after);
    }

    /// The epoch that the protected list expects for an open restart of the virtual machine, if it has one.
    fn intended_epoch(&self, vm: &VmId) -> VmEpoch {
        let unit = self.units.get(&vm.home());
        let entry = unit.and_then(|unit| unit.entries().find(|entry| entry.vm.uuid() == vm.uuid()));
        entry.and_then(|entry| entry.intent).map_or(VmEpoch::ZERO, |intent| intent.expected)
    }

    /// Only an instance that holds its lock, at the recorded epoch, can be protected, and only by the owner of
    /// its datastore's list.
    fn protect(&mut self, now: Instant, entry: ListEntry) {
        let vm = entry.vm.uuid();
        if !(1..=5).contains(&entry.priority) {
            self.refuse(vm, "its priority is none of 1 (highest) to 5 (lowest)");
            return;
        }
        if !self.may_act(entry.vm.home(), now) {
            self.refuse(vm, "this host does not own the datastore; ask its master");
            return;
        }
        if !self.runs_with_lock(vm) {
            self.refuse(vm, "it is not known to run with its lock held; power it on first");
            return;
        }
        let home = entry.vm.home();
        self.change_protection(now, home, Event::Protected { vm }, ListChange::Protect(entry));
    }

    fn unprotect(&mut self, now: Instant, vm: &VmId, version: u64) {
        if !self.may_act(vm.home(), now) {
            self.refuse(vm.uuid(), "this host does not own the datastore; ask its master");
            return;
        }
        let change = ListChange::Unprotect { vm: vm.clone(), version };
        self.change_protection(now, vm.home(), Event::Unprotected { vm: vm.uuid() }, change);
    }

    fn change_protection(
        &mut self,
        now: Instant,
        home: ha_core::DatastoreId,
        done: Event,
        change: ListChange,
    ) {
        self.next_change = self.next_change.saturating_add(1);
        let id = self.next_change.saturating_mul(2).saturating_sub(1);
        self.protections.insert(id, done);
        if !self.change_list(now, home, id, change) {
            self.refuse_change(id);
        }
    }

    pub(super) fn refuse_change(&mut self, id: u64) {
        if let Some(Event::Protected { vm } | Event::Unprotected { vm }) = self.protections.remove(&id) {
            self.refuse(vm, "the right over the datastore ended before it was durable; ask its master");
        }
    }

    fn refuse(&mut self, vm: VmUuid, reason: &'static str) {
        self.event(Event::CommandRefused { vm, reason });
    }

    fn runs_with_lock(&self, vm: VmUuid) -> bool {
        let here = self.inventory.get(vm).is_some_and(|running| running.holds_lock);
        here || self
            .streams
            .slaves()
            .filter_map(|host| self.peers.get(host)?.get(vm))
            .any(|running| running.holds_lock)
    }
}
