//! The operations that machines ask of their embedder, and how each can end.

use bytes::Bytes;

use crate::{FileIdentity, Instant, Operation, StorageFault};

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident($text:literal) -> $outcome:ty;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {}

        impl Operation for $name {
            type Outcome = $outcome;
            const NAME: &'static str = $text;
        }
    )*};
}

operations! {
    /// Overwrite bytes of a file in place and make them durable.
    Write("write") -> Result<(), StorageFault>;
    /// Open a file, read a range, close it.
    Read("read") -> Result<ReadReply, StorageFault>;
    /// Try, without waiting, to take a file's exclusive lock and keep it.
    Lock("lock") -> LockOutcome;
    /// Look, without keeping anything, whether somebody holds a file's lock.
    LookAtLock("look at lock") -> LookOutcome;
    /// Ask a host or an address for one answer.
    Ping("ping") -> PingOutcome;
    /// Have a holder process take a virtual machine's lock and report the record's bytes.
    TakeVmLock("take VM lock") -> TakeOutcome;
    /// Have a holder process share the lock of a virtual machine that runs here, and report the record's bytes.
    ShareVmLock("share VM lock") -> ShareOutcome;
    /// Have the holder write the lock record, sync it and read it back.
    WriteVmRecord("write VM record") -> Result<(), StorageFault>;
    /// Have the holder become the virtual machine, or hand its lock to the copy that came in.
    StartVm("start VM") -> StartOutcome;
    /// End a virtual machine.
    StopVm("stop VM") -> StopOutcome;
}

/// Bytes read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadReply {
    /// Exactly the asked length; a file that ends earlier is [`StorageFault::Short`].
    pub bytes: Bytes,
    /// When the read began. The information is as old as this.
    pub started: Instant,
}

/// How an attempt at a lock ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOutcome {
    /// Taken, and kept until released or lost.
    Granted,
    /// Somebody else holds it; found so three times within 20 ms.
    Held,
    /// Not tried: the request's `not_after` had passed.
    Expired,
    /// Storage answered otherwise.
    Fault(StorageFault),
}

/// What a look at a lock saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookOutcome {
    /// Nobody holds it. The look began at `started`.
    Free {
        /// When the look began.
        started: Instant,
    },
    /// Somebody holds it; found so three times within 20 ms.
    Held,
    /// Storage answered otherwise.
    Fault(StorageFault),
}

/// Whether a ping was answered within its time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PingOutcome {
    /// An answer came.
    Answered,
    /// None came in time; a refusal by the network counts as none.
    Unanswered,
}

/// How an attempt at a virtual machine's lock ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeOutcome {
    /// A holder process has the lock.
    Locked {
        /// Both slots of the lock record, as read after the lock was taken, from storage and after this host's
        /// pending writes to the file were synced ([`ReadFrom::Durable`](crate::ReadFrom)).
        record: Bytes,
        /// Whether the locked file's device and inode are still those of its path.
        same_file: bool,
        /// Which file is locked, by the descriptor that carries the lock. `None` where another host could see
        /// another number for the same file.
        file: Option<FileIdentity>,
    },
    /// Somebody else holds it; found so three times within 20 ms. No holder is left.
    Held,
    /// Not tried: the request's `not_after` had passed. No holder is left.
    Expired,
    /// Storage or the driver answered otherwise; no holder is left.
    Fault(StorageFault),
}

/// How an attempt to share a running virtual machine's lock ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareOutcome {
    /// A holder process has a descriptor of the very open file description that carries the lock.
    Shared {
        /// Both slots of the lock record, as read while the lock was shared.
        record: Bytes,
        /// Whether the locked file's device and inode are still those of its path.
        same_file: bool,
        /// Which file is locked, by the descriptor that carries the lock. `None` where another host could see
        /// another number for the same file.
        file: Option<FileIdentity>,
    },
    /// The virtual machine does not run here at that epoch, or not under its lock. No holder is left.
    NotRunning,
    /// Not tried: the request's `not_after` had passed. No holder is left.
    Expired,
    /// Storage or the driver answered otherwise, or the driver cannot share locks; no holder is left.
    Fault(StorageFault),
}

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartOutcome {
    /// The holder has become the virtual machine's main process.
    Running,
    /// The boot clock had passed `not_after`; the holder ended without starting anything.
    Expired,
    /// The holder could not become the virtual machine; it is still there and still holds the lock.
    Failed,
    /// The holder ended before it became the virtual machine, and so freed the lock.
    HolderGone,
}

/// How a stop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOutcome {
    /// The end of the main process and the rest of its group was seen.
    Stopped,
    /// It was not running here.
    NotHere,
    /// Its end has not been seen in time; it may still run.
    Unknown,
}
