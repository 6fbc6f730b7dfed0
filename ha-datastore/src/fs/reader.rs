use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use ha_core::operation::{Read, ReadReply};
use ha_core::{FileKind, ReadFrom, StorageCompletion, StorageFault, Token};
use rustix::fs::Advice;

use super::clock::boot_clock;
use super::fault::fault_of;
use super::lane::Job;
use super::mount::Mount;

/// One `StorageRequest::Read`.
#[derive(Debug)]
pub(super) struct ReadJob {
    pub(super) token: Token<Read>,
    pub(super) kind: FileKind,
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) from: ReadFrom,
}

impl ReadJob {
    pub(super) fn perform(self, mount: &Mount) -> StorageCompletion {
        let outcome = read(&mount.path_of(&self.kind), self.offset, self.length, self.from);
        StorageCompletion::Read(self.token.complete(outcome))
    }
}

impl Job for ReadJob {
    fn decline(self, fault: StorageFault) -> Option<StorageCompletion> {
        Some(StorageCompletion::Read(self.token.complete(Err(fault))))
    }
}

/// Opens, reads exactly `length` bytes at `offset`, closes.
fn read(path: &Path, offset: u64, length: u32, from: ReadFrom) -> Result<ReadReply, StorageFault> {
    let started = boot_clock();
    let file = File::open(path).map_err(|error| fault_of(&error))?;
    prepare(&file, from)?;
    let bytes = read_exact(&file, offset, length)?;
    Ok(ReadReply { bytes, started })
}

/// Sees to it that what is read next comes from where it should.
///
/// Dropping cached pages is a hint that file systems without storage of their own ignore; there the cache is all there
/// is.
pub(super) fn prepare(file: &File, from: ReadFrom) -> Result<(), StorageFault> {
    match from {
        ReadFrom::Anywhere => return Ok(()),
        ReadFrom::Storage => {}
        ReadFrom::Durable => file.sync_data().map_err(|error| fault_of(&error))?,
    }
    rustix::fs::fadvise(file, 0, None, Advice::DontNeed).ok();
    Ok(())
}

/// Reads exactly `length` bytes at `offset`.
pub(super) fn read_exact(file: &File, offset: u64, length: u32) -> Result<Bytes, StorageFault> {
    let found = file.metadata().map_err(|error| fault_of(&error))?.len();
    // Known before memory is asked for.
    if offset.saturating_add(u64::from(length)) > found {
        return Err(StorageFault::Short);
    }
    let length = usize::try_from(length).map_err(|_| StorageFault::Unsupported)?;
    let mut bytes = alloc::vec![0; length];
    file.read_exact_at(&mut bytes, offset).map_err(|error| fault_of(&error))?;
    Ok(Bytes::from(bytes))
}
