//! One golden frame of each kind, made by a program that shares no code with this crate: sealed to the very
//! bytes, opened to the very values, and refused in every damaged form.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod wire_support;

use bytes::Bytes;
use ha_core::wire::{Channel, Echo, FrameKind, Opened, Received, RefusalReason, Security, Wire};
use ha_core::{BootId, Incarnation, Instant, Round, Term};
use wire_support::*;

const PROBE: &str = include_str!("golden/wire-probe.hex");
const CANDIDACY: &str = include_str!("golden/wire-candidacy.hex");
const CLAIM: &str = include_str!("golden/wire-claim.hex");
const HEARTBEAT: &str = include_str!("golden/wire-heartbeat.hex");
const CONTROL: &str = include_str!("golden/wire-control.hex");
const UNAUTHENTICATED: &str = include_str!("golden/wire-unauthenticated.hex");

fn term() -> Term {
    Term::new(Round::new(5), host(1))
}

fn payload(kind: FrameKind) -> Vec<u8> {
    match kind {
        FrameKind::Probe => Vec::new(),
        FrameKind::Candidacy => (0xa0..0xa8).collect(),
        FrameKind::Claim => b"lists".to_vec(),
        FrameKind::Heartbeat => (0..40).collect(),
        FrameKind::Control => (0..=199_u8).map(|n| n.wrapping_mul(7)).collect(),
    }
}

fn golden(kind: FrameKind) -> Vec<u8> {
    from_hex(match kind {
        FrameKind::Probe => PROBE,
        FrameKind::Candidacy => CANDIDACY,
        FrameKind::Claim => CLAIM,
        FrameKind::Heartbeat => HEARTBEAT,
        FrameKind::Control => CONTROL,
    })
}

/// Both hosts, each having sealed one frame on each channel to the other, at 10 ms. Returns host 2's frames.
fn speaking() -> (Wire, Wire, Bytes, Bytes) {
    let (sender, mut receiver) = (wire(1), wire(2));
    let probe = receiver.seal(at(10), host(1), FrameKind::Probe, None, &[]).unwrap();
    let hello = control(&mut receiver, at(10), 1);
    (sender, receiver, probe, hello)
}

#[test]
fn sealing_gives_the_golden_bytes() {
    let (mut sender, _, probe, hello) = speaking();
    let seal = |sender: &mut Wire, kind, term| {
        let frame = sender.seal(at(20), host(2), kind, term, &payload(kind)).unwrap();
        assert_eq!(frame, golden(kind), "{kind:?}");
    };
    seal(&mut sender, FrameKind::Probe, None);
    accept_datagram(&mut sender, at(20), &probe);
    seal(&mut sender, FrameKind::Candidacy, None);
    seal(&mut sender, FrameKind::Claim, Some(term()));
    seal(&mut sender, FrameKind::Heartbeat, Some(term()));
    accept(&mut sender, at(20), Channel::Stream, &hello);
    seal(&mut sender, FrameKind::Control, Some(term()));
    assert_eq!(golden(FrameKind::Heartbeat).len(), 160);
}

#[test]
fn opening_gives_the_golden_values() {
    let (_, mut receiver, _, _) = speaking();
    let fresh = Echo::Fresh { sent_at: at(10) };
    for (kind, sequence, term, echo, first) in [
        (FrameKind::Probe, 1, None, Echo::None, true),
        (FrameKind::Candidacy, 2, None, fresh, false),
        (FrameKind::Claim, 3, Some(term()), fresh, false),
        (FrameKind::Heartbeat, 4, Some(term()), fresh, false),
        (FrameKind::Control, 1, Some(term()), fresh, false),
    ] {
        let (golden, payload) = (golden(kind), payload(kind));
        let expected = Received {
            from: host(1),
            boot: BootId::from_bytes([0x11; 16]),
            incarnation: Incarnation::new(7),
            kind,
            term,
            sequence,
            payload: &payload,
            echo,
            probe: first,
            new_life: first,
        };
        assert_eq!(receiver.open(at(20), kind.channel(), &golden), Opened::Accepted(expected));
    }
}

#[test]
fn unauthenticated_frame_is_golden_both_ways() {
    let plain = |number| {
        Wire::new(ha_core::wire::WireConfig { security: Security::Unauthenticated, ..config(number) })
    };
    let (mut sender, mut receiver) = (plain(1).unwrap(), plain(2).unwrap());
    let golden = from_hex(UNAUTHENTICATED);
    assert_eq!(heartbeat(&mut sender, at(0), 2), golden);
    assert_eq!(accept_datagram(&mut receiver, at(0), &golden).payload, b"alive");
}

/// Opens each damaged form of a golden frame on one of two equal hosts. Afterwards both must still be equal
/// in everything that they accept, refuse and seal.
fn damaged_forms_change_nothing(kind: FrameKind, forms: impl Iterator<Item = Vec<u8>>) -> Vec<RefusalReason> {
    let (_, mut hit, _, _) = speaking();
    let (_, mut twin, _, _) = speaking();
    let reasons: Vec<_> = forms.map(|form| refuse(&mut hit, at(20), kind.channel(), &form)).collect();
    assert_eq!(hit.counters().refused_in_all(), reasons.len() as u64);

    let frame = golden(kind);
    for now in [at(20), at(21)] {
        assert_eq!(hit.open(now, kind.channel(), &frame), twin.open(now, kind.channel(), &frame));
    }
    assert_eq!(hit.counters().accepted().get(), 1, "the genuine frame is accepted once");
    let answer = |wire: &mut Wire, now: Instant| {
        FrameKind::ALL.map(|kind| wire.seal(now, host(1), kind, Some(term()), &payload(kind)).unwrap())
    };
    assert_eq!(answer(&mut hit, at(30)), answer(&mut twin, at(30)));
    reasons
}

#[test]
fn every_flipped_bit_is_refused_and_changes_nothing() {
    for kind in FrameKind::ALL {
        let frame = golden(kind);
        let forms = (0..frame.len() * 8).map(|bit| {
            let mut form = frame.clone();
            form[bit / 8] ^= 1 << (bit % 8);
            form
        });
        let reasons = damaged_forms_change_nothing(kind, forms);
        let counted = |reason| reasons.iter().filter(|found| **found == reason).count();
        assert_eq!(counted(RefusalReason::BadMagic), 32, "{kind:?}");
        assert_eq!(counted(RefusalReason::ForeignCluster), 128, "{kind:?}");
        assert_eq!(counted(RefusalReason::UnknownKey), 16, "{kind:?}");
        // Nothing else guards the payload, the boot, the sequence and the tag itself.
        assert!(counted(RefusalReason::BadTag) >= 128 + 64 + 128 + payload(kind).len() * 8, "{kind:?}");
        assert!(!reasons.iter().any(|reason| reason.is_authentic()), "{kind:?}");
    }
}

#[test]
fn every_truncation_and_every_extension_is_refused_and_changes_nothing() {
    for kind in FrameKind::ALL {
        let frame = golden(kind);
        let longer = (1..=64).map(|extra| [frame.as_slice(), &vec![0; extra]].concat());
        let forms = (0..frame.len()).map(|length| frame[..length].to_vec()).chain(longer);
        let reasons = damaged_forms_change_nothing(kind, forms);
        let short = reasons.iter().filter(|reason| **reason == RefusalReason::TooShort).count();
        assert_eq!(short, 120, "{kind:?}");
        assert!(reasons[120..].iter().all(|reason| *reason == RefusalReason::LengthMismatch), "{kind:?}");
    }
}

/// The one golden frame without a key; its damaged forms, like the others'.
#[test]
fn every_damaged_form_of_the_unauthenticated_frame_is_refused() {
    let plain = || {
        let security = Security::Unauthenticated;
        Wire::new(ha_core::wire::WireConfig { security, ..config(2) }).unwrap()
    };
    let frame = from_hex(UNAUTHENTICATED);
    let mut receiver = plain();
    for bit in 0..frame.len() * 8 {
        let mut form = frame.clone();
        form[bit / 8] ^= 1 << (bit % 8);
        let reason = refuse_datagram(&mut receiver, at(0), &form);
        assert!(!reason.is_authentic(), "bit {bit}: {reason:?}");
    }
    for length in 0..frame.len() {
        let expected = if length < 120 { RefusalReason::TooShort } else { RefusalReason::LengthMismatch };
        assert_eq!(refuse_datagram(&mut receiver, at(0), &frame[..length]), expected);
    }
    let opened = receiver.open(at(0), Channel::Datagram, &frame);
    assert_eq!(opened, plain().open(at(0), Channel::Datagram, &frame));
}

/// A golden frame that stands in the folder is one of those that the tests above seal, open and damage.
#[test]
fn every_golden_file_is_tested() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

    let tested: Vec<_> = FrameKind::ALL.map(golden).into_iter().chain([from_hex(UNAUTHENTICATED)]).collect();
    let mut found = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        assert!(
            tested.contains(&from_hex(&std::fs::read_to_string(&path).unwrap())),
            "no test opens and damages {}",
            path.display()
        );
        found += 1;
    }
    assert_eq!(found, tested.len());
}

#[test]
fn the_worked_example_of_the_manual_is_the_golden_heartbeat() {
    let manual = include_str!("../WIRE.md");
    let dump = manual.split("```hex").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let bytes: Vec<u8> = dump.lines().flat_map(|line| from_hex(line.split('|').next().unwrap())).collect();
    assert_eq!(bytes, golden(FrameKind::Heartbeat));
}
