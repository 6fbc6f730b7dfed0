//! A temporary datastore, and one driver on it whose completions are awaited one by one.
#![allow(dead_code, reason = "each test crate uses its part")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says why")]

use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use ha_core::operation::{LockOutcome, LookOutcome, ReadReply};
use ha_core::{
    Capability, DatastoreId, FileKind, FileName, HostId, Incarnation, Instant, MachineId, ReadFrom,
    StorageCompletion, StorageFault, StorageRequest, TokenMint, VmId, VmUuid,
};
use ha_datastore::fs::{CachedMount, FsStorage, Mount, boot_clock, layout};
use rustix::mount::{MountFlags, UnmountFlags};

pub(crate) const CLUSTER: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8-7-0badcafe-manager";
pub(crate) const DATASTORE: DatastoreId = DatastoreId::new(1);
pub(crate) const BLOCK: u64 = 4096;

/// A deadline that no test reaches.
pub(crate) const LATER: Instant = Instant::from_nanos(u64::MAX);

pub(crate) const fn heartbeat(host: u32) -> FileKind {
    FileKind::Heartbeat(HostId::new(host))
}

pub(crate) const fn poweron(host: u32) -> FileKind {
    FileKind::Poweron(HostId::new(host))
}

pub(crate) fn vm(config: &str) -> VmId {
    VmId::new(VmUuid::from_bytes([7; 16]), DATASTORE, config).unwrap()
}

/// A directory of its own, removed with everything in it.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ha-datastore-{}-{number}", std::process::id()));
        // A crashed run of the same process id may have left one.
        fs::remove_dir_all(&path).ok();
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// With the files of two hosts, two blocks each.
    pub(crate) fn datastore() -> Self {
        let this = Self::new();
        let files = [
            (heartbeat(1), 2 * BLOCK),
            (heartbeat(2), 2 * BLOCK),
            (poweron(1), 2 * BLOCK),
            (FileKind::ProtectedList, 2 * BLOCK),
        ];
        layout::create(this.path(), CLUSTER, &files).unwrap();
        this
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn mount(&self) -> Mount {
        self.mount_as(DATASTORE)
    }

    pub(crate) fn mount_as(&self, id: DatastoreId) -> Mount {
        Mount {
            id,
            root: self.0.clone(),
            cluster_directory: CLUSTER.into(),
            capability: Capability::SAME_KERNEL,
        }
    }

    pub(crate) fn path_of(&self, kind: &FileKind) -> PathBuf {
        self.mount().path_of(kind)
    }

    /// A file on which `open` for reading waits for a writer, and the other way round: a stalled mount.
    pub(crate) fn make_fifo(&self, kind: &FileKind) -> PathBuf {
        let path = self.path_of(kind);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .unwrap();
        path
    }

    /// Puts a copy of the file in its place, under another inode.
    pub(crate) fn replace(&self, kind: &FileKind) {
        let path = self.path_of(kind);
        let copy = path.with_extension("copy");
        fs::copy(&path, &copy).unwrap();
        fs::rename(&copy, &path).unwrap();
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A file system in memory over a directory, taken away again with this.
pub(crate) struct Cover(PathBuf);

impl TempDir {
    /// Mounts a file system in memory over it; `None` where this user may not.
    pub(crate) fn cover(&self, kind: &str, options: &CStr) -> Option<Cover> {
        match rustix::mount::mount("none", self.path(), kind, MountFlags::empty(), options) {
            Ok(()) => Some(Cover(self.0.clone())),
            Err(errno) => {
                println!("skipped: this user may not mount a {kind}: {errno}");
                None
            }
        }
    }
}

impl Drop for Cover {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, UnmountFlags::DETACH).ok();
    }
}

/// One process's driver, as far as locks can tell: each has descriptors of its own.
pub(crate) struct Driver {
    pub(crate) storage: FsStorage,
    done: Receiver<StorageCompletion>,
    mint: TokenMint,
    datastore: DatastoreId,
}

impl Driver {
    pub(crate) fn start(mounts: Vec<impl Into<CachedMount>>) -> Self {
        let (deliver, done) = channel();
        let storage = FsStorage::start(mounts, move |completion| deliver.send(completion).unwrap_or(()));
        let machine = MachineId { host: HostId::new(1), incarnation: Incarnation::new(1), lane: 0 };
        Self { storage: storage.unwrap(), done, mint: TokenMint::new(machine), datastore: DATASTORE }
    }

    /// The datastore of the requests that follow.
    pub(crate) fn on(&mut self, datastore: DatastoreId) -> &mut Self {
        self.datastore = datastore;
        self
    }

    pub(crate) fn submit_write(&mut self, kind: &FileKind, offset: u64, bytes: &[u8], not_after: Instant) {
        let (token, _) = self.mint.issue();
        let bytes = Bytes::copy_from_slice(bytes);
        let file = self.name(kind);
        self.storage.submit(StorageRequest::Write { token, file, offset, bytes, not_after });
    }

    pub(crate) fn submit_read(&mut self, kind: &FileKind, offset: u64, length: u32) {
        let (token, _) = self.mint.issue();
        let file = self.name(kind);
        self.storage.submit(StorageRequest::Read { token, file, offset, length, from: ReadFrom::Anywhere });
    }

    pub(crate) fn submit_lock(&mut self, kind: &FileKind, not_after: Instant) {
        let (token, _) = self.mint.issue();
        let file = self.name(kind);
        self.storage.submit(StorageRequest::Lock { token, file, not_after });
    }

    pub(crate) fn submit_look(&mut self, kind: &FileKind) {
        let (token, _) = self.mint.issue();
        let file = self.name(kind);
        self.storage.submit(StorageRequest::LookAtLock { token, file });
    }

    pub(crate) fn unlock(&mut self, kind: &FileKind) {
        let file = self.name(kind);
        self.storage.submit(StorageRequest::Unlock { file });
    }

    pub(crate) fn write(&mut self, kind: &FileKind, offset: u64, bytes: &[u8]) -> Result<(), StorageFault> {
        self.submit_write(kind, offset, bytes, LATER);
        self.written()
    }

    pub(crate) fn read(
        &mut self,
        kind: &FileKind,
        offset: u64,
        length: u32,
    ) -> Result<ReadReply, StorageFault> {
        self.submit_read(kind, offset, length);
        self.read_reply()
    }

    pub(crate) fn lock(&mut self, kind: &FileKind) -> LockOutcome {
        self.submit_lock(kind, LATER);
        self.locked()
    }

    pub(crate) fn look(&mut self, kind: &FileKind) -> LookOutcome {
        self.submit_look(kind);
        let completion = self.next();
        let StorageCompletion::LookAtLock(done) = &completion else {
            panic!("expected a look, not {completion:?}")
        };
        *done.outcome()
    }

    pub(crate) fn written(&mut self) -> Result<(), StorageFault> {
        let completion = self.next();
        let StorageCompletion::Write(done) = &completion else {
            panic!("expected a write, not {completion:?}")
        };
        *done.outcome()
    }

    pub(crate) fn read_reply(&mut self) -> Result<ReadReply, StorageFault> {
        let completion = self.next();
        let StorageCompletion::Read(done) = &completion else {
            panic!("expected a read, not {completion:?}")
        };
        done.outcome().clone()
    }

    pub(crate) fn locked(&mut self) -> LockOutcome {
        let completion = self.next();
        let StorageCompletion::Lock(done) = &completion else {
            panic!("expected a lock, not {completion:?}")
        };
        *done.outcome()
    }

    pub(crate) fn next(&mut self) -> StorageCompletion {
        self.done.recv_timeout(Duration::from_secs(10)).expect("a completion within 10 s")
    }

    pub(crate) fn nothing_comes(&mut self, within: Duration) -> bool {
        self.done.recv_timeout(within).is_err()
    }

    fn name(&self, kind: &FileKind) -> FileName {
        FileName::new(self.datastore, kind.clone())
    }
}

/// How long something took, in the driver's own clock.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = boot_clock();
    let result = work();
    (result, boot_clock().since(before))
}
