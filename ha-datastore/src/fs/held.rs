use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ha_core::FileKind;

/// One lock that this process holds: the descriptor. Closing the last copy frees the lock.
///
/// A queued write has a copy of the pointer, so the lock outlives every write that was submitted under it.
#[derive(Debug)]
pub(super) struct HeldLock {
    pub(super) file: File,
    suspect: AtomicBool,
}

impl HeldLock {
    pub(super) fn new(file: File) -> Self {
        Self { file, suspect: AtomicBool::new(false) }
    }

    /// A call through the descriptor failed: the lock may be lost without the kernel saying so again.
    pub(super) fn suspect(&self) {
        self.suspect.store(true, Ordering::Release);
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Acquire)
    }
}

/// The locks held on one datastore. Only the locker changes them.
///
/// The map is never locked across a call that could stall. That includes `close`, so what leaves the map is
/// dropped in a statement of its own.
#[derive(Debug, Default)]
pub(super) struct HeldLocks(Mutex<BTreeMap<FileKind, Arc<HeldLock>>>);

impl HeldLocks {
    pub(super) fn get(&self, kind: &FileKind) -> Option<Arc<HeldLock>> {
        self.map().get(kind).cloned()
    }

    pub(super) fn keep(&self, kind: FileKind, file: File) {
        let replaced = self.map().insert(kind, Arc::new(HeldLock::new(file)));
        drop(replaced);
    }

    pub(super) fn let_go(&self, kind: &FileKind) {
        let lock = self.map().remove(kind);
        drop(lock);
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<FileKind, Arc<HeldLock>>> {
        // No code that holds the guard can leave the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
