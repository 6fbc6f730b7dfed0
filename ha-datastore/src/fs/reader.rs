use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use ha_core::operation::{Read, ReadReply};
use ha_core::{FileKind, ReadFrom, StorageCompletion, StorageFault, Token};
use rustix::fs::Advice;
use rustix::io::Errno;

use super::buffers::Buffers;
use super::caching::{Caching, read_direct};
use super::clock::boot_clock;
use super::fault::fault_of;
use super::lane::Job;
use super::mount::Mount;

/// So many bytes are asked for without a look at the file's length.
const LITTLE: usize = 64 * 1024;

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
    pub(super) fn perform(self, mount: &Mount, caching: Caching, buffers: &mut Buffers) -> StorageCompletion {
        let place = (self.offset, self.length);
        let outcome = read(&mount.path_of(&self.kind), place, self.from, caching, buffers);
        StorageCompletion::Read(self.token.complete(outcome))
    }
}

impl Job for ReadJob {
    fn decline(self, fault: StorageFault) -> Option<StorageCompletion> {
        Some(StorageCompletion::Read(self.token.complete(Err(fault))))
    }
}

/// Opens, reads exactly `length` bytes at `offset`, closes.
fn read(
    path: &Path,
    place: (u64, u32),
    from: ReadFrom,
    caching: Caching,
    buffers: &mut Buffers,
) -> Result<ReadReply, StorageFault> {
    let started = boot_clock();
    let file = caching.open_to_read(path).map_err(|errno| fault_of(&errno.into()))?;
    prepare(&file, from)?;
    let bytes = read_exact(&file, place, caching, buffers)?;
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
pub(super) fn read_exact(
    file: &File,
    (offset, length): (u64, u32),
    caching: Caching,
    buffers: &mut Buffers,
) -> Result<Bytes, StorageFault> {
    let length = usize::try_from(length).map_err(|_| StorageFault::Unsupported)?;
    // Known before much memory is asked for. For little it would be one call more in each poll.
    if length > LITTLE {
        let found = file.metadata().map_err(|error| fault_of(&error))?.len();
        if offset.saturating_add(length as u64) > found {
            return Err(StorageFault::Short);
        }
    }
    match caching {
        Caching::Kernel => buffers.filled(length, |bytes| fill(file, offset, bytes)),
        // Also a file that is too short.
        Caching::Direct => read_direct(file, offset, length).map_err(|error| fault_of(&error)),
    }
}

fn fill(file: &File, mut at: u64, mut rest: &mut [u8]) -> Result<(), StorageFault> {
    while !rest.is_empty() {
        // Not by std, whose calls are points of cancellation of threads: those cost as much as a poll has to spare.
        match rustix::io::pread(file, &mut *rest, at) {
            Ok(0) => return Err(StorageFault::Short),
            Ok(read) => {
                at = at.saturating_add(read as u64);
                rest = rest.get_mut(read..).unwrap_or_default();
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(fault_of(&errno.into())),
        }
    }
    Ok(())
}
