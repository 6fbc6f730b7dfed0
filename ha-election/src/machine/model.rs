//! The canonical form of the machine, for model checkers.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};
use core::time::Duration;

use ha_core::{Instant, Machine, MonotonicNow, Random};

use super::{Election, State};
use crate::peer::{Stand, Told};
use crate::rules::Rule;
use crate::{ConfigError, ElectionConfig, ElectionCounters, Input, Output, Rejected};

/// A production [`Election`] in canonical form: states that behave alike are equal.
///
/// A checker holds one for each host. It hands inputs in with [`ModelElection::input`] and lets time pass with
/// [`ModelElection::pass`]; both run [`Election`]'s own code, and then make the result canonical. Which host's time
/// passes next is the checker's choice, so no assumption is made about clocks of different hosts, nor about how long
/// a message takes.
///
/// # Why the canonical form is sound
///
/// The machine uses instants only to compare and to subtract them, and knows no absolute one. So all of them may be
/// moved alike; canonical is the machine whose latest call was at [`ModelElection::NOW`]. Beyond that,
///
/// * what was heard, echoed or said longer ago than a statement counts is forgotten. Each reader compares the age with
///   that limit and treats what is older like what never was; time only adds to an age;
/// * a budget (answers to a peer, raises of the term) that is whole again is as if it had never been used;
/// * what a peer said of itself as a master is forgotten at once: no rule reads it, it only took the place of a vote;
/// * of the last ping and the last frame of ours that was answered it matters only whether they were sent since
///   evidence had to be new; an echo keeps the age of its arrival besides. Since when evidence has to be new is kept up
///   to the age of the oldest frame whose echo the wire accepts (`master_lost`), so the checker hands in no echo, and
///   no answer to a ping, that is older;
/// * counters, the names of invalid masters already told, and outputs (drained by every call here) decide nothing;
/// * the random numbers give each pause before the silent are asked again the same length, whole heartbeat periods, and
///   put each election that is held again off by the same jitter. Any other is the same run with clocks of another
///   speed.
///
/// The configuration is not compared: a checker compares hosts of one number only.
#[derive(Clone, Debug)]
pub struct ModelElection(Election);

/// Moves instants so that the machine's latest call is at [`ModelElection::NOW`].
#[derive(Clone, Copy)]
struct Shift {
    latest: Instant,
}

impl Shift {
    fn moved(self, at: Instant) -> Instant {
        if at >= self.latest {
            ModelElection::NOW.after(at.since(self.latest))
        } else {
            ModelElection::NOW.before(self.latest.since(at))
        }
    }

    /// `None` for what is older than `limit`, which counts no more.
    fn recent(self, at: Option<Instant>, limit: Duration) -> Option<Instant> {
        at.filter(|at| self.latest.since(*at) <= limit).map(|at| self.moved(at))
    }
}

impl ModelElection {
    /// The time of every call: far enough from the clock's origin that nothing saturates.
    pub const NOW: Instant = Instant::from_nanos(1 << 62);
    /// The seed whose next number is in the upper half, so that a pause is a whole period of 8 ns.
    const SEED: u64 = 1;

    /// A machine that takes no part yet, and that lacks a rule if one is named.
    ///
    /// # Errors
    ///
    /// As [`Election::new`].
    pub fn new(config: ElectionConfig, without: Option<Rule>) -> Result<Self, ConfigError> {
        let mut election = Election::new(Self::NOW, config)?;
        election.without = without;
        let mut model = Self(election);
        model.make_canonical();
        Ok(model)
    }

    /// The machine, for its questions; `now` is [`ModelElection::NOW`].
    #[must_use]
    pub const fn election(&self) -> &Election {
        &self.0
    }

    /// Hands an input in; answers all outputs.
    ///
    /// # Errors
    ///
    /// As the machine's own.
    pub fn input(&mut self, input: Input) -> Result<Vec<Output>, Rejected> {
        self.0.handle_input(Self::NOW, input)?;
        Ok(self.drained())
    }

    /// Lets time pass on this host, then fires what is due; answers all outputs.
    pub fn pass(&mut self, span: Duration) -> Vec<Output> {
        self.0.handle_timeout(Self::NOW.after(span));
        self.drained()
    }

    /// Lets time pass in which the agent is stopped: the next call is the first that can notice.
    pub fn sleep(&mut self, span: Duration) {
        let latest = self.0.clock.latest().after(span);
        let asleep = self.0.clock.latest();
        self.rebase(latest);
        self.0.clock = MonotonicNow::new(Self::NOW.before(latest.since(asleep)));
    }

    /// How long until something is due; `None` if nothing ever is.
    #[must_use]
    pub fn due_in(&self) -> Option<Duration> {
        self.0.poll_timeout().map(|deadline| deadline.at.since(Self::NOW))
    }

    fn drained(&mut self) -> Vec<Output> {
        let outputs = core::iter::from_fn(|| self.0.poll_output()).collect();
        self.make_canonical();
        outputs
    }

    fn make_canonical(&mut self) {
        self.rebase(self.0.clock.latest());
        self.0.clock = MonotonicNow::new(Self::NOW);
        self.0.random = Random::from_seed(Self::SEED);
        self.0.counters = ElectionCounters::default();
        self.0.invalid_masters.clear();
    }

    fn rebase(&mut self, latest: Instant) {
        let shift = Shift { latest };
        let (fresh, spacing) = (self.0.fresh_for(), self.0.answer_spacing());
        let timing = &self.0.config.timing;
        let oldest = fresh.max(timing.master_lost).max(timing.heartbeat_period);
        let (candidacy, window) = (self.0.candidacy_counts_for(), self.0.window_began(latest));
        let stands = matches!(self.0.state, State::Candidate(_));
        let spoken = fresh.max(latest.since(window));
        for peer in self.0.peers.values_mut() {
            let out = peer.is_out();
            peer.heard = shift.recent(peer.heard, spoken);
            peer.stood = shift.recent(peer.stood, spoken);
            // What was told longer ago than any echo that counts is told.
            peer.told = peer
                .told
                .filter(|_| stands)
                .map(|told| Told { at: shift.moved(told.at.max(latest.before(oldest))), ..told });
            peer.contact = shift.recent(peer.contact, fresh);
            peer.stand = peer.stand.take().and_then(|(at, stand)| match stand {
                Stand::Candidate(_) => shift.recent(Some(at), candidacy).map(|at| (at, stand)),
                Stand::Follows(_) => shift.recent(Some(at), spoken).map(|at| (at, stand)),
                Stand::Master => None,
                Stand::Out(_) => out.then_some((Self::NOW, stand)),
            });
            peer.answered = peer.answered.filter(|at| latest.since(*at) < spacing).map(|at| shift.moved(at));
        }
        self.0.evidence.make_canonical(latest, fresh, oldest, Self::NOW);
        match &mut self.0.state {
            State::Uninitialized => {}
            State::Candidate(running) => running.move_instants(|at| shift.moved(at)),
            State::Slave(following) => following.heard = shift.moved(following.heard),
            State::Master(reign) => reign.make_canonical(latest, spacing, oldest, |at| shift.moved(at)),
        }
    }

    fn key(&self) -> impl Ord + Hash + '_ {
        let Election { peers, clock, state, evidence, store, .. } = &self.0;
        let facts =
            (self.0.unfit, self.0.connected_datastores, self.0.lists_owned, self.0.isolated, self.0.without);
        let rounds = (self.0.highest_round, self.0.acknowledged, store);
        (peers, clock.latest(), state, evidence, facts, rounds)
    }
}

impl PartialEq for ModelElection {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ModelElection {}

impl PartialOrd for ModelElection {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ModelElection {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for ModelElection {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key().hash(hasher);
    }
}
