//! `WIRE.md` says what the code does: its tables, numbers and lists, compared with frames and constants.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod wire_support;

use ha_core::wire::{
    Channel, FRAME_OVERHEAD, FrameKind, MAX_SLAVE_HEARTBEAT, RefusalReason, Security, Wire, WireConfig,
};
use ha_core::{BootId, ClusterId, Identity, Incarnation, Round, Term};
use wire_support::*;

const MANUAL: &str = include_str!("../WIRE.md");
const PAYLOAD: &[u8] = b"payload";

/// The rows of the table: field, offset, length. Offsets and lengths that depend on the payload's length n, with it.
fn rows() -> Vec<(&'static str, usize, usize)> {
    let n = PAYLOAD.len();
    let number = |text: &str| match text.split_once(" + ") {
        Some((number, "n")) => number.parse::<usize>().unwrap() + n,
        Some(other) => panic!("{other:?}"),
        None if text == "n" => n,
        None => text.parse().unwrap(),
    };
    MANUAL
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (cells[3], number(cells[1]), number(cells[2]))
        })
        .collect()
}

/// A frame in which each field has a value of its own, with echo and term, and the value that each field must have.
fn frame() -> (Vec<u8>, Vec<(&'static str, Vec<u8>)>) {
    let host = |number| [number, 0xa0, 0xa1, 0];
    let number = |bytes: [u8; 4]| u32::from_le_bytes(bytes);
    let identity = |host: u32, mark: u8| Identity {
        cluster: ClusterId::from_bytes([0xc7; 16]),
        host: ha_core::HostId::new(host),
        boot: BootId::from_bytes([mark; 16]),
        incarnation: Incarnation::new(u64::from_le_bytes([mark; 8])),
    };
    let (one, two) = (number(host(1)), number(host(2)));
    let wire = |identity: Identity| {
        let hosts = vec![ha_core::HostId::new(one), ha_core::HostId::new(two)];
        let security = Security::Keyed(ring());
        Wire::new(WireConfig { identity, hosts, security, ..config(1) }).unwrap()
    };
    let (mut sender, mut receiver) = (wire(identity(one, 0x31)), wire(identity(two, 0x32)));
    for _ in 0..5 {
        let heard = receiver.seal(at(1), ha_core::HostId::new(one), FrameKind::Probe, None, &[]).unwrap();
        accept_datagram(&mut sender, at(1), &heard);
    }
    let term = Term::new(Round::new(u64::from_le_bytes([0x41; 8])), ha_core::HostId::new(number([0x42; 4])));
    let mut seal = || {
        sender.seal(at(2), ha_core::HostId::new(two), FrameKind::Claim, Some(term), PAYLOAD).unwrap().to_vec()
    };
    let _first = seal();
    let _second = seal();
    let frame = seal();
    let tag = frame[frame.len() - 16..].to_vec();
    assert_eq!(forge(&frame, |_| {})[frame.len() - 16..], tag, "SipHash-2-4, as the manual says");
    let fields: Vec<(&str, Vec<u8>)> = vec![
        ("magic", b"vHAw".to_vec()),
        ("version", vec![1]),
        ("minor", vec![0]),
        ("oldest", vec![1]),
        ("newest", vec![1]),
        ("kind", vec![3, 0]),
        ("key id", vec![1, 0]),
        ("payload length", vec![7, 0, 0, 0]),
        ("cluster", vec![0xc7; 16]),
        ("sender", host(1).to_vec()),
        ("receiver", host(2).to_vec()),
        ("boot", vec![0x31; 16]),
        ("incarnation", vec![0x31; 8]),
        ("term: round", vec![0x41; 8]),
        ("term: host", vec![0x42; 4]),
        ("flags", vec![0b011, 0, 0, 0]),
        ("sequence", 3_u64.to_le_bytes().to_vec()),
        ("echo: incarnation", vec![0x32; 8]),
        ("echo: sequence", 5_u64.to_le_bytes().to_vec()),
        ("payload", PAYLOAD.to_vec()),
        ("tag", tag),
    ];
    (frame, fields)
}

#[test]
fn the_table_of_fields_is_the_frame() {
    let (frame, fields) = frame();
    let rows = rows();
    let names: Vec<&str> = rows.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, fields.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let mut end = 0;
    for ((name, offset, length), (_, value)) in rows.into_iter().zip(fields) {
        assert_eq!(offset, end, "{name} follows without a gap");
        assert_eq!(&frame[offset..offset + length], value, "{name}");
        end += length;
    }
    assert_eq!(end, frame.len());
}

/// What stands between two marks of the manual, its lines joined.
fn between(start: &str, end: &str) -> String {
    let rest = MANUAL.split_once(start).unwrap().1;
    rest.split_once(end).unwrap().0.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_kinds_are_those_of_the_code() {
    let said = between("**Kinds.**", "A known kind");
    let mut kinds = 0;
    for part in said.split(". ").flat_map(|channel| {
        let (name, list) = channel.split_once(": ").unwrap();
        list.split(", ").map(move |kind| (name, kind)).collect::<Vec<_>>()
    }) {
        let (channel, (code, name)) = (part.0, part.1.trim_end_matches('.').split_once(' ').unwrap());
        let kind = FrameKind::from_code(code.parse().unwrap()).unwrap();
        assert_eq!(
            (format!("{:?}", kind.channel()), format!("{kind:?}").to_lowercase()),
            (channel.into(), name.into())
        );
        kinds += 1;
    }
    assert_eq!(kinds, FrameKind::ALL.len());
}

#[test]
fn the_flags_are_those_of_the_code() {
    let said = between("**Flags.**", "All other bits");
    assert!(
        said.starts_with("Bit 0: echo present. Bit 1: term present. Bit 2: the frame travels on the stream")
    );
    let mut one = wire(1);
    let mut flags = |kind, term| one.seal(at(1), host(2), kind, term, &[]).unwrap()[76];
    let term = Some(Term::new(Round::new(1), host(1)));
    assert_eq!(flags(FrameKind::Probe, None), 0);
    assert_eq!(flags(FrameKind::Probe, term), 1 << 1);
    assert_eq!(flags(FrameKind::Control, None), 1 << 2);
    let heard = heartbeat(&mut wire(2), at(1), 1);
    accept_datagram(&mut one, at(1), &heard);
    assert_eq!(one.seal(at(1), host(2), FrameKind::Probe, None, &[]).unwrap()[76], 1 << 0);
}

#[test]
fn the_limits_are_those_of_the_code() {
    let said = between("# Frames on the wire", "| offset");
    let grouped = |number: usize| {
        let digits: Vec<String> = number
            .to_string()
            .chars()
            .rev()
            .collect::<Vec<_>>()
            .chunks(3)
            .map(|group| group.iter().collect())
            .collect();
        digits.join(",").chars().rev().collect::<String>()
    };
    for sentence in [
        "version 1.0".to_owned(),
        format!("a header of {} bytes", FRAME_OVERHEAD - 16),
        "a tag of 16 bytes".to_owned(),
        format!("of at most {} bytes; on the stream", grouped(Channel::Datagram.max_frame())),
        format!("1 MiB ({} bytes)", grouped(Channel::Stream.max_frame())),
        format!(
            "at most {MAX_SLAVE_HEARTBEAT} bytes of payload, {} in all",
            MAX_SLAVE_HEARTBEAT + FRAME_OVERHEAD
        ),
    ] {
        assert!(said.contains(&sentence), "`{sentence}` is not in: {said}");
    }
}

/// The order of the checks, as the code has it in `RefusalReason::ALL`.
#[test]
fn the_order_of_the_checks_is_that_of_the_code() {
    let said = between("## Order of the checks", "## Worked example");
    let steps = [
        ("Length", RefusalReason::TooShort),
        ("Length", RefusalReason::TooLong),
        ("magic", RefusalReason::BadMagic),
        ("version", RefusalReason::BadVersion),
        ("payload length", RefusalReason::LengthMismatch),
        ("flags", RefusalReason::UnknownFlags),
        ("absent fields", RefusalReason::NonZeroAbsentField),
        ("channel", RefusalReason::WrongChannel),
        ("cluster", RefusalReason::ForeignCluster),
        ("sender is not ourselves", RefusalReason::FromOurselves),
        ("receiver is ourselves", RefusalReason::NotForUs),
        ("sender is in the host list", RefusalReason::UnknownSender),
        ("key id", RefusalReason::UnknownKey),
        ("tag", RefusalReason::BadTag),
        ("incarnation", RefusalReason::OldIncarnation),
        ("sequence", RefusalReason::Replayed),
    ];
    assert_eq!(steps.map(|(_, reason)| reason), RefusalReason::ALL);
    let mut rest = said.as_str();
    let mut last = "";
    for (step, reason) in steps {
        if step != last {
            rest = rest.split_once(step).unwrap_or_else(|| panic!("{reason:?} comes too late: {rest}")).1;
        }
        last = step;
    }
}
