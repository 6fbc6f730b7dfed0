use alloc::collections::BTreeMap;
use alloc::string::String;

use ha_core::operation::ReadReply;
use ha_core::takeover::StopProof;
use ha_core::{
    Capability, FileKind, FileName, HostId, Instant, StorageFault, StorageRequest, VmEpoch, VmUuid,
};
use ha_datastore::ListChange;
use ha_datastore::format::{RestartIntent, VmLockRecord};

use super::case::{OpenIntent, Stage};
use super::decide::{Decision, decide};
use super::{Action, MAX_READS, Restarts, Situation};
use crate::Event;
use crate::placement::place;

impl Restarts {
    /// Does everything that is due.
    pub(crate) fn advance(&mut self, now: Instant) {
        let due: alloc::vec::Vec<VmUuid> = self
            .cases
            .iter()
            .filter(|(_, case)| case.deadline().is_some_and(|at| at <= now))
            .map(|(uuid, _)| *uuid)
            .collect();
        for uuid in due {
            if self.reads.len() >= MAX_READS {
                break;
            }
            self.look(uuid);
        }
        // An order or a start whose time is over is looked into as well, as soon as there is room.
        for case in self.cases.values_mut() {
            match case.stage {
                Stage::Ordered { until } | Stage::Started { until, .. } if until <= now => {
                    case.stage = Stage::Look { at: now };
                }
                Stage::Look { .. }
                | Stage::Looking { .. }
                | Stage::Persisting { .. }
                | Stage::Ordered { .. }
                | Stage::Started { .. } => {}
            }
        }
    }

    fn look(&mut self, uuid: VmUuid) {
        let Some(case) = self.cases.get_mut(&uuid) else { return };
        let (token, request) = self.mint.issue();
        self.reads.insert(request, uuid);
        case.stage = Stage::Looking { request };
        let file = FileName::new(case.vm.home(), FileKind::VmLock(case.vm.clone()));
        let length = VmLockRecord::FILE;
        self.actions.push_back(Action::Storage(StorageRequest::Read { token, file, offset: 0, length }));
    }

    /// Acts on what a lock record says.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        uuid: VmUuid,
        outcome: Result<ReadReply, StorageFault>,
        situation: &Situation<'_>,
    ) {
        let again = self.look_again(now, uuid);
        let record = outcome
            .ok()
            .and_then(|reply| VmLockRecord::read_of(&reply.bytes, self.cluster, uuid).ok())
            .map(|sealed| sealed.content);
        // An unreadable record says nothing; it is read again until it does.
        let decision = record.map_or(Decision::Wait, |record| decide(&record, situation));
        match decision {
            Decision::Wait => self.set_stage(uuid, Stage::Look { at: again }),
            Decision::Off => {
                self.set_stage(uuid, Stage::Look { at: now.after(self.timing.poweron_poll) });
                let Some(case) = self.cases.get_mut(&uuid) else { return };
                let (vm, open) = (case.vm.clone(), case.intent.take().is_some());
                self.close_intent(vm, open);
            }
            Decision::Down { expected, host, proof, why } => {
                self.set_stage(uuid, Stage::Look { at: again });
                if self.may_take_over(uuid, host, proof, situation) {
                    self.intend(uuid, expected, host, why, situation);
                }
            }
        }
    }

    fn set_stage(&mut self, uuid: VmUuid, stage: Stage) {
        if let Some(case) = self.cases.get_mut(&uuid) {
            case.stage = stage;
        }
    }

    /// Whether the virtual machine's lock may be tried now (architecture 8). Below F3 the silence of its host
    /// allows nothing by itself: the operator is asked.
    fn may_take_over(
        &mut self,
        uuid: VmUuid,
        host: Option<HostId>,
        proof: Option<StopProof>,
        situation: &Situation<'_>,
    ) -> bool {
        let Some(case) = self.cases.get_mut(&uuid) else { return false };
        let home = situation.capabilities.get(&case.vm.home()).copied();
        let capability = home.unwrap_or(Capability::UNDECLARED);
        if capability.rating.fences() || proof.is_some() {
            return true;
        }
        if let (false, Some(host)) = (case.operator_asked, host) {
            case.operator_asked = true;
            let vm = case.vm.clone();
            self.event(Event::OperatorNeeded { vm, host });
        }
        false
    }

    /// Chooses a target and makes the intent durable; the order goes out when it is.
    fn intend(
        &mut self,
        uuid: VmUuid,
        expected: VmEpoch,
        host: Option<HostId>,
        why: String,
        situation: &Situation<'_>,
    ) {
        let mut busy: BTreeMap<HostId, usize> = BTreeMap::new();
        for target in self.cases.values().filter_map(super::Case::busy_target) {
            *busy.entry(target).or_default() += 1;
        }
        let candidates = situation.candidates(&busy, self.limits.restarts_per_host as usize);
        let avoid = self.cases.get(&uuid).and_then(|case| case.avoid);
        let Some(target) = place(&candidates, avoid) else { return };
        let (new_order, change) = (self.order_id(situation.term), self.change_id());
        let Some(case) = self.cases.get_mut(&uuid) else { return };
        let order = case.intent.map_or(new_order, |intent| intent.order);
        case.failed_host = host.or(case.failed_host);
        let intent = OpenIntent { order, target, expected };
        let unchanged = case.intent == Some(intent);
        case.intent = Some(intent);
        case.stage = Stage::Persisting { change, why };
        let attempts = case.failed_starts;
        let intent = RestartIntent { order, attempts, target: Some(target), expected };
        let datastore = case.vm.home();
        if unchanged {
            // The list already says so: a lost race is sent again without another write.
            self.on_durable(situation.now, change);
        } else {
            let change =
                Action::Change { datastore, id: change, change: ListChange::SetIntent { vm: uuid, intent } };
            self.actions.push_back(change);
        }
    }
}
