//! The doors of the machine and its deadline.

use ha_core::operation::{LookAtLock, Read, Write};
use ha_core::{
    Completion, Deadline, HostId, Incarnation, Instant, Machine, StorageCompletion, Term, UnknownRequest,
};

use super::{Claim, Event, Input, LostReason, Output, Ownership, Rejected, Stage};
use crate::format::OwnerDamage;
use crate::protected_list::ChangeRefused;

impl Ownership {
    fn claim(&mut self, now: Instant, term: Term, may_take: bool) -> Result<(), Rejected> {
        if let Some(seen) = self.seen.filter(|seen| *seen > term) {
            return Err(Rejected::OldTerm { given: term, current: seen });
        }
        let outdated = match self.claim {
            Some(current) if current.term > term => {
                return Err(Rejected::OldTerm { given: term, current: current.term });
            }
            Some(current) if current.term == term => current.outdated,
            Some(_) | None => false,
        };
        let now = self.clock.advance(now);
        self.claim = Some(Claim { term, may_take, outdated });
        self.arrange(now);
        Ok(())
    }

    fn term_seen(&mut self, now: Instant, term: Term) {
        let now = self.clock.advance(now);
        self.seen = self.seen.max(Some(term));
        if self.claimed().is_some_and(|claimed| claimed < term) {
            self.release(now);
        }
    }

    fn rights(&mut self, now: Instant, may_take: bool) {
        let now = self.clock.advance(now);
        if let Some(claim) = &mut self.claim {
            claim.may_take = may_take;
        }
        self.arrange(now);
    }

    fn owner_ended(&mut self, now: Instant, host: HostId, incarnation: Incarnation) {
        let now = self.clock.advance(now);
        // Only a host of the list can own it, so the map is bounded by the host list.
        if self.hosts().contains(&host) {
            let ended = self.ended.entry(host).or_insert(incarnation);
            *ended = incarnation.max(*ended);
        }
        self.look_now(now);
    }

    fn nobody_owns(&mut self, now: Instant, damage: OwnerDamage) {
        let now = self.clock.advance(now);
        self.nobody_owns = Some(damage);
        self.look_now(now);
    }

    /// What was said may be what was waited for.
    fn look_now(&mut self, now: Instant) {
        self.heads_not_before = None;
        if let Stage::LookAgain { at, .. } = &mut self.stage {
            *at = (*at).min(now);
        }
    }

    /// Brings the stage in line with what is wanted.
    fn arrange(&mut self, now: Instant) {
        match self.stage {
            Stage::Idle => self.begin(now),
            Stage::LookAgain { .. } if !self.is_wanted() => self.stage = Stage::Idle,
            Stage::ReadingOwner { .. } | Stage::ReadingHeads { .. } | Stage::ReadingLists { .. }
                if !self.is_wanted() =>
            {
                self.unlock_to_idle()
            }
            Stage::WritingList { .. } | Stage::WritingOwner { .. }
                if self.owner_beat.is_none() && !self.is_wanted() =>
            {
                self.unlock_to_idle();
            }
            Stage::Owned { .. } => self.go_on(now),
            // An answer is awaited; it looks at the claim again.
            Stage::LookAgain { .. }
            | Stage::Peeking { .. }
            | Stage::Proving { .. }
            | Stage::Locking { .. }
            | Stage::ReadingOwner { .. }
            | Stage::ReadingHeads { .. }
            | Stage::ReadingLists { .. }
            | Stage::WritingList { .. }
            | Stage::WritingOwner { .. }
            | Stage::Releasing { .. } => {}
        }
    }

    fn expire(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        match self.stage {
            Stage::ReadingOwner { .. }
            | Stage::ReadingHeads { .. }
            | Stage::ReadingLists { .. }
            | Stage::WritingList { .. }
            | Stage::WritingOwner { .. }
            | Stage::Owned { .. } => self.end_right(now, LostReason::Expired),
            Stage::Releasing { .. } => self.released(false),
            Stage::Locking { ref mut void, .. } => *void = true,
            Stage::Idle | Stage::LookAgain { .. } | Stage::Peeking { .. } | Stage::Proving { .. } => {}
        }
        self.arrange(now);
    }

    fn read_answered(&mut self, now: Instant, done: Completion<Read>) -> Result<(), Rejected> {
        let (answered, outcome) = done.open(&self.mint)?;
        let now = self.clock.latest().max(now);
        if let Some(asked) = self.reads.remove(&answered) {
            self.on_read(now, asked.of, outcome);
        } else if let Some(step) = self.list.on_read(now, answered, outcome.clone()) {
            self.list_stepped(now, step);
        } else {
            let step = self.owner.on_read(now, answered, outcome).ok_or(UnknownRequest)?;
            self.owner_stepped(now, step);
        }
        Ok(())
    }

    fn write_answered(&mut self, now: Instant, done: Completion<Write>) -> Result<(), Rejected> {
        let (answered, outcome) = done.open(&self.mint)?;
        let now = self.clock.latest().max(now);
        if let Some(step) = self.list.on_written(now, &mut self.mint, answered, outcome) {
            self.list_stepped(now, step);
        } else {
            let step = self.owner.on_written(now, &mut self.mint, answered, outcome).ok_or(UnknownRequest)?;
            self.owner_stepped(now, step);
        }
        Ok(())
    }

    fn storage(&mut self, now: Instant, done: StorageCompletion) -> Result<(), Rejected> {
        match done {
            StorageCompletion::Read(done) => self.read_answered(now, done)?,
            StorageCompletion::Write(done) => self.write_answered(now, done)?,
            StorageCompletion::Lock(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                let Stage::Locking { request, since, void, .. } = self.stage else {
                    return Err(UnknownRequest.into());
                };
                if request != answered {
                    return Err(UnknownRequest.into());
                }
                let now = self.clock.latest().max(now);
                self.locked(now, since, void, outcome);
            }
            StorageCompletion::LookAtLock(done) => return Err(refuse(&done)),
        }
        let now = self.clock.advance(now);
        self.arrange(now);
        Ok(())
    }

    /// When what is out counts as stalled.
    fn stalls_at(&self) -> Option<Instant> {
        let stall_max = self.config.timing.storage_stall_max;
        match self.stage {
            Stage::Peeking { asked, .. }
            | Stage::Proving { asked, .. }
            | Stage::ReadingOwner { asked }
            | Stage::ReadingHeads { asked, .. }
            | Stage::ReadingLists { asked, .. } => Some(asked.after(stall_max)),
            Stage::Locking { asked, .. } => asked.map(|asked| asked.after(stall_max)),
            Stage::WritingList { .. } | Stage::WritingOwner { .. } | Stage::Owned { .. } => {
                [self.owner.stalls_at(), self.list.file().stalls_at()].into_iter().flatten().min()
            }
            Stage::Releasing { .. } => self.owner.stalls_at(),
            Stage::Idle | Stage::LookAgain { .. } => None,
        }
    }

    /// Gives up what has not been answered for so long.
    fn stalled(&mut self, now: Instant) {
        match &mut self.stage {
            Stage::Releasing { .. } => {
                self.released(false);
                self.begin(now);
            }
            // The lock is not held yet, so there is none to let go.
            Stage::Peeking { since, .. } | Stage::Proving { since, .. } => {
                let since = *since;
                self.waiting.clear();
                self.stage = Stage::LookAgain { at: self.next_look(now, since), since };
                self.event(Event::Stalled);
                self.arrange(now);
            }
            // It may have been granted long ago, and be gone again: a grant that comes now proves nothing.
            Stage::Locking { asked, void, .. } => {
                (*asked, *void) = (None, true);
                self.event(Event::Stalled);
            }
            Stage::Idle
            | Stage::LookAgain { .. }
            | Stage::ReadingOwner { .. }
            | Stage::ReadingHeads { .. }
            | Stage::ReadingLists { .. }
            | Stage::WritingList { .. }
            | Stage::WritingOwner { .. }
            | Stage::Owned { .. } => self.end_right(now, LostReason::Stalled),
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        let work = match self.stage {
            Stage::LookAgain { at, .. } if self.is_quiet() => {
                Some(Deadline::new(at, "look again at the lock of a protected list"))
            }
            Stage::Owned { next_beat, .. } if self.owner.is_idle() => {
                Some(Deadline::new(next_beat, "owner record of a protected list"))
            }
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
            | Stage::Releasing { .. } => None,
        };
        let stall = self.stalls_at().map(|at| Deadline::new(at, "protected list stalled"));
        Deadline::soonest([work, stall])
    }
}

impl Machine for Ownership {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        match input {
            Input::Claim { term, may_take } => self.claim(now, term, may_take)?,
            Input::Rights { may_take } => self.rights(now, may_take),
            Input::Release => {
                let now = self.clock.advance(now);
                self.release(now);
            }
            Input::TermSeen { term } => self.term_seen(now, term),
            Input::Expire => self.expire(now),
            Input::Caution { cautious } => self.cautious = cautious,
            Input::OwnerEnded { host, incarnation } => self.owner_ended(now, host, incarnation),
            Input::NobodyOwns { damage } => self.nobody_owns(now, damage),
            Input::Change { id, change } => {
                let is_owned =
                    matches!(self.stage, Stage::Owned { term, .. } if self.claimed() == Some(term));
                if !is_owned {
                    return Err(Rejected::NotOwned);
                }
                // While the right is suspended nothing is told, so what waits to be told is bounded here.
                let limit = usize::try_from(self.config.geometry.limits.vms_per_list).unwrap_or(usize::MAX);
                if self.untold.len() >= limit {
                    return Err(ChangeRefused::Busy.into());
                }
                self.list.apply(id, change)?;
                let now = self.clock.advance(now);
                self.go_on(now);
            }
            Input::Storage(done) => self.storage(now, done)?,
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        if self.stalls_at().is_some_and(|at| at <= now) {
            self.stalled(now);
        }
        match self.stage {
            Stage::LookAgain { at, since } if at <= now && self.is_quiet() => self.approach(now, since),
            Stage::Owned { .. } => self.beat(now),
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
            | Stage::Releasing { .. } => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.outbox.deadline(self.clock.latest(), self.deadline())
    }
}

/// This machine never looks at locks.
fn refuse(_: &Completion<LookAtLock>) -> Rejected {
    UnknownRequest.into()
}
