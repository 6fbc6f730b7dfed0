use core::time::Duration;

use ha_core::{Instant, Moid, Round, Term};

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
    /// How good it last said it was.
    pub(crate) goodness: Option<i64>,
    /// When it last told its candidacy, whether that echoed us or not.
    pub(crate) stood: Option<Instant>,
    /// When this host, as a candidate, last told it its candidacy in the present window.
    pub(crate) told: Option<Told>,
    /// The last answer outside the regular rhythm.
    pub(crate) answered: Option<Instant>,
}

/// What a peer was last told of our candidacy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    /// It had been heard lately: what it got echoes a recent frame of its, and so is a vote.
    pub(crate) echoes: bool,
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
    /// It takes no part; it knew this round when it said so.
    Out(Round),
}

impl Peer {
    pub(crate) const fn new(moid: Moid) -> Self {
        Self {
            moid,
            dead: false,
            heard: None,
            contact: None,
            stand: None,
            goodness: None,
            stood: None,
            told: None,
            answered: None,
        }
    }

    /// Drops everything that was heard, because nobody knows how old it is.
    pub(crate) fn forget(&mut self) {
        *self = Self { answered: self.answered, goodness: self.goodness, ..Self::new(self.moid.clone()) };
    }

    /// A window begins: nothing has been said in it.
    pub(crate) const fn begin_window(&mut self) {
        self.told = None;
    }

    /// Whether anything was heard of it since then.
    pub(crate) fn spoke(&self, since: Instant) -> bool {
        self.heard.is_some_and(|heard| heard >= since)
    }

    /// Our candidacy goes to it now. It is a vote if the frame that it echoes is not older than `fresh` when it arrives;
    /// half of that is left to the travel of both.
    pub(crate) fn tell(&mut self, now: Instant, fresh: Duration) {
        self.told = Some(Told { at: now, echoes: self.spoke(now.before(fresh / 2)) });
        self.answered = Some(now);
    }

    /// Whether it has not been told our candidacy in this window or, if it `needs` that, not as a vote that counts.
    pub(crate) fn lacks_candidacy(&self, needs: bool) -> bool {
        self.told.is_none_or(|told| needs && !told.echoes)
    }

    /// Whether it may not have got what it was told, or wants it again after `renewal`: its own message echoes what
    /// we sent at `echoes`. Two messages that cross look so too.
    pub(crate) fn may_lack_candidacy(&self, now: Instant, echoes: Instant, renewal: Duration) -> bool {
        self.told.is_some_and(|told| echoes < told.at || now.since(told.at) >= renewal)
    }

    /// When its candidacy stops counting, if it stands for election.
    pub(crate) fn candidacy_until(&self, fresh: Duration) -> Option<(&Rank, Instant)> {
        match &self.stand {
            Some((at, Stand::Candidate(rank))) if !self.dead => Some((rank, at.after(fresh))),
            Some((_, Stand::Candidate(_) | Stand::Follows(_) | Stand::Master | Stand::Out(_))) | None => None,
        }
    }

    /// Whether it has said that it takes no part, and has not stood for election since; however long ago, for nobody
    /// waits for it.
    pub(crate) fn is_out(&self) -> bool {
        matches!(self.stand, Some((said, Stand::Out(_))) if self.stood.is_none_or(|stood| stood <= said))
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
            Some((_, Stand::Candidate(_) | Stand::Follows(_) | Stand::Master | Stand::Out(_))) | None => None,
        }
    }

    /// The term that it follows now.
    pub(crate) fn following(&self, now: Instant, fresh: Duration) -> Option<Term> {
        match &self.stand {
            Some((at, Stand::Follows(term))) if !self.dead && now.since(*at) <= fresh => Some(*term),
            Some((_, Stand::Candidate(_) | Stand::Follows(_) | Stand::Master | Stand::Out(_))) | None => None,
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
