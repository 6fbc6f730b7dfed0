use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::num::NonZeroU16;
use core::time::Duration;

use bytes::Bytes;
use ha_core::wire::{Channel, Echo, FrameKind, Key, KeyRing, Opened, Security, Wire, WireConfig};
use ha_core::{
    BootId, Capability, ClusterId, HostId, Identity, Incarnation, Instant, Machine, Round, Term, TimingPlan,
};
use ha_election::{Election, ElectionConfig, Event, Input, Message, MessageKind, Output, Probe, Role};

use super::ledger::{Ledger, PlainFrame, Worth};
use super::watch::{Finding, Watch};
use super::{Act, Life, News, Node, StartError};
use crate::scenario::all_hosts;
use crate::{Reign, Stance};

/// Up to this many hosts speak in real frames. Beyond it their memory would be that of the wire's windows, a
/// kilobyte for each pair of hosts.
const MOST_WITH_BYTES: u32 = 100;
const CLUSTER: ClusterId = ClusterId::from_bytes([0xC1; 16]);
const KEY: Key = Key::from_bytes([7; 16]);

/// The production election of one host, carried by what its embedder would be: frames with echoes, a slave's
/// heartbeats, its own monitor of the master, and the store of its round.
#[derive(Debug)]
pub struct Elector {
    host: HostId,
    election: Election,
    link: Link,
    watch: Option<Watch>,
    heartbeat_period: Duration,
    datastores: u32,
    role: Role,
    next_beat: Option<Instant>,
    /// The last message, shared by all frames that carry it.
    last: Rc<Message>,
    acts: VecDeque<Act<Frame>>,
}

/// How frames are made and judged.
#[derive(Debug)]
enum Link {
    Sealed(Box<Wire>),
    Plain(Ledger),
}

/// What electors send each other.
#[derive(Clone, Debug)]
pub enum Frame {
    /// The bytes of a real frame.
    Sealed(Bytes),
    /// The same without bytes, for large clusters.
    Plain(PlainFrame),
}

/// What was read from an accepted frame. Without a message it is a slave's heartbeat.
struct Read {
    from: Identity,
    round: u64,
    message: Option<Message>,
    worth: Worth,
}

impl Elector {
    /// As [`Node::start`], with or without real frames.
    ///
    /// # Errors
    ///
    /// As [`Node::start`].
    pub fn start_with(life: &Life<'_>, now: Instant, real_frames: bool) -> Result<Self, StartError> {
        let Life { scenario, host, incarnation, stored } = *life;
        let timing = scenario.pace.timing();
        let moid = |host: HostId| alloc::format!("{host}").parse().map_err(|_| StartError::HostName);
        let hosts: Result<Vec<_>, StartError> =
            all_hosts(scenario.hosts).into_iter().map(|host| Ok((host, moid(host)?))).collect();
        let election = Election::new(
            now,
            ElectionConfig {
                me: host,
                hosts: hosts?,
                node_goodness: None,
                isolation_address_configured: scenario.isolation_address,
                timing,
                seed: scenario.seed ^ u64::from(host.number()) << 32 ^ incarnation,
                acknowledged: stored,
            },
        )?;
        let (echo_fresh, probe_spacing) = (timing.master_lost, timing.heartbeat_period / 4);
        let link = if real_frames {
            let config = WireConfig {
                identity: identity(host, incarnation),
                hosts: all_hosts(scenario.hosts),
                security: Security::Keyed(KeyRing::new(NonZeroU16::MIN, KEY)),
                echo_fresh,
                probe_spacing,
            };
            Link::Sealed(Box::new(Wire::new(config)?))
        } else {
            Link::Plain(Ledger::new(incarnation, scenario.hosts, echo_fresh, probe_spacing))
        };
        let place = crate::links::place(host).unwrap_or(usize::MAX);
        let plan = TimingPlan::validate(timing, Capability::SAME_KERNEL)?;
        let mut elector = Self {
            watch: Watch::new(now, identity(host, incarnation), &plan).filter(|_| scenario.strong_evidence),
            host,
            role: election.role(),
            election,
            link,
            heartbeat_period: timing.heartbeat_period,
            datastores: scenario.datastores.get(place).copied().unwrap_or(1),
            next_beat: None,
            last: Rc::new(Message::Probe(Probe::Here)),
            acts: VecDeque::new(),
        };
        elector.tell(now, News::Fit(true));
        Ok(elector)
    }

    fn input(&mut self, now: Instant, input: Input) {
        // Only an input that names a host outside the list can be rejected, and ours name none.
        let taken = self.election.handle_input(now, input);
        debug_assert!(taken.is_ok(), "{taken:?}");
    }

    fn on_frame(&mut self, now: Instant, frame: &Frame) {
        let Some(Read { from: sender, round, message, worth }) = self.open(now, frame) else { return };
        let from = sender.host;
        if let Some(watch) = self.watch.as_mut().filter(|_| worth.echoes.is_some()) {
            watch.heard(now, sender);
        }
        // The election answers its own messages, as in the agent.
        let answers = message.is_some() && self.election.answers();
        if worth.probe && !answers {
            self.send(now, from, FrameKind::Probe, Some(Message::Probe(Probe::Here)));
        }
        let known_round = Some(Round::new(round));
        match (message, worth.echoes) {
            (Some(message), echoes) => self.input(now, Input::Receive { from, message, echoes, known_round }),
            (None, Some(echoes)) => self.input(now, Input::Contact { from, echoes, known_round }),
            (None, None) => {}
        }
    }

    fn open(&mut self, now: Instant, frame: &Frame) -> Option<Read> {
        match (&mut self.link, frame) {
            (Link::Sealed(wire), Frame::Sealed(bytes)) => {
                let Opened::Accepted(received) = wire.open(now, Channel::Datagram, bytes) else {
                    return None;
                };
                let echoes = match received.echo {
                    Echo::Fresh { sent_at } => Some(sent_at),
                    Echo::Stale | Echo::None => None,
                };
                let kind = match received.kind {
                    FrameKind::Probe => Some(MessageKind::Probe),
                    FrameKind::Candidacy => Some(MessageKind::Candidacy),
                    FrameKind::Claim => Some(MessageKind::Claim),
                    FrameKind::Heartbeat | FrameKind::Control => None,
                };
                let message = match kind.map(|kind| Message::decode(kind, received.payload)) {
                    Some(Ok(message)) => Some(message),
                    Some(Err(_)) => return None,
                    None => None,
                };
                let round = received.term?.round.number();
                let worth = Worth { echoes, probe: received.probe };
                let from = identity(received.from, received.incarnation.number());
                Some(Read { from, round, message, worth })
            }
            (Link::Plain(ledger), Frame::Plain(plain)) => {
                let worth = ledger.open(now, plain)?;
                let message = plain.message.as_deref().cloned();
                Some(Read {
                    from: identity(plain.from, plain.incarnation),
                    round: plain.round,
                    message,
                    worth,
                })
            }
            (Link::Sealed(_), Frame::Plain(_)) | (Link::Plain(_), Frame::Sealed(_)) => None,
        }
    }

    /// Without a message it is a slave's heartbeat.
    fn send(&mut self, now: Instant, to: HostId, kind: FrameKind, message: Option<Message>) {
        let round = self.election.highest_round();
        let frame = match &mut self.link {
            Link::Sealed(wire) => {
                let mut payload = Vec::new();
                if let Some(message) = &message {
                    message.encode(&mut payload);
                }
                let term = Some(Term::new(round, self.host));
                wire.seal(now, to, kind, term, &payload).ok().map(Frame::Sealed)
            }
            Link::Plain(ledger) => {
                let message = message.map(|message| {
                    if *self.last != message {
                        self.last = Rc::new(message);
                    }
                    Rc::clone(&self.last)
                });
                ledger.seal(now, (self.host, to), round.number(), message).map(Frame::Plain)
            }
        };
        if let Some(frame) = frame {
            self.acts.push_back(Act::Send { to, kind, frame });
        }
    }

    /// Carries out what the monitor and the election ask for, then what the role asks for.
    fn settle(&mut self, now: Instant) {
        self.follow_watch(now);
        self.follow_election(now);
        let role = self.election.role();
        if role != self.role {
            self.role = role;
            self.next_beat = matches!(role, Role::Slave { .. }).then_some(now);
        }
        if let Role::Slave { master, .. } = role {
            if let Some(watch) = &mut self.watch {
                watch.master(now, master);
            }
            self.beat(now, master);
        }
        self.follow_watch(now);
    }

    fn follow_watch(&mut self, now: Instant) {
        while let Some(finding) = self.watch.as_mut().and_then(Watch::find) {
            match finding {
                Finding::Act(act) => self.acts.push_back(act),
                Finding::Election(input) => {
                    self.input(now, input);
                    self.follow_election(now);
                }
            }
        }
    }

    fn beat(&mut self, now: Instant, master: HostId) {
        if self.next_beat.is_some_and(|due| due <= now) {
            self.next_beat = Some(now.after(self.heartbeat_period));
            self.send(now, master, FrameKind::Heartbeat, None);
        }
    }

    fn follow_election(&mut self, now: Instant) {
        while let Some(output) = self.election.poll_output() {
            match output {
                Output::Transmit { to, message } => {
                    let kind = match message.kind() {
                        MessageKind::Probe => FrameKind::Probe,
                        MessageKind::Candidacy => FrameKind::Candidacy,
                        MessageKind::Claim => FrameKind::Claim,
                    };
                    self.send(now, to, kind, Some(message));
                }
                Output::StoreTerm { acknowledged } => self.acts.push_back(Act::Stores(acknowledged)),
                Output::Event(event) => self.on_event(event),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Reigning { term } => self.acts.push_back(Act::Reigns(reign(term))),
            Event::Following { term, .. } => self.acts.push_back(Act::Follows(reign(term))),
            Event::AddressCheckWanted => self.acts.push_back(Act::PingsAddress),
            Event::RoleChanged { .. }
            | Event::RightsChanged { .. }
            | Event::Yielded { .. }
            | Event::ElectionGoesOn { .. }
            | Event::InvalidMaster { .. }
            | _ => {}
        }
    }
}

impl Node for Elector {
    type Frame = Frame;

    fn start(life: &Life<'_>, now: Instant) -> Result<Self, StartError> {
        Self::start_with(life, now, life.scenario.hosts <= MOST_WITH_BYTES)
    }

    fn tell(&mut self, now: Instant, news: News<Frame>) {
        match news {
            News::Frame(frame) => self.on_frame(now, &frame),
            News::AddressAnswered(asked) => self.input(now, Input::AddressAnswered { asked }),
            News::Pinged(done) => {
                if let Some(watch) = &mut self.watch {
                    watch.pinged(now, done);
                }
            }
            News::Looked(done) => {
                if let Some(watch) = &mut self.watch {
                    watch.looked(now, done);
                }
            }
            News::Fit(eligible) => {
                let connected_datastores = self.datastores;
                self.input(now, Input::Standing { connected_datastores, eligible });
            }
            News::OwnsLists(count) => self.input(now, Input::ListsOwned { count }),
            News::Resumed => self.input(now, Input::Resumed),
            News::Stored(acknowledged) => self.input(now, Input::TermStored { acknowledged }),
        }
        self.settle(now);
    }

    fn tick(&mut self, now: Instant) {
        if let Some(watch) = &mut self.watch {
            watch.tick(now);
        }
        self.election.handle_timeout(now);
        self.settle(now);
    }

    fn act(&mut self) -> Option<Act<Frame>> {
        self.acts.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let election = self.election.poll_timeout().map(|deadline| deadline.at);
        let watch = self.watch.as_ref().and_then(Watch::deadline);
        [election, watch, self.next_beat].into_iter().flatten().min()
    }

    fn stance(&self) -> Stance {
        match self.election.role() {
            Role::Uninitialized => Stance::Out,
            Role::Candidate => Stance::Looks,
            Role::Slave { term, .. } => Stance::Follows(reign(term)),
            Role::Master { term } => Stance::Reigns(reign(term)),
        }
    }

    /// From the bytes at the offsets that `WIRE.md` gives, not by the code that wrote them.
    fn name(frame: &Frame) -> (u64, u64) {
        match frame {
            Frame::Sealed(bytes) => {
                let number =
                    |at| bytes.get(at..at + 8).and_then(|b: &[u8]| b.try_into().ok()).map(u64::from_le_bytes);
                (number(56).unwrap_or(0), number(80).unwrap_or(0))
            }
            Frame::Plain(plain) => (plain.incarnation, plain.sequence),
        }
    }
}

pub(super) fn identity(host: HostId, incarnation: u64) -> Identity {
    let mut boot = [0xB0; 16];
    boot[12..].copy_from_slice(&host.number().to_be_bytes());
    let boot = BootId::from_bytes(boot);
    Identity { cluster: CLUSTER, host, boot, incarnation: Incarnation::new(incarnation) }
}

const fn reign(term: Term) -> Reign {
    Reign { round: term.round.number(), host: term.host.number() }
}
