use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{Errno, FileHandle};

use crate::locks;

/// The most files open at a time, well below a process's usual limit.
const MAX_OPEN: usize = 4096;

/// One open file of the mount.
#[derive(Debug)]
pub(crate) struct Handle {
    file: File,
    /// What is locked instead, where locks are not shared.
    stand_in: Option<File>,
    /// From the mount point, as it was when opened.
    pub(crate) path: String,
    dead: AtomicBool,
}

impl Handle {
    pub(crate) fn new(file: File, stand_in: Option<File>, path: &str) -> Self {
        Self { file, stand_in, path: path.into(), dead: AtomicBool::new(false) }
    }

    /// The backing file, unless the handle lost its lock and with it every right.
    pub(crate) fn file(&self) -> Result<&File, Errno> {
        if self.dead.load(Ordering::Acquire) { Err(Errno::EIO) } else { Ok(&self.file) }
    }

    /// The file whose locks are this handle's, unless it lost every right.
    pub(crate) fn lockable(&self) -> Result<&File, Errno> {
        self.file().map(|file| self.stand_in.as_ref().unwrap_or(file))
    }
}

/// The open files of one mount, by the number that the kernel knows them by.
#[derive(Debug, Default)]
pub(crate) struct Handles(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    last: u64,
    handles: BTreeMap<u64, Arc<Handle>>,
}

impl Handles {
    pub(crate) fn insert(&self, handle: Handle) -> Result<FileHandle, Errno> {
        let mut open = self.open();
        if open.handles.len() >= MAX_OPEN {
            return Err(Errno::EMFILE);
        }
        open.last += 1;
        let number = open.last;
        open.handles.insert(number, Arc::new(handle));
        Ok(FileHandle(number))
    }

    pub(crate) fn get(&self, number: FileHandle) -> Result<Arc<Handle>, Errno> {
        self.open().handles.get(&number.0).cloned().ok_or(Errno::EBADF)
    }

    pub(crate) fn remove(&self, number: FileHandle) {
        let handle = self.open().handles.remove(&number.0);
        // Outside the mutex: closing a file may wait for its disk.
        drop(handle);
    }

    /// Frees every lock of this mount, as a server does that has not heard of a client for too long.
    pub(crate) fn drop_locks(&self, old_handles_die: bool) {
        for handle in self.open().handles.values() {
            // Dead first, so that a lock asked for meanwhile does not survive.
            handle.dead.fetch_or(old_handles_die, Ordering::AcqRel);
            locks::free(handle.stand_in.as_ref().unwrap_or(&handle.file));
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
