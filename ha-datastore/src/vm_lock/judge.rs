use ha_core::record::Sealed;
use ha_core::{DatastoreId, FileIdentity, HostId, VmEpoch};

use super::examine::Unfit;
use super::lapse::LapsedHandOver;
use crate::format::{VmLockRecord, VmLockState};

/// What the lock record must say for the machine to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartExpectation {
    /// A restart: exactly this epoch, and not switched off, moved or in migration.
    Exactly(VmEpoch),
    /// A person's start: free or cleanly off, at no lower epoch than is known of. Where winning the lock proves that
    /// the old copy can no longer write, also a record that says `running`: its start failed, or its host died
    /// unnoticed.
    PowerOn {
        /// Whether the datastore fences (F3, same kernel).
        fences: bool,
        /// The highest epoch of the machine that the asker knows of; [`VmEpoch::ZERO`] if none. A record below it
        /// is not the one that the instance of that epoch was started by.
        at_least: VmEpoch,
    },
    /// The end of a live migration at its target: handed over to this host at exactly this epoch. The start lets
    /// the copy that came in run, instead of a new one.
    HandedOver(VmEpoch),
    /// A start, whoever asked, after a live migration that nobody finished: exactly this hand-over.
    AfterHandOver(LapsedHandOver),
}

/// Why a won lock was given back unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedStart {
    /// The record has another epoch: the machine was started since, or never as expected.
    EpochMismatch {
        /// The recorded epoch.
        found: VmEpoch,
    },
    /// The record has a lower epoch than is known of: its lock file was made anew, or restored. The machine may be
    /// running under the lock of the first. A person who knows that it is not makes the lock file anew at the
    /// least epoch ([`VmLockRecord::renewed`]).
    EpochTooLow {
        /// The recorded epoch.
        found: VmEpoch,
        /// The least that would do.
        least: VmEpoch,
    },
    /// It was stopped on purpose.
    CleanlyOff,
    /// It lives elsewhere now.
    Moved {
        /// Its new home.
        to: DatastoreId,
    },
    /// A live migration is not settled, or is another one than expected.
    HandingOver,
    /// The record says that it runs, and a person's start replaces no running instance; or it does not say that
    /// it is handed over, as expected; or its epoch is the last one there is.
    NotStartable,
    /// The lock file is that of another machine.
    WrongVm,
    /// The lock file was copied or moved here by hand from another home of the machine: the lock proves nothing
    /// about an instance there. [`Change::Adopt`](super::Change::Adopt) is a person's word that there is none.
    OtherHome,
    /// The locked file is no longer the one at the path: the lock proves nothing.
    NotSameFile,
    /// The record was written to another file than the locked one: the lock file was unlinked and restored from a
    /// copy, and the machine may be running under the lock of the first. [`Change::Adopt`](super::Change::Adopt) is a
    /// person's word that it is not; a record that cannot be adopted is made anew ([`VmLockRecord::renewed`]).
    OtherFile {
        /// The file that the record names.
        recorded: FileIdentity,
        /// The file that is locked.
        locked: FileIdentity,
    },
    /// The record cannot be relied upon.
    Unreadable,
}

impl From<Unfit> for RefusedStart {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::NotSameFile => Self::NotSameFile,
            Unfit::WrongVm => Self::WrongVm,
            Unfit::OtherHome => Self::OtherHome,
            Unfit::OtherFile { recorded, locked } => Self::OtherFile { recorded, locked },
            Unfit::Unreadable => Self::Unreadable,
        }
    }
}

/// Whether the record under a won lock allows this host the start. The state is looked at first: what must never
/// start again does not start at any epoch.
pub(super) fn judge(
    found: &Sealed<VmLockRecord>,
    me: HostId,
    expect: StartExpectation,
) -> Result<(), RefusedStart> {
    let VmLockRecord { epoch, state, .. } = found.content;
    let at = |expected: VmEpoch| {
        if expected == epoch { Ok(()) } else { Err(RefusedStart::EpochMismatch { found: epoch }) }
    };
    let from = |least: VmEpoch| {
        if epoch >= least { Ok(()) } else { Err(RefusedStart::EpochTooLow { found: epoch, least }) }
    };
    match expect {
        StartExpectation::Exactly(expected) => match state {
            VmLockState::Free | VmLockState::Running { .. } => at(expected),
            VmLockState::HandingOver { .. } => Err(RefusedStart::HandingOver),
            VmLockState::Moved { home, .. } => Err(RefusedStart::Moved { to: home }),
            VmLockState::CleanlyOff => Err(RefusedStart::CleanlyOff),
        },
        StartExpectation::PowerOn { fences, at_least } => match state {
            VmLockState::Free | VmLockState::CleanlyOff => from(at_least),
            VmLockState::Running { .. } if fences => from(at_least),
            VmLockState::Running { .. } => Err(RefusedStart::NotStartable),
            VmLockState::HandingOver { .. } => Err(RefusedStart::HandingOver),
            VmLockState::Moved { home, .. } => Err(RefusedStart::Moved { to: home }),
        },
        StartExpectation::HandedOver(expected) => match state {
            VmLockState::HandingOver { target, .. } if target == me => at(expected),
            VmLockState::HandingOver { .. } => Err(RefusedStart::HandingOver),
            VmLockState::Free | VmLockState::Running { .. } => {
                at(expected).and(Err(RefusedStart::NotStartable))
            }
            VmLockState::Moved { home, .. } => Err(RefusedStart::Moved { to: home }),
            VmLockState::CleanlyOff => Err(RefusedStart::CleanlyOff),
        },
        StartExpectation::AfterHandOver(lapsed) => match state {
            VmLockState::HandingOver { .. } if lapsed.is_of(found) => Ok(()),
            VmLockState::HandingOver { .. } => Err(RefusedStart::HandingOver),
            VmLockState::Free | VmLockState::Running { .. } => {
                at(lapsed.epoch()).and(Err(RefusedStart::NotStartable))
            }
            VmLockState::Moved { home, .. } => Err(RefusedStart::Moved { to: home }),
            VmLockState::CleanlyOff => Err(RefusedStart::CleanlyOff),
        },
    }
}
