//! What machines ask of the hypervisor's driver. The order of one start: take the lock, write the record, start.

use bytes::Bytes;

use crate::operation::{StartVm, StopVm, TakeVmLock, WriteVmRecord};
use crate::{Completion, Instant, MachineId, Token, VmEpoch, VmId, VmUuid};

/// One attempt at one virtual machine's lock: the holder process that the driver spawns for it.
///
/// Chosen by the machine that asks; unique within one life of one agent. The driver keys holders by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderId(pub u64);

/// One request to the driver of virtual machines.
#[derive(Debug, PartialEq, Eq)]
pub enum VmRequest {
    /// Spawn a holder that tries the lock without waiting, three times within 20 ms, and reports the record.
    ///
    /// The holder ends, and so frees the lock, at `not_after` or when the agent or launcher goes away.
    TakeLock {
        /// Answers the request.
        token: Token<TakeVmLock>,
        /// Names the holder in later requests.
        holder: HolderId,
        /// The virtual machine.
        vm: VmId,
        /// The holder checks the boot clock right before it tries.
        not_after: Instant,
    },
    /// Have the holder write these bytes of the lock record, sync them, and read them back.
    WriteRecord {
        /// Answers the request.
        token: Token<WriteVmRecord>,
        /// The holder that has the lock.
        holder: HolderId,
        /// Where in the lock file, in bytes.
        offset: u64,
        /// Exactly what to write.
        bytes: Bytes,
        /// The holder checks the boot clock right before it writes.
        not_after: Instant,
    },
    /// Have the holder check the boot clock once more and become the virtual machine.
    Start {
        /// Answers the request.
        token: Token<StartVm>,
        /// The holder that has the lock.
        holder: HolderId,
        /// The fencing token to hand to the hypervisor.
        epoch: VmEpoch,
        /// No start after this.
        not_after: Instant,
    },
    /// Have the holder end, and so free the lock. Needs no answer.
    Abandon {
        /// The holder.
        holder: HolderId,
    },
    /// End a running virtual machine and the rest of its process group.
    Stop {
        /// Answers the request.
        token: Token<StopVm>,
        /// The virtual machine.
        vm: VmUuid,
        /// No stop after this.
        not_after: Instant,
    },
}

/// The answer to one request.
#[derive(Debug)]
pub enum VmCompletion {
    /// To [`VmRequest::TakeLock`].
    TakeLock(Completion<TakeVmLock>),
    /// To [`VmRequest::WriteRecord`].
    WriteRecord(Completion<WriteVmRecord>),
    /// To [`VmRequest::Start`].
    Start(Completion<StartVm>),
    /// To [`VmRequest::Stop`].
    Stop(Completion<StopVm>),
}

impl VmCompletion {
    /// The machine that asked.
    #[must_use]
    pub const fn machine(&self) -> MachineId {
        match self {
            Self::TakeLock(done) => done.machine(),
            Self::WriteRecord(done) => done.machine(),
            Self::Start(done) => done.machine(),
            Self::Stop(done) => done.machine(),
        }
    }
}

/// A virtual machine that the driver confirms to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningVm {
    /// The virtual machine.
    pub vm: VmId,
    /// The epoch it was started with.
    pub epoch: VmEpoch,
    /// Whether its main process holds the lock of the very file that is at the path, with this epoch recorded.
    pub holds_lock: bool,
}

/// What the driver says without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VmDriverReport {
    /// The driver is reachable, and these are all virtual machines that run here.
    Complete(alloc::vec::Vec<RunningVm>),
    /// The main process has ended, and the rest of its group after it.
    Ended {
        /// The virtual machine.
        vm: VmUuid,
        /// The epoch of the instance that ended.
        epoch: VmEpoch,
    },
    /// The driver cannot be reached; nothing is known until the next `Complete`.
    Lost,
}
