//! Between the launcher and one holder, over the socket that is the holder's standard output.
//!
//! The socket stays when the holder becomes the virtual machine. Its end tells either side that the other is gone.

use bytes::Bytes;
use ha_core::operation::TakeOutcome;
use ha_core::{Instant, StorageFault, VmEpoch, VmId};
use serde::{Deserialize, Serialize};

use super::{hex, nanos, outcome, text, vm_name};

/// From the launcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderCommand {
    /// Try the lock; end, and so free it, at `not_after` if nothing was started by then.
    TakeLock {
        /// The virtual machine.
        #[serde(with = "vm_name")]
        vm: VmId,
        /// No try after this.
        #[serde(with = "nanos")]
        not_after: Instant,
    },
    /// Write, sync and read back a part of the record.
    Write {
        /// Where in the lock file, in bytes.
        offset: u64,
        /// What.
        #[serde(with = "hex")]
        bytes: Bytes,
        /// No write after this.
        #[serde(with = "nanos")]
        not_after: Instant,
    },
    /// Become the virtual machine.
    Start {
        /// The durable epoch.
        #[serde(with = "text")]
        epoch: VmEpoch,
        /// No exec after this.
        #[serde(with = "nanos")]
        not_after: Instant,
    },
    /// To the virtual machine: close the socket, then end and so give up the lock.
    Stop,
}

/// To the launcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderReply {
    /// How the try went. A holder without the lock ends after this.
    Took(#[serde(with = "outcome::Take")] TakeOutcome),
    /// How the write went.
    Wrote(#[serde(with = "outcome::write")] Result<(), StorageFault>),
    /// The start's time was over; the holder ends after this.
    StartExpired,
    /// Exec failed; the holder still holds the lock.
    StartFailed,
    /// From the virtual machine: its first ledger entry is written.
    Running,
}
