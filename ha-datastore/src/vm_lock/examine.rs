use ha_core::record::Sealed;
use ha_core::{ClusterId, VmUuid};

use crate::format::{LockRecordFault, VmLockRecord};

/// Why the file whose lock was won tells nothing of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The locked file is no longer the one at the path: the lock proves nothing.
    NotSameFile,
    /// The lock file is that of another machine.
    WrongVm,
    /// The record cannot be relied upon.
    Unreadable,
}

/// The record of `vm` in a locked file, if lock and record can be relied upon.
pub(super) fn examine(
    file: &[u8],
    same_file: bool,
    cluster: ClusterId,
    vm: VmUuid,
) -> Result<Sealed<VmLockRecord>, Unfit> {
    if !same_file {
        return Err(Unfit::NotSameFile);
    }
    VmLockRecord::read_of(file, cluster, vm).map_err(|fault| match fault {
        LockRecordFault::WrongVm { .. } => Unfit::WrongVm,
        LockRecordFault::NeverWritten | LockRecordFault::Inconsistent | LockRecordFault::Corrupt { .. } => {
            Unfit::Unreadable
        }
    })
}
