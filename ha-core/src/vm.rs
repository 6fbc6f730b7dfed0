//! What machines ask of the hypervisor's driver. The order of one start: take the lock, write the record, start.
//!
//! A record is only ever written by a holder: a process that has won the lock, or one that shares it with the
//! running virtual machine. Either way the lock cannot come free between the check and the write.

use bytes::Bytes;

use crate::operation::{ShareVmLock, StartVm, StopVm, TakeVmLock, WriteVmRecord};
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
    /// Spawn a holder that shares the lock of a virtual machine that runs here, and reports the record.
    ///
    /// It gets a descriptor of the very open file description that the main process holds (on Linux by
    /// `pidfd_getfd`, or sent by that process), never one that it opens itself: while it lives, the lock cannot
    /// come free, and storage that fences the machine fences the holder's writes too. The driver first makes sure
    /// that the main process is that of this epoch and holds the lock. The holder never becomes a virtual
    /// machine; it ends, and so drops its share, at `not_after` or when the agent or launcher goes away.
    ShareLock {
        /// Answers the request.
        token: Token<ShareVmLock>,
        /// Names the holder in later requests.
        holder: HolderId,
        /// The virtual machine.
        vm: VmId,
        /// The epoch of the running instance.
        epoch: VmEpoch,
        /// The holder checks the boot clock right before it reads.
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
    /// Have the holder check the boot clock once more, give its lock to the paused copy of the virtual machine
    /// that came in by a live migration, and let that copy run.
    ///
    /// The copy keeps the open file description until its end. Before any answer but
    /// [`StartOutcome::Running`](crate::operation::StartOutcome::Running) the driver ends the copy; it never lets
    /// one run by itself. A driver that has no complete copy answers `Failed`.
    Resume {
        /// Answers the request.
        token: Token<StartVm>,
        /// The holder that has the lock.
        holder: HolderId,
        /// The fencing token to hand to the hypervisor.
        epoch: VmEpoch,
        /// Nothing runs on after this.
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
    /// To [`VmRequest::ShareLock`].
    ShareLock(Completion<ShareVmLock>),
    /// To [`VmRequest::WriteRecord`].
    WriteRecord(Completion<WriteVmRecord>),
    /// To [`VmRequest::Start`] or [`VmRequest::Resume`].
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
            Self::ShareLock(done) => done.machine(),
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
