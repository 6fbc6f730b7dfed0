//! The protected list of an owned datastore: its entries, and the changes on their way to disk.
//!
//! [`ProtectedListWriter`] belongs to an [`Ownership`](crate::Ownership), which alone decides when it may write:
//! acquiring a datastore and changing its list go to the same file, and two writers of one file could undo each
//! other. Changes are committed in groups: one write is out at a time, and what comes meanwhile goes with the next
//! one.
//!
//! # What is written when
//!
//! The first write of a right is a snapshot of the merged list, and so is the first under a higher term. From then
//! on each group of changes is appended to the log of that snapshot, as records. When the log has no room for a
//! group, or a snapshot would be no longer, the next generation of the snapshot is written instead, into the other
//! slot, and its own log begins, empty.
//!
//! # What must stay
//!
//! All that was ever reported durable stands in the newest snapshot known to be durable and in its log, and both
//! lie in the half of the file that the next generation does not use. So a snapshot that is cut short costs
//! nothing, and nothing of its log is written before it is durable.
//!
//! A write whose outcome is not known ends the right. If it was a snapshot, its generation is not used up: the
//! next right writes that generation again, to the same slot, whatever a read shows by then. If it was a group of
//! changes, its log is never continued: the next right writes the next generation, which does not touch it. Either
//! way that snapshot is read back before anything follows it.
//!
//! A new right begins with what the file says, which must not be less than this life has seen durable there.
//!
//! # What is read back
//!
//! A write that failed or is in doubt, and a snapshot that stands for a damaged file. The first snapshot of a right is
//! not: a read-back sees what a server's cache holds, so it finds no write that was acknowledged and is lost with the
//! server's power, which is how storage lies (reliability 7, F-ST-9). What it would find, a snapshot that lies torn or
//! elsewhere, costs nothing: it held a merge of other files, which still stand, and no change; and every change after
//! it stands in records that can be [salvaged](ProtectedList::salvage) without it. So 20 MB are not read at each
//! takeover. The price is paid by a snapshot in place of a full log, or of a list too short to have one: if storage
//! tears it and says that all is well, its changes are lost, unless this life goes on.
//!
//! # A damaged own file
//!
//! No write of this machine that is cut short leaves more than a damaged slot beside a whole one, a torn end of the log, or
//! a torn first snapshot in an otherwise empty file. Everything else (both slots, a record before the last, a whole newer
//! snapshot) is loss of what was durable. It is not waited for for ever: the list is merged from the other hosts' lists,
//! from what can still be read in the file, and from memory if this life has written it. The result goes to the slot
//! that holds nothing readable, above every generation that the file names, so that no old record can be taken for one of
//! its log; if a whole record of this very life in the other slot is not the one before it, that slot is written next,
//! before anything is owned.

mod change;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;
use ha_core::operation::{Read, ReadReply, Write};
use ha_core::{
    DatastoreId, FileKind, FileName, Identity, Instant, RequestId, StorageFault, StorageRequest, Term,
    TimingConfig, TokenMint, VmId, VmUuid,
};

pub use change::{ChangeId, ChangeRefused, ListChange};

use crate::file_writer::{FileWriter, NextGeneration, Step};
use crate::format::{
    Geometry, ListEntry, ListFull, ListLog, ListRemains, ListState, MergedList, ProtectedList, Protection,
};
use crate::ownership::UnreadableList;

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
    /// Of the next snapshot.
    generation: NextGeneration,
    /// Whether a write to the file was begun and never seen durable.
    in_doubt: bool,
    /// Whether the next snapshot is the first of two that stand for a damaged file.
    twice: bool,
    /// The version of the last list that this life has seen durable in the file.
    durable_version: Option<u64>,
    /// The log of the snapshot that is durable; `None` if the next write must be a snapshot.
    log: Option<ListLog>,
    /// What is out.
    out: Option<Out>,
    /// Changes in the list that no write has begun to carry, and the entries that they have changed.
    joining: Vec<ChangeId>,
    changed: BTreeSet<VmUuid>,
    /// Changes in the write that is out.
    carried: Vec<ChangeId>,
}

/// A write that is out, with the log as it will be once it is durable.
#[derive(Clone, Copy, Debug)]
enum Out {
    Snapshot(ListLog),
    Records(ListLog),
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
            in_doubt: false,
            twice: false,
            durable_version: None,
            log: None,
            out: None,
            joining: Vec::new(),
            changed: BTreeSet::new(),
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

    /// Takes in what the own file says: which generation comes next. A file that cannot be read says nothing.
    ///
    /// # Errors
    ///
    /// [`UnreadableList::Regressed`] if it says less than this life has seen durable there. Zeros in place of a
    /// log's last records look like its end, and nobody else can tell.
    pub(crate) fn recognize(&mut self, found: &ListState) -> Result<(), UnreadableList> {
        let version = match found {
            ListState::NeverWritten => None,
            ListState::Valid { record } | ListState::Degraded { record, .. } => Some(record.content.version),
            ListState::Outdated { .. }
            | ListState::BrokenLog { .. }
            | ListState::Inconsistent { .. }
            | ListState::Corrupt { .. } => return Ok(()),
        };
        match self.durable_version {
            Some(seen) if version < Some(seen) => Err(UnreadableList::Regressed { seen, found: version }),
            Some(_) | None => {
                // Nobody else writes the file, and a torn write can leave a record of an earlier life whole again.
                self.generation.adopt(found.next_generation(), true);
                Ok(())
            }
        }
    }

    /// The list as this life wrote it last, if it ever did: it has all that this life saw durable in the file.
    pub(crate) fn remembered(&self) -> Option<&ProtectedList> {
        self.durable_version.map(|_| &self.list)
    }

    /// Makes the next snapshot one that stands for a damaged file: it overwrites nothing that can still be read, and
    /// is read back. Where it does not follow what is there, it is written [twice](Self::take_second).
    pub(crate) fn rebuild(&mut self, remains: &ListRemains) {
        let newest = remains.newest;
        self.generation.rebuild(remains.highest, newest.map(|(_, generation)| generation.slot()));
        let next = self.generation.get();
        self.twice = newest.is_some_and(|(writer, generation)| {
            writer.incarnation >= self.identity.incarnation && next != generation.next()
        });
        self.in_doubt = true;
        self.log = None;
    }

    /// Whether the snapshot that is now durable must be written once more, over the record that it does not follow.
    pub(crate) const fn take_second(&mut self) -> bool {
        core::mem::replace(&mut self.twice, false)
    }

    /// Begins anew with what all lists say together. Nothing may be out.
    pub(crate) fn adopt(&mut self, merged: MergedList) {
        self.list.version = merged.version;
        self.list.entries = merged.entries;
        self.bytes = self.list.encoded_len();
    }

    /// Begins to write what has joined, to the log if there is one with room. The term is that of the snapshot.
    ///
    /// # Errors
    ///
    /// As [`Self::write_snapshot`].
    pub(crate) fn write_changes(
        &mut self,
        now: Instant,
        mint: &mut TokenMint,
        term: Term,
    ) -> Result<StorageRequest, ListFull> {
        let version = self.list.version.saturating_add(1);
        let entries = self.changed.iter().filter_map(|vm| self.list.entries.get(vm));
        let append = |log: &ListLog| log.append(&self.identity, &self.geometry, (term, version), entries);
        let Some(write) = self.log.as_ref().and_then(append) else {
            return self.write_snapshot(now, mint, term);
        };
        self.list.version = version;
        Ok(self.begin(now, mint, (write.offset, write.bytes), Out::Records(write.log)))
    }

    /// Begins to write the whole list under `term`, with every change that has joined.
    ///
    /// # Errors
    ///
    /// [`ListFull`] if the file has no room for it. Single changes are checked, so this is a merged list.
    pub(crate) fn write_snapshot(
        &mut self,
        now: Instant,
        mint: &mut TokenMint,
        term: Term,
    ) -> Result<StorageRequest, ListFull> {
        let (was_term, was_version) = (self.list.term, self.list.version);
        (self.list.term, self.list.version) = (term, was_version.saturating_add(1));
        let generation = self.generation.get();
        let sealed = self.list.seal_snapshot(&self.identity, generation, &self.geometry);
        let (bytes, sum) = sealed.inspect_err(|_| {
            (self.list.term, self.list.version) = (was_term, was_version);
        })?;
        self.generation.begun();
        let offset = ProtectedList::offset(generation, &self.geometry);
        Ok(self.begin(now, mint, (offset, bytes), Out::Snapshot(ListLog::new(generation, sum))))
    }

    fn begin(&mut self, now: Instant, mint: &mut TokenMint, bytes: (u64, Bytes), out: Out) -> StorageRequest {
        let verify = core::mem::replace(&mut self.in_doubt, true);
        self.out = Some(out);
        self.changed.clear();
        self.carried.append(&mut self.joining);
        self.file.begin(now, mint, bytes, verify)
    }

    /// Whether changes wait for the next write.
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

    /// What was out is durable: the changes it carried.
    pub(crate) fn durable(&mut self) -> Vec<ChangeId> {
        self.in_doubt = false;
        self.durable_version = Some(self.list.version);
        self.log = self.out.take().map(|out| match out {
            Out::Snapshot(log) => {
                self.generation.durable();
                log
            }
            Out::Records(log) => log,
        });
        core::mem::take(&mut self.carried)
    }

    /// Gives up every change that is not durable, and waits for nothing any more. The next write is a snapshot.
    pub(crate) fn forget(&mut self) -> Vec<ChangeId> {
        self.file.forget();
        self.twice = false;
        (self.log, self.out) = (None, None);
        self.changed.clear();
        let mut dropped = core::mem::take(&mut self.carried);
        dropped.append(&mut self.joining);
        dropped
    }

    /// Takes a change into the list; the next write carries it.
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
        self.changed.insert(entry.vm.uuid());
        self.list.entries.insert(entry.vm.uuid(), entry);
        Ok(())
    }
}
