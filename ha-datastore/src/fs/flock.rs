//! `flock`, and whether a descriptor is still the file at a path.
//!
//! rustix's call is named outright: `File::try_lock` of std would do the same, but shadows methods of that name in
//! other crates (reliability 11).

use core::time::Duration;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// How often a lock is tried before it counts as held: a look by another host refuses one try (architecture 8).
pub(super) const TRIES: u8 = 3;

/// Between two tries; all of them lie within 20 ms.
pub(super) const TRY_GAP: Duration = Duration::from_millis(9);

/// Tries the exclusive lock once, without waiting. `false`: somebody holds it.
pub(super) fn try_exclusive(file: &File) -> io::Result<bool> {
    once(file, FlockOperation::NonBlockingLockExclusive)
}

/// Tries the shared lock once, without waiting, and gives it back at once. `false`: somebody holds the lock.
pub(super) fn try_look(file: &File) -> io::Result<bool> {
    let free = once(file, FlockOperation::NonBlockingLockShared)?;
    if free {
        rustix::fs::flock(file, FlockOperation::Unlock)?;
    }
    Ok(free)
}

/// Whether `file` is what now lies at `path`. A lock on a file that was replaced protects nothing.
pub(super) fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok((open.dev(), open.ino()) == (found.dev(), found.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn once(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match rustix::fs::flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
