use ha_core::record::Sealed;
use ha_core::{ClusterId, DatastoreId, VmEpoch, VmUuid};

use crate::format::{LockRecordFault, VmLockRecord, VmLockState};

/// What the lock record must say for the machine to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartExpectation {
    /// A restart: exactly this epoch, and not switched off, moved or in migration.
    Exactly(VmEpoch),
    /// A person's start: free or cleanly off, at whichever epoch. Where winning the lock proves that the old copy
    /// can no longer write, also a record that says `running`: its start failed, or its host died unnoticed.
    PowerOn {
        /// Whether the datastore fences (F3, same kernel).
        fences: bool,
    },
}

/// Why a won lock was given back unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedStart {
    /// The record has another epoch: the machine was started since, or never as expected.
    EpochMismatch {
        /// The recorded epoch.
        found: VmEpoch,
    },
    /// It was stopped on purpose.
    CleanlyOff,
    /// It lives elsewhere now.
    Moved {
        /// Its new home.
        to: DatastoreId,
    },
    /// A live migration is not settled.
    HandingOver,
    /// The record says that it runs, and a person's start replaces no running instance; or its epoch is the
    /// last one there is.
    NotStartable,
    /// The lock file is that of another machine.
    WrongVm,
    /// The locked file is no longer the one at the path: the lock proves nothing.
    NotSameFile,
    /// The record cannot be relied upon.
    Unreadable,
}

/// Reads the record under a won lock and decides whether the start may go on. The state is looked at first:
/// what must never start again does not start at any epoch.
pub(super) fn judge(
    file: &[u8],
    same_file: bool,
    cluster: ClusterId,
    vm: VmUuid,
    expect: StartExpectation,
) -> Result<Sealed<VmLockRecord>, RefusedStart> {
    if !same_file {
        return Err(RefusedStart::NotSameFile);
    }
    let found = VmLockRecord::read_of(file, cluster, vm).map_err(|fault| match fault {
        LockRecordFault::WrongVm { .. } => RefusedStart::WrongVm,
        LockRecordFault::NeverWritten | LockRecordFault::Inconsistent | LockRecordFault::Corrupt { .. } => {
            RefusedStart::Unreadable
        }
    })?;
    match (found.content.state, expect) {
        (VmLockState::Free, _)
        | (VmLockState::Running { .. }, StartExpectation::Exactly(_))
        | (VmLockState::Running { .. }, StartExpectation::PowerOn { fences: true })
        | (VmLockState::CleanlyOff, StartExpectation::PowerOn { .. }) => {}
        (VmLockState::Running { .. }, StartExpectation::PowerOn { fences: false }) => {
            return Err(RefusedStart::NotStartable);
        }
        (VmLockState::CleanlyOff, StartExpectation::Exactly(_)) => return Err(RefusedStart::CleanlyOff),
        (VmLockState::Moved { home }, _) => return Err(RefusedStart::Moved { to: home }),
        (VmLockState::HandingOver { .. }, _) => return Err(RefusedStart::HandingOver),
    }
    match expect {
        StartExpectation::Exactly(epoch) if epoch != found.content.epoch => {
            Err(RefusedStart::EpochMismatch { found: found.content.epoch })
        }
        StartExpectation::Exactly(_) | StartExpectation::PowerOn { .. } => Ok(found),
    }
}
