//! What machines ask of shared storage, by datastore and kind of file, never by a path of the machine.

use core::fmt;

use bytes::Bytes;

use crate::operation::{Lock, LookAtLock, Read, Write};
use crate::{Completion, DatastoreId, HostId, Instant, MachineId, Token, VmId, VmUuid};

/// Which file of a datastore.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `host-<n>-hb`: written and kept locked by host n only.
    Heartbeat(HostId),
    /// `host-<n>-poweron`: written by host n only.
    Poweron(HostId),
    /// `protectedlist`: locked by the datastore's owner.
    ProtectedList,
    /// `protectedlist.<n>`: the list, as host n last wrote it; written by host n only.
    ProtectedListOf(HostId),
    /// `poweredoff/<vm uuid>`: the marker of one virtual machine.
    PoweredOff(VmUuid),
    /// `host-<n>-probe`: written by host n, and tried by one other host at a time, to learn whether locks are shared.
    /// Nobody's right depends on it.
    Probe(HostId),
    /// `<vm home>/.<config file name>.ha-lock`: the lock and record of one virtual machine.
    VmLock(VmId),
}

/// One file on one datastore.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    /// The datastore.
    pub datastore: DatastoreId,
    /// The file on it.
    pub kind: FileKind,
}

impl FileName {
    /// Names a file.
    #[must_use]
    pub const fn new(datastore: DatastoreId, kind: FileKind) -> Self {
        Self { datastore, kind }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] ", self.datastore)?;
        match &self.kind {
            FileKind::Heartbeat(host) => write!(f, "{host}-hb"),
            FileKind::Poweron(host) => write!(f, "{host}-poweron"),
            FileKind::ProtectedList => f.write_str("protectedlist"),
            FileKind::ProtectedListOf(host) => write!(f, "protectedlist.{}", host.number()),
            FileKind::PoweredOff(uuid) => write!(f, "poweredoff/{uuid}"),
            FileKind::Probe(host) => write!(f, "{host}-probe"),
            FileKind::VmLock(vm) => write!(f, "lock of {}", vm.config()),
        }
    }
}

/// How far what is read may be trusted to be what a crash would leave.
///
/// A record that is built upon, by writing its successor over the only other one, must be durable. What a page cache
/// shows need not be: its writer may have been killed before the sync, and after a failed sync the page counts as clean
/// although storage never got it (reliability 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadFrom {
    /// Wherever it is found, this host's cache among them. For looking at what others write.
    Anywhere,
    /// From storage: what this host caches of it is dropped first. For reading back what was just synced.
    Storage,
    /// From storage, after this host's pending writes to the file have been synced. For what is built upon.
    Durable,
}

/// One request to shared storage. At most one write per file is ever outstanding.
#[derive(Debug, PartialEq, Eq)]
pub enum StorageRequest {
    /// Overwrite `bytes` at `offset` in place, by one aligned write, and sync. Never extends the file.
    Write {
        /// Answers the request.
        token: Token<Write>,
        /// The file.
        file: FileName,
        /// Where, in bytes; a multiple of 4096.
        offset: u64,
        /// What; a multiple of 4096 bytes.
        bytes: Bytes,
        /// The driver reads the clock right before the call and answers `Expired` if this has passed.
        not_after: Instant,
    },
    /// Open, read exactly `length` bytes at `offset`, close.
    Read {
        /// Answers the request.
        token: Token<Read>,
        /// The file.
        file: FileName,
        /// Where, in bytes.
        offset: u64,
        /// How many bytes.
        length: u32,
        /// Where they may come from.
        from: ReadFrom,
    },
    /// Try the exclusive lock without waiting, three times within 20 ms, and keep it.
    Lock {
        /// Answers the request.
        token: Token<Lock>,
        /// The file.
        file: FileName,
        /// The driver reads the clock right before the call and answers `Expired` if this has passed.
        not_after: Instant,
    },
    /// Let a lock go. Needs no answer: a lock that was not held is let go all the same. `Lock` and `Unlock` of one
    /// file are carried out in the order in which they were asked for; this is the one order that a driver keeps.
    Unlock {
        /// The file.
        file: FileName,
    },
    /// Look whether the lock is held: a shared try through an own descriptor, given back at once.
    LookAtLock {
        /// Answers the request.
        token: Token<LookAtLock>,
        /// The file.
        file: FileName,
    },
}

impl StorageRequest {
    /// The file that the request is about.
    #[must_use]
    pub const fn file(&self) -> &FileName {
        match self {
            Self::Write { file, .. }
            | Self::Read { file, .. }
            | Self::Lock { file, .. }
            | Self::Unlock { file }
            | Self::LookAtLock { file, .. } => file,
        }
    }
}

/// The answer to one storage request.
#[derive(Debug)]
pub enum StorageCompletion {
    /// To [`StorageRequest::Write`].
    Write(Completion<Write>),
    /// To [`StorageRequest::Read`].
    Read(Completion<Read>),
    /// To [`StorageRequest::Lock`].
    Lock(Completion<Lock>),
    /// To [`StorageRequest::LookAtLock`].
    LookAtLock(Completion<LookAtLock>),
}

impl StorageCompletion {
    /// The machine that asked.
    #[must_use]
    pub const fn machine(&self) -> MachineId {
        match self {
            Self::Write(done) => done.machine(),
            Self::Read(done) => done.machine(),
            Self::Lock(done) => done.machine(),
            Self::LookAtLock(done) => done.machine(),
        }
    }
}

/// Why storage did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum StorageFault {
    /// The file does not exist.
    #[error("the file does not exist")]
    Missing,
    /// The file ends before the asked range.
    #[error("the file ends before the asked range")]
    Short,
    /// The request's `not_after` had passed before the call was made. Nothing was done.
    #[error("the request expired before it was carried out")]
    Expired,
    /// `EIO`.
    #[error("input/output error")]
    Io,
    /// `ENOSPC`.
    #[error("no space left")]
    NoSpace,
    /// `EDQUOT`.
    #[error("quota exceeded")]
    Quota,
    /// `EROFS`.
    #[error("read-only file system")]
    ReadOnly,
    /// `EACCES` or `EPERM`.
    #[error("access denied")]
    Denied,
    /// `ESTALE`.
    #[error("stale file handle")]
    Stale,
    /// What was read back is not what was written.
    #[error("the bytes read back differ from those written")]
    ReadBackDiffers,
    /// The datastore is not known to the driver, or its file system cannot carry the request.
    #[error("the datastore cannot carry the request")]
    Unsupported,
    /// The outcome is not known: it may have happened, or may happen later.
    #[error("the outcome is unknown")]
    Unknown,
}
