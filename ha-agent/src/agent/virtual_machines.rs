//! What runs here, and starts that end.

use ha_core::{Instant, RunningVm, VmDriverReport, VmEpoch, VmId};

use super::Agent;
use crate::control::{ControlMessage, OrderOutcome, OrderResult};
use crate::starts::{Asked, StartOutput};
use crate::{Event, Output, RefusedOrder};

impl Agent {
    pub(super) fn on_driver(&mut self, now: Instant, report: VmDriverReport) {
        match report {
            VmDriverReport::Complete(vms) if vms.len() <= self.config.limits.vms_per_host as usize => {
                let host = self.host();
                for outside in vms.iter().filter(|running| !running.holds_lock) {
                    self.event(Event::RunsOutsideHa { vm: outside.vm.uuid(), host });
                }
                self.starts.settle_orphans(&vms);
                for running in &vms {
                    self.epochs.learn(running.vm.uuid(), running.epoch);
                }
                self.inventory.replace(vms);
            }
            // More than the poweron file can hold cannot be told to anybody: nothing is known to be complete.
            VmDriverReport::Complete(_) => self.inventory.lose(),
            VmDriverReport::Lost => {
                self.starts.orphan();
                self.inventory.lose();
            }
            VmDriverReport::Ended { vm, epoch } => {
                self.inventory.ended(vm, epoch);
                self.event(Event::Ended { vm, epoch });
            }
        }
        self.inventory_changed(now);
    }

    fn inventory_changed(&mut self, now: Instant) {
        self.dirty = true;
        self.tell_poweron(now);
        self.say_inventory(now);
    }

    pub(super) fn drain_starts(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(output) = self.starts.poll_output() {
            moved = true;
            match output {
                StartOutput::Vm(request) => self.outbox.push(Output::Vm(request)),
                StartOutput::LockTaken { vm, epoch } => {
                    self.epochs.learn(vm.uuid(), epoch);
                    self.event(Event::LockTaken { vm, epoch });
                }
                StartOutput::Finished { vm, asked, result } => {
                    self.inventory.settled(vm.uuid());
                    if let Ok(epoch) = result {
                        self.on_running(now, vm.clone(), epoch);
                    }
                    self.answer(now, &vm, asked, result);
                }
            }
        }
        moved
    }

    fn on_running(&mut self, now: Instant, vm: VmId, epoch: VmEpoch) {
        self.inventory.started(RunningVm { vm: vm.clone(), epoch, holds_lock: true });
        self.event(Event::Running { vm, epoch });
        self.inventory_changed(now);
    }

    /// Tells whoever asked for a start what became of it.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        vm: &VmId,
        asked: Asked,
        result: Result<VmEpoch, RefusedOrder>,
    ) {
        match (asked, result) {
            (Asked::Person, Ok(_)) => {}
            (Asked::Person, Err(refused)) => {
                self.event(Event::PowerOnRefused { vm: vm.clone(), refused });
            }
            (Asked::Master { host, order, .. }, result) => {
                let outcome = result.map_or_else(OrderOutcome::from, |epoch| OrderOutcome::Started { epoch });
                if host == self.host() {
                    self.restarts.on_result(now, host, order, vm.uuid(), outcome);
                    return;
                }
                let answer =
                    OrderResult { intent_term: order.term, number: order.number, vm: vm.clone(), outcome };
                if let Some((master, connection)) = self.streams.dialled
                    && master == host
                {
                    self.say(now, connection, &ControlMessage::OrderResult(answer));
                }
            }
        }
    }
}
