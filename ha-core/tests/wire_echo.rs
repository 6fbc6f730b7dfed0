//! What an echo is worth, when a probe is due, and what lives and replays do to a host.

mod wire_support;

use core::time::Duration;

use ha_core::Incarnation;
use ha_core::wire::{Channel, Echo, FrameKind, Opened, RefusalReason};
use wire_support::*;

#[test]
fn a_conversation_becomes_fresh_with_the_first_echo() {
    let (mut one, mut two) = (wire(1), wire(2));
    let first = accept_datagram(&mut two, at(1), &heartbeat(&mut one, at(0), 2)).echo;
    assert_eq!(first, Echo::None);
    let answer = accept_datagram(&mut one, at(3), &heartbeat(&mut two, at(2), 1)).echo;
    assert_eq!(answer, Echo::Fresh { sent_at: at(0) });
    let next = accept_datagram(&mut two, at(5), &heartbeat(&mut one, at(4), 2)).echo;
    assert_eq!(next, Echo::Fresh { sent_at: at(2) });
}

#[test]
fn an_echo_names_one_of_the_last_64_frames() {
    for (later, fresh) in [(62, true), (63, true), (64, false), (65, false)] {
        let (mut one, mut two) = (wire(1), wire(2));
        accept_datagram(&mut two, at(0), &heartbeat(&mut one, at(0), 2));
        let answer = heartbeat(&mut two, at(0), 1);
        for _ in 0..later {
            let _lost = heartbeat(&mut one, at(1), 2);
        }
        let echo = accept_datagram(&mut one, at(2), &answer).echo;
        assert_eq!(echo, if fresh { Echo::Fresh { sent_at: at(0) } } else { Echo::Stale }, "{later} later");
    }
}

#[test]
fn an_echo_is_fresh_for_echo_fresh() {
    let nanosecond = Duration::from_nanos(1);
    for (arrives, fresh) in [
        (at(0).after(ECHO_FRESH - nanosecond), true),
        (at(0).after(ECHO_FRESH), true),
        (at(0).after(ECHO_FRESH + nanosecond), false),
    ] {
        let (mut one, mut two) = (wire(1), wire(2));
        accept_datagram(&mut two, at(0), &heartbeat(&mut one, at(0), 2));
        let answer = heartbeat(&mut two, at(0), 1);
        assert_eq!(is_fresh(accept_datagram(&mut one, arrives, &answer).echo), fresh, "{arrives}");
    }
}

#[test]
fn a_clock_that_goes_back_makes_nothing_fresh_again() {
    let (mut one, mut two) = (wire(1), wire(2));
    accept_datagram(&mut two, at(0), &heartbeat(&mut one, at(0), 2));
    let answer = heartbeat(&mut two, at(0), 1);
    let _later = heartbeat(&mut one, at(10_000), 2);
    assert_eq!(accept_datagram(&mut one, at(1), &answer).echo, Echo::Stale);
}

#[test]
fn echoes_of_frames_never_sent_or_of_another_life_are_stale() {
    let (mut one, mut two) = (wire(1), wire(2));
    let _sent = heartbeat(&mut one, at(0), 2);
    let mut judged = |incarnation: u64, sequence: u64| {
        let frame = forge(&heartbeat(&mut two, at(0), 1), |frame| {
            frame[76] |= 1;
            frame[88..96].copy_from_slice(&incarnation.to_le_bytes());
            frame[96..104].copy_from_slice(&sequence.to_le_bytes());
        });
        is_fresh(accept_datagram(&mut one, at(0), &frame).echo)
    };
    assert!(judged(7, 1));
    for (incarnation, sequence) in [(6, 1), (8, 1), (7, 0), (7, 2), (7, 65), (7, u64::MAX)] {
        assert!(!judged(incarnation, sequence), "{incarnation}.{sequence}");
    }
}

#[test]
fn the_highest_accepted_frame_is_echoed_even_if_its_own_echo_was_not_fresh() {
    let (mut one, mut two) = (wire(1), wire(2));
    let frames: Vec<_> = (0..3).map(|_| heartbeat(&mut one, at(0), 2)).collect();
    for (opened, echoed) in [(0, 1_u64), (2, 3), (1, 3)] {
        assert_eq!(accept_datagram(&mut two, at(1), &frames[opened]).echo, Echo::None);
        assert_eq!(heartbeat(&mut two, at(1), 1)[96..104], echoed.to_le_bytes());
    }
}

#[test]
fn channels_and_peers_keep_their_own_numbers() {
    let (mut one, mut two, mut three) = (wire(1), wire(2), wire(3));
    for sequence in 1..=3 {
        assert_eq!(accept_datagram(&mut two, at(1), &heartbeat(&mut one, at(0), 2)).sequence, sequence);
        let frame = control(&mut one, at(0), 2);
        assert_eq!(accept(&mut two, at(1), Channel::Stream, &frame).sequence, sequence);
        assert_eq!(accept_datagram(&mut three, at(1), &heartbeat(&mut one, at(0), 3)).sequence, sequence);
    }
    // A datagram was heard, but nothing on the stream yet.
    accept_datagram(&mut one, at(2), &heartbeat(&mut two, at(2), 1));
    let mut fresh_two = wire_in_life(2, 10);
    accept_datagram(&mut fresh_two, at(3), &heartbeat(&mut one, at(3), 2));
    assert_eq!(accept(&mut one, at(3), Channel::Stream, &control(&mut fresh_two, at(3), 1)).echo, Echo::None);
}

#[test]
fn at_most_one_probe_per_spacing_and_channel() {
    let nanosecond = Duration::from_nanos(1);
    let (mut one, mut two) = (wire(1), wire(2));
    let first = at(5_000);
    for (now, due) in [
        (first, true),
        (first, false),
        (first.after(PROBE_SPACING - nanosecond), false),
        (first.after(PROBE_SPACING), true),
        (first.after(PROBE_SPACING + nanosecond), false),
    ] {
        assert_eq!(accept_datagram(&mut two, now, &heartbeat(&mut one, now, 2)).probe, due, "{now}");
    }
    let now = first.after(PROBE_SPACING);
    assert!(accept(&mut two, now, Channel::Stream, &control(&mut one, now, 2)).probe);
    assert!(!accept(&mut two, now, Channel::Stream, &control(&mut one, now, 2)).probe);
    assert_eq!(two.counters().probes().get(), 3);
}

#[test]
fn a_fresh_frame_needs_no_probe() {
    let (mut one, mut two) = (wire(1), wire(2));
    accept_datagram(&mut one, at(0), &heartbeat(&mut two, at(0), 1));
    let frame = heartbeat(&mut one, at(0), 2);
    let received = accept_datagram(&mut two, at(0), &frame);
    assert!(is_fresh(received.echo) && !received.probe);
    // The budget is whole: the first frame that needs one gets it.
    let late = heartbeat(&mut one, at(0), 2);
    assert!(accept_datagram(&mut two, at(0).after(ECHO_FRESH * 2), &late).probe);
}

#[test]
fn a_higher_life_replaces_the_lower_on_both_channels() {
    let (mut old, mut two) = (wire_in_life(1, 7), wire(2));
    for _ in 0..10 {
        accept_datagram(&mut two, at(0), &heartbeat(&mut old, at(0), 2));
        accept(&mut two, at(0), Channel::Stream, &control(&mut old, at(0), 2));
    }
    let (late, late_control) = (heartbeat(&mut old, at(0), 2), control(&mut old, at(0), 2));

    let mut new = wire_in_life(1, 8);
    let frame = heartbeat(&mut new, at(1), 2);
    let received = accept_datagram(&mut two, at(1), &frame);
    assert_eq!((received.incarnation, received.sequence, received.new_life), (Incarnation::new(8), 1, true));
    assert_eq!(refuse_datagram(&mut two, at(1), &late), RefusalReason::OldIncarnation);
    assert_eq!(refuse(&mut two, at(1), Channel::Stream, &late_control), RefusalReason::OldIncarnation);
    let first_control = control(&mut new, at(1), 2);
    let received = accept(&mut two, at(1), Channel::Stream, &first_control);
    assert_eq!((received.sequence, received.new_life), (1, false));
    assert_eq!(
        heartbeat(&mut two, at(2), 1)[88..104],
        [[8, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]].concat()
    );
}

/// Everything that host 1 ever said to host 2, over three lives, is replayed to a host 2 that has just
/// started. Nothing of it counts, and the genuine host 1 gets through with its first frame.
#[test]
fn replays_to_a_host_that_has_just_started_do_no_damage() {
    let mut recorded = Vec::new();
    let mut before = wire_in_life(2, 9);
    for life in 5..=7 {
        let mut one = wire_in_life(1, life);
        for _ in 0..100 {
            accept_datagram(&mut one, at(0), &heartbeat(&mut before, at(0), 1));
            recorded.push(heartbeat(&mut one, at(0), 2));
        }
    }
    for newest_first in [false, true] {
        let mut genuine = wire_in_life(1, 7);
        for _ in 0..100 {
            let _already_recorded = heartbeat(&mut genuine, at(0), 2);
        }
        let mut two = wire_in_life(2, 10);
        let _unheard: Vec<_> = (0..100).map(|_| heartbeat(&mut two, at(50), 1)).collect();
        let mut replayed = recorded.clone();
        if newest_first {
            replayed.reverse();
        }
        let mut probes = 0;
        for frame in &replayed {
            if let Opened::Accepted(received) = two.open(at(100), Channel::Datagram, frame) {
                assert_eq!(received.echo, Echo::Stale);
                probes += u32::from(received.probe);
            }
        }
        assert_eq!(probes, 1, "three hundred replays cost one probe");
        // The genuine host answers that probe, and is heard at once.
        let probe = two.seal(at(100), host(1), FrameKind::Probe, None, &[]).unwrap();
        accept_datagram(&mut genuine, at(101), &probe);
        let answer = heartbeat(&mut genuine, at(101), 2);
        assert_eq!(accept_datagram(&mut two, at(102), &answer).echo, Echo::Fresh { sent_at: at(100) });
    }
}

#[test]
fn a_changed_host_list_keeps_state_and_never_repeats_a_sequence() {
    let (mut one, mut two) = (wire(1), wire(2));
    let frames: Vec<_> = (0..5).map(|_| heartbeat(&mut one, at(0), 2)).collect();
    accept_datagram(&mut two, at(0), &frames[4]);
    two.set_hosts(vec![host(1), host(2), host(9)]).unwrap();
    assert_eq!(refuse_datagram(&mut two, at(1), &frames[4]), RefusalReason::Replayed, "kept");

    one.set_hosts(vec![host(3)]).unwrap();
    assert!(one.seal(at(1), host(2), FrameKind::Probe, None, &[]).is_err());
    one.set_hosts(vec![host(2), host(3)]).unwrap();
    let back = heartbeat(&mut one, at(2), 2);
    assert_eq!(accept_datagram(&mut two, at(2), &back).sequence, 6, "host 2 still knows sequence 5");
    assert!(one.set_hosts(vec![host(2), host(2)]).is_err());
    assert_eq!(accept_datagram(&mut two, at(3), &heartbeat(&mut one, at(3), 2)).sequence, 7, "unchanged");
}

#[test]
fn the_moment_of_a_sent_frame_is_known_for_64_frames() {
    let mut one = wire(1);
    for millis in 1..=65 {
        let _sent = heartbeat(&mut one, at(millis), 2);
    }
    let sent_at = |sequence| one.sent_at(host(2), Channel::Datagram, sequence);
    assert_eq!([0, 1, 2, 65, 66].map(sent_at), [None, None, Some(at(2)), Some(at(65)), None]);
    assert_eq!(one.sent_at(host(2), Channel::Stream, 65), None);
    assert_eq!(one.sent_at(host(3), Channel::Datagram, 65), None);
}
