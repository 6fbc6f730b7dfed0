use ha_core::record::{PairState, Sealed};
use ha_core::{ClusterId, DatastoreId, FileIdentity, VmEpoch, VmId};

use super::examine::{LockedFile, Unfit};
use crate::format::{HomeSum, VmLockRecord, VmLockState};

/// One of the two homes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where the machine has lived.
    Old,
    /// Where it is to live.
    New,
}

/// Why a move was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedMove {
    /// The two names are not two homes of one machine, or one holder was named for both.
    NotTwoHomes,
    /// A lock or its file cannot be relied upon.
    Unfit(Side, Unfit),
    /// The old record is of another epoch, or of the last one there is.
    EpochMismatch {
        /// The recorded epoch.
        found: VmEpoch,
    },
    /// The old record does not say free or cleanly off.
    NotAtRest {
        /// What it says.
        found: VmLockState,
    },
    /// It was moved, or a move of it was begun, to another home than this one. Only there can the move go on.
    MovedElsewhere {
        /// To this datastore; it may be the same one,
        home: DatastoreId,
        /// and to this folder there.
        sum: HomeSum,
    },
    /// The new home's lock file has been in use. To move back, take another folder.
    NewHomeInUse,
}

/// How far a move has come at the new home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Its first record is still to be written.
    Open,
    /// Its first record was written.
    Done,
}

/// What both records must say for a move, and what it makes of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Homes<'a> {
    pub(super) cluster: ClusterId,
    pub(super) from: &'a VmId,
    pub(super) to: &'a VmId,
    /// The epoch at the old home.
    pub(super) epoch: VmEpoch,
}

impl Homes<'_> {
    /// The old record, if the machine may leave, or has left by an earlier try of the same move.
    pub(super) fn may_leave(&self, locked: LockedFile<'_>) -> Result<Sealed<VmLockRecord>, RefusedMove> {
        let old =
            locked.examine(self.cluster, self.from).map_err(|unfit| RefusedMove::Unfit(Side::Old, unfit))?;
        let VmLockRecord { epoch, state, .. } = old.content;
        if epoch != self.epoch || epoch.next() == epoch {
            return Err(RefusedMove::EpochMismatch { found: epoch });
        }
        match state {
            VmLockState::Free | VmLockState::CleanlyOff => Ok(old),
            VmLockState::Moved { home, sum, .. } => {
                let is_here = home == self.to.home() && sum == HomeSum::of(self.to);
                if is_here { Ok(old) } else { Err(RefusedMove::MovedElsewhere { home, sum }) }
            }
            VmLockState::Running { .. } | VmLockState::HandingOver { .. } => {
                Err(RefusedMove::NotAtRest { found: state })
            }
        }
    }

    /// What the new home's lock file says of this move.
    pub(super) fn may_arrive(&self, locked: LockedFile<'_>, has_left: bool) -> Result<Arrival, RefusedMove> {
        let unfit = |unfit| RefusedMove::Unfit(Side::New, unfit);
        if !locked.same_file {
            return Err(unfit(Unfit::NotSameFile));
        }
        match VmLockRecord::read(locked.record, self.cluster) {
            PairState::NeverWritten => Ok(Arrival::Open),
            // The first record of all was cut short. It is only ever written after the machine has left.
            PairState::Corrupt { .. } if has_left && is_second_slot_zero(locked.record) => Ok(Arrival::Open),
            PairState::Valid { record } | PairState::Degraded { record, .. } => {
                if record.content.vm != self.to.uuid() {
                    return Err(unfit(Unfit::WrongVm));
                }
                locked.check_place(&record.content, self.to).map_err(unfit)?;
                if has_left && record.content.epoch > self.epoch {
                    Ok(Arrival::Done)
                } else {
                    Err(RefusedMove::NewHomeInUse)
                }
            }
            PairState::Corrupt { .. } | PairState::Inconsistent { .. } => Err(unfit(Unfit::Unreadable)),
        }
    }

    /// The last record of the old home, in this file of it. Its epoch stays: it raises nothing, it ends.
    pub(super) fn moved(&self, old: &VmLockRecord, file: Option<FileIdentity>) -> VmLockRecord {
        let cleanly_off = match old.state {
            VmLockState::CleanlyOff => true,
            VmLockState::Moved { cleanly_off, .. } => cleanly_off,
            VmLockState::Free | VmLockState::Running { .. } | VmLockState::HandingOver { .. } => false,
        };
        let (home, sum) = (self.to.home(), HomeSum::of(self.to));
        VmLockRecord { file, state: VmLockState::Moved { home, sum, cleanly_off }, ..*old }
    }
}

/// The first record of the new home, in this file of it, above every epoch of the old one.
pub(super) fn arrived(to: &VmId, file: Option<FileIdentity>, moved: &VmLockRecord) -> VmLockRecord {
    let state = match moved.state {
        VmLockState::Moved { cleanly_off: true, .. } => VmLockState::CleanlyOff,
        VmLockState::Moved { cleanly_off: false, .. }
        | VmLockState::Free
        | VmLockState::Running { .. }
        | VmLockState::HandingOver { .. }
        | VmLockState::CleanlyOff => VmLockState::Free,
    };
    VmLockRecord { file, ..VmLockRecord::of(to, moved.epoch.next(), state) }
}

fn is_second_slot_zero(file: &[u8]) -> bool {
    file.get(VmLockRecord::AREA..)
        .is_some_and(|slot| slot.len() == VmLockRecord::AREA && slot.iter().all(|byte| *byte == 0))
}
