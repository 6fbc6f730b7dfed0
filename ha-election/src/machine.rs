//! The machine: its state, its one door in, and what can be asked of it.

mod asking;
mod candidate;
mod evidence;
mod hosts;
mod master;
#[cfg(feature = "model")]
mod model;
mod receive;
mod slave;
mod store;

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use ha_core::{
    Acknowledged, Deadline, HostId, Instant, Machine, Moid, MonotonicNow, Outbox, Random, Round, Term,
};

use crate::config::check_hosts;
use crate::peer::Peer;
use crate::rules::Rule;
use crate::{
    ConfigError, ElectionConfig, ElectionCounters, Event, Input, Message, Output, Probe, Rank, Rejected, Role,
};
use candidate::Running;
use evidence::ContactEvidence;
use master::Reign;
#[cfg(feature = "model")]
pub use model::ModelElection;
use slave::Following;
use store::TermStore;

/// Invalid masters are told once per source; sources beyond this many are only counted.
const MAX_INVALID_MASTERS: usize = 64;

/// One host's part in the election of its cluster's master. The crate's documentation has the rules.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone))]
pub struct Election {
    config: ElectionConfig,
    /// This host's own id, which breaks ties.
    moid: Moid,
    /// The other hosts of the list.
    peers: BTreeMap<HostId, Peer>,
    clock: MonotonicNow,
    out: Outbox<Output>,
    random: Random,
    counters: ElectionCounters,
    state: State,
    /// The last [`Input::Standing`] keeps this host from taking part.
    unfit: bool,
    connected_datastores: u32,
    lists_owned: u32,
    isolated: bool,
    /// The highest round heard, stored or read.
    highest_round: Round,
    acknowledged: Acknowledged,
    store: TermStore,
    evidence: ContactEvidence,
    invalid_masters: BTreeSet<HostId>,
    #[cfg(feature = "model")]
    without: Option<Rule>,
}

/// The role, with what only that role needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum State {
    Uninitialized,
    Candidate(Running),
    Slave(Following),
    Master(Reign),
}

impl Election {
    /// The election of one host, which takes no part until [`Input::Standing`] says that it can.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the rule that the configuration breaks.
    pub fn new(now: Instant, config: ElectionConfig) -> Result<Self, ConfigError> {
        let (others, moid) = config.check()?;
        Ok(Self {
            moid,
            peers: others.into_iter().map(|(host, moid)| (host, Peer::new(moid))).collect(),
            clock: MonotonicNow::new(now),
            out: Outbox::new(),
            random: Random::from_seed(config.seed),
            counters: ElectionCounters::default(),
            state: State::Uninitialized,
            unfit: false,
            connected_datastores: 0,
            lists_owned: 0,
            isolated: false,
            highest_round: config.acknowledged.round,
            acknowledged: config.acknowledged,
            store: TermStore::holding(config.acknowledged),
            evidence: ContactEvidence::none_before(now),
            invalid_masters: BTreeSet::new(),
            #[cfg(feature = "model")]
            without: None,
            config,
        })
    }

    /// What this host is.
    #[must_use]
    pub const fn role(&self) -> Role {
        match &self.state {
            State::Uninitialized => Role::Uninitialized,
            State::Candidate(_) => Role::Candidate,
            State::Slave(following) => Role::Slave { master: following.term.host, term: following.term },
            State::Master(reign) => Role::Master { term: reign.term() },
        }
    }

    /// Whether this host is master **and** may act as one at `now`: it has the right, is not declared isolated,
    /// and has been called in time. False while a call is overdue by more than half of `master_lost`.
    #[must_use]
    pub fn may_act(&self, now: Instant) -> bool {
        match &self.state {
            State::Master(reign) => {
                reign.has_rights() && !self.isolated && now <= reign.claim_due().after(self.stall_limit())
            }
            State::Uninitialized | State::Candidate(_) | State::Slave(_) => false,
        }
    }

    /// The term that this host reigns in or follows.
    #[must_use]
    pub const fn term(&self) -> Option<Term> {
        match self.role() {
            Role::Slave { term, .. } | Role::Master { term } => Some(term),
            Role::Uninitialized | Role::Candidate => None,
        }
    }

    /// The master, this host included, and its term.
    #[must_use]
    pub const fn master(&self) -> Option<(HostId, Term)> {
        match self.term() {
            Some(term) => Some((term.host, term)),
            None => None,
        }
    }

    /// The highest round heard, stored or read; it goes into every frame's header.
    #[must_use]
    pub const fn highest_round(&self) -> Round {
        self.highest_round
    }

    /// When the last frame arrived that echoed one of ours, whoever sent it: the last proof that this host is
    /// not cut off from all others.
    #[must_use]
    pub const fn last_contact(&self) -> Option<Instant> {
        self.evidence.last_contact()
    }

    /// Whether a message of an election that does not echo this host is answered by the election itself. If not,
    /// because this host has not been told yet what it is fit for, the embedder answers it with [`Probe::Here`].
    #[must_use]
    pub const fn answers(&self) -> bool {
        self.unfit || !matches!(self.state, State::Uninitialized)
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &ElectionCounters {
        &self.counters
    }

    /// Whether this machine keeps a rule. Every one does, but for a mutant that a model checker is to convict.
    #[cfg(feature = "model")]
    fn keeps(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    #[cfg(not(feature = "model"))]
    const fn keeps(&self, _: Rule) -> bool {
        true
    }

    /// Whether following this term would not be a step back.
    fn may_follow(&self, term: Term) -> bool {
        self.acknowledged.allows(term) || !self.keeps(Rule::Terms)
    }

    /// This host's rank now.
    fn rank(&self) -> Rank {
        Rank { goodness: self.goodness(), moid: self.moid.clone() }
    }

    fn goodness(&self) -> i64 {
        self.config.node_goodness.unwrap_or(i64::from(self.connected_datastores))
    }

    /// How long something that a peer said of itself counts: three of its messages, or FDM's suspicion.
    fn fresh_for(&self) -> Duration {
        self.config.timing.suspicion_after.max(self.config.timing.heartbeat_period.saturating_mul(3))
    }

    /// Pause between two answers to one peer, and between two raises of the own term.
    fn answer_spacing(&self) -> Duration {
        self.config.timing.heartbeat_period / 4
    }

    /// A call this much later than its deadline means that the agent was stopped.
    fn stall_limit(&self) -> Duration {
        self.config.timing.master_lost / 2
    }

    fn own_deadline(&self) -> Option<Deadline> {
        match &self.state {
            State::Uninitialized => None,
            State::Candidate(running) => running.deadline(),
            State::Slave(following) => Some(following.deadline(self.config.timing.master_lost)),
            State::Master(reign) => Some(Deadline::new(reign.claim_due(), "claim")),
        }
    }

    /// Takes in the time of a call, and notices if it is so late that the agent must have been stopped. The gap
    /// counts from the later of the deadline and the last call, so that one stop is noticed once.
    fn begin_call(&mut self, now: Instant) -> Instant {
        let before = self.clock.latest();
        let now = self.clock.advance(now);
        let expected = self.own_deadline().map(|deadline| deadline.at.max(before));
        if expected.is_some_and(|expected| now.since(expected) > self.stall_limit()) {
            self.counters.stalls.count();
            self.stalled(now);
        }
        now
    }

    /// Judges nobody by silence that may be its own: every wait begins anew, and a right needs fresh evidence.
    fn stalled(&mut self, now: Instant) {
        match &mut self.state {
            State::Uninitialized => {}
            State::Candidate(_) => {
                self.begin_again(now);
                self.evidence.expire(now);
                self.ask_for_address();
            }
            State::Slave(following) => following.heard = now,
            State::Master(_) => self.suspend_rights(now),
        }
    }

    /// Changes the state and tells what a change means to others.
    fn enter(&mut self, state: State, reason: &'static str) {
        let from = self.role();
        if matches!(&self.state, State::Master(reign) if reign.has_rights()) {
            self.tell(Event::RightsChanged { rights: false });
        }
        self.state = state;
        let to = self.role();
        let same = match (from, to) {
            (Role::Uninitialized, Role::Uninitialized) | (Role::Candidate, Role::Candidate) => true,
            (Role::Slave { master: old, .. }, Role::Slave { master: new, .. }) => old == new,
            (Role::Uninitialized | Role::Candidate | Role::Slave { .. } | Role::Master { .. }, _) => false,
        };
        if !same {
            self.tell(Event::RoleChanged { from, to, reason });
        }
    }

    /// Follows a term, or begins to reign in it; a later life is to know.
    fn acknowledge(&mut self, term: Term) {
        self.acknowledged = term.into();
        self.highest_round = self.highest_round.max(term.round);
        self.want_stored(self.acknowledged);
    }

    fn tell(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    fn ask_for_address(&mut self) {
        if self.config.isolation_address_configured {
            self.tell(Event::AddressCheckWanted);
        }
    }

    fn transmit_to_all(&mut self, message: &Message) {
        for to in self.peers.keys() {
            self.out.push(Output::Transmit { to: *to, message: message.clone() });
        }
    }

    fn take_standing(&mut self, now: Instant, connected_datastores: u32, eligible: bool) {
        self.connected_datastores = connected_datastores;
        let obstacle = match (eligible, connected_datastores) {
            (false, _) => Some("not eligible"),
            (true, 0) => Some("no datastore connected"),
            (true, _) => None,
        };
        self.unfit = obstacle.is_some();
        match (obstacle, &self.state) {
            (Some(reason), State::Slave(_)) => self.enter(State::Uninitialized, reason),
            (Some(reason), State::Candidate(_) | State::Master(_)) => {
                self.enter(State::Uninitialized, reason);
                // Its slaves need not miss it first, and no candidate waits for it.
                self.transmit_to_all(&Message::Probe(Probe::TakesNoPart));
            }
            (None, State::Uninitialized) => self.begin_election(now, "takes part"),
            (Some(_), State::Uninitialized)
            | (None, State::Candidate(_) | State::Slave(_) | State::Master(_)) => {}
        }
    }

    fn take_host_dead(&mut self, now: Instant, host: HostId) {
        if let Some(peer) = self.peers.get_mut(&host) {
            peer.forget();
            peer.dead = true;
        }
        if matches!(&self.state, State::Slave(following) if following.term.host == host) {
            self.begin_election(now, "master dead by strong evidence");
        }
        self.try_early_end(now);
    }

    fn take_isolated(&mut self, now: Instant, isolated: bool) {
        if self.isolated == isolated {
            return;
        }
        self.isolated = isolated;
        if isolated {
            self.drop_rights(now);
        } else if matches!(self.state, State::Master(_)) {
            self.review_rights(now);
            self.claim_to_all(now);
        }
    }

    fn take_resumed(&mut self, now: Instant) {
        for peer in self.peers.values_mut() {
            peer.forget();
        }
        self.evidence = ContactEvidence::none_before(now);
        match self.state {
            State::Uninitialized => {}
            State::Candidate(_) | State::Slave(_) | State::Master(_) => {
                self.begin_election(now, "resumed after a gap");
            }
        }
    }

    /// Refuses a caller's mistake before anything has changed.
    fn check(&self, input: &Input) -> Result<(), Rejected> {
        match input {
            Input::HostDead { host } | Input::HostAlive { host } if !self.peers.contains_key(host) => {
                Err(Rejected::UnknownHost { host: *host })
            }
            Input::TermStored { acknowledged } => self.check_stored(*acknowledged),
            Input::HostList { hosts } => Ok(check_hosts(self.config.me, hosts).map(drop)?),
            Input::HostDead { .. }
            | Input::HostAlive { .. }
            | Input::Receive { .. }
            | Input::Contact { .. }
            | Input::Standing { .. }
            | Input::AddressAnswered { .. }
            | Input::Isolated { .. }
            | Input::RoundSeen { .. }
            | Input::ListsOwned { .. }
            | Input::Resumed => Ok(()),
        }
    }
}

impl Machine for Election {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        self.check(&input)?;
        let now = self.begin_call(now);
        match input {
            Input::Receive { from, message, echoes, known_round } => {
                self.receive(now, from, message, echoes, known_round);
            }
            Input::Contact { from, echoes, known_round } => self.take_contact(now, from, echoes, known_round),
            Input::Standing { connected_datastores, eligible } => {
                self.take_standing(now, connected_datastores, eligible);
            }
            Input::HostDead { host } => self.take_host_dead(now, host),
            Input::HostAlive { host } => {
                if let Some(peer) = self.peers.get_mut(&host) {
                    peer.dead = false;
                }
            }
            Input::AddressAnswered { asked } => {
                self.evidence.address_answered(asked);
                self.review_rights(now);
            }
            Input::Isolated { isolated } => self.take_isolated(now, isolated),
            Input::RoundSeen { round } => self.exceed_round(now, round),
            Input::TermStored { acknowledged } => self.take_stored(now, acknowledged),
            Input::HostList { hosts } => self.take_host_list(now, hosts),
            Input::ListsOwned { count } => self.lists_owned = count,
            Input::Resumed => self.take_resumed(now),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.begin_call(now);
        match self.state {
            State::Uninitialized => {}
            State::Candidate(_) => self.tick_candidate(now),
            State::Slave(_) => self.tick_slave(now),
            State::Master(_) => self.tick_master(now),
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.out.deadline(self.clock.latest(), self.own_deadline())
    }
}
