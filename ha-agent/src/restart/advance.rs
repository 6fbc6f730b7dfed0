use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use ha_core::operation::ReadReply;
use ha_core::takeover::StopProof;
use ha_core::{
    Capability, FileKind, FileName, HostId, Instant, ReadFrom, StorageFault, StorageRequest, VmEpoch, VmUuid,
};
use ha_datastore::ListChange;
use ha_datastore::format::{RestartIntent, VmLockRecord};

use super::case::{OpenIntent, Stage};
use super::decide::{Decision, decide};
use super::{Action, Case, Restarts, Situation};
use crate::Event;
use crate::placement::place;

impl Restarts {
    /// Does everything that is due, the longest due first.
    pub(crate) fn advance(&mut self, now: Instant) {
        for case in self.cases.values_mut() {
            match case.stage {
                // What has not answered in time is looked into again, and asked last from now on.
                Stage::Ordered { until } if until <= now => {
                    case.avoid.extend(case.intent.map(|intent| intent.target));
                    case.stage = Stage::Look { at: now };
                }
                Stage::Looking { until, .. } | Stage::Started { until, .. } if until <= now => {
                    case.stage = Stage::Look { at: now };
                }
                Stage::Look { .. }
                | Stage::Looking { .. }
                | Stage::Persisting { .. }
                | Stage::Ordered { .. }
                | Stage::Started { .. } => {}
            }
        }
        let due = |(uuid, case): (&VmUuid, &Case)| match case.stage {
            Stage::Look { at } if at <= now => Some((at, *uuid, case.vm.home())),
            Stage::Look { .. }
            | Stage::Looking { .. }
            | Stage::Persisting { .. }
            | Stage::Ordered { .. }
            | Stage::Started { .. } => None,
        };
        let mut due: Vec<_> = self.cases.iter().filter_map(due).collect();
        due.sort_unstable();
        for (_, uuid, home) in due {
            if self.may_read(home) {
                self.look(now, uuid);
            }
        }
    }

    fn look(&mut self, now: Instant, uuid: VmUuid) {
        let Some(case) = self.cases.get_mut(&uuid) else { return };
        let (token, request) = self.mint.issue();
        let home = case.vm.home();
        self.reads.insert(request, (uuid, home));
        case.stage = Stage::Looking { request, until: now.after(self.timing.storage_stall_max) };
        let file = FileName::new(home, FileKind::VmLock(case.vm.clone()));
        let length = VmLockRecord::FILE;
        self.actions.push_back(Action::Storage(StorageRequest::Read {
            token,
            file,
            offset: 0,
            length,
            from: ReadFrom::Anywhere,
        }));
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
        // An unreadable record says nothing; it is read again until it does.
        let Some(case) = self.cases.get(&uuid) else { return };
        let intended = case.intent.map_or(VmEpoch::ZERO, |intent| intent.expected);
        let least = situation.epochs.of(uuid).max(intended);
        let decision = outcome.map_or(Decision::Wait, |reply| {
            match VmLockRecord::read_of(&reply.bytes, self.cluster, &case.vm) {
                Ok(sealed) => decide(&sealed.content, reply.started, least, situation),
                Err(_) => {
                    self.bad_records.count();
                    Decision::Wait
                }
            }
        });
        self.count_too_low(uuid, &decision);
        match decision {
            Decision::Wait | Decision::TooLow { .. } => self.set_stage(uuid, Stage::Look { at: again }),
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

    /// Tells of a record that stays below the epoch that is known of, once.
    fn count_too_low(&mut self, uuid: VmUuid, decision: &Decision) {
        let Some(case) = self.cases.get_mut(&uuid) else { return };
        match *decision {
            Decision::TooLow { found, least } => {
                case.too_low = case.too_low.saturating_add(1);
                if case.too_low == 2 {
                    let vm = case.vm.clone();
                    self.event(Event::LockFileReplaced { vm, found, least });
                }
            }
            Decision::Wait | Decision::Off | Decision::Down { .. } => case.too_low = 0,
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
        for target in self.cases.values().filter_map(Case::busy_target) {
            *busy.entry(target).or_default() += 1;
        }
        let candidates = situation.candidates(&busy, self.limits.restarts_per_host as usize);
        let Some(case) = self.cases.get_mut(&uuid) else { return };
        if candidates.iter().all(|candidate| case.avoid.contains(&candidate.host)) {
            // All have failed it: each gets another turn.
            case.avoid.clear();
        }
        let Some(target) = place(&candidates, &case.avoid) else { return };
        let (new_order, change) = (self.order_id(situation.term), self.change_id());
        let Some(case) = self.cases.get_mut(&uuid) else { return };
        let order = case.intent.map_or(new_order, |intent| intent.order);
        case.failed_host = host.or(case.failed_host);
        let intent = OpenIntent { order, target, expected };
        let unchanged = case.intent == Some(intent);
        case.intent = Some(intent);
        case.stage = Stage::Persisting { change, why: (!unchanged).then_some(why) };
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
