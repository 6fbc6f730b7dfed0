//! Reading what all hosts have written, and merging it.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use ha_core::operation::ReadReply;
use ha_core::record::{RecordFault, Sealed};
use ha_core::{FileKind, HostId, Identity, Instant, ReadFrom, StorageFault, Term};

use super::reads::{ReadOf, Wanted};
use super::{Event, Ownership, Stage, UnreadableList};
use crate::format::{
    HeadPart, HeadParts, ListFull, ListHead, ListMerge, ListPoint, ListRemains, ListState, ProtectedList,
    file_size,
};

/// From this size on, in bytes, a list is read only after a look at whether it was ever written.
const WORTH_A_LOOK: u64 = 1 << 20;

/// What the owner record said when the lock was granted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnerFound {
    /// The host that owned the datastore last, and its term, if that is known for sure.
    pub(super) last: Option<(HostId, Term)>,
    /// Whether nothing in it could be read.
    pub(super) lost: bool,
}

/// The lists of one attempt, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct Taking {
    owner: OwnerFound,
    merge: ListMerge,
    /// Under which terms they were written, and by whom.
    terms: Vec<(Term, Identity)>,
    /// Whether the list that the last owner wrote under its term counts. It has in it what could be read of all others.
    has_last: bool,
    /// Lists of which something may be lost, and up to where nothing is.
    damaged: BTreeMap<HostId, Option<ListPoint>>,
    /// What is left of the own list, if it is damaged; its pieces are merged.
    own: Option<ListRemains>,
    /// Whether the own list is in a newer format: it is no damage, and must not be overwritten.
    own_is_newer: bool,
}

impl Taking {
    fn add_whole(&mut self, host: HostId, list: Sealed<ProtectedList>) {
        self.has_last |=
            self.owner.last.is_some_and(|(last, term)| last == host && list.content.term >= term);
        self.terms.push((list.content.term, list.writer));
        self.merge.add(list.content);
    }

    fn add_remains(&mut self, remains: &mut ListRemains) {
        self.terms.append(&mut remains.terms);
        core::mem::take(&mut remains.pieces).into_iter().for_each(|piece| self.merge.add(piece));
    }

    /// The hosts whose changes may be missing. Whoever owned last has merged the others' lists, and told what it could
    /// not read of them.
    fn missing(&self) -> Vec<(HostId, Option<ListPoint>)> {
        let is_covered =
            |host: &HostId| self.has_last && self.owner.last.is_some_and(|(last, _)| last != *host);
        let damaged = self.damaged.iter().filter(|(host, _)| !is_covered(host));
        damaged.map(|(host, known)| (*host, *known)).collect()
    }
}

impl Ownership {
    /// Begins to read the lists; those that are long only if they were ever written.
    pub(super) fn read_lists(&mut self, now: Instant, owner: OwnerFound) {
        self.unread.clear();
        let length = file_size(&FileKind::ProtectedListOf(self.config.identity.host), &self.config.geometry);
        if length >= WORTH_A_LOOK {
            self.stage = Stage::ReadingHeads { asked: now, owner, heads: BTreeMap::new() };
            self.want_heads(ReadFrom::Durable);
            return;
        }
        self.read_whole_lists(now, owner, self.hosts().into_iter().collect());
    }

    /// The parts of every host's list that tell whether it was ever written.
    pub(super) fn want_heads(&mut self, from: ReadFrom) {
        let geometry = self.config.geometry;
        let wanted = |host| {
            let place = move |part: HeadPart| part.place(&geometry).map(|place| (part, place));
            HeadPart::ALL.into_iter().filter_map(place).map(move |(part, (offset, length))| Wanted {
                of: ReadOf::Head(host, part),
                kind: FileKind::ProtectedListOf(host),
                offset,
                length,
                from,
            })
        };
        self.want(self.hosts().into_iter().flat_map(wanted).collect());
    }

    pub(super) fn head_read(
        &mut self,
        now: Instant,
        outcome: Result<ReadReply, StorageFault>,
        of: (HostId, HeadPart),
    ) {
        let Stage::ReadingHeads { asked, owner, heads } = &mut self.stage else { return };
        *asked = now;
        let (host, part) = of;
        // What could not be read is missing, so the whole list is read, and its fault is told.
        let head = heads.entry(host).or_default();
        if let Ok(reply) = outcome {
            head.take(part, &reply.bytes, self.config.identity.cluster, host);
        }
        let owner = *owner;
        if !self.has_read_all() {
            return;
        }
        let Stage::ReadingHeads { heads, .. } = &mut self.stage else { return };
        let heads = core::mem::take(heads);
        let is_written =
            |host: &HostId| heads.get(host).copied().map(HeadParts::judge) != Some(ListHead::NeverWritten);
        let written: VecDeque<HostId> = self.hosts().into_iter().filter(is_written).collect();
        let own = self.config.identity.host;
        let own_is_written = written.contains(&own);
        self.read_whole_lists(now, owner, written);
        if !own_is_written {
            self.list_found(own, ListState::NeverWritten, &[]);
        }
        if self.has_read_all() {
            self.merge(now);
        }
    }

    fn read_whole_lists(&mut self, now: Instant, owner: OwnerFound, hosts: VecDeque<HostId>) {
        self.stage =
            Stage::ReadingLists { asked: now, taking: Box::new(Taking { owner, ..Taking::default() }) };
        let wanted = |host| {
            let kind = FileKind::ProtectedListOf(host);
            let length = u32::try_from(file_size(&kind, &self.config.geometry)).unwrap_or(u32::MAX);
            Wanted { of: ReadOf::List(host), kind, offset: 0, length, from: ReadFrom::Durable }
        };
        let wanted = hosts.into_iter().map(wanted).collect();
        self.want(wanted);
    }

    pub(super) fn list_read(&mut self, now: Instant, host: HostId, outcome: Result<ReadReply, StorageFault>) {
        match outcome {
            Ok(reply) => {
                let Self { config, .. } = &self;
                let found =
                    ProtectedList::read(&reply.bytes, config.identity.cluster, host, &config.geometry);
                self.list_found(host, found, &reply.bytes);
            }
            // Without the own file nobody knows which of its slots and logs must not be touched.
            Err(fault) if host == self.config.identity.host => {
                return self.give_up(now, Event::Trouble { fault });
            }
            Err(fault) => {
                self.unreadable(host, UnreadableList::Fault(fault));
                if let Stage::ReadingLists { taking, .. } = &mut self.stage
                    && fault != StorageFault::Missing
                {
                    taking.damaged.insert(host, None);
                }
            }
        }
        // Storage that goes on answering has not stalled, however long all lists together take.
        if let Stage::ReadingLists { asked, taking } = &mut self.stage {
            *asked = now;
            let limit = usize::try_from(self.config.geometry.limits.vms_per_list).unwrap_or(usize::MAX);
            if taking.merge.len() > limit {
                let merged = core::mem::take(&mut taking.merge).finish();
                let bytes = merged.entries.values().map(crate::format::ListEntry::encoded_len).sum();
                return self.list_full(now, ListFull { entries: merged.entries.len(), bytes });
            }
        }
        if self.has_read_all() {
            self.merge(now);
        }
    }

    fn list_found(&mut self, host: HostId, found: ListState, file: &[u8]) {
        let own = host == self.config.identity.host;
        let recognized = if own { self.list.recognize(&found) } else { Ok(()) };
        let why = match (recognized, found) {
            (Err(why), _) => why,
            (Ok(()), ListState::NeverWritten) => return,
            (Ok(()), ListState::Valid { record } | ListState::Degraded { record, .. }) => {
                if let Stage::ReadingLists { taking, .. } = &mut self.stage {
                    taking.add_whole(host, record);
                }
                return;
            }
            (Ok(()), ListState::Outdated { lost, .. }) => UnreadableList::Outdated { lost },
            (Ok(()), ListState::BrokenLog { base, lost, found }) => {
                UnreadableList::BrokenLog { base, lost, found }
            }
            (Ok(()), ListState::Inconsistent { .. }) => UnreadableList::Inconsistent,
            (Ok(()), ListState::Corrupt { a, b }) => UnreadableList::Corrupt { a, b },
        };
        self.salvage(host, file, why);
        self.unreadable(host, why);
    }

    /// Takes in what can still be read of a list that does not count.
    fn salvage(&mut self, host: HostId, file: &[u8], why: UnreadableList) {
        let Identity { cluster, host: me, .. } = self.config.identity;
        let mut remains = ProtectedList::salvage(file, cluster, host, &self.config.geometry);
        let Stage::ReadingLists { taking, .. } = &mut self.stage else { return };
        taking.add_remains(&mut remains);
        let remembered = self.list.remembered().filter(|_| host == me);
        match remembered {
            Some(list) => taking.merge.add(list.clone()),
            // It never was durable, unless its host owned the datastore after it.
            None if remains.first_was_torn && taking.owner.last.is_none_or(|(last, _)| last != host) => {}
            None => {
                taking.damaged.insert(host, remains.known);
            }
        }
        if host == me {
            taking.own_is_newer = is_newer_format(why);
            taking.own = Some(remains);
        }
    }

    fn unreadable(&mut self, host: HostId, why: UnreadableList) {
        // A file that was never created holds nothing to wait for.
        if why != UnreadableList::Fault(StorageFault::Missing) {
            self.unread.insert(host);
        }
        if self.unread_told.insert(host) {
            self.event(Event::ListUnreadable { host, why });
        }
    }

    /// Whether to look again instead of going on without what could not be read. What it protects may stand nowhere
    /// else, and the own list would be overwritten. It is waited for as long as the look-again period is short.
    fn waits_for_lists(&mut self, now: Instant) -> bool {
        let unread = core::mem::take(&mut self.unread);
        if unread.is_empty() {
            self.unread_since = None;
            return false;
        }
        let since = *self.unread_since.get_or_insert(now);
        let is_newer = matches!(&self.stage, Stage::ReadingLists { taking, .. } if taking.own_is_newer);
        is_newer || now.since(since) < self.config.timing.look_again_fast_for
    }

    fn merge(&mut self, now: Instant) {
        if self.waits_for_lists(now) {
            self.let_go();
            let at = self.next_look(now, self.unread_since.unwrap_or(now));
            self.stage = if self.is_wanted() { Stage::LookAgain { at, since: now } } else { Stage::Idle };
            return;
        }
        let Stage::ReadingLists { taking, .. } = &mut self.stage else { return };
        let taking = core::mem::take(taking);
        if self.is_outdated_by(taking.terms.iter().copied()) {
            return;
        }
        for (host, known) in taking.missing() {
            if self.missing_told.insert(host) {
                self.event(Event::ChangesMayBeMissing { host, known });
            }
        }
        if taking.owner.lost {
            self.owner_counter = self.owner_counter.max(taking.merge.version());
        }
        if let Some(remains) = &taking.own {
            self.list.rebuild(remains);
        }
        self.list.adopt(taking.merge.finish());
        self.write_list(now);
    }
}

/// Whether a slot is not damaged but written by a newer program.
const fn is_newer_format(why: UnreadableList) -> bool {
    let UnreadableList::Corrupt { a, b } = why else { return false };
    matches!(a, RecordFault::NewerVersion { .. }) || matches!(b, RecordFault::NewerVersion { .. })
}
