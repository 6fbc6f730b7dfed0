use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{MemfdFlags, memfd_create};

/// The most files whose locks one mount keeps to itself.
const MAX_FILES: usize = 1024;

/// Locks that no other mount sees: those of a file are taken on an empty one in this process's memory.
#[derive(Debug, Default)]
pub(crate) struct LocalLocks {
    on: AtomicBool,
    /// By the number of the backing file.
    files: Mutex<BTreeMap<u64, File>>,
}

impl LocalLocks {
    /// For the files that are opened from now on.
    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Ordering::Release);
    }

    /// A descriptor of its own to lock instead of `file`; `None` while locks are shared.
    pub(crate) fn instead_of(&self, file: &File) -> io::Result<Option<File>> {
        if !self.on.load(Ordering::Acquire) {
            return Ok(None);
        }
        let number = file.metadata()?.ino();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let full = files.len() >= MAX_FILES;
        let stand_in = match files.entry(number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if full => return Err(io::Error::other("too many files with local locks")),
            Entry::Vacant(place) => place.insert(memfd_create("local locks", MemfdFlags::CLOEXEC)?.into()),
        };
        // Opened anew: locks belong to the open file description.
        let path = format!("/proc/self/fd/{}", stand_in.as_raw_fd());
        OpenOptions::new().read(true).write(true).open(path).map(Some)
    }
}
