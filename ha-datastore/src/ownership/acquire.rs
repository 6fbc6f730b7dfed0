//! From the claim to the first owner record.

use core::time::Duration;

use alloc::vec::Vec;

use ha_core::operation::{LockOutcome, ReadReply};
use ha_core::record::{PairState, RecordFault};
use ha_core::{FileKind, Identity, Instant, ReadFrom, Round, StorageFault, StorageRequest, Term};

use super::lists::OwnerFound;
use super::reads::{ReadOf, Wanted};
use super::{Claim, Event, Ownership, Stage};
use crate::format::{ListFull, ListOwnerRecord, OwnerDamage};

impl Ownership {
    /// No look follows another sooner, whatever the configuration says.
    pub(super) const SHORTEST_LOOK: Duration = Duration::from_millis(1);

    /// Begins to take the datastore if that is wanted and nothing of an earlier attempt is out.
    pub(super) fn begin(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Idle) || !self.is_wanted() {
            return;
        }
        self.held_told = false;
        self.full_told = false;
        self.unread_since = None;
        self.trouble_since = None;
        self.damage_told = None;
        self.heads_not_before = None;
        self.unread_told.clear();
        self.missing_told.clear();
        self.unproven_told.clear();
        if self.is_quiet() {
            self.approach(now, now);
        } else {
            self.stage = Stage::LookAgain { at: now, since: now };
        }
    }

    /// Tries the lock, after a look at who owns the list if the try itself could do harm.
    pub(super) fn approach(&mut self, now: Instant, since: Instant) {
        if self.cautious {
            self.read_owner_file(ReadOf::Peek, ReadFrom::Anywhere);
            self.stage = Stage::Peeking { since, asked: now };
        } else {
            self.lock(now, since);
        }
    }

    pub(super) fn lock(&mut self, now: Instant, since: Instant) {
        let (token, request) = self.mint.issue();
        let not_after = now.after(self.config.timing.storage_stall_max);
        self.request(StorageRequest::Lock { token, file: self.owner.file().clone(), not_after });
        self.stage = Stage::Locking { request, since, asked: Some(now), void: false };
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

    pub(super) fn next_look(&self, now: Instant, since: Instant) -> Instant {
        let timing = &self.config.timing;
        let fast = now.since(since) < timing.look_again_fast_for;
        let period = if fast { timing.look_again } else { timing.look_again_slow };
        now.after(period.max(Self::SHORTEST_LOOK))
    }

    fn read_owner(&mut self, now: Instant) {
        // What stands there is what the next record is written over.
        self.read_owner_file(ReadOf::Owner, ReadFrom::Durable);
        self.stage = Stage::ReadingOwner { asked: now };
    }

    fn read_owner_file(&mut self, of: ReadOf, from: ReadFrom) {
        let (kind, length) = (FileKind::ProtectedList, ListOwnerRecord::FILE);
        self.read(Wanted { of, kind, offset: 0, length, from });
    }

    /// An answer to a read of this attempt, or of one that was given up.
    pub(super) fn on_read(&mut self, now: Instant, of: ReadOf, outcome: Result<ReadReply, StorageFault>) {
        match (&self.stage, of) {
            (Stage::Peeking { .. }, ReadOf::Peek) => self.peeked(now, outcome),
            (Stage::Proving { .. }, ReadOf::Head(host, part)) => {
                self.read_on();
                self.owner_head_read(now, outcome, (host, part));
            }
            (Stage::ReadingOwner { .. }, ReadOf::Owner) => self.owner_read(now, outcome),
            (Stage::ReadingHeads { .. }, ReadOf::Head(host, part)) => {
                self.read_on();
                self.head_read(now, outcome, (host, part));
            }
            (Stage::ReadingLists { .. }, ReadOf::List(host)) => {
                self.list_read(now, host, outcome);
                if matches!(self.stage, Stage::ReadingLists { .. }) {
                    self.read_on();
                }
            }
            (
                Stage::Idle
                | Stage::LookAgain { .. }
                | Stage::Peeking { .. }
                | Stage::Proving { .. }
                | Stage::Locking { .. }
                | Stage::ReadingOwner { .. }
                | Stage::ReadingHeads { .. }
                | Stage::ReadingLists { .. }
                | Stage::WritingList { .. }
                | Stage::WritingOwner { .. }
                | Stage::Owned { .. }
                | Stage::Releasing { .. },
                ReadOf::Peek | ReadOf::Owner | ReadOf::Head(..) | ReadOf::List(_),
            ) => {}
        }
    }

    fn owner_read(&mut self, now: Instant, outcome: Result<ReadReply, StorageFault>) {
        let reply = match outcome {
            Ok(reply) => reply,
            Err(fault) => return self.give_up(now, Event::Trouble { fault }),
        };
        let found = ListOwnerRecord::read(&reply.bytes, self.config.identity.cluster);
        let records = match &found {
            PairState::NeverWritten => Vec::new(),
            PairState::Valid { record } | PairState::Degraded { record, .. } => Vec::from([*record]),
            PairState::Inconsistent { a, b } => Vec::from([*a, *b]),
            PairState::Corrupt { a, b } => {
                self.owner_unreadable(OwnerDamage::of(&reply.bytes), *a, *b);
                Vec::new()
            }
        };
        let newest = records.iter().max_by_key(|record| record.generation);
        let by_me = newest.is_some_and(|record| record.writer.host == self.config.identity.host);
        self.owner_generation.adopt(found.next_generation(), by_me);
        let counter = records.iter().map(|record| record.content.counter).max();
        self.owner_counter = self.owner_counter.max(counter.unwrap_or(0));
        if self.is_outdated_by(records.iter().map(|record| (record.content.term, record.writer))) {
            return;
        }
        let owner = OwnerFound {
            last: match found {
                PairState::Valid { record } => Some((record.writer.host, record.content.term)),
                // The record before may have been another host's.
                PairState::NeverWritten
                | PairState::Degraded { .. }
                | PairState::Inconsistent { .. }
                | PairState::Corrupt { .. } => None,
            },
            lost: matches!(found, PairState::Corrupt { .. }),
        };
        self.read_lists(now, owner);
    }

    /// Tells it once for each content.
    pub(super) fn owner_unreadable(&mut self, damage: OwnerDamage, a: RecordFault, b: RecordFault) {
        if self.damage_told.replace(damage) != Some(damage) {
            self.heads_not_before = None;
            self.event(Event::OwnerUnreadable { damage, a, b });
        }
    }

    /// Writes the list under the claimed term, then the owner record.
    pub(super) fn write_list(&mut self, now: Instant) {
        let Some(Claim { term, .. }) = self.claim else { return self.unlock_to_idle() };
        match self.list.write_snapshot(now, &mut self.mint, term) {
            Ok(request) => {
                self.request(request);
                self.stage = Stage::WritingList { term };
            }
            Err(full) => self.list_full(now, full),
        }
    }

    /// The files must be made larger, so there is no hurry to read them all again.
    pub(super) fn list_full(&mut self, now: Instant, full: ListFull) {
        if !core::mem::replace(&mut self.full_told, true) {
            self.event(Event::MergedListFull(full));
        }
        self.let_go();
        let at = now.after(self.config.timing.look_again_slow.max(Self::SHORTEST_LOOK));
        self.stage = if self.is_wanted() { Stage::LookAgain { at, since: now } } else { Stage::Idle };
    }

    /// Whether the datastore knows a term that the claim does not exceed. It then waits for a higher claim.
    ///
    /// The claimed term itself may be found: this host, or another of the same master's, wrote it. If an earlier
    /// life of this host did, it was another reign, and no term may repeat.
    pub(super) fn is_outdated_by(&mut self, found: impl Iterator<Item = (Term, Identity)>) -> bool {
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

    /// Ends an attempt. What fails again and again is tried again slowly.
    pub(super) fn give_up(&mut self, now: Instant, why: Event) {
        self.event(why);
        self.let_go();
        let since = *self.trouble_since.get_or_insert(now);
        let at = self.next_look(now, since);
        self.stage = if self.is_wanted() { Stage::LookAgain { at, since: now } } else { Stage::Idle };
    }

    /// Lets go of a lock that nothing was begun with, or that is no longer wanted.
    pub(super) fn unlock_to_idle(&mut self) {
        self.let_go();
        self.stage = Stage::Idle;
    }
}
