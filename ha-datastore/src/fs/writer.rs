use alloc::sync::Arc;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use ha_core::operation::Write;
use ha_core::{FileKind, Instant, StorageCompletion, StorageFault, Token};

use super::caching::{Caching, write_direct};
use super::clock::boot_clock;
use super::fault::fault_of;
use super::flock;
use super::held::HeldLock;
use super::lane::Job;
use super::mount::Mount;

/// One `StorageRequest::Write`, with the lock that was held when it was submitted.
#[derive(Debug)]
pub(super) struct WriteJob {
    pub(super) token: Token<Write>,
    pub(super) kind: FileKind,
    pub(super) offset: u64,
    pub(super) bytes: Bytes,
    pub(super) not_after: Instant,
    pub(super) lock: Option<Arc<HeldLock>>,
}

impl WriteJob {
    pub(super) fn perform(self, mount: &Mount, caching: Caching) -> StorageCompletion {
        let Self { token, kind, offset, bytes, not_after, lock } = self;
        let path = mount.path_of(&kind);
        let outcome = match &lock {
            Some(lock) => write_locked(lock, &path, caching, offset, &bytes, not_after),
            None => write_unlocked(&path, caching, offset, &bytes, not_after),
        };
        // Before the answer, so that an `Unlock` that follows the answer frees the lock at once.
        drop(lock);
        StorageCompletion::Write(token.complete(outcome))
    }
}

impl Job for WriteJob {
    fn decline(self, fault: StorageFault) -> Option<StorageCompletion> {
        Some(StorageCompletion::Write(self.token.complete(Err(fault))))
    }
}

fn write_unlocked(
    path: &Path,
    caching: Caching,
    offset: u64,
    bytes: &[u8],
    not_after: Instant,
) -> Result<(), StorageFault> {
    let file = caching.open(path, OpenOptions::new().write(true)).map_err(|error| fault_of(&error))?;
    overwrite(&file, caching, offset, bytes, not_after)
}

fn write_locked(
    lock: &HeldLock,
    path: &Path,
    caching: Caching,
    offset: u64,
    bytes: &[u8],
    not_after: Instant,
) -> Result<(), StorageFault> {
    let outcome = match flock::same_file(&lock.file, path) {
        Ok(true) => overwrite(&lock.file, caching, offset, bytes, not_after),
        // Readers would never see the bytes.
        Ok(false) => Err(StorageFault::Stale),
        Err(error) => Err(fault_of(&error)),
    };
    match outcome {
        Ok(()) | Err(StorageFault::Expired | StorageFault::Short) => {}
        Err(_) => lock.suspect(),
    }
    outcome
}

/// Overwrites bytes that the file already has, and makes them durable.
pub(super) fn overwrite(
    file: &File,
    caching: Caching,
    offset: u64,
    bytes: &[u8],
    not_after: Instant,
) -> Result<(), StorageFault> {
    let found = file.metadata().map_err(|error| fault_of(&error))?;
    if !found.is_file() {
        return Err(StorageFault::Unsupported);
    }
    let length = u64::try_from(bytes.len()).map_err(|_| StorageFault::Unsupported)?;
    if !caching.takes(offset, length) {
        return Err(StorageFault::Unsupported);
    }
    if offset.saturating_add(length) > found.len() {
        return Err(StorageFault::Short);
    }
    if boot_clock() > not_after {
        return Err(StorageFault::Expired);
    }
    let written = match caching {
        Caching::Kernel => file.write_all_at(bytes, offset).and_then(|()| file.sync_data()),
        // `O_SYNC` makes each write durable before it returns.
        Caching::Direct => write_direct(file, offset, bytes),
    };
    written.map_err(|error| fault_of(&error))
}
