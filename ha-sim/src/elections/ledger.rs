use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;

use ha_core::{HostId, Instant};
use ha_election::Message;

use crate::links::place;

/// How many frames back an echo counts, and a frame may come late.
const WINDOW: u64 = 64;

/// `ha_core::wire` without bytes: the same judgement over frames, at a tenth of the memory, so that a thousand hosts
/// fit. That it is the same is a test: whole runs over both are equal.
#[derive(Debug)]
pub(super) struct Ledger {
    incarnation: u64,
    echo_fresh: Duration,
    probe_spacing: Duration,
    peers: Vec<Peer>,
}

/// A frame that cannot be forged, because nobody writes it.
#[derive(Clone, Debug)]
pub struct PlainFrame {
    pub(super) from: HostId,
    pub(super) incarnation: u64,
    pub(super) sequence: u64,
    echo: Option<(u64, u64)>,
    pub(super) round: u64,
    /// `None`: a slave's heartbeat.
    pub(super) message: Option<Rc<Message>>,
}

/// What a frame is worth to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worth {
    /// When the frame that it echoes was sent, if the echo is fresh.
    pub(super) echoes: Option<Instant>,
    /// Whether to answer with a probe.
    pub(super) probe: bool,
}

#[derive(Clone, Debug, Default)]
struct Peer {
    last: u64,
    /// When the last frames were sent; the back is that of `last`. Older than fresh is forgotten.
    sent: VecDeque<Instant>,
    /// The latest life heard: incarnation, highest sequence, and which of the 63 below it were seen.
    heard: Option<(u64, u64, u64)>,
    last_probe: Option<Instant>,
}

impl Ledger {
    pub(super) fn new(incarnation: u64, hosts: u32, echo_fresh: Duration, probe_spacing: Duration) -> Self {
        let peers = (0..hosts).map(|_| Peer::default()).collect();
        Self { incarnation, echo_fresh, probe_spacing, peers }
    }

    pub(super) fn seal(
        &mut self,
        now: Instant,
        (from, to): (HostId, HostId),
        round: u64,
        message: Option<Rc<Message>>,
    ) -> Option<PlainFrame> {
        let peer = self.peers.get_mut(place(to)?)?;
        peer.last += 1;
        peer.sent.push_back(now);
        let limit = usize::try_from(WINDOW).unwrap_or(usize::MAX);
        while peer.sent.len() > limit
            || peer.sent.front().is_some_and(|sent| now.since(*sent) > self.echo_fresh)
        {
            peer.sent.pop_front();
        }
        let echo = peer.heard.map(|(incarnation, highest, _)| (incarnation, highest));
        let (incarnation, sequence) = (self.incarnation, peer.last);
        Some(PlainFrame { from, incarnation, sequence, echo, round, message })
    }

    /// `None` if the frame was seen before, or is of a life that has ended.
    pub(super) fn open(&mut self, now: Instant, frame: &PlainFrame) -> Option<Worth> {
        let incarnation = self.incarnation;
        let peer = self.peers.get_mut(place(frame.from)?)?;
        peer.accept(frame.incarnation, frame.sequence)?;
        let echoes = frame
            .echo
            .filter(|(life, _)| *life == incarnation)
            .and_then(|(_, sequence)| peer.sent_at(sequence))
            .filter(|sent| now.since(*sent) <= self.echo_fresh);
        let due = peer.last_probe.is_none_or(|last| now.since(last) >= self.probe_spacing);
        let probe = echoes.is_none() && due;
        if probe {
            peer.last_probe = Some(now);
        }
        Some(Worth { echoes, probe })
    }
}

impl Peer {
    fn accept(&mut self, incarnation: u64, sequence: u64) -> Option<()> {
        let (life, highest, seen) =
            self.heard.filter(|(life, ..)| *life >= incarnation).unwrap_or((incarnation, 0, 1));
        if incarnation < life {
            return None;
        }
        self.heard = if sequence > highest {
            let ahead = sequence - highest;
            Some((life, sequence, if ahead < WINDOW { seen << ahead | 1 } else { 1 }))
        } else {
            let behind = highest - sequence;
            if behind >= WINDOW || seen >> behind & 1 == 1 {
                return None;
            }
            Some((life, highest, seen | 1 << behind))
        };
        Some(())
    }

    fn sent_at(&self, sequence: u64) -> Option<Instant> {
        let behind = usize::try_from(self.last.checked_sub(sequence)?).ok()?;
        let at = self.sent.len().checked_sub(behind + 1)?;
        self.sent.get(at).copied()
    }
}
