//! Whatever arrives, nothing panics, and nothing that was not sealed by a peer is accepted.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod wire_support;

use ha_core::Random;
use ha_core::wire::{Channel, Opened, Security, StreamBuffer, Wire, WireConfig};
use proptest::prelude::*;
use wire_support::*;

fn plain(number: u32) -> Wire {
    Wire::new(WireConfig { security: Security::Unauthenticated, ..config(number) }).unwrap()
}

/// Random bytes behind a head that is ever more right, so that every check is reached.
#[test]
fn a_million_random_buffers_are_refused() {
    let mut random = Random::from_seed(1);
    let mut two = wire(2);
    let golden = heartbeat(&mut wire(1), at(0), 2);
    let mut buffer = [0_u8; 256];
    for round in 0..1_000_000_u64 {
        for word in buffer.chunks_mut(8) {
            word.copy_from_slice(&random.next_u64().to_le_bytes());
        }
        let length = usize::try_from(random.below(257)).unwrap();
        let right = usize::try_from(random.below(105)).unwrap();
        buffer[..right].copy_from_slice(&golden[..right]);
        let channel = if round % 4 == 0 { Channel::Stream } else { Channel::Datagram };
        assert!(matches!(two.open(at(round), channel, &buffer[..length]), Opened::Refused(_)), "{round}");
    }
    assert_eq!(two.counters().refused_in_all(), 1_000_000);
    accept_datagram(&mut two, at(2_000_000), &golden);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1_400)) {
        for channel in [Channel::Datagram, Channel::Stream] {
            prop_assert!(matches!(wire(2).open(at(0), channel, &bytes), Opened::Refused(_)));
        }
    }

    /// Any header at all under a good tag: authentic nonsense does not panic either, and a later life of the
    /// peer is heard whatever it left behind.
    #[test]
    fn authentic_nonsense_never_panics(
        changes in proptest::collection::vec((4_usize..104, any::<u8>()), 1..24),
        now in any::<u64>(),
    ) {
        let mut two = plain(2);
        let mut one = plain(1);
        for _ in 0..3 {
            let frame = forge_unauthenticated(&heartbeat(&mut one, at(0), 2), |frame| {
                for (at, byte) in &changes {
                    frame[*at] = *byte;
                }
            });
            for channel in [Channel::Datagram, Channel::Stream] {
                let _opened = two.open(ha_core::Instant::from_nanos(now), channel, &frame);
            }
        }
        let _answer = heartbeat(&mut two, at(0), 1);
        let _answer = control(&mut two, at(0), 1);
    }

    #[test]
    fn what_is_sealed_opens_to_itself(payload in proptest::collection::vec(any::<u8>(), 0..1_080)) {
        let (mut one, mut two) = (wire(1), wire(2));
        let frame = one.seal(at(0), host(2), ha_core::wire::FrameKind::Claim, None, &payload).unwrap();
        prop_assert_eq!(accept_datagram(&mut two, at(0), &frame).payload, &payload[..]);
    }

    #[test]
    fn random_chunks_never_panic_a_stream(chunks in proptest::collection::vec(
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..64),
            Just(b"vHAw\x01\x00\x01\x01".to_vec()),
            Just(vec![0; 112]),
        ], 0..32)
    ) {
        let mut buffer = StreamBuffer::new();
        for chunk in chunks {
            let _pushed = buffer.push(&chunk);
            while let Some(frame) = buffer.next_frame() {
                prop_assert!(frame.len() >= 120 && frame.len() <= Channel::Stream.max_frame());
            }
        }
    }
}
