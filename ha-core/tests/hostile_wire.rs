//! A million hostile frames and chunks: an answer each time, never a panic, and no memory but what is stated.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod wire_support;

use allocation_counter::measure;
use ha_core::Random;
use ha_core::contract::Hostile;
use ha_core::wire::{Channel, FrameKind, Opened, Refusal, RefusalReason, StreamBroken, StreamBuffer};
use wire_support::*;

const FRAMES: u64 = 1_000_000;

fn golden(random: &mut Random) -> Vec<u8> {
    from_hex(match random.below(6) {
        0 => include_str!("golden/wire-probe.hex"),
        1 => include_str!("golden/wire-candidacy.hex"),
        2 => include_str!("golden/wire-claim.hex"),
        3 => include_str!("golden/wire-heartbeat.hex"),
        4 => include_str!("golden/wire-control.hex"),
        _ => include_str!("golden/wire-unauthenticated.hex"),
    })
}

/// Golden frames after changes, in three of four rounds with length, sequence and tag made right again: what a host
/// that has the key could send at worst.
#[test]
fn frames() {
    let (mut random, mut hostile) = (Random::from_seed(1), Hostile::from_seed(1));
    let goods: Vec<Vec<u8>> = (0..60).map(|_| golden(&mut random)).collect();
    let (mut frame, mut two) = (Vec::new(), wire(2));
    let (mut accepted, mut ignored, mut refused) = (0_u64, 0_u64, [0_u64; RefusalReason::ALL.len()]);
    for round in 0..FRAMES {
        if round % 16 == 0 {
            // A life that was raised to the end of numbers shuts out all others.
            two = wire(2);
        }
        hostile.payload(&goods, 1_300, &mut frame);
        if round % 4 > 0 && frame.len() >= 120 {
            let payload = u32::try_from(frame.len() - 120).unwrap();
            frame[12..16].copy_from_slice(&payload.to_le_bytes());
            frame[80..88].copy_from_slice(&(round + 1).to_le_bytes());
            frame = forge(&frame, |_| {});
        }
        let channel = if random.below(5) == 0 { Channel::Stream } else { Channel::Datagram };
        let now = ha_core::Instant::from_nanos(random.next_u64() >> random.below(64));
        let mut opened = Opened::Refused(Refusal { reason: RefusalReason::TooShort, claimed_sender: None });
        let taken = measure(|| opened = two.open(now, channel, &frame));
        assert_eq!(taken.count_total, 0, "{opened:?}");
        match opened {
            Opened::Accepted(received) => {
                assert_eq!(received.payload, &frame[104..frame.len() - 16]);
                accepted += 1;
            }
            Opened::Ignored(_) => ignored += 1,
            Opened::Refused(refusal) => refused[refusal.reason as usize] += 1,
        }
    }
    assert!(accepted > FRAMES / 10 && ignored > 1_000, "{accepted} {ignored}");
    assert!(
        refused.iter().all(|count| *count > 20),
        "{:?}",
        RefusalReason::ALL.iter().zip(refused).collect::<Vec<_>>()
    );
}

/// A stream of control frames, some of them spoilt, cut into chunks anywhere.
fn stream(random: &mut Random, hostile: &mut Hostile, control: &[u8], bytes: &mut Vec<u8>) {
    bytes.clear();
    let mut frame = Vec::new();
    for _ in 0..=random.below(6) {
        frame.clear();
        frame.extend_from_slice(control);
        let payload = usize::try_from(random.below(200)).unwrap();
        frame.resize(120 + payload, 7);
        frame[12..16].copy_from_slice(&u32::try_from(payload).unwrap().to_le_bytes());
        match random.below(12) {
            0 => hostile.mutation(&frame.clone(), 400, &mut frame),
            // A length that is only claimed; the frame never comes to its end.
            1 => frame[12..16].copy_from_slice(&u32::try_from(random.below(1 << 21)).unwrap().to_le_bytes()),
            _ => {}
        }
        bytes.extend_from_slice(&frame);
    }
}

#[test]
fn chunks_of_a_stream() {
    let (mut random, mut hostile) = (Random::from_seed(2), Hostile::from_seed(2));
    let control = from_hex(include_str!("golden/wire-control.hex"));
    let (mut bytes, mut chunks, mut frames, mut broken) = (Vec::new(), 0_u64, 0_u64, 0_u64);
    while chunks < FRAMES {
        stream(&mut random, &mut hostile, &control, &mut bytes);
        let mut buffer = StreamBuffer::new();
        let mut most_waiting = 0;
        let mut waiting = 0;
        let mut rest = bytes.as_slice();
        let taken = measure(|| {
            while !rest.is_empty() {
                let length = usize::try_from(1 + random.below(100)).unwrap().min(rest.len());
                let (chunk, after) = rest.split_at(length);
                rest = after;
                chunks += 1;
                waiting += length;
                most_waiting = most_waiting.max(waiting);
                broken += u64::from(buffer.push(chunk).is_err());
                while let Some(frame) = buffer.next_frame() {
                    waiting -= frame.len();
                    frames += 1;
                }
            }
        });
        assert!(taken.bytes_max <= 3 * most_waiting as u64, "{most_waiting} waiting: {taken:?}");
    }
    assert!(frames > FRAMES / 10 && broken > FRAMES / 100, "{frames} {broken}");
}

#[test]
fn the_largest_frames_stay_within_twice_the_capacity() {
    let most = Channel::Stream.max_payload();
    let frame = wire(1).seal(at(0), host(2), FrameKind::Control, None, &vec![1; most]).unwrap();
    let cut = [&frame[..], &frame[..frame.len() - 1]].concat();
    let mut ended = Ok(());
    let taken = measure(|| {
        let mut buffer = StreamBuffer::new();
        for chunk in cut.chunks(1_000) {
            buffer.push(chunk).unwrap();
        }
        ended = buffer.push(&frame[..2]);
    });
    assert_eq!(ended, Err(StreamBroken::Overrun { capacity: StreamBuffer::CAPACITY }));
    assert!(taken.bytes_max > StreamBuffer::CAPACITY as u64, "{taken:?}");
    assert!(taken.bytes_max < 2 * StreamBuffer::CAPACITY as u64, "{taken:?}");

    // A claim of as much costs nothing before it comes.
    let taken = measure(|| StreamBuffer::new().push(&frame[..200]).unwrap());
    assert!(taken.bytes_max <= 600, "{taken:?}");
}
