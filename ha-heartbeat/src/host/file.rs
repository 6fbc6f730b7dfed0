use core::time::Duration;

use ha_core::evidence::ContentState;
use ha_core::operation::LookOutcome;
use ha_core::{Capability, DatastoreEvidence, DatastoreId, Evidence, Instant, TimingPlan};

/// One heartbeat file of a host: what it says, and whether its lock was seen free.
#[derive(Clone, Debug)]
pub(super) struct HeartbeatFile {
    capability: Capability,
    /// Stillness counts from here at the earliest.
    since: Instant,
    content: Option<DatastoreEvidence>,
    lock: Option<LookOutcome>,
}

/// What a heartbeat file says of its writer's life (architecture 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It changed a short while ago.
    Moves,
    /// It stood still for long enough, while the observer's own writes and reads there worked.
    Still {
        /// For how long.
        age: Duration,
    },
    /// As `Still`, but the host never wrote there: that proves nothing of its life.
    NeverWritten,
    /// Neither.
    Blind,
}

impl HeartbeatFile {
    pub(super) const fn new(capability: Capability, now: Instant) -> Self {
        Self { capability, since: now, content: None, lock: None }
    }

    pub(super) const fn set_capability(&mut self, capability: Capability) {
        self.capability = capability;
    }

    pub(super) const fn fences(&self) -> bool {
        self.capability.rating.fences()
    }

    /// Whether its lock may be looked at, and a free lock proves something.
    pub(super) const fn can_prove(&self) -> bool {
        self.fences() && self.capability.looking_is_safe
    }

    pub(super) const fn seen_content(&mut self, content: DatastoreEvidence) {
        self.content = Some(content);
    }

    pub(super) const fn seen_lock(&mut self, lock: LookOutcome) {
        self.lock = Some(lock);
    }

    pub(super) const fn forget_lock(&mut self) {
        self.lock = None;
    }

    pub(super) fn widen(&mut self, now: Instant, lateness: Duration) {
        self.since = self.since.after(lateness).min(now);
        self.lock = None;
    }

    /// When the look that saw the lock free began; `None` if it was not seen free.
    pub(super) const fn seen_free(&self) -> Option<Instant> {
        match self.lock {
            Some(LookOutcome::Free { started }) => Some(started),
            Some(LookOutcome::Held | LookOutcome::Fault(_)) | None => None,
        }
    }

    pub(super) fn last_change(&self) -> Option<Instant> {
        self.content.and_then(|content| content.last_change)
    }

    pub(super) fn says_isolated(&self) -> bool {
        self.content.is_some_and(|content| content.isolated == Some(true))
    }

    /// The earliest instant at which a writer that has stopped could be told from one that writes.
    pub(super) fn tells_by(&self, suspected: Instant, plan: &TimingPlan) -> Instant {
        self.base(suspected).max(self.last_change().unwrap_or(suspected)).after(plan.still_after)
    }

    /// What the file says at `now` of a host suspected since `suspected`.
    pub(super) fn standing(&self, now: Instant, suspected: Instant, plan: &TimingPlan) -> Standing {
        let Some(content) = &self.content else { return Standing::Blind };
        let lately = |change: &Instant| *change >= suspected && now.since(*change) < plan.still_after;
        if content.last_change.as_ref().is_some_and(lately) {
            return Standing::Moves;
        }
        let never_written = match content.state {
            ContentState::Valid | ContentState::Unattributable => false,
            ContentState::NeverWritten => true,
            ContentState::Regressed | ContentState::Unreadable(_) => return Standing::Blind,
        };
        let Some((first, last)) = content.first_look.zip(content.last_good_round) else {
            return Standing::Blind;
        };
        let from = self.base(suspected).max(first).max(content.last_change.unwrap_or(suspected));
        let age = last.since(from);
        // A proof that has grown old says nothing of now: the reads have stopped coming.
        let config = &plan.config;
        let recent = now.since(last) <= config.datastore_write_period + config.datastore_io_timeout;
        if age < plan.still_after || !recent {
            Standing::Blind
        } else if never_written {
            Standing::NeverWritten
        } else {
            Standing::Still { age }
        }
    }

    /// The standing as a reason of a verdict.
    pub(super) fn reason(
        &self,
        datastore: DatastoreId,
        now: Instant,
        suspected: Instant,
        plan: &TimingPlan,
    ) -> Evidence {
        match self.standing(now, suspected, plan) {
            Standing::Moves => {
                let age = self.last_change().map_or(Duration::ZERO, |change| now.since(change));
                Evidence::DatastoreMoved { datastore, age }
            }
            Standing::Still { age } => Evidence::DatastoreStill { datastore, age },
            Standing::NeverWritten => Evidence::DatastoreUnproven { datastore },
            Standing::Blind => match self.content.map(|content| content.state) {
                Some(ContentState::Unreadable(fault)) => Evidence::DatastoreUnreadable { datastore, fault },
                Some(
                    ContentState::NeverWritten
                    | ContentState::Valid
                    | ContentState::Unattributable
                    | ContentState::Regressed,
                )
                | None => Evidence::DatastoreUnproven { datastore },
            },
        }
    }

    /// What was seen of the lock, as a reason of a verdict.
    pub(super) fn lock_reason(&self, datastore: DatastoreId, now: Instant) -> Option<Evidence> {
        match self.lock? {
            LookOutcome::Free { started } => Some(Evidence::LockFree { datastore, age: now.since(started) }),
            LookOutcome::Held => Some(Evidence::LockHeld { datastore }),
            LookOutcome::Fault(_) => None,
        }
    }

    fn base(&self, suspected: Instant) -> Instant {
        self.since.max(suspected)
    }
}
