//! From the first owner record to the end of the right.

use ha_core::{Instant, StorageRequest, Term};

use super::{Claim, Event, LostReason, Ownership, Stage};
use crate::file_writer::{Settled, Step};
use crate::format::{ListOwnerRecord, OwnerState};

impl Ownership {
    pub(super) fn list_stepped(&mut self, now: Instant, step: Step) {
        if let Some(request) = step.request {
            self.request(request);
        }
        match step.settled {
            Some(Settled::Durable { .. }) => {
                let mut ids = self.list.durable();
                self.untold.append(&mut ids);
                if let Stage::WritingList { term } = self.stage {
                    if self.list.take_second() {
                        return self.write_list(now);
                    }
                    self.write_owner(now, term, OwnerState::Owned);
                    self.stage = Stage::WritingOwner { term };
                }
                self.go_on(now);
            }
            Some(Settled::InDoubt { fault }) => self.end_right(now, LostReason::Fault(fault)),
            None => {}
        }
    }

    pub(super) fn owner_stepped(&mut self, now: Instant, step: Step) {
        if let Some(request) = step.request {
            self.request(request);
        }
        match (step.settled, &self.stage) {
            (None, _) => {}
            (Some(Settled::Durable { started }), _) => {
                self.owner_generation.durable();
                self.owner_durable(now, started);
            }
            (Some(Settled::InDoubt { .. }), Stage::Releasing { .. }) => self.released(false),
            (Some(Settled::InDoubt { fault }), _) => self.end_right(now, LostReason::Fault(fault)),
        }
    }

    fn owner_durable(&mut self, now: Instant, started: Instant) {
        match self.stage {
            Stage::WritingOwner { term } => {
                self.owner_beat = Some(started);
                let next_beat = started.after(self.config.timing.datastore_write_period);
                self.stage = Stage::Owned { term, next_beat };
                self.unread_since = None;
                self.trouble_since = None;
                self.full_told = false;
                self.damage_told = None;
                self.unread_told.clear();
                self.missing_told.clear();
                self.unproven_told.clear();
                if self.claimed() == Some(term) {
                    self.event(Event::Owned { term });
                }
            }
            Stage::Owned { .. } => self.owner_beat = Some(started),
            Stage::Releasing { sealing: true, .. } => return self.released(true),
            Stage::Releasing { sealing: false, .. }
            | Stage::Idle
            | Stage::LookAgain { .. }
            | Stage::Peeking { .. }
            | Stage::Proving { .. }
            | Stage::Locking { .. }
            | Stage::ReadingOwner { .. }
            | Stage::ReadingHeads { .. }
            | Stage::ReadingLists { .. }
            | Stage::WritingList { .. } => {}
        }
        self.go_on(now);
    }

    /// Does what an owner has to do next and nothing out forbids.
    pub(super) fn go_on(&mut self, now: Instant) {
        match self.stage {
            Stage::Owned { term, .. } => {
                let claimed = self.claimed();
                if claimed.is_some_and(|claimed| claimed > term) {
                    // The merged list goes out under the new term before anybody acts on it.
                    if self.owner.is_idle() && self.list.file().is_idle() {
                        self.write_list(now);
                    }
                    return;
                }
                if self.may_act(now) && !self.untold.is_empty() {
                    let ids = core::mem::take(&mut self.untold);
                    self.event(Event::Durable { ids });
                }
                if self.list.has_changes() && self.list.file().is_idle() {
                    match self.list.write_changes(now, &mut self.mint, term) {
                        Ok(request) => self.request(request),
                        Err(full) => self.list_full(now, full),
                    }
                }
            }
            Stage::Releasing { term, sealing: false } if self.owner.is_idle() => {
                self.write_owner(now, term, OwnerState::Released);
                self.stage = Stage::Releasing { term, sealing: true };
            }
            Stage::Releasing { .. }
            | Stage::Idle
            | Stage::LookAgain { .. }
            | Stage::Peeking { .. }
            | Stage::Proving { .. }
            | Stage::Locking { .. }
            | Stage::ReadingOwner { .. }
            | Stage::ReadingHeads { .. }
            | Stage::ReadingLists { .. }
            | Stage::WritingList { .. }
            | Stage::WritingOwner { .. } => {}
        }
    }

    /// Rewrites the owner record, if it is time.
    pub(super) fn beat(&mut self, now: Instant) {
        let Stage::Owned { term, ref mut next_beat } = self.stage else { return };
        if *next_beat <= now && self.owner.is_idle() {
            *next_beat = now.after(self.config.timing.datastore_write_period);
            self.write_owner(now, term, OwnerState::Owned);
        }
    }

    fn write_owner(&mut self, now: Instant, term: Term, state: OwnerState) {
        self.owner_counter = self.owner_counter.saturating_add(1);
        let record = ListOwnerRecord { term, counter: self.owner_counter, state };
        let generation = self.owner_generation.get();
        let verify = self.owner_generation.is_in_doubt();
        self.owner_generation.begun();
        let slot = (ListOwnerRecord::offset(generation), record.seal(&self.config.identity, generation));
        let request = self.owner.begin(now, &mut self.mint, slot, verify);
        self.request(request);
    }

    /// Ends the right, or the attempt at it, and begins again later if the claim stays.
    pub(super) fn end_right(&mut self, now: Instant, reason: LostReason) {
        let why = match (self.owner_beat, reason) {
            (Some(_), reason) => Event::RightLost { reason },
            (None, LostReason::Fault(fault)) => Event::Trouble { fault },
            (None, LostReason::Stalled) => Event::Stalled,
            (None, LostReason::Expired) => Event::RightLost { reason },
        };
        self.give_up(now, why);
    }

    /// Lets the lock go and waits for nothing more. What is not known to be durable is dropped.
    pub(super) fn let_go(&mut self) {
        self.request_unlock();
        self.waiting.clear();
        self.owner.forget();
        self.owner_beat = None;
        let mut ids = core::mem::take(&mut self.untold);
        ids.append(&mut self.list.forget());
        if !ids.is_empty() {
            self.event(Event::Dropped { ids });
        }
    }

    fn request_unlock(&mut self) {
        let file = self.owner.file().clone();
        self.request(StorageRequest::Unlock { file });
    }

    /// The claim was given up.
    pub(super) fn release(&mut self, now: Instant) {
        let Some(Claim { .. }) = self.claim.take() else {
            if !matches!(self.stage, Stage::Releasing { .. }) {
                self.event(Event::Released { sealed: false });
            }
            return;
        };
        match self.stage {
            // The lock may be granted yet; it is let go when the answer comes.
            Stage::Locking { .. } => self.event(Event::Released { sealed: false }),
            Stage::Idle | Stage::LookAgain { .. } | Stage::Peeking { .. } | Stage::Proving { .. } => {
                self.stage = Stage::Idle;
                self.event(Event::Released { sealed: false });
            }
            Stage::Owned { term, .. } | Stage::WritingList { term } | Stage::WritingOwner { term }
                if self.owner_beat.is_some() =>
            {
                self.drop_changes();
                self.stage = Stage::Releasing { term, sealing: false };
                self.go_on(now);
            }
            Stage::ReadingOwner { .. }
            | Stage::ReadingHeads { .. }
            | Stage::ReadingLists { .. }
            | Stage::WritingList { .. }
            | Stage::WritingOwner { .. }
            | Stage::Owned { .. } => self.released(false),
            // A claim that came during a release has ended before it began.
            Stage::Releasing { .. } => {}
        }
    }

    fn drop_changes(&mut self) {
        let mut ids = core::mem::take(&mut self.untold);
        ids.append(&mut self.list.forget());
        if !ids.is_empty() {
            self.event(Event::Dropped { ids });
        }
    }

    pub(super) fn released(&mut self, sealed: bool) {
        self.unlock_to_idle();
        self.event(Event::Released { sealed });
    }
}
