use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use bytes::Bytes;
use ha_core::{FileIdentity, Instant, ReadFrom, StorageFault};
use rustix::io::FdFlags;

use super::buffers::Buffers;
use super::caching::Caching;
use super::clock::boot_clock;
use super::file_system::FileSystem;
use super::flock::{self, TRIES, TRY_GAP};
use super::{reader, writer};

/// A virtual machine's locked lock file, in the holder process that is to become that virtual machine.
///
/// The lock lies on one open file description. It comes free when every process that has the descriptor has ended
/// or closed it: the holder's end frees it, unless [`VmLockFile::into_descriptor`] was inherited (architecture 8).
///
/// All calls wait for storage; a holder has one thread and nothing else to do.
#[derive(Debug)]
pub struct VmLockFile {
    file: File,
    path: PathBuf,
}

/// Whether the inode number of a lock file says which file it is, on every host ([`FileIdentity`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InodeNumbers {
    /// As the type of the file system has it ([`FileSystem::keeps_inode_numbers`]).
    #[default]
    ByFileSystem,
    /// The embedder says that all hosts see the same, such as behind a FUSE file system that hands on the numbers of
    /// its backend. If that is not so, a restart on another host is refused until a person adopts the file.
    SameEverywhere,
    /// The embedder says that they may differ, such as on NFS through servers that number one file differently.
    Differ,
}

/// How a try at a virtual machine's lock ended.
#[derive(Debug)]
pub enum LockTry {
    /// Somebody else holds it; found so three times within 20 ms.
    Held,
    /// `not_after` had passed on the boot clock right before a try. Nothing is held.
    Expired,
    /// It is held here now. Whether by the right file is for [`VmLockFile::same_file`] to say.
    Locked(VmLockFile),
}

impl VmLockFile {
    /// Opens a lock file, which must exist, and tries its exclusive lock, three times within 20 ms.
    ///
    /// # Errors
    ///
    /// What the operating system answered; [`fault_of`](super::fault_of) makes a [`StorageFault`] of it.
    pub fn open_and_lock(path: &Path, not_after: Instant) -> io::Result<LockTry> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        for left in (0..TRIES).rev() {
            // After `open`, which may have waited for a stalled mount, and before each try.
            if boot_clock() > not_after {
                return Ok(LockTry::Expired);
            }
            if flock::try_exclusive(&file)? {
                return Ok(LockTry::Locked(Self { file, path: path.into() }));
            }
            if left > 0 {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "a holder has one thread and nothing else to do"
                )]
                thread::sleep(TRY_GAP);
            }
        }
        Ok(LockTry::Held)
    }

    /// Whether the locked file is still the one at the path. If not, the lock protects nothing.
    ///
    /// # Errors
    ///
    /// What the operating system answered; a missing file is no error, but `false`.
    pub fn same_file(&self) -> io::Result<bool> {
        flock::same_file(&self.file, &self.path)
    }

    /// Which file is locked, for the outcome of a [`TakeLock`](ha_core::VmRequest::TakeLock) or a share. `None` where
    /// another host could see another inode number for it.
    ///
    /// # Errors
    ///
    /// What the operating system answered.
    pub fn identity(&self, numbers: InodeNumbers) -> io::Result<Option<FileIdentity>> {
        let counts = match numbers {
            InodeNumbers::ByFileSystem => FileSystem::of_file(&self.file)?.keeps_inode_numbers(),
            InodeNumbers::SameEverywhere => true,
            InodeNumbers::Differ => false,
        };
        if counts { Ok(FileIdentity::new(self.file.metadata()?.ino())) } else { Ok(None) }
    }

    /// The first `length` bytes of the file, as a crash would leave them ([`ReadFrom::Durable`]).
    ///
    /// # Errors
    ///
    /// [`StorageFault::Short`] if the file has fewer, else what the operating system answered.
    pub fn read_record(&self, length: u32) -> Result<Bytes, StorageFault> {
        reader::prepare(&self.file, ReadFrom::Durable)?;
        reader::read_exact(&self.file, (0, length), Caching::Kernel, &mut Buffers::default())
    }

    /// Overwrites bytes that the file already has, syncs them, reads them back and compares.
    ///
    /// # Errors
    ///
    /// [`StorageFault::Expired`] if `not_after` had passed on the boot clock right before the write: nothing was
    /// written. [`StorageFault::Short`] if the file ends before the range: nothing was written.
    /// [`StorageFault::ReadBackDiffers`], or what the operating system answered: it is unknown what is stored.
    pub fn write_record(&self, offset: u64, bytes: &[u8], not_after: Instant) -> Result<(), StorageFault> {
        let length = u32::try_from(bytes.len()).map_err(|_| StorageFault::Unsupported)?;
        writer::overwrite(&self.file, Caching::Kernel, offset, bytes, not_after)?;
        reader::prepare(&self.file, ReadFrom::Storage)?;
        let back = reader::read_exact(&self.file, (offset, length), Caching::Kernel, &mut Buffers::default());
        if back? == bytes { Ok(()) } else { Err(StorageFault::ReadBackDiffers) }
    }

    /// The descriptor that carries the lock, for the virtual machine to inherit. Dropping it frees the lock.
    ///
    /// It is closed on `exec` until [`keep_across_exec`] is called on it.
    #[must_use]
    pub fn into_descriptor(self) -> OwnedFd {
        self.file.into()
    }
}

/// The descriptor that carries the lock. A copy of it keeps the lock as well as the original does, so a holder whose
/// `exec` may fail hands a copy on and can still write the record if it does.
impl AsFd for VmLockFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Lets a descriptor survive `exec`, and so the lock on it live as long as the program that is executed.
///
/// Only for a process of one thread that spawns nothing else; any child would inherit the descriptor too.
///
/// # Errors
///
/// What the operating system answered.
pub fn keep_across_exec(descriptor: impl AsFd) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?)
}
