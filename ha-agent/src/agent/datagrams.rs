//! Datagrams: authenticated first, then told to whoever they are for.

use ha_core::wire::{Channel, Echo, FrameKind, Opened, Received, Refusal, RefusalReason};
use ha_core::{HostId, Instant, Machine, Term};
use ha_election::{Input as ElectionInput, Message, MessageKind, Role};
use ha_heartbeat::Input as MonitorInput;
use ha_isolation::Input as IsolationInput;

use super::{Agent, Heard};
use crate::control::{heartbeat_generation, heartbeat_payload};
use crate::{Event, Output};

impl Agent {
    pub(super) fn on_datagram(&mut self, now: Instant, bytes: &[u8]) {
        match self.wire.open(now, Channel::Datagram, bytes) {
            Opened::Accepted(received) => self.on_frame(now, &received),
            Opened::Ignored(_) => {}
            Opened::Refused(refusal) => self.on_refusal(&refusal),
        }
    }

    /// A frame that no member could have sent is reported once per claimed sender; damage and chance are only
    /// counted.
    pub(super) fn on_refusal(&mut self, refusal: &Refusal) {
        let Some(reason) = forgery(refusal.reason) else { return };
        // A stranger's name is worth one report for all strangers; a member's always one of its own.
        let listed = |host: &HostId| self.config.hosts.iter().any(|entry| entry.host == *host);
        if self.invalid.insert(refusal.claimed_sender.filter(listed)) {
            self.event(Event::InvalidMaster { claimed: refusal.claimed_sender, reason });
        }
    }

    fn on_frame(&mut self, now: Instant, received: &Received<'_>) {
        let from = received.from;
        let echoes = match received.echo {
            Echo::Fresh { sent_at } => Some(sent_at),
            Echo::Stale | Echo::None => None,
        };
        if echoes.is_some() {
            self.on_life(now, received);
        }
        // The election answers its own messages.
        let is_of_election = match received.kind {
            FrameKind::Candidacy | FrameKind::Claim | FrameKind::Probe => true,
            FrameKind::Heartbeat | FrameKind::Control => false,
        };
        if received.probe && !(is_of_election && self.election.answers()) {
            self.transmit(now, from, FrameKind::Probe, &[]);
        }
        match received.kind {
            FrameKind::Probe => self.on_election_frame(now, received, MessageKind::Probe, echoes),
            FrameKind::Candidacy => self.on_election_frame(now, received, MessageKind::Candidacy, echoes),
            FrameKind::Claim => self.on_election_frame(now, received, MessageKind::Claim, echoes),
            FrameKind::Heartbeat => self.on_heartbeat(now, received, echoes),
            // The frames' guard lets a kind pass on its own channel only.
            FrameKind::Control => self.counters.bad_control.count(),
        }
    }

    fn on_election_frame(
        &mut self,
        now: Instant,
        received: &Received<'_>,
        kind: MessageKind,
        echoes: Option<Instant>,
    ) {
        let Ok(message) = Message::decode(kind, received.payload) else {
            self.counters.bad_election.count();
            return;
        };
        let known_round = received.term.map(|term| term.round);
        let input = ElectionInput::Receive { from: received.from, message, echoes, known_round };
        let result = self.election.handle_input(now, input);
        self.refuse_inside(result);
    }

    /// Life, and that is all: a heartbeat can never order anything.
    fn on_heartbeat(&mut self, now: Instant, received: &Received<'_>, echoes: Option<Instant>) {
        let Some(generation) = heartbeat_generation(received.payload) else {
            self.counters.bad_heartbeat.count();
            return;
        };
        let known_round = received.term.map(|term| term.round);
        if let Some(echoes) = echoes {
            self.peers.confirm(received.from, received.incarnation, generation, echoes);
            let input = ElectionInput::Contact { from: received.from, echoes, known_round };
            let result = self.election.handle_input(now, input);
            self.refuse_inside(result);
        }
    }

    /// A frame that echoes a recent one of ours: the link works both ways, and the sender lives.
    fn on_life(&mut self, now: Instant, received: &Received<'_>) {
        let Received { from, boot, incarnation, sequence, .. } = *received;
        self.notice_boot(now, received);
        let heard = Heard { at: now, boot, incarnation, sequence };
        self.heard.insert(from, heard);
        self.dirty |= self.peers.forget_before(from, incarnation);
        if self.watched.contains(&from) {
            let result =
                self.monitor.handle_input(now, MonitorInput::Heard { host: from, boot, incarnation });
            self.refuse_inside(result);
        }
        self.last_contact = now;
        self.contact_as_master = matches!(self.role, Role::Master { .. });
        if self.alone {
            self.alone = false;
            let result = self.isolation.handle_input(now, IsolationInput::Contact);
            self.refuse_inside(result);
        }
    }

    /// One kernel has one boot id: a second one ends every right that rests on sharing a kernel. Only a frame of
    /// today counts; a recorded one of an earlier boot proves nothing.
    fn notice_boot(&mut self, now: Instant, received: &Received<'_>) {
        if received.boot != self.config.identity.boot && self.foreign_boot.insert(received.from) {
            self.refuse_same_kernel(now, received.from);
        }
    }

    pub(super) fn transmit(&mut self, now: Instant, to: HostId, kind: FrameKind, payload: &[u8]) {
        if self.halted {
            return;
        }
        let term = self.known_term();
        match self.wire.seal(now, to, kind, term, payload) {
            Ok(bytes) => self.outbox.push(Output::Transmit { to, bytes }),
            Err(_) => self.counters.unsendable.count(),
        }
    }

    /// The term in the head of every frame: the one followed or held, or else the highest round known.
    pub(super) fn known_term(&self) -> Option<Term> {
        let highest = self.election.highest_round();
        match self.election.role() {
            Role::Master { term } | Role::Slave { term, .. } if term.round >= highest => Some(term),
            Role::Master { .. } | Role::Slave { .. } | Role::Candidate | Role::Uninitialized => {
                Some(Term::new(highest, self.host()))
            }
        }
    }

    /// The heartbeat of a slave to its master.
    pub(super) fn beat(&mut self, now: Instant) {
        let Role::Slave { master, .. } = self.role else { return };
        if now < self.next_beat {
            return;
        }
        self.next_beat = now.after(self.config.timing.heartbeat_period);
        let payload = heartbeat_payload(self.inventory.generation());
        self.transmit(now, master, FrameKind::Heartbeat, &payload);
    }
}

/// What is wrong with a frame that no member of the cluster sends to this host. Damage, chance, repetition and
/// versions are not forgery.
const fn forgery(reason: RefusalReason) -> Option<&'static str> {
    match reason {
        RefusalReason::ForeignCluster => Some("it is of another cluster"),
        RefusalReason::FromOurselves => Some("it bears this host's own name"),
        RefusalReason::UnknownSender => Some("its sender is not in the host list"),
        RefusalReason::UnknownKey => Some("its key is not known"),
        RefusalReason::BadTag => Some("its tag is wrong"),
        RefusalReason::OldIncarnation => Some("its sender's life has ended"),
        RefusalReason::TooShort
        | RefusalReason::TooLong
        | RefusalReason::BadMagic
        | RefusalReason::BadVersion
        | RefusalReason::LengthMismatch
        | RefusalReason::UnknownFlags
        | RefusalReason::NonZeroAbsentField
        | RefusalReason::WrongChannel
        | RefusalReason::NotForUs
        | RefusalReason::Replayed => None,
    }
}
