use ha_core::{Acknowledged, Instant, Round};

use super::{Election, State};
use crate::rules::Rule;
use crate::{Output, Rejected};

/// What the embedder has made durable of the terms, and what it was asked to; one request at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TermStore {
    /// A later life of this agent starts at or above this.
    stored: Acknowledged,
    /// The request that is not answered yet.
    asked: Option<Acknowledged>,
    /// The highest that is to be durable.
    wanted: Acknowledged,
}

impl TermStore {
    pub(super) const fn holding(stored: Acknowledged) -> Self {
        Self { stored, asked: None, wanted: stored }
    }

    /// The request that is due, if none is on its way.
    fn ask(&mut self) -> Option<Acknowledged> {
        if self.asked.is_some() || self.wanted <= self.stored {
            return None;
        }
        self.asked = Some(self.wanted);
        self.asked
    }
}

impl Election {
    /// Whether a term of this round may be claimed: a later life claims one above it.
    pub(super) fn is_durable(&self, round: Round) -> bool {
        self.store.stored >= Acknowledged::reserved(round) || !self.keeps(Rule::DurableRound)
    }

    /// Has this made durable; whoever needs it waits for [`Input::TermStored`](crate::Input::TermStored).
    pub(super) fn want_stored(&mut self, wanted: Acknowledged) {
        self.store.wanted = self.store.wanted.max(wanted);
        if let Some(acknowledged) = self.store.ask() {
            self.out.push(Output::StoreTerm { acknowledged });
        }
    }

    pub(super) fn check_stored(&self, acknowledged: Acknowledged) -> Result<(), Rejected> {
        if self.store.asked == Some(acknowledged) {
            Ok(())
        } else {
            Err(Rejected::NotAskedToStore { acknowledged })
        }
    }

    /// What waited for this goes on: the start of a reign, or the raise of a term.
    pub(super) fn take_stored(&mut self, now: Instant, stored: Acknowledged) {
        self.store.stored = stored;
        self.store.asked = None;
        match &self.state {
            State::Uninitialized | State::Slave(_) => {}
            State::Candidate(_) => self.resume_victory(now),
            State::Master(_) => self.resume_raise(now),
        }
        self.want_stored(stored);
    }
}
