//! The protected list of an owned datastore: its entries, and the changes on their way to disk.
//!
//! [`ProtectedListWriter`] belongs to an [`Ownership`](crate::Ownership), which alone decides when it may write:
//! acquiring a datastore and changing its list go to the same file, and two writers of one file could undo each
//! other. Changes are committed in groups: one snapshot is out at a time, and what comes meanwhile goes with the
//! next one.

use alloc::vec::Vec;

use ha_core::operation::{Read, ReadReply, Write};
use ha_core::{
    DatastoreId, FileKind, FileName, Identity, Instant, RequestId, StorageFault, StorageRequest, Term,
    TimingConfig, TokenMint, VmId, VmUuid,
};

use crate::file_writer::{FileWriter, NextGeneration, Step};
use crate::format::{Geometry, ListEntry, ListFull, MergedList, ProtectedList, Protection, RestartIntent};

/// The name of one change, chosen by the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId(pub u64);

/// One change of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListChange {
    /// Protect a virtual machine, or renew what is known of it. An open restart of it stays open unless the
    /// entry brings its own.
    Protect(ListEntry),
    /// Protect it no longer. Its restart, if one is open, is dropped; a tombstone stays.
    Unprotect {
        /// The virtual machine.
        vm: VmId,
        /// The manager's protection version.
        version: u64,
    },
    /// Open a restart, or change the open one.
    SetIntent {
        /// The virtual machine; it must be protected.
        vm: VmUuid,
        /// The restart.
        intent: RestartIntent,
    },
    /// Close the restart. Nothing to do if none is open, or if the machine is no longer protected.
    CloseIntent {
        /// The virtual machine.
        vm: VmUuid,
    },
}

/// A change that cannot be made. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// The list has no room for it.
    #[error(transparent)]
    Full(#[from] ListFull),
    /// The list knows a newer protection version of this machine.
    #[error("protection version {given} is older than {current}")]
    OldVersion {
        /// The given version.
        given: u64,
        /// The version in the list.
        current: u64,
    },
    /// The machine is not protected here.
    #[error("virtual machine {vm} is not protected here")]
    NotProtected {
        /// The virtual machine.
        vm: VmUuid,
    },
    /// The machine has another home.
    #[error("virtual machine {vm} lives on {home}")]
    WrongHome {
        /// The virtual machine.
        vm: VmUuid,
        /// Its home.
        home: DatastoreId,
    },
    /// More changes wait than the list may have entries.
    #[error("too many changes wait to be written")]
    Busy,
}

/// The list of one datastore and its file. See the [module](self).
#[derive(Debug)]
pub struct ProtectedListWriter {
    identity: Identity,
    home: DatastoreId,
    geometry: Geometry,
    list: ProtectedList,
    /// The entries' length on disk.
    bytes: usize,
    file: FileWriter,
    generation: NextGeneration,
    /// Changes in the list that no write has begun to carry.
    joining: Vec<ChangeId>,
    /// Changes in the snapshot that is out.
    carried: Vec<ChangeId>,
}

impl ProtectedListWriter {
    pub(crate) fn new(
        identity: Identity,
        home: DatastoreId,
        geometry: Geometry,
        timing: &TimingConfig,
        term: Term,
    ) -> Self {
        let name = FileName::new(home, FileKind::ProtectedListOf(identity.host));
        Self {
            identity,
            home,
            geometry,
            list: ProtectedList::new(term),
            bytes: 0,
            file: FileWriter::new(name, timing),
            generation: NextGeneration::new(),
            joining: Vec::new(),
            carried: Vec::new(),
        }
    }

    /// The list with every change that was taken in, durable or not yet.
    #[must_use]
    pub const fn list(&self) -> &ProtectedList {
        &self.list
    }

    /// The entries, tombstones included, by uuid.
    pub fn entries(&self) -> impl Iterator<Item = &ListEntry> {
        self.list.entries.values()
    }

    /// The entry of one virtual machine.
    #[must_use]
    pub fn entry(&self, vm: VmUuid) -> Option<&ListEntry> {
        self.list.entries.get(&vm)
    }

    pub(crate) const fn file(&self) -> &FileWriter {
        &self.file
    }

    pub(crate) const fn generation(&mut self) -> &mut NextGeneration {
        &mut self.generation
    }

    /// Begins anew with what all lists say together. Nothing may be out.
    pub(crate) fn adopt(&mut self, merged: MergedList) {
        self.list.version = merged.version;
        self.list.entries = merged.entries;
        self.bytes = self.list.encoded_len();
    }

    /// Begins to write the whole list under `term`, with every change that has joined.
    ///
    /// # Errors
    ///
    /// [`ListFull`] if the file has no room for it. Single changes are checked, so this is a merged list.
    pub(crate) fn commit(
        &mut self,
        now: Instant,
        mint: &mut TokenMint,
        term: Term,
    ) -> Result<StorageRequest, ListFull> {
        let (was_term, was_version) = (self.list.term, self.list.version);
        (self.list.term, self.list.version) = (term, was_version.saturating_add(1));
        let generation = self.generation.get();
        let sealed = self.list.seal(&self.identity, generation, &self.geometry).inspect_err(|_| {
            (self.list.term, self.list.version) = (was_term, was_version);
        })?;
        let verify = self.generation.is_in_doubt();
        self.generation.begun();
        self.carried.append(&mut self.joining);
        let slot = (ProtectedList::offset(generation, &self.geometry), sealed);
        Ok(self.file.begin(now, mint, slot, verify))
    }

    /// Whether changes wait for the next snapshot.
    pub(crate) const fn has_changes(&self) -> bool {
        !self.joining.is_empty()
    }

    pub(crate) fn on_written(
        &mut self,
        now: Instant,
        mint: &mut TokenMint,
        answered: RequestId<Write>,
        outcome: Result<(), StorageFault>,
    ) -> Option<Step> {
        self.file.on_written(now, mint, answered, outcome)
    }

    pub(crate) fn on_read(
        &mut self,
        now: Instant,
        answered: RequestId<Read>,
        outcome: Result<ReadReply, StorageFault>,
    ) -> Option<Step> {
        self.file.on_read(now, answered, outcome)
    }

    /// The snapshot is durable: the changes it carried.
    pub(crate) fn durable(&mut self) -> Vec<ChangeId> {
        self.generation.durable();
        core::mem::take(&mut self.carried)
    }

    /// Gives up every change that is not durable, and waits for nothing any more.
    pub(crate) fn forget(&mut self) -> Vec<ChangeId> {
        self.file.forget();
        let mut dropped = core::mem::take(&mut self.carried);
        dropped.append(&mut self.joining);
        dropped
    }

    /// Takes a change into the list; the next snapshot carries it.
    pub(crate) fn apply(&mut self, id: ChangeId, change: ListChange) -> Result<(), ChangeRefused> {
        let limit = usize::try_from(self.geometry.limits.vms_per_list).unwrap_or(usize::MAX);
        if self.joining.len() >= limit {
            return Err(ChangeRefused::Busy);
        }
        if let Some(entry) = self.changed(change)? {
            self.replace(entry)?;
        }
        self.joining.push(id);
        Ok(())
    }

    /// The entry as it will be; `None` if nothing changes.
    fn changed(&self, change: ListChange) -> Result<Option<ListEntry>, ChangeRefused> {
        let protected =
            |vm: VmUuid| self.entry(vm).filter(|entry| entry.protection == Protection::Protected).cloned();
        Ok(match change {
            ListChange::Protect(entry) => {
                self.check(&entry.vm, entry.version)?;
                let open = protected(entry.vm.uuid()).and_then(|known| known.intent);
                let intent = match entry.protection {
                    Protection::Protected => entry.intent.or(open),
                    Protection::Removed => None,
                };
                Some(ListEntry { intent, ..entry })
            }
            ListChange::Unprotect { vm, version } => {
                self.check(&vm, version)?;
                Some(ListEntry {
                    vm,
                    protection: Protection::Removed,
                    version,
                    priority: 0,
                    cpu_reservation_mhz: 0,
                    memory_overhead_mb: 0,
                    intent: None,
                })
            }
            ListChange::SetIntent { vm, intent } => {
                let entry = protected(vm).ok_or(ChangeRefused::NotProtected { vm })?;
                Some(ListEntry { intent: Some(intent), ..entry })
            }
            ListChange::CloseIntent { vm } => protected(vm).map(|entry| ListEntry { intent: None, ..entry }),
        })
    }

    fn check(&self, vm: &VmId, given: u64) -> Result<(), ChangeRefused> {
        if vm.home() != self.home {
            return Err(ChangeRefused::WrongHome { vm: vm.uuid(), home: vm.home() });
        }
        match self.entry(vm.uuid()) {
            Some(known) if known.version > given => {
                Err(ChangeRefused::OldVersion { given, current: known.version })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn replace(&mut self, entry: ListEntry) -> Result<(), ChangeRefused> {
        let known = self.entry(entry.vm.uuid());
        let entries = self.list.entries.len() + usize::from(known.is_none());
        let bytes = self.bytes - known.map_or(0, ListEntry::encoded_len) + entry.encoded_len();
        ProtectedList::check_room(entries, bytes, &self.geometry)?;
        self.bytes = bytes;
        self.list.entries.insert(entry.vm.uuid(), entry);
        Ok(())
    }
}
