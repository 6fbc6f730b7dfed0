//! Frames come whole out of a stream however it is cut, and a bad stream is found out early and within
//! bounds.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod wire_support;

use ha_core::wire::{Channel, FrameKind, StreamBroken, StreamBuffer};
use wire_support::*;

fn frames(payloads: &[usize]) -> Vec<bytes::Bytes> {
    let mut one = wire(1);
    let seal =
        |length: &usize| one.seal(at(0), host(2), FrameKind::Control, None, &vec![9; *length]).unwrap();
    payloads.iter().map(seal).collect()
}

fn drain(buffer: &mut StreamBuffer) -> Vec<bytes::Bytes> {
    core::iter::from_fn(|| buffer.next_frame()).collect()
}

#[test]
fn every_split_gives_the_same_frames() {
    let expected = frames(&[0, 33, 7]);
    let stream = expected.concat();
    for first in 0..=stream.len() {
        for second in (first..=stream.len()).step_by(13) {
            let mut buffer = StreamBuffer::new();
            let mut found = Vec::new();
            for chunk in [&stream[..first], &stream[first..second], &stream[second..]] {
                buffer.push(chunk).unwrap();
                found.extend(drain(&mut buffer));
            }
            assert_eq!(found, expected, "cut at {first} and {second}");
        }
    }
}

#[test]
fn byte_by_byte_each_frame_comes_with_its_last_byte() {
    let expected = frames(&[5, 0]);
    let mut buffer = StreamBuffer::new();
    let mut ends = Vec::new();
    for (at, byte) in expected.concat().iter().enumerate() {
        buffer.push(&[*byte]).unwrap();
        ends.extend(drain(&mut buffer).iter().map(|_| at + 1));
    }
    assert_eq!(ends, [125, 245]);
}

#[test]
fn frames_out_of_the_buffer_open() {
    let mut buffer = StreamBuffer::new();
    buffer.push(&frames(&[3, 4]).concat()).unwrap();
    let mut two = wire(2);
    for frame in drain(&mut buffer) {
        accept(&mut two, at(1), Channel::Stream, &frame);
    }
    assert_eq!(two.counters().accepted().get(), 2);
}

#[test]
fn the_longest_frame_passes_and_one_byte_more_breaks_the_stream() {
    let most = Channel::Stream.max_payload();
    let longest = frames(&[most]).remove(0);
    let mut buffer = StreamBuffer::new();
    for chunk in longest.chunks(1_000) {
        buffer.push(chunk).unwrap();
    }
    assert_eq!(drain(&mut buffer), core::slice::from_ref(&longest));

    let payload = u32::try_from(most).unwrap() + 1;
    let mut head = longest[..16].to_vec();
    head[12..].copy_from_slice(&payload.to_le_bytes());
    assert_eq!(buffer.push(&head), Err(StreamBroken::TooLong { payload, most }));
    assert_eq!(buffer.push(&longest), Err(StreamBroken::TooLong { payload, most }), "for ever");
    head[12..].copy_from_slice(&u32::MAX.to_le_bytes());
    let claim = StreamBuffer::new().push(&head);
    assert_eq!(claim, Err(StreamBroken::TooLong { payload: u32::MAX, most }));
}

#[test]
fn a_stream_of_something_else_breaks_at_its_first_wrong_byte() {
    for good in 0..4 {
        let mut buffer = StreamBuffer::new();
        buffer.push(&b"vHAw"[..good]).unwrap();
        assert_eq!(buffer.push(b"!"), Err(StreamBroken::BadMagic), "after {good}");
    }
    let mut buffer = StreamBuffer::new();
    buffer.push(b"vHAw").unwrap();
    assert_eq!(buffer.push(&[2]), Err(StreamBroken::BadVersion { version: 2 }));
}

#[test]
fn frames_before_the_break_come_out_wherever_it_is_cut() {
    let good = frames(&[8]).remove(0);
    let stream = [&good[..], b"GET / HTTP/1.1"].concat();
    for cut in 0..=stream.len() {
        let mut buffer = StreamBuffer::new();
        let mut found = Vec::new();
        let mut last = Ok(());
        for chunk in [&stream[..cut], &stream[cut..]] {
            last = buffer.push(chunk);
            found.extend(drain(&mut buffer));
        }
        assert_eq!((found, last), (vec![good.clone()], Err(StreamBroken::BadMagic)), "cut at {cut}");
    }
}

#[test]
fn untaken_frames_are_bounded() {
    let frame = frames(&[1_000]).remove(0);
    let mut buffer = StreamBuffer::new();
    let mut pushed = 0;
    let broken = loop {
        match buffer.push(&frame) {
            Ok(()) => pushed += frame.len(),
            Err(broken) => break broken,
        }
    };
    assert_eq!(broken, StreamBroken::Overrun { capacity: StreamBuffer::CAPACITY });
    assert!(pushed <= StreamBuffer::CAPACITY && pushed + frame.len() > StreamBuffer::CAPACITY);
    assert_eq!(drain(&mut buffer).len(), pushed / frame.len());
}

#[test]
fn a_whole_chunk_fits_behind_the_longest_unfinished_frame() {
    let longest = frames(&[Channel::Stream.max_payload()]).remove(0);
    let (last, rest) = longest.split_last().unwrap();
    let small = frames(&[0]).remove(0);
    let mut chunk = vec![*last];
    while chunk.len() + small.len() <= 1 << 20 {
        chunk.extend_from_slice(&small);
    }
    let mut buffer = StreamBuffer::new();
    buffer.push(rest).unwrap();
    buffer.push(&chunk).unwrap();
    assert_eq!(drain(&mut buffer).len(), 1 + (chunk.len() - 1) / small.len());
}
