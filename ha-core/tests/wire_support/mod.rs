//! Two hosts that speak, made-up moments, and a forger who has the key.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a module of tests; each file uses its own part"
)]

use core::num::NonZeroU16;
use core::time::Duration;

use bytes::Bytes;
use ha_core::wire::{
    Channel, Echo, FrameKind, Key, KeyRing, Opened, Received, RefusalReason, Security, Wire, WireConfig,
};
use ha_core::{BootId, ClusterId, HostId, Identity, Incarnation, Instant};
use siphasher::sip128::SipHasher24;

pub const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
pub const ECHO_FRESH: Duration = Duration::from_millis(3_000);
pub const PROBE_SPACING: Duration = Duration::from_millis(1_000);

pub fn host(number: u32) -> HostId {
    HostId::new(number)
}

pub fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

pub fn cluster() -> ClusterId {
    "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap()
}

pub fn key_id(id: u16) -> NonZeroU16 {
    NonZeroU16::new(id).unwrap()
}

pub fn ring() -> KeyRing {
    KeyRing::new(key_id(1), Key::from_bytes(KEY))
}

/// Host 1 is in its life 7 and host 2 in its life 9, as in the golden frames.
pub fn config(number: u32) -> WireConfig {
    let (boot, incarnation) = match number {
        1 => (0x11, 7),
        2 => (0x22, 9),
        _ => (0x33, 1),
    };
    let identity = Identity {
        cluster: cluster(),
        host: host(number),
        boot: BootId::from_bytes([boot; 16]),
        incarnation: Incarnation::new(incarnation),
    };
    WireConfig {
        identity,
        hosts: vec![host(3), host(1), host(2)],
        security: Security::Keyed(ring()),
        echo_fresh: ECHO_FRESH,
        probe_spacing: PROBE_SPACING,
    }
}

pub fn wire(number: u32) -> Wire {
    Wire::new(config(number)).unwrap()
}

/// The same host in another life.
pub fn wire_in_life(number: u32, incarnation: u64) -> Wire {
    let mut config = config(number);
    config.identity.incarnation = Incarnation::new(incarnation);
    Wire::new(config).unwrap()
}

pub fn heartbeat(from: &mut Wire, now: Instant, to: u32) -> Bytes {
    from.seal(now, host(to), FrameKind::Heartbeat, None, b"alive").unwrap()
}

pub fn control(from: &mut Wire, now: Instant, to: u32) -> Bytes {
    from.seal(now, host(to), FrameKind::Control, None, b"hello").unwrap()
}

/// Opens a frame that must be accepted.
#[track_caller]
pub fn accept<'f>(wire: &mut Wire, now: Instant, channel: Channel, frame: &'f [u8]) -> Received<'f> {
    match wire.open(now, channel, frame) {
        Opened::Accepted(received) => received,
        other @ (Opened::Ignored(_) | Opened::Refused(_)) => panic!("not accepted: {other:?}"),
    }
}

#[track_caller]
pub fn accept_datagram<'f>(wire: &mut Wire, now: Instant, frame: &'f [u8]) -> Received<'f> {
    accept(wire, now, Channel::Datagram, frame)
}

/// Opens a frame that must be refused, and counted once under its reason.
#[track_caller]
pub fn refuse(wire: &mut Wire, now: Instant, channel: Channel, frame: &[u8]) -> RefusalReason {
    let before = wire.counters().clone();
    match wire.open(now, channel, frame) {
        Opened::Refused(refusal) => {
            let after = wire.counters();
            let reason = refusal.reason;
            assert_eq!(after.refused(reason).get(), before.refused(reason).get() + 1);
            assert_eq!(after.refused_in_all(), before.refused_in_all() + 1);
            assert_eq!(after.accepted(), before.accepted());
            assert_eq!(after.ignored(), before.ignored());
            assert_eq!(after.probes(), before.probes());
            reason
        }
        other @ (Opened::Ignored(_) | Opened::Accepted(_)) => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
pub fn refuse_datagram(wire: &mut Wire, now: Instant, frame: &[u8]) -> RefusalReason {
    refuse(wire, now, Channel::Datagram, frame)
}

pub fn is_fresh(echo: Echo) -> bool {
    matches!(echo, Echo::Fresh { .. })
}

/// Changes a frame and seals it again, as a host with the key could.
pub fn forge(frame: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut forged = frame.to_vec();
    let covered = forged.len() - 16;
    change(&mut forged[..covered]);
    let tag = SipHasher24::new_with_key(&KEY).hash(&forged[..covered]).as_bytes();
    forged[covered..].copy_from_slice(&tag);
    forged
}

/// The same in a cluster without keys.
pub fn forge_unauthenticated(frame: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut forged = frame.to_vec();
    let covered = forged.len() - 16;
    change(&mut forged[..covered]);
    let sum = crc32fast::hash(&forged[..covered]);
    forged[covered..covered + 4].copy_from_slice(&sum.to_le_bytes());
    forged
}

pub fn from_hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
