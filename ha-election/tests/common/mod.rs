//! A few electors on a made-up network and clock. Frames echo as `ha_core::wire` judges it: the highest frame
//! of the receiver that the sender has heard counts if it is among the last 64 and was sent lately.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]
#![allow(clippy::wildcard_enum_match_arm, reason = "only some events carry what is checked")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]
#![allow(dead_code, reason = "each test file uses a part of it")]

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use ha_core::{Acknowledged, HostId, Instant, Machine, Profile, Random, Round, Term, TimingConfig};
use ha_election::{Election, ElectionConfig, Event, Input, Message, MessageKind, Output, Role};

pub(crate) const SWIFT: TimingConfig = TimingConfig::profile(Profile::Swift);
pub(crate) const VSPHERE: TimingConfig = TimingConfig::profile(Profile::Vsphere);

pub(crate) fn host(number: u32) -> HostId {
    HostId::new(number)
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn at(millis: u64) -> Instant {
    Instant::ORIGIN.after(ms(millis))
}

/// The host list `host-<n>` for these numbers, seen from `me`.
pub(crate) fn config(me: u32, numbers: &[u32], timing: TimingConfig) -> ElectionConfig {
    ElectionConfig {
        me: host(me),
        hosts: numbers.iter().map(|n| (host(*n), format!("host-{n}").parse().unwrap())).collect(),
        node_goodness: None,
        isolation_address_configured: true,
        timing,
        seed: u64::from(me),
        acknowledged: Acknowledged::NONE,
    }
}

/// Everything that an election puts out, with a store that is durable at once; its requests are left out.
pub(crate) fn drain(election: &mut Election) -> Vec<Output> {
    let mut outputs = Vec::new();
    while let Some(output) = election.poll_output() {
        match output {
            // A clock that goes back stands still: the answer comes in the moment of the request.
            Output::StoreTerm { acknowledged } => {
                election.handle_input(Instant::ORIGIN, Input::TermStored { acknowledged }).unwrap();
            }
            Output::Transmit { .. } | Output::Event(_) => outputs.push(output),
        }
    }
    outputs
}

struct Node {
    election: Option<Election>,
    config: ElectionConfig,
    life: u64,
    sent: BTreeMap<HostId, Vec<Instant>>,
    heard: BTreeMap<HostId, (u64, usize)>,
    heartbeat_due: Instant,
}

struct Flight {
    from: HostId,
    to: HostId,
    life: u64,
    number: usize,
    echo: Option<(u64, usize)>,
    round: Round,
    payload: Option<(MessageKind, Vec<u8>)>,
}

pub(crate) struct Cluster {
    pub(crate) now: Instant,
    pub(crate) log: Vec<(Instant, HostId, Event)>,
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
    /// How late timers fire on each host; at once on others.
    pub(crate) late: BTreeMap<HostId, Duration>,
    /// Lost frames in a thousand.
    pub(crate) loss: u64,
    /// Directed links that carry nothing.
    pub(crate) cut: BTreeSet<(HostId, HostId)>,
    /// Hosts whose pings to the isolation address are answered.
    pub(crate) address: BTreeSet<HostId>,
    /// Hosts whose disk does not answer.
    pub(crate) disk_stuck: BTreeSet<HostId>,
    unstored: BTreeMap<HostId, Acknowledged>,
    pub(crate) transmitted: usize,
    /// When each election message was sent, and whether it was a claim.
    pub(crate) election_messages: Vec<(Instant, bool)>,
    nodes: BTreeMap<HostId, Node>,
    flights: BTreeMap<(Instant, u64), Flight>,
    flown: u64,
    random: Random,
    timing: TimingConfig,
    highest: BTreeMap<HostId, Term>,
    reigned: BTreeSet<Term>,
}

impl Cluster {
    /// Hosts that are not started yet; every isolation address answers.
    pub(crate) fn new(numbers: &[u32], timing: TimingConfig, seed: u64) -> Self {
        let node = |n: &u32| {
            let mut config = config(*n, numbers, timing);
            config.seed ^= seed << 8;
            let node = Node {
                election: None,
                config,
                life: 0,
                sent: BTreeMap::new(),
                heard: BTreeMap::new(),
                heartbeat_due: Instant::ORIGIN,
            };
            (host(*n), node)
        };
        Self {
            now: Instant::ORIGIN,
            log: Vec::new(),
            delay: ms(1),
            jitter: Duration::ZERO,
            late: BTreeMap::new(),
            loss: 0,
            cut: BTreeSet::new(),
            address: numbers.iter().copied().map(host).collect(),
            disk_stuck: BTreeSet::new(),
            unstored: BTreeMap::new(),
            transmitted: 0,
            election_messages: Vec::new(),
            nodes: numbers.iter().map(node).collect(),
            flights: BTreeMap::new(),
            flown: 0,
            random: Random::from_seed(seed),
            timing,
            highest: BTreeMap::new(),
            reigned: BTreeSet::new(),
        }
    }

    /// All hosts started at once.
    pub(crate) fn started(numbers: &[u32], timing: TimingConfig, seed: u64) -> Self {
        let mut cluster = Self::new(numbers, timing, seed);
        cluster.start_all();
        cluster
    }

    /// Starts every host, each with two datastores connected.
    pub(crate) fn start_all(&mut self) {
        let hosts: Vec<HostId> = self.nodes.keys().copied().collect();
        for host in hosts {
            self.start(host.number(), 2);
        }
    }

    /// Starts a host, in a new life with what the last one stored.
    pub(crate) fn start(&mut self, number: u32, connected_datastores: u32) {
        let node = self.nodes.get_mut(&host(number)).unwrap();
        node.life += 1;
        node.sent.clear();
        node.heard.clear();
        node.election = Some(Election::new(self.now, node.config.clone()).unwrap());
        self.input(number, Input::Standing { connected_datastores, eligible: true });
    }

    pub(crate) fn set_goodness(&mut self, number: u32, goodness: i64) {
        self.nodes.get_mut(&host(number)).unwrap().config.node_goodness = Some(goodness);
    }

    /// Has every host configured without an isolation address.
    pub(crate) fn without_address(mut self) -> Self {
        for node in self.nodes.values_mut() {
            node.config.isolation_address_configured = false;
        }
        self
    }

    pub(crate) fn crash(&mut self, number: u32) {
        self.unstored.remove(&host(number));
        self.nodes.get_mut(&host(number)).unwrap().election = None;
    }

    pub(crate) fn election(&self, number: u32) -> &Election {
        self.nodes[&host(number)].election.as_ref().unwrap()
    }

    pub(crate) fn input(&mut self, number: u32, input: Input) {
        let node = self.nodes.get_mut(&host(number)).unwrap();
        node.election.as_mut().unwrap().handle_input(self.now, input).unwrap();
        self.drain(host(number));
    }

    /// Cuts, or restores, both directions between two hosts.
    pub(crate) fn cut_both(&mut self, a: u32, b: u32, cut: bool) {
        for link in [(host(a), host(b)), (host(b), host(a))] {
            if cut {
                self.cut.insert(link)
            } else {
                self.cut.remove(&link)
            };
        }
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now.after(span);
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            self.now = next;
            self.deliver();
            self.heartbeats();
            self.tick();
        }
        self.now = end;
    }

    /// Runs until `done`, at most for `limit`; answers how long it took.
    pub(crate) fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(self.now.since(start) < limit, "not within {limit:?}: {}", self.picture());
            self.run_for(Duration::from_micros(100));
        }
        self.now.since(start)
    }

    pub(crate) fn masters(&self) -> Vec<u32> {
        self.up().filter(|(_, e)| matches!(e.role(), Role::Master { .. })).map(|(h, _)| h.number()).collect()
    }

    /// Whether these hosts have one master among them, which all of them follow in its own term.
    pub(crate) fn agree(&self, numbers: &[u32]) -> Option<u32> {
        let mut views = numbers.iter().map(|n| self.election(*n).master());
        let first = views.next()??;
        let reigning = self.nodes.get(&first.0)?.election.as_ref()?.role() == Role::Master { term: first.1 };
        (reigning && numbers.contains(&first.0.number()) && views.all(|view| view == Some(first)))
            .then(|| first.0.number())
    }

    pub(crate) fn events(&self, number: u32) -> Vec<Event> {
        self.log.iter().filter(|(_, h, _)| *h == host(number)).map(|(_, _, event)| *event).collect()
    }

    pub(crate) fn picture(&self) -> String {
        self.up().map(|(h, e)| format!("{h}: {}; ", e.role())).collect()
    }

    fn up(&self) -> impl Iterator<Item = (HostId, &Election)> {
        self.nodes.iter().filter_map(|(host, node)| Some((*host, node.election.as_ref()?)))
    }

    fn next_event(&self) -> Option<Instant> {
        let flight = self.flights.first_key_value().map(|((at, _), _)| *at);
        let deadlines =
            self.up().filter_map(|(host, e)| e.poll_timeout().map(|due| self.fires(host, due.at)));
        let beats = self.nodes.values().filter(|n| n.slave_of().is_some()).map(|n| n.heartbeat_due);
        flight.into_iter().chain(deadlines).chain(beats).min().map(|at| at.max(self.now))
    }

    fn fires(&self, host: HostId, due: Instant) -> Instant {
        due.after(self.late.get(&host).copied().unwrap_or_default())
    }

    fn deliver(&mut self) {
        while self.flights.first_key_value().is_some_and(|((at, _), _)| *at <= self.now) {
            if let Some((_, flight)) = self.flights.pop_first() {
                self.arrive(flight);
            }
        }
    }

    fn arrive(&mut self, flight: Flight) {
        let node = self.nodes.get_mut(&flight.to).unwrap();
        if node.election.is_none() {
            return;
        }
        let newest = node.heard.entry(flight.from).or_insert((flight.life, flight.number));
        *newest = (*newest).max((flight.life, flight.number));
        let sent = node.sent.entry(flight.from).or_default();
        let echoes = flight
            .echo
            .filter(|(life, number)| *life == node.life && sent.len() - number <= 64)
            .and_then(|(_, number)| sent.get(number).copied())
            .filter(|sent| self.now.since(*sent) <= self.timing.master_lost);
        let (from, known_round) = (flight.from, Some(flight.round));
        let input = match (flight.payload, echoes) {
            (Some((kind, bytes)), echoes) => {
                let message = Message::decode(kind, &bytes).unwrap();
                Input::Receive { from, message, echoes, known_round }
            }
            (None, Some(echoes)) => Input::Contact { from, echoes, known_round },
            (None, None) => return,
        };
        self.input(flight.to.number(), input);
    }

    fn heartbeats(&mut self) {
        let mut due = Vec::new();
        for (host, node) in &mut self.nodes {
            if let Some(master) = node.slave_of()
                && node.heartbeat_due <= self.now
            {
                node.heartbeat_due = self.now.after(self.timing.heartbeat_period);
                due.push((*host, master));
            }
        }
        for (from, to) in due {
            self.send(from, to, None);
        }
    }

    fn tick(&mut self) {
        let hosts: Vec<HostId> = self.up().map(|(host, _)| host).collect();
        for host in hosts {
            let due = self.nodes[&host].election.as_ref().unwrap().poll_timeout();
            if due.is_some_and(|due| self.fires(host, due.at) <= self.now) {
                let election = self.nodes.get_mut(&host).unwrap().election.as_mut().unwrap();
                election.handle_timeout(self.now);
                self.drain(host);
                let next = self.nodes[&host].election.as_ref().unwrap().poll_timeout();
                assert!(next.is_none_or(|next| next.at > self.now), "{host} runs hot: {next:?}");
            }
        }
    }

    fn drain(&mut self, from: HostId) {
        while let Some(output) = self.nodes.get_mut(&from).unwrap().election.as_mut().unwrap().poll_output() {
            match output {
                Output::Transmit { to, message } => {
                    let mut bytes = Vec::new();
                    message.encode(&mut bytes);
                    self.send(from, to, Some((message.kind(), bytes)));
                }
                Output::StoreTerm { acknowledged } => self.store(from, acknowledged),
                Output::Event(event) => self.note(from, event),
            }
        }
    }

    /// Terms are durable at once, unless `disk_stuck` says otherwise.
    fn store(&mut self, host: HostId, acknowledged: Acknowledged) {
        if self.disk_stuck.contains(&host) {
            self.unstored.insert(host, acknowledged);
            return;
        }
        self.nodes.get_mut(&host).unwrap().config.acknowledged = acknowledged;
        self.input(host.number(), Input::TermStored { acknowledged });
    }

    /// Lets a stuck disk work again; what it was asked to store becomes durable.
    pub(crate) fn unstick(&mut self, number: u32) {
        self.disk_stuck.remove(&host(number));
        if let Some(acknowledged) = self.unstored.remove(&host(number)) {
            self.store(host(number), acknowledged);
        }
    }

    /// Keeps what must hold at every moment of every run.
    fn note(&mut self, from: HostId, event: Event) {
        self.log.push((self.now, from, event));
        let term = match event {
            Event::Following { term, .. } => term,
            Event::Reigning { term } => {
                assert!(self.reigned.insert(term), "term {term} reigned twice");
                term
            }
            Event::AddressCheckWanted if self.address.contains(&from) => {
                // The answer is at once there; nothing in these tests depends on its travel.
                self.input(from.number(), Input::AddressAnswered { asked: self.now });
                return;
            }
            _ => return,
        };
        if let Some(before) = self.highest.insert(from, term) {
            assert!(term >= before, "{from} went back from {before} to {term}");
        }
    }

    fn send(&mut self, from: HostId, to: HostId, payload: Option<(MessageKind, Vec<u8>)>) {
        self.transmitted += 1;
        let claims = payload.as_ref().map(|(kind, _)| *kind == MessageKind::Claim);
        self.election_messages.extend(claims.map(|claims| (self.now, claims)));
        let lost = self.random.below(1_000) < self.loss || self.cut.contains(&(from, to));
        let late = self.random.span_below(self.jitter);
        let node = self.nodes.get_mut(&from).unwrap();
        let sent = node.sent.entry(to).or_default();
        sent.push(self.now);
        let flight = Flight {
            from,
            to,
            life: node.life,
            number: sent.len() - 1,
            echo: node.heard.get(&to).copied(),
            round: node.election.as_ref().unwrap().highest_round(),
            payload,
        };
        self.flown += 1;
        if !lost {
            self.flights.insert((self.now.after(self.delay).after(late), self.flown), flight);
        }
    }
}

impl Node {
    fn slave_of(&self) -> Option<HostId> {
        match self.election.as_ref()?.role() {
            Role::Slave { master, .. } => Some(master),
            Role::Uninitialized | Role::Candidate | Role::Master { .. } => None,
        }
    }
}
