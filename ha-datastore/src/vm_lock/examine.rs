use ha_core::record::{PairState, Sealed};
use ha_core::{ClusterId, VmId};

use crate::format::{HomeSum, VmLockRecord};

/// Why the file whose lock was won tells nothing of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The locked file is no longer the one at the path: the lock proves nothing.
    NotSameFile,
    /// The lock file is that of another machine.
    WrongVm,
    /// The lock file was copied or moved here by hand from another home of the machine. The machine may be
    /// running there, under a lock that this one is not.
    OtherHome,
    /// The record cannot be relied upon.
    Unreadable,
}

/// The record of `vm` in a locked file at its home, if lock and record can be relied upon.
pub(super) fn examine(
    file: &[u8],
    same_file: bool,
    cluster: ClusterId,
    vm: &VmId,
) -> Result<Sealed<VmLockRecord>, Unfit> {
    let found = examine_anywhere(file, same_file, cluster, vm)?;
    if found.content.home == HomeSum::of(vm) { Ok(found) } else { Err(Unfit::OtherHome) }
}

/// The same, whichever home of `vm` the record names.
pub(super) fn examine_anywhere(
    file: &[u8],
    same_file: bool,
    cluster: ClusterId,
    vm: &VmId,
) -> Result<Sealed<VmLockRecord>, Unfit> {
    if !same_file {
        return Err(Unfit::NotSameFile);
    }
    match VmLockRecord::read(file, cluster) {
        PairState::Valid { record } | PairState::Degraded { record, .. } => {
            if record.content.vm == vm.uuid() { Ok(record) } else { Err(Unfit::WrongVm) }
        }
        PairState::NeverWritten | PairState::Inconsistent { .. } | PairState::Corrupt { .. } => {
            Err(Unfit::Unreadable)
        }
    }
}
