//! The master's restart of protected virtual machines: what is down, who starts it, and until when it is tried.
//!
//! A protected virtual machine that no live host's complete inventory lists has a [`Case`]. Its lock record is
//! read; the record and the verdict on the host it names decide. If it is down, an intent is made durable in the
//! protected list, then a host is ordered to start it, expecting exactly the recorded epoch. The case is closed
//! only by a live inventory that lists the virtual machine with its lock held. Everything in between can fail or
//! be repeated without harm, because the target starts nothing without the lock and that epoch.

mod advance;
mod case;
mod decide;
mod situation;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::time::Duration;

use ha_core::operation::Read;
use ha_core::takeover::StopProof;
use ha_core::{
    ClusterId, Completion, Counter, DatastoreId, Evidence, HostId, Instant, Limits, MachineId, RequestId,
    StorageRequest, Term, TimingConfig, TokenMint, UnknownRequest, Verdict, VmEpoch, VmId, VmUuid,
};
use ha_datastore::ListChange;
use ha_datastore::format::{ListEntry, OrderId, Protection, RestartIntent};

use crate::control::OrderOutcome;
use crate::{Event, RefusedOrder};
pub(crate) use case::{Case, OpenIntent, Stage};
pub(crate) use situation::Situation;

/// Lock records of one datastore that are read at once. One that hangs takes no turn from another.
const MAX_READS: usize = 64;

/// What the agent is to do for the restarts.
#[derive(Debug)]
pub(crate) enum Action {
    /// Read a lock record.
    Storage(StorageRequest),
    /// Change a protected list; tell when it is durable.
    Change { datastore: DatastoreId, id: u64, change: ListChange },
    /// Order a start.
    Order { target: HostId, order: OrderId, vm: VmId, expected: VmEpoch },
    /// Tell.
    Event(Event),
}

/// All cases of one master.
#[derive(Debug)]
pub(crate) struct Restarts {
    cluster: ClusterId,
    timing: TimingConfig,
    limits: Limits,
    mint: TokenMint,
    reads: BTreeMap<RequestId<Read>, (VmUuid, DatastoreId)>,
    cases: BTreeMap<VmUuid, Case>,
    /// Intents that are being closed in the list, by the number of the change.
    closing: BTreeMap<u64, VmUuid>,
    outside: BTreeSet<VmUuid>,
    /// Some case was not opened for want of room.
    overflowed: bool,
    next_change: u64,
    next_order: u64,
    /// Lock records that could not be relied upon.
    pub(crate) bad_records: Counter,
    actions: VecDeque<Action>,
}

impl Restarts {
    pub(crate) fn new(machine: MachineId, cluster: ClusterId, timing: TimingConfig, limits: Limits) -> Self {
        Self {
            cluster,
            timing,
            limits,
            mint: TokenMint::new(machine),
            reads: BTreeMap::new(),
            cases: BTreeMap::new(),
            closing: BTreeMap::new(),
            outside: BTreeSet::new(),
            overflowed: false,
            next_change: 0,
            next_order: 0,
            bad_records: Counter::default(),
            actions: VecDeque::new(),
        }
    }

    /// Forgets every case: this host is not master any more. Reads that are under way are answered in vain;
    /// those that were not asked for yet never will be.
    pub(crate) fn clear(&mut self) {
        for action in &self.actions {
            if let Action::Storage(StorageRequest::Read { token, .. }) = action {
                self.reads.remove(&token.id());
            }
        }
        self.cases.clear();
        self.closing.clear();
        self.outside.clear();
        self.actions.clear();
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When the next case is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let due = |case: &Case| match case.stage {
            // Until a read is answered there is no turn for it.
            Stage::Look { .. } if !self.may_read(case.vm.home()) => None,
            Stage::Look { .. }
            | Stage::Looking { .. }
            | Stage::Persisting { .. }
            | Stage::Ordered { .. }
            | Stage::Started { .. } => case.deadline(),
        };
        self.cases.values().filter_map(due).min()
    }

    fn may_read(&self, datastore: DatastoreId) -> bool {
        self.reads.values().filter(|(_, home)| *home == datastore).count() < MAX_READS
    }

    /// Whether a survey could open a case that there was no room for.
    pub(crate) fn wants_survey(&self) -> bool {
        self.overflowed && self.cases.len() < self.limits.open_intents as usize
    }

    /// Opens a case for every protected virtual machine that is not seen running, closes those that are.
    pub(crate) fn survey<'e>(
        &mut self,
        now: Instant,
        protected: impl Iterator<Item = &'e ListEntry>,
        situation: &Situation<'_>,
    ) {
        let mut seen = BTreeSet::new();
        self.overflowed = false;
        for entry in protected.filter(|entry| entry.protection == Protection::Protected) {
            let uuid = entry.vm.uuid();
            seen.insert(uuid);
            match situation.live(uuid) {
                Some((host, running)) if running.holds_lock => {
                    self.outside.remove(&uuid);
                    self.close(entry, host, running.epoch);
                }
                Some((host, _)) => {
                    self.cases.remove(&uuid);
                    if self.outside.insert(uuid) {
                        self.event(Event::RunsOutsideHa { vm: uuid, host });
                    }
                }
                None => self.open(now, entry),
            }
        }
        // A datastore that is being taken under a new term has no list for a moment; its cases go on.
        self.cases.retain(|uuid, case| seen.contains(uuid) || !situation.owned.contains(&case.vm.home()));
        self.outside.retain(|uuid| seen.contains(uuid));
    }

    fn open(&mut self, now: Instant, entry: &ListEntry) {
        let uuid = entry.vm.uuid();
        if self.cases.contains_key(&uuid) {
            return;
        }
        if self.cases.len() >= self.limits.open_intents as usize {
            self.overflowed = true;
            return;
        }
        let mut case = Case::new(entry.vm.clone(), now, 0);
        if let Some(RestartIntent { order, attempts, target: Some(target), expected }) = entry.intent {
            case.failed_starts = attempts;
            case.intent = Some(OpenIntent { order, target, expected });
        }
        self.cases.insert(uuid, case);
    }

    fn close(&mut self, entry: &ListEntry, host: HostId, epoch: VmEpoch) {
        let uuid = entry.vm.uuid();
        if let Some(case) = self.cases.remove(&uuid)
            && case.intent.is_some_and(|intent| epoch > intent.expected)
        {
            self.event(Event::Restarted { vm: entry.vm.clone(), host, epoch });
        }
        self.close_intent(entry.vm.clone(), entry.intent.is_some());
    }

    fn close_intent(&mut self, vm: VmId, open: bool) {
        let uuid = vm.uuid();
        if open && !self.closing.values().any(|closing| *closing == uuid) {
            let id = self.change_id();
            self.closing.insert(id, uuid);
            let change = ListChange::CloseIntent { vm: uuid };
            self.actions.push_back(Action::Change { datastore: vm.home(), id, change });
        }
    }

    /// A lock record arrived.
    pub(crate) fn on_read(
        &mut self,
        now: Instant,
        done: Completion<Read>,
        situation: &Situation<'_>,
    ) -> Result<(), UnknownRequest> {
        let (request, outcome) = done.open(&self.mint)?;
        let (uuid, _) = self.reads.remove(&request).ok_or(UnknownRequest)?;
        let awaited =
            |case: &Case| matches!(case.stage, Stage::Looking { request: asked, .. } if asked == request);
        if self.cases.get(&uuid).is_some_and(awaited) {
            self.judge(now, uuid, outcome, situation);
        }
        Ok(())
    }

    /// A change of a list is durable, and the right over it still holds.
    pub(crate) fn on_durable(&mut self, now: Instant, id: u64) {
        if self.closing.remove(&id).is_some() {
            return;
        }
        let waits = |case: &&mut Case| matches!(case.stage, Stage::Persisting { change, .. } if change == id);
        let Some(case) = self.cases.values_mut().find(waits) else { return };
        let Some(OpenIntent { order, target, expected }) = case.intent else { return };
        let until = now.after(self.timing.order_validity).after(2 * self.timing.heartbeat_period);
        let stage = core::mem::replace(&mut case.stage, Stage::Ordered { until });
        let (vm, failed_host) = (case.vm.clone(), case.failed_host);
        self.actions.push_back(Action::Order { target, order, vm: vm.clone(), expected });
        // The same order again, after a lost race, is no news.
        if let Stage::Persisting { why: Some(why), .. } = stage {
            self.event(Event::OrderSent { vm, target, expected, failed_host, why });
        }
    }

    /// A change of a list will not become durable here.
    pub(crate) fn on_dropped(&mut self, now: Instant, id: u64) {
        self.closing.remove(&id);
        for case in self.cases.values_mut() {
            if matches!(case.stage, Stage::Persisting { change, .. } if change == id) {
                case.intent = None;
                case.stage = Stage::Look { at: now.after(self.timing.look_again) };
            }
        }
    }

    /// The target answered an order. The answer counts whatever the case waits for by now, if it is to this order.
    pub(crate) fn on_result(
        &mut self,
        now: Instant,
        from: HostId,
        order: OrderId,
        vm: VmUuid,
        outcome: OrderOutcome,
    ) {
        let again = self.look_again(now, vm);
        let Some(case) = self.cases.get_mut(&vm) else { return };
        let Some(intent) = case.intent.filter(|intent| intent.order == order) else { return };
        let current = intent.target == from && matches!(case.stage, Stage::Ordered { .. });
        let refused = match outcome.refused() {
            Ok(epoch) => {
                case.stage = Stage::Started { epoch, until: now.after(self.timing.order_validity) };
                return;
            }
            Err(refused) => refused,
        };
        if blames_target(refused) {
            case.avoid.insert(from);
        }
        if let RefusedOrder::StartFailed { .. } = refused {
            case.failed_starts = case.failed_starts.saturating_add(1);
            case.stage = Stage::Look { at: now.after(case::retry_delay(case.failed_starts)) };
        } else if current {
            // Nothing is in the way but what the record says by now; but not for ever at full speed.
            let at_once = matches!(refused, RefusedOrder::EpochMismatch { .. } | RefusedOrder::Expired);
            let at = if at_once && !case.hurried { now } else { again };
            case.hurried = at_once;
            case.stage = Stage::Look { at };
        }
        if case.told != Some((from, refused)) {
            case.told = Some((from, refused));
            let event = Event::OrderRefused { vm: case.vm.clone(), target: from, refused };
            self.event(event);
        }
    }

    /// A host's stream broke or the host failed: what it was ordered may not happen.
    pub(crate) fn on_host_gone(&mut self, now: Instant, host: HostId) {
        for case in self.cases.values_mut().filter(|case| case.busy_target() == Some(host)) {
            if !matches!(case.stage, Stage::Persisting { .. }) {
                case.stage = Stage::Look { at: now };
            }
        }
    }

    /// Something changed that may have freed a lock: look at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        for case in self.cases.values_mut().filter(|case| case.failed_starts == 0) {
            if let Stage::Look { at } = &mut case.stage {
                *at = (*at).min(now);
            }
        }
    }

    fn look_again(&self, now: Instant, vm: VmUuid) -> Instant {
        let age = self.cases.get(&vm).map_or(Duration::ZERO, |case| now.since(case.opened));
        let fast = age < self.timing.look_again_fast_for;
        now.after(if fast { self.timing.look_again } else { self.timing.look_again_slow })
    }

    fn change_id(&mut self) -> u64 {
        self.next_change = self.next_change.saturating_add(1);
        self.next_change
    }

    fn order_id(&mut self, term: Term) -> OrderId {
        self.next_order = self.next_order.saturating_add(1);
        OrderId { term, number: self.next_order }
    }

    fn event(&mut self, event: Event) {
        self.actions.push_back(Action::Event(event));
    }
}

/// Whether a refusal says something about the target rather than about the virtual machine.
const fn blames_target(refused: RefusedOrder) -> bool {
    match refused {
        RefusedOrder::NotStartable
        | RefusedOrder::Expired
        | RefusedOrder::Busy
        | RefusedOrder::Fault(_)
        | RefusedOrder::StartFailed { .. } => true,
        RefusedOrder::LockHeld
        | RefusedOrder::EpochMismatch { .. }
        | RefusedOrder::EpochTooLow { .. }
        | RefusedOrder::OtherFile
        | RefusedOrder::CleanlyOff
        | RefusedOrder::Moved
        | RefusedOrder::OldTerm => false,
    }
}

/// What a verdict proves of a host's stop beyond the silence it rests on.
pub(crate) fn proof_of(verdict: &Verdict) -> Option<StopProof> {
    verdict.evidence.iter().find_map(|evidence| match evidence {
        Evidence::NewBoot { .. } => Some(StopProof::NewerBoot),
        Evidence::Confirmed => Some(StopProof::Confirmed),
        Evidence::HeartbeatHeard { .. }
        | Evidence::HeartbeatSilent { .. }
        | Evidence::StreamBroken { .. }
        | Evidence::PingAnswered { .. }
        | Evidence::PingsUnanswered { .. }
        | Evidence::DatastoreMoved { .. }
        | Evidence::DatastoreStill { .. }
        | Evidence::DatastoreUnreadable { .. }
        | Evidence::DatastoreUnproven { .. }
        | Evidence::LockFree { .. }
        | Evidence::LockHeld { .. }
        | Evidence::SaysIsolated
        | Evidence::CleanShutdown => None,
    })
}
