use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use ha_core::wire::{Channel, Echo, FrameKind, Opened, Received, Security, Wire, WireConfig};
use ha_core::{
    Acknowledged, BootId, ClusterId, HostId, Identity, Incarnation, Instant, Machine, Profile, Term,
    TimingConfig,
};
use ha_election::{
    Candidacy, Claim, Election, ElectionConfig, Event, Input, Message, MessageKind, Output, Rank, Role,
};

const SWIFT: TimingConfig = TimingConfig::profile(Profile::Swift);
const DELAY: Duration = Duration::from_millis(1);
/// A datagram that minor 0 does not know.
const UNKNOWN_KIND: u16 = 5;
/// What minor 1 appends to every payload.
pub(crate) const EXTENSION: &[u8] = b"said by minor 1";

pub(crate) fn host(number: u32) -> HostId {
    HostId::new(number)
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn rank(goodness: i64, number: u32) -> Rank {
    Rank { goodness, moid: format!("host-{number}").parse().unwrap() }
}

pub(crate) fn candidacy(goodness: i64, number: u32) -> Message {
    Message::Candidacy(Candidacy { rank: rank(goodness, number) })
}

pub(crate) fn claim(term: Term, goodness: i64) -> Message {
    Message::Claim(Claim { lists_owned: 1, term, rank: rank(goodness, term.host.number()) })
}

/// How long a payload of minor 0 is, by the table in the crate's documentation and not by its code.
fn known_length(kind: MessageKind, payload: &[u8]) -> usize {
    let rank = |at: usize| 8 + 1 + usize::from(payload[at + 8]);
    match kind {
        MessageKind::Candidacy => rank(0),
        MessageKind::Claim => 4 + 12 + rank(16),
        MessageKind::Probe => payload.len().min(13),
    }
}

/// What minor 1 makes of a payload of minor 0.
pub(crate) fn extended(kind: MessageKind, payload: &[u8]) -> Vec<u8> {
    let left_out = if kind == MessageKind::Probe { 13 - payload.len() } else { 0 };
    [payload, &[0; 13][..left_out], EXTENSION].concat()
}

/// What minor 1 finds in a payload besides what minor 0 has.
pub(crate) fn extension(kind: MessageKind, payload: &[u8]) -> Option<&[u8]> {
    Some(&payload[known_length(kind, payload)..]).filter(|rest| !rest.is_empty())
}

/// A frame as minor 1 sends it. The offsets are those of `WIRE.md`.
fn reseal(frame: &[u8], kind: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut newer = frame[..104].to_vec();
    newer[5] = 1;
    if let Some(kind) = kind {
        newer[8..10].copy_from_slice(&kind.to_le_bytes());
    }
    newer[12..16].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    newer.extend_from_slice(payload);
    let sum = crc32(&newer);
    newer.extend_from_slice(&sum.to_le_bytes());
    newer.extend_from_slice(&[0; 12]);
    newer
}

/// CRC-32 (IEEE), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

struct Node {
    wire: Wire,
    election: Option<Election>,
    newer: bool,
    beat_due: Instant,
    /// Payloads that were no message.
    bad: u32,
    /// Frames of the unknown kind that reached it.
    unknown: u64,
}

/// Electors that speak in frames, on a made-up clock.
pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) log: Vec<(Instant, HostId, Event)>,
    /// Whether hosts of minor 1 send a frame of an unknown kind beside each other one.
    unknown_kinds: bool,
    nodes: BTreeMap<HostId, Node>,
    cut: BTreeSet<(HostId, HostId)>,
    flights: BTreeMap<(Instant, u64), (HostId, Vec<u8>)>,
    flown: u64,
}

impl Net {
    /// All hosts of the list, started at once; `newer` says which speak minor 1.
    pub(crate) fn new(numbers: &[u32], newer: impl Fn(u32) -> bool) -> Self {
        Self::with(numbers, newer, true)
    }

    /// The same, with or without frames of an unknown kind.
    pub(crate) fn with(numbers: &[u32], newer: impl Fn(u32) -> bool, unknown_kinds: bool) -> Self {
        let hosts: Vec<HostId> = numbers.iter().copied().map(host).collect();
        let node = |me: &HostId| {
            let wire = Wire::new(WireConfig {
                identity: Identity {
                    cluster: ClusterId::from_bytes([0xC1; 16]),
                    host: *me,
                    boot: BootId::from_bytes([0xB0; 16]),
                    incarnation: Incarnation::new(1),
                },
                hosts: hosts.clone(),
                security: Security::Unauthenticated,
                echo_fresh: SWIFT.master_lost,
                probe_spacing: SWIFT.heartbeat_period / 4,
            });
            let config = ElectionConfig {
                me: *me,
                hosts: hosts.iter().map(|host| (*host, host.to_string().parse().unwrap())).collect(),
                node_goodness: None,
                isolation_address_configured: false,
                timing: SWIFT,
                seed: u64::from(me.number()),
                acknowledged: Acknowledged::NONE,
            };
            let election = Some(Election::new(Instant::ORIGIN, config).unwrap());
            let (newer, beat_due) = (newer(me.number()), Instant::ORIGIN);
            (*me, Node { wire: wire.unwrap(), election, newer, beat_due, bad: 0, unknown: 0 })
        };
        let mut net = Self {
            now: Instant::ORIGIN,
            log: Vec::new(),
            unknown_kinds,
            nodes: hosts.iter().map(node).collect(),
            cut: BTreeSet::new(),
            flights: BTreeMap::new(),
            flown: 0,
        };
        for host in hosts {
            net.input(host, Input::Standing { connected_datastores: 1, eligible: true });
        }
        net
    }

    pub(crate) fn election(&self, number: u32) -> &Election {
        self.nodes[&host(number)].election.as_ref().unwrap()
    }

    pub(crate) fn wire(&self, number: u32) -> &Wire {
        &self.nodes[&host(number)].wire
    }

    pub(crate) fn crash(&mut self, number: u32) {
        self.nodes.get_mut(&host(number)).unwrap().election = None;
    }

    /// Nothing of `from` reaches `to`.
    pub(crate) fn cut(&mut self, from: u32, to: u32) {
        self.cut.insert((host(from), host(to)));
    }

    pub(crate) fn part(&mut self, one: &[u32], other: &[u32]) {
        for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))) {
            self.cut(a, b);
            self.cut(b, a);
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    /// The master among these hosts, if all of them follow it in its own term.
    pub(crate) fn agreed(&self, numbers: &[u32]) -> Option<u32> {
        let (master, term) = self.election(numbers[0]).master()?;
        let agrees = |number: &u32| match self.election(*number).role() {
            Role::Master { term: own } => own == term && host(*number) == master,
            Role::Slave { term: followed, .. } => followed == term && host(*number) != master,
            Role::Candidate | Role::Uninitialized => false,
        };
        numbers.iter().all(agrees).then_some(master.number()).filter(|master| numbers.contains(master))
    }

    pub(crate) fn run_until_agreed(&mut self, numbers: &[u32], limit: Duration) {
        let end = self.now.after(limit);
        while self.agreed(numbers).is_none() {
            assert!(self.now < end, "not within {limit:?}: {}", self.picture());
            self.run_for(ms(1));
        }
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now.after(span);
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            while self.flights.first_key_value().is_some_and(|((at, _), _)| *at <= self.now) {
                let (_, (to, frame)) = self.flights.pop_first().unwrap();
                self.arrive(to, &frame);
            }
            let hosts: Vec<HostId> = self.nodes.keys().copied().collect();
            for host in hosts {
                if let Some(election) = &mut self.nodes.get_mut(&host).unwrap().election {
                    election.handle_timeout(self.now);
                    self.settle(host);
                }
            }
        }
        self.now = end;
    }

    pub(crate) fn picture(&self) -> String {
        let tell = |(host, node): (&HostId, &Node)| {
            let role = node.election.as_ref().map(Election::role);
            format!("{host}, minor {}: {role:?}; ", u32::from(node.newer))
        };
        self.nodes.iter().map(tell).collect()
    }

    /// Whatever a neighbour of another minor sends is heard, save the kind that only minor 1 has.
    pub(crate) fn assert_only_unknown_kinds_went_unheard(&self) {
        for (host, node) in &self.nodes {
            let frames = node.wire.counters();
            assert_eq!((node.bad, frames.refused_in_all()), (0, 0), "{host}: {}", self.picture());
            assert_eq!(frames.ignored().get(), node.unknown, "{host}: {}", self.picture());
        }
    }

    fn next_event(&self) -> Option<Instant> {
        let up = self.nodes.values().filter_map(|node| Some((node, node.election.as_ref()?)));
        let deadlines = up.clone().filter_map(|(_, election)| Some(election.poll_timeout()?.at));
        let beats = up.filter(|(_, e)| matches!(e.role(), Role::Slave { .. })).map(|(node, _)| node.beat_due);
        self.flights.keys().next().map(|(at, _)| *at).into_iter().chain(deadlines).chain(beats).min()
    }

    pub(crate) fn input(&mut self, host: HostId, input: Input) {
        let election = self.nodes.get_mut(&host).unwrap().election.as_mut().unwrap();
        election.handle_input(self.now, input).unwrap();
        self.settle(host);
    }

    /// Carries out what the election asks for, and beats if it is time.
    fn settle(&mut self, host: HostId) {
        while let Some(output) = self.nodes.get_mut(&host).unwrap().election.as_mut().unwrap().poll_output() {
            match output {
                Output::Transmit { to, message } => self.transmit(host, to, &message),
                Output::StoreTerm { acknowledged } => self.input(host, Input::TermStored { acknowledged }),
                Output::Event(event) => self.log.push((self.now, host, event)),
            }
        }
        let node = self.nodes.get_mut(&host).unwrap();
        if let Some(Role::Slave { master, .. }) = node.election.as_ref().map(Election::role)
            && node.beat_due <= self.now
        {
            node.beat_due = self.now.after(SWIFT.heartbeat_period);
            self.send(host, master, FrameKind::Heartbeat, &[], EXTENSION);
        }
    }

    fn transmit(&mut self, from: HostId, to: HostId, message: &Message) {
        let kind = match message.kind() {
            MessageKind::Probe => FrameKind::Probe,
            MessageKind::Candidacy => FrameKind::Candidacy,
            MessageKind::Claim => FrameKind::Claim,
        };
        let mut payload = Vec::new();
        message.encode(&mut payload);
        let newer = extended(message.kind(), &payload);
        self.send(from, to, kind, &payload, &newer);
    }

    fn send(&mut self, from: HostId, to: HostId, kind: FrameKind, payload: &[u8], newer: &[u8]) {
        let node = self.nodes.get_mut(&from).unwrap();
        let term = Some(Term::new(node.election.as_ref().unwrap().highest_round(), from));
        let mut frames = vec![node.wire.seal(self.now, to, kind, term, payload).unwrap().to_vec()];
        if node.newer {
            frames[0] = reseal(&frames[0], None, newer);
            if self.unknown_kinds {
                let other = node.wire.seal(self.now, to, kind, term, &[]).unwrap();
                frames.push(reseal(&other, Some(UNKNOWN_KIND), EXTENSION));
            }
        }
        if !self.cut.contains(&(from, to)) {
            for frame in frames {
                self.flown += 1;
                self.flights.insert((self.now.after(DELAY), self.flown), (to, frame));
            }
        }
    }

    fn arrive(&mut self, to: HostId, frame: &[u8]) {
        let node = self.nodes.get_mut(&to).unwrap();
        if node.election.is_none() {
            return;
        }
        node.unknown += u64::from(frame[8..10] == UNKNOWN_KIND.to_le_bytes());
        if let Opened::Accepted(received) = node.wire.open(self.now, Channel::Datagram, frame) {
            self.hear(to, &received);
        }
    }

    fn hear(&mut self, me: HostId, received: &Received<'_>) {
        let from = received.from;
        let echoes = match received.echo {
            Echo::Fresh { sent_at } => Some(sent_at),
            Echo::Stale | Echo::None => None,
        };
        let known_round = received.term.map(|term| term.round);
        let kind = match received.kind {
            FrameKind::Probe => MessageKind::Probe,
            FrameKind::Candidacy => MessageKind::Candidacy,
            FrameKind::Claim => MessageKind::Claim,
            FrameKind::Heartbeat | FrameKind::Control => {
                if let Some(echoes) = echoes {
                    self.input(me, Input::Contact { from, echoes, known_round });
                }
                return;
            }
        };
        if self.nodes[&me].newer {
            // Minor 1 can tell from the payload alone what its sender speaks.
            let found = extension(kind, received.payload);
            assert_eq!(found, self.nodes[&from].newer.then_some(EXTENSION), "{kind:?} of {from}");
        }
        match Message::decode(kind, received.payload) {
            Ok(message) => self.input(me, Input::Receive { from, message, echoes, known_round }),
            Err(_) => self.nodes.get_mut(&me).unwrap().bad += 1,
        }
    }
}
