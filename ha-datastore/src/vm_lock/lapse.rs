use core::time::Duration;

use ha_core::operation::ReadReply;
use ha_core::record::{Generation, Sealed};
use ha_core::{ClusterId, HostId, Identity, Instant, VmEpoch, VmId};

use crate::format::{VmLockRecord, VmLockState};

/// A hand-over that was seen to stand for as long as its record says: nobody waits for its target any more.
///
/// Only [`HandOverWatch`] makes one. Why a start needs it, and what else below F3: see the
/// [module](crate::vm_lock).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LapsedHandOver {
    epoch: VmEpoch,
    generation: Generation,
    writer: Identity,
    target: HostId,
    within: Duration,
}

impl LapsedHandOver {
    /// The epoch of the instance that was handed over.
    #[must_use]
    pub const fn epoch(&self) -> VmEpoch {
        self.epoch
    }

    /// Source and target. Below F3 both must be proven to run no copy before the lock is tried.
    #[must_use]
    pub const fn hosts(&self) -> [HostId; 2] {
        [self.writer.host, self.target]
    }

    /// Whether it is this record. A hand-over that was taken back and begun again has another generation; one whose
    /// write was in doubt, and that was begun again otherwise, has another target or span.
    pub(super) fn is_of(&self, record: &Sealed<VmLockRecord>) -> bool {
        Self::in_record(record) == Some(*self)
    }

    /// The hand-over in a record, lapsed or not.
    fn in_record(record: &Sealed<VmLockRecord>) -> Option<Self> {
        let VmLockRecord { epoch, state, .. } = record.content;
        match state {
            VmLockState::HandingOver { target, within } => {
                Some(Self { epoch, generation: record.generation, writer: record.writer, target, within })
            }
            VmLockState::Free
            | VmLockState::Running { .. }
            | VmLockState::Moved { .. }
            | VmLockState::CleanlyOff => None,
        }
    }
}

/// Watches one lock record, without its lock, until a hand-over in it has lapsed.
#[derive(Clone, Debug)]
pub struct HandOverWatch {
    cluster: ClusterId,
    vm: VmId,
    seen: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    hand_over: LapsedHandOver,
    /// The end of the first read that showed it.
    since: Instant,
}

impl HandOverWatch {
    /// A watch over the lock record of `vm` that has seen nothing yet.
    #[must_use]
    pub const fn new(cluster: ClusterId, vm: VmId) -> Self {
        Self { cluster, vm, seen: None }
    }

    /// Takes in a read of the whole lock file that was completed at `now`; the lapsed hand-over, if it is one now.
    ///
    /// Anything that cannot be relied upon, and any other record, starts the wait anew.
    pub fn observe(&mut self, now: Instant, reply: &ReadReply) -> Option<LapsedHandOver> {
        let record = VmLockRecord::read_of(&reply.bytes, self.cluster, &self.vm).ok();
        let Some(hand_over) = record.as_ref().and_then(LapsedHandOver::in_record) else {
            self.seen = None;
            return None;
        };
        match self.seen {
            // It stood at some moment before the end of the first read, and at one after the beginning of this.
            Some(seen) if seen.hand_over == hand_over => {
                (reply.started.since(seen.since) >= hand_over.within).then_some(hand_over)
            }
            Some(_) | None => {
                self.seen = Some(Seen { hand_over, since: now });
                None
            }
        }
    }

    /// When a read should begin that could show the hand-over lapsed; `None` while none was seen.
    #[must_use]
    pub fn lapses_at(&self) -> Option<Instant> {
        self.seen.map(|seen| seen.since.after(seen.hand_over.within))
    }
}
