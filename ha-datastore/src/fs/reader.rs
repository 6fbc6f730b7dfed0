use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use ha_core::operation::{Read, ReadReply};
use ha_core::{FileKind, StorageCompletion, StorageFault, Token};

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
}

impl ReadJob {
    pub(super) fn perform(self, mount: &Mount) -> StorageCompletion {
        let outcome = read(&mount.path_of(&self.kind), self.offset, self.length);
        StorageCompletion::Read(self.token.complete(outcome))
    }
}

impl Job for ReadJob {
    fn decline(self, fault: StorageFault) -> Option<StorageCompletion> {
        Some(StorageCompletion::Read(self.token.complete(Err(fault))))
    }
}

/// Opens, reads exactly `length` bytes at `offset`, closes.
fn read(path: &Path, offset: u64, length: u32) -> Result<ReadReply, StorageFault> {
    let started = boot_clock();
    let file = File::open(path).map_err(|error| fault_of(&error))?;
    let bytes = read_exact(&file, offset, length)?;
    Ok(ReadReply { bytes, started })
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
