use ha_core::{DatastoreId, VmId, VmUuid};

use crate::format::{ListEntry, ListFull, RestartIntent};

/// The name of one change, chosen by the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId(pub u64);

/// One change of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListChange {
    /// Protect a virtual machine, or renew what is known of it. An open restart of it stays open unless the
    /// entry brings its own.
    Protect(ListEntry),
    /// Protect it no longer. Its restart, if one is open, is dropped; a tombstone stays.
    Unprotect {
        /// The virtual machine.
        vm: VmId,
        /// The manager's protection version.
        version: u64,
    },
    /// Open a restart, or change the open one.
    SetIntent {
        /// The virtual machine; it must be protected.
        vm: VmUuid,
        /// The restart.
        intent: RestartIntent,
    },
    /// Close the restart. Nothing to do if none is open, or if the machine is no longer protected.
    CloseIntent {
        /// The virtual machine.
        vm: VmUuid,
    },
}

/// A change that cannot be made. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// The list has no room for it.
    #[error(transparent)]
    Full(#[from] ListFull),
    /// The list knows a newer protection version of this machine.
    #[error("protection version {given} is older than {current}")]
    OldVersion {
        /// The given version.
        given: u64,
        /// The version in the list.
        current: u64,
    },
    /// The machine is not protected here.
    #[error("virtual machine {vm} is not protected here")]
    NotProtected {
        /// The virtual machine.
        vm: VmUuid,
    },
    /// The machine has another home.
    #[error("virtual machine {vm} lives on {home}")]
    WrongHome {
        /// The virtual machine.
        vm: VmUuid,
        /// Its home.
        home: DatastoreId,
    },
    /// As many changes wait to be written, or to be told while the right is suspended, as the list may have entries.
    #[error("too many changes wait to be written or told")]
    Busy,
}
