//! Neighbours of another minor version of the protocol: some hosts speak a made-up minor 1, with longer payloads and a
//! kind of frame that minor 0 does not know. All of it travels in real frames.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

#[path = "minor_versions/net.rs"]
mod net;

use ha_core::{Round, Term};
use ha_election::{Input, Message, MessageError, MessageKind, Probe, Role};
use net::{EXTENSION, Net, host, ms};

const ALL: [u32; 4] = [1, 2, 3, 4];

/// Which hosts speak minor 1: every choice among four, by its bits.
fn every_mixture() -> impl Iterator<Item = Net> {
    (0..16).map(|newer| Net::new(&ALL, move |number| newer & (1 << (number - 1)) != 0))
}

#[test]
fn every_mixture_elects_and_follows_and_follows_a_successor() {
    for mut net in every_mixture() {
        net.run_until_agreed(&ALL, ms(1_500));
        assert_eq!(net.agreed(&ALL), Some(4), "{}", net.picture());
        net.crash(4);
        net.run_until_agreed(&[1, 2, 3], ms(1_500));
        net.run_for(ms(2_000));
        assert_eq!(net.agreed(&[1, 2, 3]), Some(3), "{}", net.picture());
        for number in [1, 2, 3] {
            assert!(net.election(number).last_contact().is_some_and(|at| net.now.since(at) <= ms(200)));
        }
        net.assert_only_unknown_kinds_went_unheard();
    }
}

#[test]
fn two_masters_of_any_minors_merge() {
    for mut net in every_mixture() {
        net.part(&[1, 2], &[3, 4]);
        net.run_until_agreed(&[1, 2], ms(1_500));
        net.run_until_agreed(&[3, 4], ms(1_500));
        net.heal();
        net.run_until_agreed(&ALL, ms(1_500));
        net.run_for(ms(2_000));
        assert!(net.agreed(&ALL).is_some(), "{}", net.picture());
        net.assert_only_unknown_kinds_went_unheard();
    }
}

#[test]
fn a_host_that_hears_peers_of_another_minor_one_way_only_waits_for_their_master() {
    for mut net in every_mixture() {
        net.run_until_agreed(&ALL, ms(1_500));
        net.cut(1, 4);
        net.run_for(ms(3_000));
        assert_eq!(net.agreed(&[2, 3, 4]), Some(4), "{}", net.picture());
        assert_eq!(net.election(1).role(), Role::Candidate, "{}", net.picture());
        net.heal();
        net.run_until_agreed(&ALL, ms(1_500));
    }
}

/// An isolated master says that it is there and follows nobody; a host that hears nothing better elects.
#[test]
fn who_speaks_which_minor_changes_nothing_of_what_happens() {
    let happens = |mut net: Net| {
        net.run_for(ms(1_000));
        net.input(host(4), Input::Isolated { isolated: true });
        net.cut(4, 2);
        net.cut(4, 3);
        net.part(&[1], &[2, 3]);
        net.run_for(ms(3_000));
        net.heal();
        net.input(host(4), Input::Isolated { isolated: false });
        net.run_for(ms(2_000));
        assert!(net.agreed(&ALL).is_some(), "{}", net.picture());
        net.log
    };
    let old = happens(Net::new(&ALL, |_| false));
    for net in every_mixture() {
        let mixture = net.picture();
        assert_eq!(happens(net), old, "{mixture}");
    }
}

#[test]
fn an_unknown_kind_is_counted_and_changes_nothing() {
    let run = |unknown_kinds| {
        let mut net = Net::with(&ALL, |number| number % 2 == 0, unknown_kinds);
        net.run_for(ms(1_000));
        net.crash(4);
        net.run_for(ms(2_000));
        net.assert_only_unknown_kinds_went_unheard();
        net
    };
    let (with, without) = (run(true), run(false));
    assert_eq!(with.log, without.log);
    assert_eq!(with.agreed(&[1, 2, 3]), Some(3));
    let ignored = |net: &Net| [1, 2, 3].map(|number| net.wire(number).counters().ignored().get());
    // The master of the first second speaks minor 1, and so does a slave of its successor.
    assert!(ignored(&with).iter().all(|number| *number >= 8), "{:?}", ignored(&with));
    assert_eq!(ignored(&without), [0; 3]);
}

#[test]
fn every_message_with_fields_of_a_newer_minor_says_what_it_says_without() {
    let term = Term::new(Round::new(7), host(3));
    let probe = Message::Probe;
    for message in [
        net::candidacy(2, 3),
        net::claim(term, 2),
        probe(Probe::Follows(term)),
        probe(Probe::Here),
        probe(Probe::TakesNoPart),
    ] {
        let mut plain = Vec::new();
        message.encode(&mut plain);
        let newer = net::extended(message.kind(), &plain);
        assert!(newer.len() > plain.len());
        assert_eq!(Message::decode(message.kind(), &newer), Ok(message.clone()));
        assert_eq!(net::extension(message.kind(), &plain), None, "a newer host can tell");
        assert_eq!(net::extension(message.kind(), &newer), Some(EXTENSION));
    }
}

#[test]
fn a_probe_that_follows_nobody_leaves_room_for_a_term() {
    let nobody = Ok(Message::Probe(Probe::Here));
    let probe = |payload: &[u8]| Message::decode(MessageKind::Probe, payload);
    assert_eq!(probe(&[0; 12]), nobody);
    assert_eq!(probe(&[0; 13]), nobody);
    assert_eq!(probe(&[&[0; 13], EXTENSION].concat()), nobody);
    // There is no round 0, whoever's it may be said to be.
    assert_eq!(probe(&[0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0]), nobody);
    let first = Term::new(Round::new(1), host(0));
    assert_eq!(probe(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Ok(Message::Probe(Probe::Follows(first))));
    assert!(matches!(probe(&[0; 11]), Err(MessageError::Truncated { .. })));
    // Only the known bit says that the sender takes no part, and only of one that follows nobody.
    let flags = |round: u8, flags: u8| [&[round, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[flags]].concat();
    assert_eq!(probe(&flags(0, 0b10)), nobody);
    assert_eq!(probe(&flags(0, 0b11)), Ok(Message::Probe(Probe::TakesNoPart)));
    assert_eq!(probe(&flags(1, 0b11)), Ok(Message::Probe(Probe::Follows(first))));
}
