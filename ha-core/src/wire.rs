//! Frames between hosts: how one is sealed, what makes one count, and what a hostile network can do (nothing
//! but silence).
//!
//! A frame has a header of 104 bytes, a payload, and a tag of 16 bytes over both. `WIRE.md` beside this
//! crate's manifest has the byte table and a worked example; golden frames stand in `tests/golden`.
//! Everything is little endian and coded by hand.
//!
//! # What makes a frame count
//!
//! The tag proves who sent a frame, not when. Two more things do:
//!
//! * **Sequence.** Each frame carries the sender's incarnation and a sequence number, per peer and channel,
//!   that only rises for the whole life of the sender's agent. Each is accepted once.
//! * **Echo.** Each frame names the highest frame of its receiver that the sender has accepted on that
//!   channel. If that is one of the receiver's last 64 frames of its present life, and young enough, the
//!   sender was alive after it: [`Echo::Fresh`]. Only such a frame is a sign of life or a claim; the caller
//!   must check. Any other authentic frame is worth at most one probe per peer, channel and `probe_spacing`.
//!
//! A host that has just started knows no sequences, so an attacker can replay frames of the past to it. They
//! are accepted, never fresh, and cost one probe to the genuine peer. They do not stand in its way either: it
//! is always ahead of them in incarnation or in sequence, and its first frame replaces what they left.
//!
//! # Not promised
//!
//! Frames are not encrypted. All hosts share one key, so a host that is taken over can speak for any other;
//! the stream is for the embedder to wrap in TLS (architecture 9). [`Security::Unauthenticated`] protects
//! against damage only.

mod config;
mod counters;
mod gate;
mod header;
mod kind;
mod opened;
mod peer;
mod roster;
mod security;
mod stream;

use alloc::vec::Vec;

use bytes::Bytes;

pub use config::{SealError, WireConfig, WireConfigError};
pub use counters::WireCounters;
pub use kind::{Channel, FrameKind};
pub use opened::{Echo, IgnoredReason, Opened, Received, Refusal, RefusalReason};
pub use security::{Key, KeyRing, SameKeyId, Security};
pub use stream::{StreamBroken, StreamBuffer};

use crate::{HostId, Identity, Instant, MonotonicNow, Term};
use gate::Gate;
use header::{Draft, HEADER, TAG};
use roster::Roster;

/// What a frame adds to its payload, in bytes: header and tag.
pub const FRAME_OVERHEAD: usize = HEADER + TAG;

/// The longest payload of a slave's heartbeat, in bytes, so that the whole frame has at most 160
/// (architecture 9).
pub const MAX_SLAVE_HEARTBEAT: usize = 160 - FRAME_OVERHEAD;

/// Both ends of all frames of one agent: every peer, both channels.
///
/// One value for the whole life of the agent. A second one with the same incarnation would use sequence
/// numbers again, and peers would refuse its frames as replayed; when hosts or keys change, use
/// [`Wire::set_hosts`] and [`Wire::set_keys`].
#[derive(Debug)]
pub struct Wire {
    gate: Gate,
    clock: MonotonicNow,
    roster: Roster,
    counters: WireCounters,
}

impl Wire {
    /// The wire of one life of one agent, which has heard nobody yet.
    ///
    /// # Errors
    ///
    /// [`WireConfigError`] if the host list is too long or names a host twice.
    pub fn new(config: WireConfig) -> Result<Self, WireConfigError> {
        let WireConfig { identity, hosts, security, echo_fresh, probe_spacing } = config;
        let mut roster = Roster::empty(identity.host);
        roster.replace(hosts)?;
        Ok(Self {
            gate: Gate { identity, security, echo_fresh, probe_spacing },
            clock: MonotonicNow::new(Instant::ORIGIN),
            roster,
            counters: WireCounters::default(),
        })
    }

    /// Seals one frame to a peer. It takes the next sequence number to that peer on the kind's channel and
    /// echoes the highest frame accepted from there.
    ///
    /// # Errors
    ///
    /// [`SealError`] if `to` is no peer or the payload too long; nothing has changed then.
    pub fn seal(
        &mut self,
        now: Instant,
        to: HostId,
        kind: FrameKind,
        term: Option<Term>,
        payload: &[u8],
    ) -> Result<Bytes, SealError> {
        let channel = kind.channel();
        let too_long = SealError::TooLong { length: payload.len(), most: channel.max_payload() };
        let length = u32::try_from(payload.len()).map_err(|_| too_long)?;
        if payload.len() > channel.max_payload() {
            return Err(too_long);
        }
        let peer = self.roster.peer_mut(to).ok_or(SealError::UnknownHost { host: to })?;
        let now = self.clock.advance(now);
        let draft = Draft {
            kind: kind.code(),
            key: self.gate.security.seal_id(),
            payload: length,
            identity: self.gate.identity,
            receiver: to,
            term,
            stream: channel == Channel::Stream,
            sequence: peer.take_sequence(channel, now).ok_or(SealError::Exhausted)?,
            echo: peer.to_echo(channel),
        };
        let mut frame = Vec::with_capacity(FRAME_OVERHEAD + payload.len());
        draft.write(&mut frame);
        frame.extend_from_slice(payload);
        let tag = self.gate.security.seal_tag(&frame);
        frame.extend_from_slice(&tag);
        Ok(frame.into())
    }

    /// Opens the bytes of one frame that came by `channel`. Allocates nothing.
    ///
    /// Whatever the bytes are, this does not fail: what is not a good frame of a peer is refused and counted.
    pub fn open<'f>(&mut self, now: Instant, channel: Channel, bytes: &'f [u8]) -> Opened<'f> {
        let now = self.clock.advance(now);
        let opened = self.gate.open(&mut self.roster, now, channel, bytes);
        self.counters.note(&opened);
        opened
    }

    /// When this agent sent the frame with this sequence number to a peer, if it is one of the last 64 on
    /// that channel. An order's validity counts from such a moment, on the target's own clock.
    #[must_use]
    pub fn sent_at(&self, to: HostId, channel: Channel, sequence: u64) -> Option<Instant> {
        self.roster.peer(to)?.sent_at(channel, sequence)
    }

    /// Replaces the host list, for a change of the cluster's configuration. Hosts in both lists keep their
    /// state; one that joins, or comes back, is never given a sequence number that may have been used to it
    /// before.
    ///
    /// # Errors
    ///
    /// [`WireConfigError`] as for [`Wire::new`]; nothing has changed then.
    pub fn set_hosts(&mut self, hosts: Vec<HostId>) -> Result<(), WireConfigError> {
        self.roster.replace(hosts)
    }

    /// Replaces the key ring, for one step of a change of keys; see [`KeyRing`].
    pub fn set_keys(&mut self, ring: KeyRing) {
        self.gate.security = Security::Keyed(ring);
    }

    /// Who speaks here.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.gate.identity
    }

    /// What became of all frames opened so far.
    #[must_use]
    pub const fn counters(&self) -> &WireCounters {
        &self.counters
    }
}
