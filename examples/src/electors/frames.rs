//! Election messages in frames, and out of them.

use bytes::Bytes;
use ha_core::wire::{Channel, Echo, FrameKind, Opened, Received, Wire};
use ha_core::{HostId, Instant, Term};
use ha_election::{Input, Message, MessageKind};

/// What an accepted frame means to an election.
pub(super) struct Heard {
    pub(super) from: HostId,
    /// Whether it echoes a recent frame of ours.
    pub(super) fresh: bool,
    /// Whether the wire wants the sender to be answered.
    pub(super) probe: bool,
    /// Whether it carries a message of the election, which answers those itself.
    pub(super) is_of_election: bool,
    /// `None` for a heartbeat that echoes nothing recent, and for a payload that is no message.
    pub(super) input: Option<Input>,
}

/// Opens a datagram. `None` if it is no frame of a peer for this host, or not understood; the wire counts which.
pub(super) fn open(wire: &mut Wire, now: Instant, datagram: &[u8]) -> Option<Heard> {
    match wire.open(now, Channel::Datagram, datagram) {
        Opened::Accepted(received) => Some(read(&received)),
        Opened::Ignored(_) | Opened::Refused(_) => None,
    }
}

fn read(received: &Received<'_>) -> Heard {
    let from = received.from;
    let echoes = match received.echo {
        Echo::Fresh { sent_at } => Some(sent_at),
        Echo::Stale | Echo::None => None,
    };
    let known_round = received.term.map(|term| term.round);
    let kind = match received.kind {
        FrameKind::Probe => Some(MessageKind::Probe),
        FrameKind::Candidacy => Some(MessageKind::Candidacy),
        FrameKind::Claim => Some(MessageKind::Claim),
        FrameKind::Heartbeat | FrameKind::Control => None,
    };
    let input = match kind.map(|kind| Message::decode(kind, received.payload)) {
        Some(Ok(message)) => Some(Input::Receive { from, message, echoes, known_round }),
        Some(Err(_)) => None,
        None => echoes.map(|echoes| Input::Contact { from, echoes, known_round }),
    };
    let (probe, is_of_election) = (received.probe, kind.is_some());
    Heard { from, fresh: echoes.is_some(), probe, is_of_election, input }
}

/// Seals a message. `None` if `to` is no peer, which the election never names.
pub(super) fn seal(
    wire: &mut Wire,
    now: Instant,
    to: HostId,
    term: Term,
    message: &Message,
) -> Option<Bytes> {
    let kind = match message.kind() {
        MessageKind::Probe => FrameKind::Probe,
        MessageKind::Candidacy => FrameKind::Candidacy,
        MessageKind::Claim => FrameKind::Claim,
    };
    let mut payload = Vec::new();
    message.encode(&mut payload);
    wire.seal(now, to, kind, Some(term), &payload).ok()
}

/// Seals a slave's heartbeat.
pub(super) fn seal_heartbeat(wire: &mut Wire, now: Instant, to: HostId, term: Term) -> Option<Bytes> {
    wire.seal(now, to, FrameKind::Heartbeat, Some(term), &[]).ok()
}
