use ha_core::{Acknowledged, HostId, Instant, Moid, Round, Term};

use super::{Election, State};
use crate::rules::Rule;
use crate::{Claim, Event, Message, Probe};

/// A master's reign.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Reign {
    rights: bool,
    claim_due: Instant,
    raised: Instant,
    /// The claim as it was last transmitted; its term is always the own term.
    claimed: Claim,
    /// Since when no claim was better than this one is: the start of the reign, or the last that gave up lists.
    no_better_since: Instant,
    /// A raise is due, and waits only for its round to be durable.
    raise_waits: bool,
    /// Another master was met: until then lists owned and rank stay as claimed.
    frozen_until: Option<Instant>,
}

impl Reign {
    pub(super) const fn term(&self) -> Term {
        self.claimed.term
    }

    pub(super) const fn has_rights(&self) -> bool {
        self.rights
    }

    /// The claim is under another id from now on, even a frozen one.
    pub(super) fn rename(&mut self, now: Instant, moid: Moid) {
        if moid < self.claimed.rank.moid {
            self.no_better_since = now;
        }
        self.claimed.rank.moid = moid;
    }

    pub(super) const fn claim_due(&self) -> Instant {
        self.claim_due
    }
}

impl Election {
    /// Takes a term above every known round, claims it, and looks whether it comes with rights.
    pub(super) fn become_master(&mut self, now: Instant) {
        let term = self.next_term();
        let claimed = Claim { lists_owned: self.lists_owned, term, rank: self.rank() };
        let reign = Reign {
            rights: false,
            claim_due: now,
            raised: now,
            claimed,
            no_better_since: now,
            raise_waits: false,
            frozen_until: None,
        };
        self.close_election();
        self.acknowledge(term);
        self.enter(State::Master(reign), "master selected");
        self.tell(Event::Reigning { term });
        self.review_rights(now);
        if matches!(&self.state, State::Master(reign) if !reign.rights) {
            self.ask_for_address();
        }
        self.claim_to_all(now);
    }

    pub(super) fn tick_master(&mut self, now: Instant) {
        let State::Master(reign) = &self.state else { return };
        if now >= reign.claim_due {
            self.review_rights(now);
            self.claim_to_all(now);
        }
    }

    /// The regular claim, and the one that a raise or the end of an isolation makes urgent. Raises the term
    /// first if a higher round has become known and that was put off.
    pub(super) fn claim_to_all(&mut self, now: Instant) {
        self.raise_if_due(now);
        let message = self.claim_or_probe(now);
        self.transmit_to_all(&message);
        if let State::Master(reign) = &mut self.state {
            reign.claim_due = now.after(self.config.timing.heartbeat_period);
        }
    }

    /// What a master says of itself: its claim, or while it is isolated only that it is there.
    pub(super) fn claim_or_probe(&mut self, now: Instant) -> Message {
        if self.isolated && self.keeps(Rule::IsolationSilence) {
            return self.probe();
        }
        let (lists_owned, rank) = (self.lists_owned, self.rank());
        let freezes = self.keeps(Rule::FrozenClaim);
        let State::Master(reign) = &mut self.state else { return self.probe() };
        if !freezes || reign.frozen_until.is_none_or(|until| now > until) {
            reign.frozen_until = None;
            let claimed = Claim { lists_owned, term: reign.claimed.term, rank };
            if claimed < reign.claimed {
                reign.no_better_since = now;
            }
            reign.claimed = claimed;
        }
        Message::Claim(reign.claimed.clone())
    }

    /// A round became known from somebody who matters to this host. A master must be above it; it raises its
    /// term at once, or with its next claim if it has raised it shortly before.
    pub(super) fn learn_round(&mut self, now: Instant, round: Round) {
        if round <= self.highest_round {
            return;
        }
        self.highest_round = round;
        if self.may_raise(now) {
            self.claim_to_all(now);
        }
    }

    /// A round was read in a list. The very round of the own term may have been another master's too, where the
    /// two never heard each other; the list's owner then needs a term above it.
    pub(super) fn exceed_round(&mut self, now: Instant, round: Round) {
        let taken = matches!(&self.state, State::Master(reign) if reign.term().round == round);
        self.learn_round(now, if taken { round.next() } else { round });
    }

    /// Two masters hear each other: the worse one yields, the better one stays above both terms.
    ///
    /// `sent` is when the frame that the other echoes left here. If that was before a better claim of ours was given
    /// up, the other may have given way to that one already, and both would have.
    pub(super) fn meet_master(&mut self, now: Instant, other: &Claim, sent: Instant) {
        let fresh = self.fresh_for();
        let isolated = self.isolated;
        self.thaw_claim();
        let State::Master(reign) = &mut self.state else { return };
        // An isolated master has released everything and is silent, so it has no claim to compare.
        let better = *other > reign.claimed;
        if isolated || (better && sent >= reign.no_better_since) {
            self.yield_to(now, other);
            return;
        }
        reign.frozen_until = Some(now.after(fresh));
        if better {
            self.answer(now, other.term.host);
            return;
        }
        let above = reign.claimed.term.round > other.term.round;
        self.highest_round = self.highest_round.max(other.term.round);
        if above {
            self.answer(now, other.term.host);
        } else if self.may_raise(now) {
            self.raise(now);
            self.claim_to_all(now);
        }
    }

    /// Without [`Rule::FrozenClaim`], what is compared is not what was transmitted.
    fn thaw_claim(&mut self) {
        let (lists_owned, rank, thaws) = (self.lists_owned, self.rank(), !self.keeps(Rule::FrozenClaim));
        if let State::Master(reign) = &mut self.state
            && thaws
        {
            reign.claimed = Claim { lists_owned, term: reign.claimed.term, rank };
        }
    }

    /// Gives way. If the other's term is the lower one it cannot be followed yet: this host then waits as a
    /// candidate, whose messages tell the other the round that it must exceed.
    fn yield_to(&mut self, now: Instant, other: &Claim) {
        self.tell(Event::Yielded { to: other.term.host, term: other.term });
        let reason = "yielded to a better master";
        if self.may_follow(other.term) {
            self.follow(now, other.term, reason);
        } else {
            self.demand_higher_round(other.term);
            self.begin_election(now, reason);
            self.tell_candidacy(now, other.term.host);
        }
    }

    /// A claim of the very round that was acknowledged, but of a lower host, needs a higher round to be
    /// followed; without this both sides would know the same round and wait for each other.
    pub(super) fn demand_higher_round(&mut self, refused: Term) {
        if refused.round == self.acknowledged.round {
            self.highest_round = self.highest_round.max(refused.round.next());
        }
    }

    /// Grants the right to act if there is evidence for it. What was granted stays.
    pub(super) fn review_rights(&mut self, now: Instant) {
        let no_address = !self.config.isolation_address_configured;
        let granted = self.evidence.contact_counts(now, self.fresh_for())
            || self.evidence.answer_counts()
            // Nothing could ever contradict it; the pause lets a master that was stopped read what waits.
            || !self.keeps(Rule::ProvenRights)
            || (no_address && self.evidence.settled(now, self.config.timing.heartbeat_period));
        let isolated = self.isolated;
        let State::Master(reign) = &mut self.state else { return };
        if granted && !isolated && !reign.rights {
            reign.rights = true;
            self.tell(Event::RightsChanged { rights: true });
        }
    }

    /// Takes the right away until there is evidence from after `now`.
    pub(super) fn drop_rights(&mut self, now: Instant) {
        self.evidence.expire(now);
        let State::Master(reign) = &mut self.state else { return };
        if core::mem::replace(&mut reign.rights, false) {
            self.tell(Event::RightsChanged { rights: false });
        }
    }

    /// As [`Election::drop_rights`], and asks for the evidence.
    pub(super) fn suspend_rights(&mut self, now: Instant) {
        self.drop_rights(now);
        self.ask_for_address();
    }

    /// Answers a peer outside the regular rhythm, so that it learns what this host is and that the link works;
    /// at most once per peer and quarter of a heartbeat period.
    pub(super) fn answer(&mut self, now: Instant, to: HostId) {
        let spacing = self.answer_spacing();
        if !self.answers() {
            return;
        }
        if !self.peers.get_mut(&to).is_some_and(|peer| peer.spend_answer(now, spacing)) {
            self.counters.answer_held_back.count();
            return;
        }
        let message = match &self.state {
            State::Uninitialized => Message::Probe(Probe::TakesNoPart),
            State::Candidate(_) => return self.tell_candidacy(now, to),
            State::Slave(_) => self.probe(),
            State::Master(_) => self.claim_or_probe(now),
        };
        self.out.push(crate::Output::Transmit { to, message });
    }

    /// Raises the term above the highest known round. An isolated master waits until it may claim again.
    fn raise_if_due(&mut self, now: Instant) {
        let due = match &self.state {
            State::Master(reign) => !self.isolated && self.highest_round > reign.claimed.term.round,
            State::Uninitialized | State::Candidate(_) | State::Slave(_) => false,
        };
        if due {
            self.raise(now);
        }
    }

    /// Whether a raise is within its budget, so that no peer can make this host do nothing else.
    fn may_raise(&self, now: Instant) -> bool {
        let spacing = self.answer_spacing();
        !self.isolated && matches!(&self.state, State::Master(reign) if now.since(reign.raised) >= spacing)
    }

    /// The round that a raise waited for is durable.
    pub(super) fn resume_raise(&mut self, now: Instant) {
        let State::Master(reign) = &mut self.state else { return };
        if core::mem::take(&mut reign.raise_waits) && !self.isolated {
            self.raise(now);
            self.claim_to_all(now);
        }
    }

    /// Takes a term above every known round, or waits until its round is durable and keeps the old one so long.
    fn raise(&mut self, now: Instant) {
        let term = self.next_term();
        let durable = self.is_durable(term.round);
        if let State::Master(reign) = &mut self.state {
            reign.raised = now;
            reign.raise_waits = !durable;
            if durable {
                reign.claimed.term = term;
            }
        }
        if !durable {
            self.want_stored(Acknowledged::reserved(term.round));
            return;
        }
        self.acknowledge(term);
        self.tell(Event::Reigning { term });
    }

    pub(super) fn next_term(&self) -> Term {
        Term::new(self.highest_round.next(), self.config.me)
    }
}

#[cfg(feature = "model")]
impl Reign {
    /// Moves every instant; a raise that no longer delays the next one, and a meeting that is over, are forgotten.
    pub(super) fn make_canonical(
        &mut self,
        latest: Instant,
        spacing: core::time::Duration,
        oldest: core::time::Duration,
        moved: impl Fn(Instant) -> Instant,
    ) {
        self.claim_due = moved(self.claim_due);
        self.raised = moved(self.raised.max(latest.before(spacing)));
        let too_old = latest.before(oldest + core::time::Duration::from_nanos(1));
        self.no_better_since = moved(self.no_better_since.max(too_old));
        self.frozen_until = self.frozen_until.filter(|until| latest <= *until).map(moved);
    }
}
