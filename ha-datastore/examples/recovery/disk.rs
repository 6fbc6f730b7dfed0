use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ha_core::operation::{LockOutcome, ReadReply};
use ha_core::{FileName, Instant, StorageCompletion, StorageFault, StorageRequest};
use ha_datastore::format::{Geometry, file_size};

/// A datastore in memory whose power can fail in the middle of a write.
pub(crate) struct Disk {
    geometry: Geometry,
    files: BTreeMap<FileName, Vec<u8>>,
    locks: BTreeSet<FileName>,
    /// The power fails in the next write to this file, after so many bytes.
    fails_in: Option<(FileName, usize)>,
    has_power: bool,
}

impl Disk {
    pub(crate) fn new(geometry: Geometry) -> Self {
        let (files, locks) = (BTreeMap::new(), BTreeSet::new());
        Self { geometry, files, locks, fails_in: None, has_power: true }
    }

    /// The whole file; all zeros before the first write.
    pub(crate) fn file(&mut self, name: &FileName) -> &mut Vec<u8> {
        let size = usize::try_from(file_size(&name.kind, &self.geometry)).unwrap_or(0);
        self.files.entry(name.clone()).or_insert_with(|| vec![0; size])
    }

    pub(crate) fn fail_in_next_write(&mut self, name: &FileName, after: usize) {
        self.fails_in = Some((name.clone(), after));
    }

    pub(crate) const fn has_power(&self) -> bool {
        self.has_power
    }

    /// Power is back; with the processes, their locks have ended.
    pub(crate) fn power_on(&mut self) {
        self.has_power = true;
        self.locks.clear();
    }

    /// `None` without power: there is nobody left to be told.
    pub(crate) fn write(&mut self, name: &FileName, offset: u64, bytes: &[u8]) -> Option<()> {
        let cut = self.fails_in.take_if(|(file, _)| file == name).map(|(_, after)| after);
        let landed = bytes.get(..cut.unwrap_or(bytes.len()))?;
        let offset = usize::try_from(offset).ok()?;
        self.file(name).get_mut(offset..)?.get_mut(..landed.len())?.copy_from_slice(landed);
        self.has_power = cut.is_none();
        self.has_power.then_some(())
    }

    /// Carries a request out; `None` if there is no answer.
    pub(crate) fn serve(&mut self, now: Instant, request: StorageRequest) -> Option<StorageCompletion> {
        if !self.has_power {
            return None;
        }
        Some(match request {
            StorageRequest::Write { token, file, offset, bytes, .. } => {
                self.write(&file, offset, &bytes)?;
                StorageCompletion::Write(token.complete(Ok(())))
            }
            StorageRequest::Read { token, file, offset, length, .. } => {
                let reply = self.read(&file, offset, length, now).ok_or(StorageFault::Short);
                StorageCompletion::Read(token.complete(reply))
            }
            StorageRequest::Lock { token, file, .. } => {
                let granted = self.locks.insert(file);
                let outcome = if granted { LockOutcome::Granted } else { LockOutcome::Held };
                StorageCompletion::Lock(token.complete(outcome))
            }
            StorageRequest::Unlock { file } => {
                self.locks.remove(&file);
                return None;
            }
            // None of the machines here looks at others' locks.
            StorageRequest::LookAtLock { .. } => return None,
        })
    }

    fn read(&mut self, name: &FileName, offset: u64, length: u32, started: Instant) -> Option<ReadReply> {
        let (offset, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
        let bytes = Bytes::copy_from_slice(self.file(name).get(offset..)?.get(..length)?);
        Some(ReadReply { bytes, started })
    }
}
