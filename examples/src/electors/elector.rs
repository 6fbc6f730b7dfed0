use alloc::collections::VecDeque;
use core::num::NonZeroU16;
use core::time::Duration;

use bytes::Bytes;
use ha_core::operation::Ping;
use ha_core::wire::{Key, KeyRing, Security, Wire, WireConfig};
use ha_core::{
    Acknowledged, Completion, HostId, Identity, Instant, Machine, MachineId, Term, TimingConfig, Token,
};
use ha_election::{Election, ElectionConfig, Event, Input, Message, Output, Probe, Role};
use ha_isolation::{
    Event as IsolationEvent, Input as IsolationInput, IsolationCheck, IsolationConfig,
    Output as IsolationOutput,
};

use super::config::ElectorConfig;
use super::frames;
use super::protocol::{News, Status, TermText};
use crate::agent::random;
use crate::config::timing_of;
use crate::failure::{Context, Failure};
use crate::options_file::OptionsFile;

/// An election with what its embedder must do for it: frames and echoes, a slave's heartbeats, the question whether
/// this host is cut off. It does no I/O; [`Elector::next_act`] says what to do.
///
/// Every method is followed by a drain of [`Elector::next_act`].
#[derive(Debug)]
pub(super) struct Elector {
    host: HostId,
    election: Election,
    isolation: IsolationCheck,
    wire: Wire,
    timing: TimingConfig,
    datastores: u32,
    isolated: bool,
    /// The last frame that proved that somebody hears this host, and whether it was master then.
    last_contact: (Instant, bool),
    /// Whether the isolation check knows that nobody does.
    alone: bool,
    next_beat: Option<Instant>,
    /// The role that was told last.
    told: Role,
    acts: VecDeque<Act>,
}

/// Something to do.
#[derive(Debug)]
pub(super) enum Act {
    Send { to: HostId, frame: Bytes },
    Ping { token: Token<Ping>, timeout: Duration },
    Store(Acknowledged),
    Tell(News),
}

impl Elector {
    pub(super) fn new(
        now: Instant,
        config: &ElectorConfig,
        identity: Identity,
        acknowledged: Acknowledged,
    ) -> Result<Self, Failure> {
        let timing = timing_of(config.profile, config.exact, &OptionsFile::default())?;
        let key: [u8; 16] =
            config.key.as_slice().try_into().context(|| "the key must have 16 bytes".into())?;
        let election = Election::new(
            now,
            ElectionConfig {
                me: config.host,
                hosts: config.hosts.iter().map(|other| (other.host, other.moid.clone())).collect(),
                node_goodness: None,
                isolation_address_configured: true,
                timing,
                seed: random(),
                acknowledged,
            },
        );
        let election = election.context(|| "starting the election".into())?;
        let machine = MachineId { host: config.host, incarnation: identity.incarnation, lane: 0 };
        let isolation = IsolationCheck::new(now, IsolationConfig { machine, addresses: 1, timing });
        let wire = Wire::new(WireConfig {
            identity,
            hosts: config.hosts.iter().map(|other| other.host).collect(),
            security: Security::Keyed(KeyRing::new(NonZeroU16::MIN, Key::from_bytes(key))),
            echo_fresh: timing.master_lost,
            probe_spacing: timing.heartbeat_period / 4,
        });
        Ok(Self {
            host: config.host,
            told: election.role(),
            election,
            isolation: isolation.context(|| "starting the isolation check".into())?,
            wire: wire.context(|| "preparing frames".into())?,
            timing,
            datastores: 0,
            isolated: false,
            last_contact: (now, false),
            alone: false,
            next_beat: None,
            acts: VecDeque::new(),
        })
    }

    /// What this host is fit for.
    pub(super) fn stand(&mut self, now: Instant, connected_datastores: u32, eligible: bool) {
        self.datastores = connected_datastores;
        self.input(now, Input::Standing { connected_datastores, eligible });
        self.settle(now);
    }

    /// A datagram has arrived, from whomever.
    pub(super) fn hear(&mut self, now: Instant, datagram: &[u8]) {
        let Some(heard) = frames::open(&mut self.wire, now, datagram) else { return };
        if heard.fresh {
            self.last_contact = (now, matches!(self.election.role(), Role::Master { .. }));
            if core::mem::take(&mut self.alone) {
                self.ask_isolation(now, IsolationInput::Contact);
            }
        }
        if heard.probe && !(heard.is_of_election && self.election.answers()) {
            self.send(now, heard.from, &Message::Probe(Probe::Here));
        }
        if let Some(input) = heard.input {
            self.input(now, input);
        }
        self.settle(now);
    }

    /// The isolation address has answered a ping, or has not.
    pub(super) fn pinged(&mut self, now: Instant, done: Completion<Ping>) {
        self.ask_isolation(now, IsolationInput::Pinged(done));
        self.settle(now);
    }

    /// What [`Act::Store`] asked for is durable.
    pub(super) fn stored(&mut self, now: Instant, acknowledged: Acknowledged) {
        self.input(now, Input::TermStored { acknowledged });
        self.settle(now);
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now: Instant) {
        self.election.handle_timeout(now);
        self.isolation.handle_timeout(now);
        let (since, as_master) = self.last_contact;
        if !self.alone && now >= since.after(self.timing.suspicion_after) {
            self.alone = true;
            self.ask_isolation(now, IsolationInput::Alone { as_master, since });
        }
        self.settle(now);
    }

    /// When to call [`Elector::tick`] next.
    pub(super) fn due(&self) -> Option<Instant> {
        let machines = [self.election.poll_timeout(), self.isolation.poll_timeout()];
        let alone = (!self.alone).then(|| self.last_contact.0.after(self.timing.suspicion_after));
        let own = [alone, self.next_beat];
        machines.into_iter().flatten().map(|deadline| deadline.at).chain(own.into_iter().flatten()).min()
    }

    pub(super) fn next_act(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// How it is now; what only the sockets know is zero.
    pub(super) fn status(&self, now: Instant) -> Status {
        let frames = self.wire.counters();
        Status {
            role: self.election.role().into(),
            rights: self.election.may_act(now),
            isolated: self.isolated,
            datastores: self.datastores,
            life: self.wire.identity().incarnation.number(),
            round: self.election.highest_round().number(),
            sent: 0,
            cut: 0,
            received: frames.accepted().get().saturating_add(frames.ignored().get()),
            refused: frames.refused_in_all(),
            stalls: self.election.counters().stalls.get(),
        }
    }

    fn input(&mut self, now: Instant, input: Input) {
        // Rejected is only what names a host outside the list or answers what was not asked; ours never do.
        if let Err(rejected) = self.election.handle_input(now, input) {
            eprintln!("{}: rejected: {rejected}", self.host);
        }
    }

    fn ask_isolation(&mut self, now: Instant, input: IsolationInput) {
        if let Err(rejected) = self.isolation.handle_input(now, input) {
            eprintln!("{}: rejected: {rejected}", self.host);
        }
    }

    /// Drains both machines, of which one may ask the other, and does what the role asks for.
    fn settle(&mut self, now: Instant) {
        loop {
            if let Some(output) = self.election.poll_output() {
                self.follow_election(now, output);
            } else if let Some(output) = self.isolation.poll_output() {
                self.follow_isolation(now, output);
            } else {
                break;
            }
        }
        self.beat(now);
    }

    fn follow_election(&mut self, now: Instant, output: Output) {
        match output {
            Output::Transmit { to, message } => self.send(now, to, &message),
            Output::StoreTerm { acknowledged } => self.acts.push_back(Act::Store(acknowledged)),
            Output::Event(event) => self.on_event(now, event),
        }
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        let news = match event {
            Event::RoleChanged { to, reason, .. } => {
                self.told = to;
                News::Role { role: to.into(), reason: Some(reason.into()) }
            }
            Event::Following { master, term } => {
                return self.tell_term(Role::Slave { master, term });
            }
            Event::Reigning { term } => return self.tell_term(Role::Master { term }),
            Event::RightsChanged { rights } => News::Rights(rights),
            Event::Yielded { to, term } => News::Yielded { to: to.number(), term: TermText(term) },
            Event::AddressCheckWanted => return self.ask_isolation(now, IsolationInput::Check),
            Event::ElectionGoesOn { reason } => News::ElectionGoesOn { reason: reason.to_string() },
            Event::InvalidMaster { host } => News::InvalidMaster { host: host.number() },
            _ => return,
        };
        self.acts.push_back(Act::Tell(news));
    }

    /// A term that the last change of role has not told.
    fn tell_term(&mut self, role: Role) {
        if self.told != role {
            self.told = role;
            self.acts.push_back(Act::Tell(News::Role { role: role.into(), reason: None }));
        }
    }

    fn follow_isolation(&mut self, now: Instant, output: IsolationOutput) {
        let (isolated, reason) = match output {
            IsolationOutput::Ping { token, timeout, .. } => {
                return self.acts.push_back(Act::Ping { token, timeout });
            }
            IsolationOutput::Event(IsolationEvent::AddressAnswered { asked, .. }) => {
                return self.input(now, Input::AddressAnswered { asked });
            }
            IsolationOutput::Event(IsolationEvent::DeclaredIsolated { after }) => {
                (true, format!("nobody heard, isolation address silent for {} ms", after.as_millis()))
            }
            IsolationOutput::Event(IsolationEvent::Cancelled { was_isolated: true, reason }) => {
                (false, reason.to_string())
            }
            // There are no virtual machines to respond with.
            IsolationOutput::Event(
                IsolationEvent::Cancelled { was_isolated: false, .. }
                | IsolationEvent::NoAddressConfigured
                | IsolationEvent::ResponseDue
                | _,
            ) => return,
        };
        self.isolated = isolated;
        self.acts.push_back(Act::Tell(News::Isolated { isolated, reason }));
        self.input(now, Input::Isolated { isolated });
    }

    fn beat(&mut self, now: Instant) {
        let Role::Slave { master, .. } = self.election.role() else {
            self.next_beat = None;
            return;
        };
        if self.next_beat.is_none_or(|due| due <= now) {
            self.next_beat = Some(now.after(self.timing.heartbeat_period));
            let term = self.known_term();
            let frame = frames::seal_heartbeat(&mut self.wire, now, master, term);
            self.acts.extend(frame.map(|frame| Act::Send { to: master, frame }));
        }
    }

    fn send(&mut self, now: Instant, to: HostId, message: &Message) {
        let term = self.known_term();
        let frame = frames::seal(&mut self.wire, now, to, term, message);
        self.acts.extend(frame.map(|frame| Act::Send { to, frame }));
    }

    /// The term in every frame's header: what is needed of it is the highest round that this host knows.
    fn known_term(&self) -> Term {
        Term::new(self.election.highest_round(), self.host)
    }
}
