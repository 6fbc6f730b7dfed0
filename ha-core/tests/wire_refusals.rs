//! What is refused, and why; what is authentic but not understood.

mod wire_support;

use ha_core::wire::{
    Channel, FrameKind, IgnoredReason, Key, KeyRing, MAX_SLAVE_HEARTBEAT, Opened, Refusal, RefusalReason,
    SameKeyId, SealError, Security, Wire, WireConfig, WireConfigError,
};
use ha_core::{ClusterId, Instant};
use wire_support::*;

#[test]
fn a_replayed_datagram_is_refused_and_the_next_accepted() {
    let (mut one, mut two) = (wire(1), wire(2));
    let first = heartbeat(&mut one, at(0), 2);
    accept_datagram(&mut two, at(1), &first);
    assert_eq!(refuse_datagram(&mut two, at(1), &first), RefusalReason::Replayed);
    assert_eq!(refuse_datagram(&mut two, at(3_600_000), &first), RefusalReason::Replayed);
    accept_datagram(&mut two, at(3_600_000), &heartbeat(&mut one, at(3_600_000), 2));
}

#[test]
fn late_datagrams_are_accepted_once_within_the_window() {
    let (mut one, mut two) = (wire(1), wire(2));
    let frames: Vec<_> = (0..66).map(|_| heartbeat(&mut one, at(0), 2)).collect();
    accept_datagram(&mut two, at(1), &frames[65]);
    // The highest is sequence 66: 3 is 63 behind it, 2 is 64 behind.
    assert_eq!(refuse_datagram(&mut two, at(1), &frames[1]), RefusalReason::Replayed);
    for late in (2..65).rev() {
        assert_eq!(accept_datagram(&mut two, at(1), &frames[late]).sequence, late as u64 + 1);
        assert_eq!(refuse_datagram(&mut two, at(1), &frames[late]), RefusalReason::Replayed);
    }
    assert_eq!(refuse_datagram(&mut two, at(1), &frames[65]), RefusalReason::Replayed);
}

#[test]
fn a_jump_of_the_whole_window_forgets_no_replay() {
    for jump in [63, 64, 65, 200] {
        let (mut one, mut two) = (wire(1), wire(2));
        let frames: Vec<_> = (0..=jump).map(|_| heartbeat(&mut one, at(0), 2)).collect();
        accept_datagram(&mut two, at(1), &frames[0]);
        accept_datagram(&mut two, at(1), &frames[jump]);
        assert_eq!(refuse_datagram(&mut two, at(1), &frames[0]), RefusalReason::Replayed, "jump {jump}");
        accept_datagram(&mut two, at(1), &frames[jump - 1]);
    }
}

#[test]
fn a_stream_only_goes_forward() {
    let (mut one, mut two) = (wire(1), wire(2));
    let frames: Vec<_> = (0..3).map(|_| control(&mut one, at(0), 2)).collect();
    accept(&mut two, at(1), Channel::Stream, &frames[1]);
    for late in [0, 1] {
        assert_eq!(refuse(&mut two, at(1), Channel::Stream, &frames[late]), RefusalReason::Replayed);
    }
    accept(&mut two, at(1), Channel::Stream, &frames[2]);
}

#[test]
fn a_reflected_frame_is_refused_by_its_sender() {
    let mut one = wire(1);
    let own = heartbeat(&mut one, at(0), 2);
    assert_eq!(refuse_datagram(&mut one, at(1), &own), RefusalReason::FromOurselves);
    // A second host with our id, which sends to others what we would.
    let clone = forge(&own, |frame| frame[36..40].copy_from_slice(&1_u32.to_le_bytes()));
    assert_eq!(refuse_datagram(&mut one, at(1), &clone), RefusalReason::FromOurselves);
}

#[test]
fn other_clusters_receivers_and_senders_are_refused() {
    let mut other = config(1);
    other.identity.cluster = ClusterId::from_bytes([9; 16]);
    let foreign = heartbeat(&mut Wire::new(other).unwrap(), at(0), 2);
    assert_eq!(refuse_datagram(&mut wire(2), at(1), &foreign), RefusalReason::ForeignCluster);

    let for_three = heartbeat(&mut wire(1), at(0), 3);
    assert_eq!(refuse_datagram(&mut wire(2), at(1), &for_three), RefusalReason::NotForUs);

    let mut stranger = config(4);
    stranger.hosts.push(host(4));
    let frame = heartbeat(&mut Wire::new(stranger).unwrap(), at(0), 2);
    let mut two = wire(2);
    let refusal = Refusal { reason: RefusalReason::UnknownSender, claimed_sender: Some(host(4)) };
    assert_eq!(two.open(at(1), Channel::Datagram, &frame), Opened::Refused(refusal));
}

#[test]
fn a_claimed_sender_is_told_once_the_header_can_be_read() {
    let frame = heartbeat(&mut wire(1), at(0), 2);
    let mut forged = frame.to_vec();
    forged[110] ^= 1;
    let refused = |reason, claimed_sender| Opened::Refused(Refusal { reason, claimed_sender });
    let mut two = wire(2);
    let opened = two.open(at(1), Channel::Datagram, &forged);
    assert_eq!(opened, refused(RefusalReason::BadTag, Some(host(1))));
    forged[0] ^= 1;
    assert_eq!(two.open(at(1), Channel::Datagram, &forged), refused(RefusalReason::BadMagic, None));
    let opened = two.open(at(1), Channel::Datagram, &frame[..119]);
    assert_eq!(opened, refused(RefusalReason::TooShort, None));
}

#[test]
fn keys_roll_over_without_a_gap() {
    let (old, new) = (|| Key::from_bytes(KEY), || Key::from_bytes([0xee; 16]));
    let (mut one, mut two) = (wire(1), wire(2));
    let recorded = heartbeat(&mut one, at(0), 2);
    let speak = |from: &mut Wire, to: &mut Wire, now: Instant| {
        let frame = heartbeat(from, now, to.identity().host.number());
        accept_datagram(to, now, &frame);
        u16::from_le_bytes([frame[10], frame[11]])
    };
    // Each step is finished on one host while the other is a step behind.
    one.set_keys(ring().also_accepting(key_id(2), new()).unwrap());
    assert_eq!((speak(&mut one, &mut two, at(1)), speak(&mut two, &mut one, at(1))), (1, 1));
    two.set_keys(ring().also_accepting(key_id(2), new()).unwrap());
    one.set_keys(KeyRing::new(key_id(2), new()).also_accepting(key_id(1), old()).unwrap());
    assert_eq!((speak(&mut one, &mut two, at(2)), speak(&mut two, &mut one, at(2))), (2, 1));
    two.set_keys(KeyRing::new(key_id(2), new()).also_accepting(key_id(1), old()).unwrap());
    one.set_keys(KeyRing::new(key_id(2), new()));
    assert_eq!((speak(&mut one, &mut two, at(3)), speak(&mut two, &mut one, at(3))), (2, 2));
    two.set_keys(KeyRing::new(key_id(2), new()));
    assert_eq!(refuse_datagram(&mut two, at(4), &recorded), RefusalReason::UnknownKey);
}

#[test]
fn keys_are_told_apart_by_id_and_by_value() {
    let mut two = wire(2);
    for (id, key, reason) in [(2, KEY, RefusalReason::UnknownKey), (1, [0xee; 16], RefusalReason::BadTag)] {
        let security = Security::Keyed(KeyRing::new(key_id(id), Key::from_bytes(key)));
        let mut one = Wire::new(WireConfig { security, ..config(1) }).unwrap();
        assert_eq!(refuse_datagram(&mut two, at(1), &heartbeat(&mut one, at(0), 2)), reason);
    }
    let same = ring().also_accepting(key_id(1), Key::from_bytes([1; 16]));
    assert_eq!(same.err(), Some(SameKeyId { id: key_id(1) }));
}

#[test]
fn modes_do_not_mix() {
    let plain =
        |number| Wire::new(WireConfig { security: Security::Unauthenticated, ..config(number) }).unwrap();
    let (from_plain, from_keyed) = (heartbeat(&mut plain(1), at(0), 2), heartbeat(&mut wire(1), at(0), 2));
    assert_eq!(refuse_datagram(&mut wire(2), at(1), &from_plain), RefusalReason::UnknownKey);
    assert_eq!(refuse_datagram(&mut plain(2), at(1), &from_keyed), RefusalReason::UnknownKey);
}

#[test]
fn a_key_is_never_printed() {
    let key =
        [0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89];
    let ring = KeyRing::new(key_id(77), Key::from_bytes(key));
    let printed = format!("{:?}", Wire::new(WireConfig { security: Security::Keyed(ring), ..config(1) }));
    assert!(printed.contains("(77, Key(..))"), "{printed}");
    assert!(!printed.contains("171, 205"), "{printed}");
}

#[test]
fn each_kind_belongs_to_one_channel() {
    for kind in FrameKind::ALL {
        let (mut one, mut two) = (wire(1), wire(2));
        let frame = one.seal(at(0), host(2), kind, None, &[]).unwrap();
        let other = match kind.channel() {
            Channel::Datagram => Channel::Stream,
            Channel::Stream => Channel::Datagram,
        };
        assert_eq!(refuse(&mut two, at(1), other, &frame), RefusalReason::WrongChannel);
        // Nor does it help to move the flag along: the kind itself belongs elsewhere.
        let moved = forge(&frame, |frame| frame[76] ^= 4);
        assert_eq!(refuse(&mut two, at(1), other, &moved), RefusalReason::WrongChannel);
        assert_eq!(refuse(&mut two, at(1), kind.channel(), &moved), RefusalReason::WrongChannel);
        accept(&mut two, at(1), kind.channel(), &frame);
        assert_eq!(FrameKind::from_code(kind.code()), Some(kind));
    }
}

#[test]
fn versions_and_flags_are_checked_before_anything_else_is_believed() {
    let frame = heartbeat(&mut wire(1), at(0), 2);
    let mut two = wire(2);
    let mut refused = |change: &dyn Fn(&mut [u8])| refuse_datagram(&mut two, at(1), &forge(&frame, change));
    assert_eq!(refused(&|f| f[4] = 2), RefusalReason::BadVersion);
    assert_eq!(refused(&|f| f[4] = 0), RefusalReason::BadVersion);
    assert_eq!(refused(&|f| f[6] = 2), RefusalReason::BadVersion, "oldest above the frame's own");
    assert_eq!(refused(&|f| f[7] = 0), RefusalReason::BadVersion, "newest below the frame's own");
    for bit in 3..32 {
        assert_eq!(refused(&|f| f[76 + bit / 8] |= 1 << (bit % 8)), RefusalReason::UnknownFlags, "{bit}");
    }
    for byte in (64..76).chain(88..104) {
        assert_eq!(refused(&|f| f[byte] = 1), RefusalReason::NonZeroAbsentField, "byte {byte}");
    }
    accept_datagram(&mut two, at(1), &forge(&frame, |f| f[7] = 9));
}

#[test]
fn newer_minors_and_unknown_kinds_are_ignored_and_echoed() {
    let (mut one, mut two) = (wire(1), wire(2));
    let mut ignored = |change: &dyn Fn(&mut [u8])| {
        let before = two.counters().ignored().get();
        let frame = forge(&heartbeat(&mut one, at(0), 2), change);
        let opened = two.open(at(1), Channel::Datagram, &frame);
        assert_eq!(two.counters().ignored().get(), before + 1);
        assert_eq!(refuse_datagram(&mut two, at(1), &frame), RefusalReason::Replayed);
        match opened {
            Opened::Ignored(reason) => reason,
            Opened::Accepted(_) | Opened::Refused(_) => panic!("{opened:?}"),
        }
    };
    assert_eq!(ignored(&|f| f[8] = 5), IgnoredReason::UnknownKind { code: 5 });
    assert_eq!(ignored(&|f| (f[5], f[8]) = (3, 0)), IgnoredReason::UnknownKind { code: 0 });
    assert_eq!(ignored(&|f| (f[5], f[79]) = (3, 0x80)), IgnoredReason::NewerMinor { minor: 3 });

    let echo = heartbeat(&mut two, at(1), 1);
    assert_eq!(echo[96..104], 3_u64.to_le_bytes(), "the last ignored frame is echoed");
    // A newer minor that uses nothing new is understood, and only now is the life of host 1 announced.
    let frame = forge(&heartbeat(&mut one, at(0), 2), |f| f[5] = 3);
    assert!(accept_datagram(&mut two, at(1), &frame).new_life);
}

#[test]
fn payloads_fit_their_channel_to_the_byte() {
    for (kind, most) in [(FrameKind::Claim, 1_080), (FrameKind::Control, (1 << 20) - 120)] {
        let (mut one, mut two) = (wire(1), wire(2));
        let too_long = one.seal(at(0), host(2), kind, None, &vec![7; most + 1]);
        assert_eq!(too_long, Err(SealError::TooLong { length: most + 1, most }));
        let frame = one.seal(at(0), host(2), kind, None, &vec![7; most]).unwrap();
        assert_eq!(frame.len(), kind.channel().max_frame());
        let received = accept(&mut two, at(1), kind.channel(), &frame);
        assert_eq!(
            (received.sequence, received.payload.len()),
            (1, most),
            "the refused one took no sequence"
        );
        let longer = [&frame[..], &[0]].concat();
        assert_eq!(refuse(&mut two, at(1), kind.channel(), &longer), RefusalReason::TooLong);
    }
    let mut one = wire(1);
    let heartbeat = one.seal(at(0), host(2), FrameKind::Heartbeat, None, &[0; MAX_SLAVE_HEARTBEAT]);
    assert_eq!(heartbeat.unwrap().len(), 160);
}

#[test]
fn sealing_needs_a_peer() {
    let mut one = wire(1);
    for stranger in [host(1), host(4)] {
        let sealed = one.seal(at(0), stranger, FrameKind::Probe, None, &[]);
        assert_eq!(sealed, Err(SealError::UnknownHost { host: stranger }));
    }
}

#[test]
fn host_lists_are_checked() {
    let with = |hosts| Wire::new(WireConfig { hosts, ..config(1) });
    let numbered = |count: u32| (0..count).map(host).collect::<Vec<_>>();
    assert!(with(numbered(4_096)).is_ok());
    let too_many = with(numbered(4_097)).err();
    assert_eq!(too_many, Some(WireConfigError::TooManyHosts { hosts: 4_097, most: 4_096 }));
    let twice = with(vec![host(5), host(1), host(5)]).err();
    assert_eq!(twice, Some(WireConfigError::DuplicateHost { host: host(5) }));
    assert!(with(vec![]).is_ok());
}
