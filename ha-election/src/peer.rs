use core::time::Duration;

use ha_core::{Instant, Moid, Term};

use crate::Rank;

/// What is kept of one other host. Every instant is this host's own reading of its own clock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Peer {
    /// Its id on the host list. A message that says otherwise is a contradiction.
    pub(crate) moid: Moid,
    /// Need not be waited for.
    pub(crate) dead: bool,
    /// The last authentic message of any worth.
    pub(crate) heard: Option<Instant>,
    /// The last one that echoed us.
    pub(crate) contact: Option<Instant>,
    /// What it stands for, by its last message that echoed us.
    pub(crate) stand: Option<(Instant, Stand)>,
    /// The last answer outside the regular rhythm.
    pub(crate) answered: Option<Instant>,
}

/// What a host has said of itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stand {
    /// It is a candidate.
    Candidate(Rank),
    /// It follows the master of this term.
    Follows(Term),
    /// It is master itself.
    Master,
}

impl Peer {
    pub(crate) const fn new(moid: Moid) -> Self {
        Self { moid, dead: false, heard: None, contact: None, stand: None, answered: None }
    }

    /// Drops everything that was heard, because nobody knows how old it is.
    pub(crate) fn forget(&mut self) {
        *self = Self { answered: self.answered, ..Self::new(self.moid.clone()) };
    }

    pub(crate) fn withdraw_candidacy(&mut self) {
        if matches!(self.stand, Some((_, Stand::Candidate(_)))) {
            self.stand = None;
        }
    }

    /// Its rank, if it stands for election now.
    pub(crate) fn candidacy(&self, now: Instant, fresh: Duration) -> Option<&Rank> {
        match &self.stand {
            Some((at, Stand::Candidate(rank))) if !self.dead && now.since(*at) <= fresh => Some(rank),
            Some((_, Stand::Candidate(_) | Stand::Follows(_) | Stand::Master)) | None => None,
        }
    }

    /// The term that it follows now.
    pub(crate) fn following(&self, now: Instant, fresh: Duration) -> Option<Term> {
        match &self.stand {
            Some((at, Stand::Follows(term))) if !self.dead && now.since(*at) <= fresh => Some(*term),
            Some((_, Stand::Candidate(_) | Stand::Follows(_) | Stand::Master)) | None => None,
        }
    }

    /// Whether an answer to this peer is within its budget; if so, it is spent.
    pub(crate) fn spend_answer(&mut self, now: Instant, spacing: Duration) -> bool {
        let within = self.answered.is_none_or(|last| now.since(last) >= spacing);
        if within {
            self.answered = Some(now);
        }
        within
    }
}
