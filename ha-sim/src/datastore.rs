use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use ha_core::{FileIdentity, FileName, HolderId, HostId, StorageFault};

/// Who holds a lock: one life of an agent, or a holder process on a host. Both end with their host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Locker {
    Agent(HostId),
    Holder(HostId, HolderId),
}

impl Locker {
    const fn host(self) -> HostId {
        match self {
            Self::Agent(host) | Self::Holder(host, _) => host,
        }
    }
}

/// Files of fixed size and their locks, on storage that never fails.
#[derive(Debug)]
pub(crate) struct Datastore {
    locks_bind: bool,
    files: BTreeMap<FileName, Vec<u8>>,
    /// The number of each file. A path that is made anew names another file.
    numbers: BTreeMap<FileName, u64>,
    numbered: u64,
    locks: BTreeMap<FileName, Locker>,
}

impl Datastore {
    pub(crate) const fn new(locks_bind: bool) -> Self {
        Self {
            locks_bind,
            files: BTreeMap::new(),
            numbers: BTreeMap::new(),
            numbered: 0,
            locks: BTreeMap::new(),
        }
    }

    pub(crate) fn create(&mut self, file: FileName, size: usize) {
        if !self.files.contains_key(&file) {
            self.put(file, &vec![0; size]);
        }
    }

    pub(crate) fn put(&mut self, file: FileName, bytes: &[u8]) {
        self.numbered += 1;
        self.numbers.insert(file.clone(), self.numbered);
        self.files.insert(file, bytes.to_vec());
    }

    pub(crate) fn identity(&self, file: &FileName) -> Option<FileIdentity> {
        self.numbers.get(file).copied().and_then(FileIdentity::new)
    }

    pub(crate) fn write(&mut self, file: &FileName, offset: u64, bytes: &[u8]) -> Result<(), StorageFault> {
        let content = self.files.get_mut(file).ok_or(StorageFault::Missing)?;
        let start = usize::try_from(offset).map_err(|_| StorageFault::Short)?;
        let area = content.get_mut(start..start + bytes.len()).ok_or(StorageFault::Short)?;
        area.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn read(&self, file: &FileName, offset: u64, length: u32) -> Result<Bytes, StorageFault> {
        let content = self.files.get(file).ok_or(StorageFault::Missing)?;
        let start = usize::try_from(offset).map_err(|_| StorageFault::Short)?;
        let area = content.get(start..start + length as usize).ok_or(StorageFault::Short)?;
        Ok(Bytes::copy_from_slice(area))
    }

    /// Whether `locker` has the lock now.
    pub(crate) fn lock(&mut self, file: &FileName, locker: Locker) -> bool {
        if !self.locks_bind && matches!(locker, Locker::Holder(..)) {
            return true;
        }
        *self.locks.entry(file.clone()).or_insert(locker) == locker
    }

    pub(crate) fn unlock(&mut self, file: &FileName, locker: Locker) {
        if self.locks.get(file) == Some(&locker) {
            self.locks.remove(file);
        }
    }

    pub(crate) fn is_locked(&self, file: &FileName) -> bool {
        self.locks.contains_key(file)
    }

    pub(crate) fn release(&mut self, locker: Locker) {
        self.locks.retain(|_, holder| *holder != locker);
    }

    pub(crate) fn release_host(&mut self, host: HostId) {
        self.locks.retain(|_, holder| holder.host() != host);
    }
}
