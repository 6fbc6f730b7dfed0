use bytes::Bytes;
use ha_core::wire::{Channel, FrameKind, Opened, Security, Wire, WireConfig};
use ha_core::{ClusterId, HostId, Identity, Instant, Random, Term};

use super::{MILLI, SECOND, host};

/// Somebody on the network who seals frames, with whatever identity and key he has.
#[derive(Debug)]
pub(crate) struct Rogue {
    wire: Wire,
}

impl Rogue {
    pub(crate) fn new(identity: Identity, security: Security) -> Self {
        let hosts = (1..=9).map(host).collect();
        let config = WireConfig { identity, hosts, security, echo_fresh: SECOND, probe_spacing: MILLI };
        Self { wire: Wire::new(config).unwrap() }
    }

    pub(crate) fn of_cluster(identity: Identity, cluster: ClusterId, security: Security) -> Self {
        Self::new(Identity { cluster, ..identity }, security)
    }

    /// Hears a frame, so that the next one echoes it.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        channel: Channel,
        frame: &Bytes,
    ) -> Option<(HostId, Vec<u8>)> {
        match self.wire.open(now, channel, frame) {
            Opened::Accepted(received) => Some((received.from, received.payload.to_vec())),
            Opened::Ignored(_) | Opened::Refused(_) => None,
        }
    }

    pub(crate) fn say(
        &mut self,
        now: Instant,
        to: HostId,
        kind: FrameKind,
        term: Option<Term>,
        payload: &[u8],
    ) -> Bytes {
        self.wire.seal(now, to, kind, term, payload).unwrap()
    }
}

/// A payload that is almost one of these.
pub(crate) fn almost(random: &mut Random, genuine: &[Vec<u8>]) -> Vec<u8> {
    let pick = |random: &mut Random, below: usize| {
        usize::try_from(random.below(u64::try_from(below).unwrap())).unwrap()
    };
    let mut payload =
        if genuine.is_empty() { Vec::new() } else { genuine[pick(random, genuine.len())].clone() };
    match random.below(5) {
        0 => {
            payload = (0..pick(random, 100)).map(|_| random.next_u64().to_le_bytes()[0]).collect();
        }
        1 if !payload.is_empty() => {
            let cut = pick(random, payload.len());
            payload.truncate(cut);
        }
        2 => payload.push(random.next_u64().to_le_bytes()[0]),
        3 | 4 if !payload.is_empty() => {
            let at = pick(random, payload.len());
            payload[at] ^= 1 << random.below(8);
        }
        _ => {}
    }
    payload
}
