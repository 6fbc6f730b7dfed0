//! From the claim to the first owner record.

use alloc::vec::Vec;

use ha_core::operation::{LockOutcome, ReadReply};
use ha_core::record::{PairState, Sealed};
use ha_core::{
    FileKind, FileName, HostId, Identity, Instant, ReadFrom, Round, StorageFault, StorageRequest, Term,
};

use super::{Claim, Event, Ownership, ReadOf, Stage, UnreadableList};
use crate::format::{ListOwnerRecord, ListState, OwnerState, ProtectedList, file_size, merge};

impl Ownership {
    /// Begins to take the datastore if that is wanted and nothing of an earlier attempt is out.
    pub(super) fn begin(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Idle) || !self.is_wanted() {
            return;
        }
        self.held_told = false;
        self.unread_since = None;
        self.unread_told.clear();
        if self.is_quiet() {
            self.approach(now, now);
        } else {
            self.stage = Stage::LookAgain { at: now, since: now };
        }
    }

    /// Tries the lock, after a look at who owns the list if the try itself could do harm.
    pub(super) fn approach(&mut self, now: Instant, since: Instant) {
        if self.cautious {
            self.read(ReadOf::Peek, FileKind::ProtectedList, ListOwnerRecord::FILE);
            self.stage = Stage::Peeking { since };
        } else {
            self.lock(now, since);
        }
    }

    /// Whether the owner's lock may be tried: it has none any more, or its end is known.
    fn peeked(&mut self, now: Instant, outcome: Result<ReadReply, StorageFault>) {
        let Stage::Peeking { since } = self.stage else { return };
        if !self.is_wanted() {
            self.stage = Stage::Idle;
            return;
        }
        let owner = match outcome {
            Err(fault) => {
                self.event(Event::Trouble { fault });
                self.stage = Stage::LookAgain { at: self.next_look(now, since), since };
                return;
            }
            Ok(reply) => ListOwnerRecord::read(&reply.bytes, self.config.identity.cluster),
        };
        let unproven = match owner {
            PairState::NeverWritten => None,
            PairState::Valid { record } | PairState::Degraded { record, .. } => Some(record)
                .filter(|record| record.content.state == OwnerState::Owned)
                .and_then(|record| self.unproven([record.writer])),
            // Which of them owned it last, nobody knows; a late write of the one may lie over one of the other.
            PairState::Inconsistent { a, b } => self.unproven([a.writer, b.writer]),
            PairState::Corrupt { a, b } => {
                self.event(Event::OwnerUnreadable { a, b });
                self.stage = Stage::LookAgain { at: now.after(self.config.timing.look_again_slow), since };
                return;
            }
        };
        match unproven {
            None => self.lock(now, since),
            Some(host) => {
                if !core::mem::replace(&mut self.held_told, true) {
                    self.event(Event::OwnerUnproven { host });
                }
                self.stage = Stage::LookAgain { at: now.after(self.config.timing.look_again_slow), since };
            }
        }
    }

    /// The first of these writers that is another host and whose end is not known.
    fn unproven(&self, writers: impl IntoIterator<Item = Identity>) -> Option<HostId> {
        let is_proven = |writer: &Identity| {
            writer.host == self.config.identity.host
                || self.ended.get(&writer.host).is_some_and(|ended| writer.incarnation <= *ended)
        };
        writers.into_iter().find(|writer| !is_proven(writer)).map(|writer| writer.host)
    }

    pub(super) fn lock(&mut self, now: Instant, since: Instant) {
        let (token, request) = self.mint.issue();
        let not_after = now.after(self.config.timing.storage_stall_max);
        self.request(StorageRequest::Lock { token, file: self.owner.file().clone(), not_after });
        self.stage = Stage::Locking { request, since, void: false };
    }

    pub(super) fn locked(&mut self, now: Instant, since: Instant, void: bool, outcome: LockOutcome) {
        if outcome == LockOutcome::Held {
            // Somebody else owns it meanwhile: what was waited for before says nothing of the lists after that.
            self.unread_since = None;
        }
        match outcome {
            // What was asked for may no longer be wanted, or may be gone again.
            LockOutcome::Granted if void || !self.is_wanted() => self.let_go(),
            LockOutcome::Granted => return self.read_owner(now),
            LockOutcome::Held if !self.held_told => {
                self.held_told = true;
                self.event(Event::LockHeld);
            }
            LockOutcome::Held => {}
            LockOutcome::Expired => self.event(Event::Trouble { fault: StorageFault::Expired }),
            LockOutcome::Fault(fault) => self.event(Event::Trouble { fault }),
        }
        if self.is_wanted() {
            self.stage = Stage::LookAgain { at: self.next_look(now, since), since };
        } else {
            self.stage = Stage::Idle;
        }
    }

    fn next_look(&self, now: Instant, since: Instant) -> Instant {
        let timing = &self.config.timing;
        let fast = now.since(since) < timing.look_again_fast_for;
        now.after(if fast { timing.look_again } else { timing.look_again_slow })
    }

    fn read_owner(&mut self, now: Instant) {
        let length = ListOwnerRecord::FILE;
        self.read(ReadOf::Owner, FileKind::ProtectedList, length);
        self.stage = Stage::ReadingOwner { asked: now };
    }

    fn read(&mut self, of: ReadOf, kind: FileKind, length: u32) {
        let (token, request) = self.mint.issue();
        self.reads.insert(request, of);
        let file = FileName::new(self.config.datastore, kind);
        let from = match of {
            ReadOf::Peek => ReadFrom::Anywhere,
            // What stands there is what the next record is written over.
            ReadOf::Owner | ReadOf::List(_) => ReadFrom::Durable,
        };
        self.request(StorageRequest::Read { token, file, offset: 0, length, from });
    }

    /// An answer to a read of this attempt, or of one that was given up.
    pub(super) fn on_read(&mut self, now: Instant, of: ReadOf, outcome: Result<ReadReply, StorageFault>) {
        match (&self.stage, of) {
            (Stage::Peeking { .. }, ReadOf::Peek) => self.peeked(now, outcome),
            (Stage::ReadingOwner { .. }, ReadOf::Owner) => self.owner_read(now, outcome),
            (Stage::ReadingLists { .. }, ReadOf::List(host)) => self.list_read(now, host, outcome),
            (
                Stage::Idle
                | Stage::LookAgain { .. }
                | Stage::Peeking { .. }
                | Stage::Locking { .. }
                | Stage::ReadingOwner { .. }
                | Stage::ReadingLists { .. }
                | Stage::WritingList { .. }
                | Stage::WritingOwner { .. }
                | Stage::Owned { .. }
                | Stage::Releasing { .. },
                ReadOf::Peek | ReadOf::Owner | ReadOf::List(_),
            ) => {}
        }
    }

    fn owner_read(&mut self, now: Instant, outcome: Result<ReadReply, StorageFault>) {
        let reply = match outcome {
            Ok(reply) => reply,
            Err(fault) => return self.give_up(now, Event::Trouble { fault }),
        };
        let found = ListOwnerRecord::read(&reply.bytes, self.config.identity.cluster);
        self.owner_generation.adopt(found.next_generation());
        let records = match found {
            PairState::NeverWritten => Vec::new(),
            PairState::Valid { record } | PairState::Degraded { record, .. } => Vec::from([record]),
            PairState::Inconsistent { a, b } => Vec::from([a, b]),
            PairState::Corrupt { a, b } => {
                self.event(Event::OwnerUnreadable { a, b });
                Vec::new()
            }
        };
        let counter = records.iter().map(|record| record.content.counter).max();
        self.owner_counter = self.owner_counter.max(counter.unwrap_or(0));
        if self.is_outdated_by(records.iter().map(|record| (record.content.term, record.writer))) {
            return;
        }
        self.stage = Stage::ReadingLists { asked: now, lists: Vec::new() };
        self.unread.clear();
        for host in self.hosts() {
            let kind = FileKind::ProtectedListOf(host);
            let length = u32::try_from(file_size(&kind, &self.config.geometry)).unwrap_or(u32::MAX);
            self.read(ReadOf::List(host), kind, length);
        }
    }

    fn list_read(&mut self, now: Instant, host: HostId, outcome: Result<ReadReply, StorageFault>) {
        let own = host == self.config.identity.host;
        let reply = match outcome {
            Ok(reply) => Some(reply),
            // Without the own file nobody knows which of its slots and logs must not be touched.
            Err(fault) if own => return self.give_up(now, Event::Trouble { fault }),
            Err(fault) => {
                self.unreadable(host, UnreadableList::Fault(fault));
                None
            }
        };
        if let Some(reply) = reply {
            let cluster = self.config.identity.cluster;
            let found = ProtectedList::read(&reply.bytes, cluster, host, &self.config.geometry);
            let recognized = if own { self.list.recognize(&found) } else { Ok(()) };
            match recognized {
                Ok(()) => self.collect(host, found),
                Err(why) => self.unreadable(host, why),
            }
        }
        if self.reads.is_empty() {
            return self.merge(now);
        }
        // Storage that goes on answering has not stalled, however long all lists together take.
        if let Stage::ReadingLists { asked, .. } = &mut self.stage {
            *asked = now;
        }
    }

    fn collect(&mut self, host: HostId, found: ListState) {
        let why = match found {
            ListState::NeverWritten => return,
            ListState::Valid { record } | ListState::Degraded { record, .. } => {
                return self.keep_list(record);
            }
            // It is waited for like one that cannot be read; if nothing better comes, it is what there is.
            ListState::Outdated { record, lost } => {
                self.keep_list(record);
                UnreadableList::Outdated { lost }
            }
            ListState::BrokenLog { base, lost, found } => UnreadableList::BrokenLog { base, lost, found },
            ListState::Inconsistent { .. } => UnreadableList::Inconsistent,
            ListState::Corrupt { a, b } => UnreadableList::Corrupt { a, b },
        };
        self.unreadable(host, why);
    }

    fn keep_list(&mut self, list: Sealed<ProtectedList>) {
        if let Stage::ReadingLists { lists, .. } = &mut self.stage {
            lists.push(list);
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

    /// Whether to look again instead of going on without the lists that could not be read. What they protect may
    /// stand nowhere else. The own list is waited for as long as it takes, because it would be overwritten; the
    /// others for as long as the look-again period is short.
    fn waits_for_lists(&mut self, now: Instant) -> bool {
        let unread = core::mem::take(&mut self.unread);
        if unread.is_empty() {
            self.unread_since = None;
            return false;
        }
        let since = *self.unread_since.get_or_insert(now);
        unread.contains(&self.config.identity.host)
            || now.since(since) < self.config.timing.look_again_fast_for
    }

    fn merge(&mut self, now: Instant) {
        if self.waits_for_lists(now) {
            self.let_go();
            let at = self.next_look(now, self.unread_since.unwrap_or(now));
            self.stage = if self.is_wanted() { Stage::LookAgain { at, since: now } } else { Stage::Idle };
            return;
        }
        let Stage::ReadingLists { lists, .. } = &mut self.stage else { return };
        let lists = core::mem::take(lists);
        if self.is_outdated_by(lists.iter().map(|list| (list.content.term, list.writer))) {
            return;
        }
        self.list.adopt(merge(lists.into_iter().map(|list| list.content)));
        self.write_list(now);
    }

    /// Writes the list under the claimed term, then the owner record.
    pub(super) fn write_list(&mut self, now: Instant) {
        let Some(Claim { term, .. }) = self.claim else { return self.unlock_to_idle() };
        match self.list.write_snapshot(now, &mut self.mint, term) {
            Ok(request) => {
                self.request(request);
                self.stage = Stage::WritingList { term };
            }
            Err(full) => self.give_up(now, Event::MergedListFull(full)),
        }
    }

    /// Whether the datastore knows a term that the claim does not exceed. It then waits for a higher claim.
    ///
    /// The claimed term itself may be found: this host, or another of the same master's, wrote it. If an earlier
    /// life of this host did, it was another reign, and no term may repeat.
    fn is_outdated_by(&mut self, found: impl Iterator<Item = (Term, Identity)>) -> bool {
        let Some(claim) = &mut self.claim else { return false };
        let me = self.config.identity;
        let own = |term: Term, writer: Identity| {
            let earlier_life = writer.host == me.host && writer.incarnation < me.incarnation;
            term == claim.term && !earlier_life
        };
        let highest: Option<Round> = found
            .filter(|(term, writer)| !own(*term, *writer) && term.round >= claim.term.round)
            .map(|(term, _)| term.round)
            .max();
        let Some(round) = highest else { return false };
        claim.outdated = true;
        self.event(Event::RoundSeen { round });
        self.unlock_to_idle();
        true
    }

    /// Ends an attempt that had the lock but nothing to lose yet.
    pub(super) fn give_up(&mut self, now: Instant, why: Event) {
        self.event(why);
        self.let_go();
        let at = now.after(self.config.timing.look_again);
        self.stage = if self.is_wanted() { Stage::LookAgain { at, since: now } } else { Stage::Idle };
    }

    /// Lets go of a lock that nothing was begun with, or that is no longer wanted.
    pub(super) fn unlock_to_idle(&mut self) {
        self.let_go();
        self.stage = Stage::Idle;
    }
}
