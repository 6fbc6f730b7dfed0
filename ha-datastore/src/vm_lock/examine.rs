use ha_core::record::{PairState, Sealed};
use ha_core::{ClusterId, FileIdentity, VmId};

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
    /// The record was written to another file than the locked one: the lock file was unlinked and restored from a
    /// copy. The machine may be running under the lock of the first, which this one is not.
    OtherFile {
        /// The file that the record names.
        recorded: FileIdentity,
        /// The file that is locked.
        locked: FileIdentity,
    },
    /// The record cannot be relied upon.
    Unreadable,
}

/// A file whose lock is held, as its holder reported it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LockedFile<'a> {
    /// Both slots.
    pub(super) record: &'a [u8],
    pub(super) same_file: bool,
    pub(super) file: Option<FileIdentity>,
}

impl LockedFile<'_> {
    /// The record of `vm`, if the lock proves something about `vm` at its home and the record can be relied upon.
    pub(super) fn examine(&self, cluster: ClusterId, vm: &VmId) -> Result<Sealed<VmLockRecord>, Unfit> {
        let found = self.examine_anywhere(cluster, vm)?;
        self.check_place(&found.content, vm).map(|()| found)
    }

    /// The same, whichever home of `vm` and whichever file the record names.
    pub(super) fn examine_anywhere(
        &self,
        cluster: ClusterId,
        vm: &VmId,
    ) -> Result<Sealed<VmLockRecord>, Unfit> {
        if !self.same_file {
            return Err(Unfit::NotSameFile);
        }
        match VmLockRecord::read(self.record, cluster) {
            PairState::Valid { record } | PairState::Degraded { record, .. } => {
                if record.content.vm == vm.uuid() { Ok(record) } else { Err(Unfit::WrongVm) }
            }
            PairState::NeverWritten | PairState::Inconsistent { .. } | PairState::Corrupt { .. } => {
                Err(Unfit::Unreadable)
            }
        }
    }

    /// Whether the record was written here: at this home, and to this very file as far as both sides know files.
    pub(super) fn check_place(&self, record: &VmLockRecord, vm: &VmId) -> Result<(), Unfit> {
        if record.home != HomeSum::of(vm) {
            return Err(Unfit::OtherHome);
        }
        match (record.file, self.file) {
            (Some(recorded), Some(locked)) if recorded != locked => {
                Err(Unfit::OtherFile { recorded, locked })
            }
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }
}
