use core::time::Duration;

use super::header::FrameName;
use super::{Channel, Echo, RefusalReason};
use crate::{Incarnation, Instant};

/// How many sequences back a frame may arrive late, and an echo may name.
const WINDOW: u64 = SLOTS as u64;
const SLOTS: usize = 64;

/// What is kept of one peer. Of fixed size, whatever the peer sends.
#[derive(Debug)]
pub(super) struct Peer {
    life: Option<Life>,
    datagram: Outbound,
    stream: Outbound,
}

/// The latest life of the peer's agent that was heard, and what was accepted of it.
#[derive(Debug)]
struct Life {
    incarnation: Incarnation,
    announced: bool,
    datagram: Accepted,
    stream: Accepted,
}

impl Peer {
    /// A peer that was never heard. Sequences to it are greater than `floor`.
    pub(super) const fn new(floor: u64) -> Self {
        Self { life: None, datagram: Outbound::above(floor), stream: Outbound::above(floor) }
    }

    /// Takes the next sequence number for a frame to this peer; `None` when there is none left.
    pub(super) fn take_sequence(&mut self, channel: Channel, now: Instant) -> Option<u64> {
        self.outbound_mut(channel).take(now)
    }

    /// The highest sequence number given to any frame to this peer.
    pub(super) fn highest_sent(&self) -> u64 {
        self.datagram.last.max(self.stream.last)
    }

    /// The frame that the next one to this peer echoes.
    pub(super) fn to_echo(&self, channel: Channel) -> Option<FrameName> {
        let life = self.life.as_ref()?;
        let sequence = match channel {
            Channel::Datagram => life.datagram.highest,
            Channel::Stream => life.stream.highest,
        };
        (sequence > 0).then_some(FrameName { incarnation: life.incarnation, sequence })
    }

    /// Accepts an **authentic** frame once, or says why not and changes nothing.
    ///
    /// What a recorded frame of the past can do to a host that has just started: it becomes the highest one
    /// heard. A genuine frame of today is higher still, in incarnation or in sequence, so it is never
    /// refused.
    pub(super) fn accept(&mut self, channel: Channel, frame: FrameName) -> Result<(), RefusalReason> {
        let known = self.life.as_mut().filter(|life| life.incarnation >= frame.incarnation);
        let Some(life) = known else {
            // The first frame ever, or of a higher life. Both channels start anew with it.
            let mut life = Life::new(frame.incarnation);
            life.accept(channel, frame.sequence)?;
            self.life = Some(life);
            return Ok(());
        };
        if frame.incarnation < life.incarnation {
            return Err(RefusalReason::OldIncarnation);
        }
        life.accept(channel, frame.sequence)
    }

    /// Whether the peer's life was not announced yet; it is from now on.
    pub(super) fn announce_life(&mut self) -> bool {
        self.life.as_mut().is_some_and(|life| !core::mem::replace(&mut life.announced, true))
    }

    /// What the sequence in an echo that names our current life is worth.
    #[inline]
    pub(super) fn judge_echo(&self, channel: Channel, sequence: u64, now: Instant, fresh: Duration) -> Echo {
        match self.sent_at(channel, sequence) {
            Some(sent_at) if now.since(sent_at) <= fresh => Echo::Fresh { sent_at },
            Some(_) | None => Echo::Stale,
        }
    }

    /// When the frame with this sequence was sent to the peer, if it is one of the last that were.
    pub(super) fn sent_at(&self, channel: Channel, sequence: u64) -> Option<Instant> {
        match channel {
            Channel::Datagram => self.datagram.when(sequence),
            Channel::Stream => self.stream.when(sequence),
        }
    }

    /// Whether a probe to this peer by this channel is within the budget; if so, it is spent.
    pub(super) fn spend_probe(&mut self, channel: Channel, now: Instant, spacing: Duration) -> bool {
        let last_probe = &mut self.outbound_mut(channel).last_probe;
        let within = last_probe.is_none_or(|last| now.since(last) >= spacing);
        if within {
            *last_probe = Some(now);
        }
        within
    }

    fn outbound_mut(&mut self, channel: Channel) -> &mut Outbound {
        match channel {
            Channel::Datagram => &mut self.datagram,
            Channel::Stream => &mut self.stream,
        }
    }
}

impl Life {
    const fn new(incarnation: Incarnation) -> Self {
        Self { incarnation, announced: false, datagram: Accepted::NONE, stream: Accepted::NONE }
    }

    fn accept(&mut self, channel: Channel, sequence: u64) -> Result<(), RefusalReason> {
        let seen_before = RefusalReason::Replayed;
        match channel {
            Channel::Datagram => self.datagram = self.datagram.with(sequence).ok_or(seen_before)?,
            Channel::Stream => self.stream = self.stream.with_next(sequence).ok_or(seen_before)?,
        }
        Ok(())
    }
}

/// The sequences accepted on one channel: the highest, and which of the 63 below it.
#[derive(Clone, Copy, Debug)]
struct Accepted {
    highest: u64,
    /// Bit `n` is set when `highest - n` was accepted.
    seen: u64,
}

impl Accepted {
    /// Sequences start at 1; 0 counts as seen.
    const NONE: Self = Self { highest: 0, seen: 1 };

    /// For datagrams: any sequence not seen, and not too old to tell.
    fn with(self, sequence: u64) -> Option<Self> {
        if sequence > self.highest {
            let ahead = sequence - self.highest;
            let kept = if ahead < WINDOW { self.seen << ahead } else { 0 };
            return Some(Self { highest: sequence, seen: kept | 1 });
        }
        let behind = self.highest - sequence;
        let fresh = behind < WINDOW && (self.seen >> behind) & 1 == 0;
        fresh.then(|| Self { seen: self.seen | 1 << behind, ..self })
    }

    /// For the ordered stream: only a higher sequence.
    fn with_next(self, sequence: u64) -> Option<Self> {
        (sequence > self.highest).then_some(Self { highest: sequence, seen: 1 })
    }
}

/// What goes to the peer on one channel: when the last 64 frames were sealed, and when a probe was last due.
#[derive(Debug)]
struct Outbound {
    /// The sequence before the first.
    floor: u64,
    last: u64,
    /// The frame with sequence `n` stands at `n % 64`.
    sent_at: [Instant; SLOTS],
    last_probe: Option<Instant>,
}

impl Outbound {
    const fn above(floor: u64) -> Self {
        Self { floor, last: floor, sent_at: [Instant::ORIGIN; SLOTS], last_probe: None }
    }

    fn take(&mut self, now: Instant) -> Option<u64> {
        let sequence = self.last.checked_add(1)?;
        self.sent_at[Self::slot(sequence)] = now;
        self.last = sequence;
        Some(sequence)
    }

    /// When the frame with this sequence was sealed, if it is one of the last 64.
    fn when(&self, sequence: u64) -> Option<Instant> {
        let named = self.floor < sequence && sequence <= self.last && self.last - sequence < WINDOW;
        named.then(|| self.sent_at[Self::slot(sequence)])
    }

    const fn slot(sequence: u64) -> usize {
        (sequence % WINDOW) as usize
    }
}
