use ha_core::Round;

use super::{Election, State};
use crate::rules::Rule;
use crate::{Output, Rejected};

/// What the embedder has made durable of the rounds, and what it was asked to; one request at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RoundStore {
    /// A later life of this agent starts at or above this.
    stored: Round,
    /// The request that is not answered yet.
    asked: Option<Round>,
    /// The highest round that is to be durable.
    wanted: Round,
}

impl RoundStore {
    pub(super) const fn holding(stored: Round) -> Self {
        Self { stored, asked: None, wanted: stored }
    }

    /// The request that is due, if none is on its way.
    fn ask(&mut self) -> Option<Round> {
        if self.asked.is_some() || self.wanted <= self.stored {
            return None;
        }
        self.asked = Some(self.wanted);
        self.asked
    }
}

impl Election {
    /// Whether a term of this round may be claimed.
    pub(super) fn is_durable(&self, round: Round) -> bool {
        self.store.stored >= round || !self.keeps(Rule::DurableRound)
    }

    /// Has a round made durable; whoever needs it waits for [`Input::RoundStored`](crate::Input::RoundStored).
    pub(super) fn want_stored(&mut self, round: Round) {
        self.store.wanted = self.store.wanted.max(round);
        if let Some(round) = self.store.ask() {
            self.out.push(Output::StoreRound { round });
        }
    }

    pub(super) fn check_stored(&self, round: Round) -> Result<(), Rejected> {
        if self.store.asked == Some(round) { Ok(()) } else { Err(Rejected::NotAskedToStore { round }) }
    }

    /// What waited for this round goes on: the start of a reign, or the raise of a term.
    pub(super) fn take_stored(&mut self, now: ha_core::Instant, round: Round) {
        self.store.stored = round;
        self.store.asked = None;
        match &self.state {
            State::Uninitialized | State::Slave(_) => {}
            State::Candidate(_) => self.resume_victory(now),
            State::Master(_) => self.resume_raise(now),
        }
        self.want_stored(round);
    }
}
