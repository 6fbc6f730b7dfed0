//! Somebody on the network who has no key: what was heard comes again, changed or not, and what was never sent.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroU16;
use core::time::Duration;

use bytes::Bytes;
use ha_core::wire::{FrameKind, Key, KeyRing, Security, Wire, WireConfig};
use ha_core::{ClusterId, HostId, Identity, Instant, Random, Round, Term};
use ha_election::{Claim, Message, Rank};

use super::elector::identity;
use super::node::{News, Node};
use super::{Elections, Frame, Happening};
use crate::draw::Stream;
use crate::noise::log_uniform;
use crate::queue::Tie;

const INTRUSION: Stream = Stream::named("intrusion");
/// A recorded frame comes again within this.
const LATEST: Duration = Duration::from_secs(60);

/// Injects a datagram for every eighth that arrives.
pub struct Intruder<N: Node> {
    injected: u64,
    /// Whether what is for one life of a host may come in its next.
    across_lives: bool,
    make: fn(&N::Frame, HostId, &mut Random) -> Option<N::Frame>,
    node: PhantomData<fn() -> N>,
}

impl<N: Node<Frame = Frame>> Intruder<N> {
    /// One who replays, damages and forges frames of real bytes. Each comes within the life of the host that it is
    /// for, and changes nothing there.
    #[must_use]
    pub fn without_key() -> Self {
        Self { injected: 0, across_lives: false, make: intrusion, node: PhantomData }
    }

    /// The same, who also waits until a host has started anew. Such a host knows no sequences, so it takes a recording
    /// for new until the genuine peer speaks, and may send one probe for it: the run is another one, and must keep
    /// every invariant all the same.
    #[must_use]
    pub fn across_lives() -> Self {
        Self { across_lives: true, ..Self::without_key() }
    }
}

impl<N: Node> Intruder<N> {
    /// Whether what was recorded in one life of a host still comes in this one.
    pub(super) const fn reaches(&self, recorded: u64, lives: u64) -> bool {
        self.across_lives || recorded == lives
    }

    pub(super) const fn count(&self) -> u64 {
        self.injected
    }
}

impl<N: Node> fmt::Debug for Intruder<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intruder").field("injected", &self.injected).finish_non_exhaustive()
    }
}

impl<N: Node> Elections<N> {
    /// The intruder has seen a frame arrive, and may do something with it later.
    pub(super) fn overhear(&mut self, at: HostId, frame: &N::Frame) {
        let hosts = u64::from(self.scenario.hosts);
        let reads_it =
            self.slot(at).filter(|slot| slot.node.is_some() && !slot.is_held()).map(|slot| slot.incarnation);
        let (Some(intruder), Some(life)) = (&mut self.intruder, reads_it) else {
            return;
        };
        let (_, sequence) = N::name(frame);
        let ids = u64::from(at.number()) << 32 ^ self.now.as_nanos();
        let mut random = self.draws.draw(INTRUSION, ids, sequence);
        if random.below(8) > 0 {
            return;
        }
        let Some(forged) = (intruder.make)(frame, at, &mut random) else { return };
        intruder.injected += 1;
        // A recording is for the host that it was recorded at, or for any other.
        let to = match random.below(4) {
            0 => HostId::new(u32::try_from(1 + random.below(hosts)).unwrap_or(1)),
            _ => at,
        };
        let life = if to == at { Some(life) } else { self.slot(to).map(|slot| slot.incarnation) };
        let span = log_uniform(&mut random, LATEST);
        if let Some(life) = life {
            let tie = Tie { class: 5, ids, counter: sequence };
            self.queue.plan(self.now.after(span), tie, Happening::Intrudes(to, life, forged));
        }
    }

    /// An injected datagram arrives. A stopped agent's socket has no room for it: what it displaced there would be
    /// lost for good reason, and the twin run could not be compared.
    pub(super) fn intrude(&mut self, host: HostId, frame: N::Frame) {
        if self.slot(host).is_some_and(|slot| !slot.is_held()) {
            self.tell(host, News::Frame(frame));
        }
    }
}

/// What becomes of a frame that was overheard at `at`.
fn intrusion(frame: &Frame, at: HostId, random: &mut Random) -> Option<Frame> {
    let Frame::Sealed(bytes) = frame else { return None };
    let made: Vec<u8> = match random.below(6) {
        0 | 1 => return Some(frame.clone()),
        2 => {
            let mut bytes = bytes.to_vec();
            for _ in 0..=random.below(3) {
                let bit = random.below(8 * bytes.len() as u64);
                *bytes.get_mut(usize::try_from(bit / 8).ok()?)? ^= 1 << (bit % 8);
            }
            // An even number of flips may have undone each other.
            if bytes == frame_bytes(frame)? {
                bytes.pop();
            }
            bytes
        }
        3 => bytes.get(..usize::try_from(random.below(bytes.len() as u64)).ok()?)?.to_vec(),
        4 => (0..random.below(2_000)).map(|_| u8::try_from(random.below(256)).unwrap_or(0)).collect(),
        _ => return forged(at, random).map(Frame::Sealed),
    };
    Some(Frame::Sealed(made.into()))
}

fn frame_bytes(frame: &Frame) -> Option<&[u8]> {
    match frame {
        Frame::Sealed(bytes) => Some(bytes),
        Frame::Plain(_) => None,
    }
}

/// A well-formed claim of an enormous term, of another cluster, under another key, or of a host that is not listed.
fn forged(to: HostId, random: &mut Random) -> Option<Bytes> {
    let which = random.below(3);
    let from = if which == 2 { HostId::new(4_000) } else { HostId::new(1 + to.number() % 2) };
    let genuine = identity(from, 1 << 40);
    let cluster = if which == 0 { ClusterId::from_bytes([0xEE; 16]) } else { genuine.cluster };
    let key = Key::from_bytes([if which == 1 { 8 } else { 7 }; 16]);
    let term = Term::new(Round::new(1 << 50), from);
    let rank = Rank { goodness: i64::MAX, moid: alloc::format!("{from}").parse().ok()? };
    let mut payload = Vec::new();
    Message::Claim(Claim { lists_owned: u32::MAX, term, rank }).encode(&mut payload);
    let config = WireConfig {
        identity: Identity { cluster, ..genuine },
        hosts: alloc::vec![from, to],
        security: Security::Keyed(KeyRing::new(NonZeroU16::MIN, key)),
        echo_fresh: Duration::from_secs(1),
        probe_spacing: Duration::from_secs(1),
    };
    let mut wire = Wire::new(config).ok()?;
    wire.seal(Instant::ORIGIN, to, FrameKind::Claim, Some(term), &payload).ok()
}
