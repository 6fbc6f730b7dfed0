//! Between an agent and the launcher of virtual machines, over the launcher's Unix socket.

use bytes::Bytes;
use ha_core::operation::{StartOutcome, StopOutcome, TakeOutcome};
use ha_core::{HolderId, Instant, StorageFault, VmEpoch, VmId, VmUuid};
use serde::{Deserialize, Serialize};

use super::{hex, nanos, outcome, text, vm_name};

/// The launcher's socket in the host's local folder.
pub const SOCKET: &str = "launcher.sock";

/// An agent's name for one request; its answer carries the same number.
pub type RequestNumber = u64;

/// From the agent. The fields are those of [`ha_core::VmRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the same fields as in ha_core::VmRequest, where they are explained")]
pub enum DriverRequest {
    /// Spawn a holder that tries the lock.
    TakeLock {
        request: RequestNumber,
        #[serde(with = "holder_id")]
        holder: HolderId,
        #[serde(with = "vm_name")]
        vm: VmId,
        #[serde(with = "nanos")]
        not_after: Instant,
    },
    /// Have the holder write a part of the lock record.
    WriteRecord {
        request: RequestNumber,
        #[serde(with = "holder_id")]
        holder: HolderId,
        offset: u64,
        #[serde(with = "hex")]
        bytes: Bytes,
        #[serde(with = "nanos")]
        not_after: Instant,
    },
    /// Have the holder become the virtual machine.
    Start {
        request: RequestNumber,
        #[serde(with = "holder_id")]
        holder: HolderId,
        #[serde(with = "text")]
        epoch: VmEpoch,
        #[serde(with = "nanos")]
        not_after: Instant,
    },
    /// Have the holder end.
    Abandon {
        #[serde(with = "holder_id")]
        holder: HolderId,
    },
    /// End a virtual machine.
    Stop {
        request: RequestNumber,
        #[serde(with = "text")]
        vm: VmUuid,
        #[serde(with = "nanos")]
        not_after: Instant,
    },
}

/// One virtual machine of the inventory, as [`ha_core::RunningVm`] has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryItem {
    /// The virtual machine.
    #[serde(with = "vm_name")]
    pub vm: VmId,
    /// Its epoch.
    #[serde(with = "text")]
    pub epoch: VmEpoch,
    /// Whether its main process was seen to hold the lock of the very file at the path.
    pub holds_lock: bool,
}

/// From the launcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the numbers of requests, and outcomes explained in ha_core::operation")]
pub enum DriverReply {
    /// All virtual machines that run here. The first line of every connection.
    Complete(Vec<InventoryItem>),
    /// A virtual machine's main process has ended.
    Ended {
        #[serde(with = "text")]
        vm: VmUuid,
        #[serde(with = "text")]
        epoch: VmEpoch,
    },
    /// To `TakeLock`.
    Took {
        request: RequestNumber,
        #[serde(with = "outcome::Take")]
        outcome: TakeOutcome,
    },
    /// To `WriteRecord`.
    Wrote {
        request: RequestNumber,
        #[serde(with = "outcome::write")]
        outcome: Result<(), StorageFault>,
    },
    /// To `Start`.
    Started {
        request: RequestNumber,
        #[serde(with = "outcome::Start")]
        outcome: StartOutcome,
    },
    /// To `Stop`.
    Stopped {
        request: RequestNumber,
        #[serde(with = "outcome::Stop")]
        outcome: StopOutcome,
    },
}

mod holder_id {
    use ha_core::HolderId;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(holder: &HolderId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(holder.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HolderId, D::Error> {
        u64::deserialize(deserializer).map(HolderId)
    }
}
