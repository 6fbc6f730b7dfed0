//! Single rules, seen on one machine whose peers are played by the test.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

mod common;

use core::time::Duration;

use common::{SWIFT, at, config, drain, host};
use ha_core::{Instant, Machine, Round, Term};
use ha_election::{Candidacy, Claim, Election, Event, Input, Message, Output, Probe, Rank, Role};

/// host-2 of the list 1, 2, 3; a candidate since 0 ms.
fn candidate() -> Election {
    let mut election = Election::new(Instant::ORIGIN, config(2, &[1, 2, 3], SWIFT)).unwrap();
    let standing = Input::Standing { connected_datastores: 2, eligible: true };
    election.handle_input(at(0), standing).unwrap();
    drain(&mut election);
    election
}

/// As [`candidate`], but master in round 1 since 1 ms because nobody else need be waited for; without rights.
fn master() -> Election {
    let mut election = candidate();
    for peer in [1, 3] {
        election.handle_input(at(1), Input::HostDead { host: host(peer) }).unwrap();
    }
    drain(&mut election);
    assert_eq!(election.role(), Role::Master { term: Term::new(Round::new(1), host(2)) });
    election
}

fn rank(of: u32) -> Rank {
    Rank { goodness: 2, moid: format!("host-{of}").parse().unwrap() }
}

fn receive(from: u32, message: Message, echoes: Instant) -> Input {
    Input::Receive { from: host(from), message, echoes: Some(echoes), known_round: None }
}

fn candidacy(of: u32) -> Message {
    Message::Candidacy(Candidacy { rank: rank(of) })
}

fn lists_claimed(outputs: &[Output]) -> Vec<u32> {
    let lists = |output: &Output| match output {
        Output::Transmit { message: Message::Claim(claim), .. } => Some(claim.lists_owned),
        Output::Transmit { .. } | Output::StoreTerm { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(lists).collect()
}

#[test]
fn a_better_candidate_gets_one_vote_and_another_if_it_shows_that_it_lacks_it() {
    let mut election = candidate();
    let mine = Output::Transmit { to: host(3), message: candidacy(2) };
    for (now, echoes, answered) in [
        (1, 0, true),
        // It may not have come yet.
        (25, 0, false),
        (26, 0, true),
        (60, 26, false),
        (75, 26, false),
        // Half a period later it asks for the same again.
        (76, 26, true),
    ] {
        election.handle_input(at(now), receive(3, candidacy(3), at(echoes))).unwrap();
        assert_eq!(drain(&mut election), if answered { vec![mine.clone()] } else { vec![] }, "{now} ms");
    }
}

#[test]
fn a_host_that_speaks_is_waited_for_again() {
    let mut election = candidate();
    election.handle_input(at(1), Input::HostDead { host: host(3) }).unwrap();
    let probe = Message::Probe(Probe::Here);
    election.handle_input(at(2), receive(3, probe, at(0))).unwrap();
    election.handle_input(at(3), receive(1, candidacy(1), at(0))).unwrap();
    assert_eq!(election.role(), Role::Candidate, "host-3 lives and has not voted");
    election.handle_input(at(4), Input::HostDead { host: host(3) }).unwrap();
    drain(&mut election);
    assert!(matches!(election.role(), Role::Master { .. }));
}

#[test]
fn what_a_master_claims_stays_until_a_meeting_is_over() {
    let mut election = master();
    let term = Term::new(Round::ZERO, host(1));
    let worse = Message::Claim(Claim { lists_owned: 0, term, rank: rank(1) });
    election.handle_input(at(50), receive(1, worse, at(1))).unwrap();
    election.handle_input(at(51), Input::ListsOwned { count: 4 }).unwrap();
    drain(&mut election);
    for tick in [101, 201, 301] {
        election.handle_timeout(at(tick));
        assert_eq!(lists_claimed(&drain(&mut election)), [0, 0], "at {tick} ms");
    }
    // 300 ms after the last sign of the other master.
    election.handle_timeout(at(401));
    assert_eq!(lists_claimed(&drain(&mut election)), [4, 4]);
}

#[test]
fn an_echo_of_a_frame_from_before_a_stop_gives_no_right_back() {
    let mut election = master();
    election.handle_input(at(2), Input::Contact { from: host(1), echoes: at(1), known_round: None }).unwrap();
    assert!(election.may_act(at(2)));
    election.handle_timeout(at(1_000));
    assert!(!election.may_act(at(1_000)));
    for (echoes, right) in [(999, false), (1_000, true)] {
        let contact = Input::Contact { from: host(1), echoes: at(echoes), known_round: None };
        election.handle_input(at(1_001), contact).unwrap();
        assert_eq!(election.may_act(at(1_001)), right);
    }
}

#[test]
fn a_candidate_that_was_stopped_waits_a_whole_window() {
    let mut election = candidate();
    election.handle_timeout(at(2_000));
    drain(&mut election);
    assert_eq!(election.role(), Role::Candidate, "votes may lie unread");
    for tick in (2_100..2_500).step_by(50) {
        election.handle_timeout(at(tick));
    }
    election.handle_timeout(at(2_499));
    assert_eq!(election.role(), Role::Candidate);
    election.handle_timeout(at(2_500));
    drain(&mut election);
    assert!(matches!(election.role(), Role::Master { .. }));
}

#[test]
fn an_isolated_master_gives_way_to_any_claim() {
    let mut election = master();
    election.handle_input(at(2), Input::ListsOwned { count: 9 }).unwrap();
    election.handle_timeout(at(101));
    election.handle_input(at(102), Input::Isolated { isolated: true }).unwrap();
    let term = Term::new(Round::new(1), host(3));
    let claim = Message::Claim(Claim { lists_owned: 0, term, rank: rank(3) });
    election.handle_input(at(103), receive(3, claim, at(101))).unwrap();
    assert_eq!(election.role(), Role::Slave { master: host(3), term });
    let yielded = Output::Event(Event::Yielded { to: host(3), term });
    assert!(drain(&mut election).contains(&yielded));
}

#[test]
fn a_candidate_that_was_stopped_excuses_nobody_and_trusts_no_older_answer() {
    let mut election = Election::new(Instant::ORIGIN, config(1, &[1, 2], SWIFT)).unwrap();
    election.handle_input(at(0), Input::Standing { connected_datastores: 2, eligible: true }).unwrap();
    let term = Term::new(Round::new(1), host(2));
    let claim = Message::Claim(Claim { lists_owned: 0, term, rank: rank(2) });
    election.handle_input(at(1), receive(2, claim, at(0))).unwrap();
    election.handle_timeout(at(501));
    assert_eq!(election.role(), Role::Candidate, "lost master");
    election.handle_input(at(502), Input::AddressAnswered { asked: at(501) }).unwrap();
    drain(&mut election);
    election.handle_timeout(at(5_000));
    let asks = drain(&mut election).contains(&Output::Event(Event::AddressCheckWanted));
    assert_eq!(election.role(), Role::Candidate, "host-2's answers may lie unread");
    assert!(asks, "the answer at 502 ms tells nothing of now");
    election.handle_timeout(at(5_100));
    drain(&mut election);
    assert!(matches!(election.role(), Role::Master { .. }), "host-2 had a period to answer");
    assert!(!election.may_act(at(5_100)));
    election.handle_input(at(5_101), Input::AddressAnswered { asked: at(5_000) }).unwrap();
    assert!(election.may_act(at(5_101)));
}

#[test]
fn evidence_of_the_very_moment_of_an_isolation_is_older_than_it() {
    let mut election = master();
    election.handle_input(at(2), Input::AddressAnswered { asked: at(2) }).unwrap();
    election.handle_input(at(2), Input::Contact { from: host(1), echoes: at(2), known_round: None }).unwrap();
    assert!(election.may_act(at(2)));
    election.handle_input(at(2), Input::Isolated { isolated: true }).unwrap();
    election.handle_input(at(2), Input::Isolated { isolated: false }).unwrap();
    assert!(!election.may_act(at(2)));
    assert_eq!(election.last_contact(), Some(at(2)), "that stays known");
    election.handle_input(at(2), Input::AddressAnswered { asked: at(2) }).unwrap();
    assert!(election.may_act(at(2)));
}

/// The other may have given way to the better claim already; then nobody would be master.
#[test]
fn a_master_that_gave_up_lists_yields_only_to_who_has_heard_that() {
    let mut election = master();
    election.handle_input(at(2), Input::ListsOwned { count: 1 }).unwrap();
    election.handle_timeout(at(101));
    election.handle_input(at(150), Input::ListsOwned { count: 0 }).unwrap();
    election.handle_timeout(at(201));
    assert_eq!(lists_claimed(&drain(&mut election)), [1, 1, 0, 0]);
    let term = Term::new(Round::new(1), host(3));
    let better = Message::Claim(Claim { lists_owned: 0, term, rank: rank(3) });
    election.handle_input(at(210), receive(3, better.clone(), at(200))).unwrap();
    assert!(matches!(election.role(), Role::Master { .. }), "it echoes a frame from before");
    assert_eq!(lists_claimed(&drain(&mut election)), [0], "the answer, whose echo will count");
    election.handle_input(at(212), receive(3, better, at(201))).unwrap();
    assert_eq!(election.role(), Role::Slave { master: host(3), term });
}

/// To whom it says what it stands for.
fn asked(outputs: &[Output]) -> Vec<u32> {
    let to = |output: &Output| match output {
        Output::Transmit { to, message: Message::Candidacy(_) } => Some(to.number()),
        Output::Transmit { .. } | Output::StoreTerm { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(to).collect()
}

fn joins(me: u32) -> (Election, Vec<u32>) {
    let mut election = Election::new(Instant::ORIGIN, config(me, &[1, 2, 3, 4, 5, 6, 7], SWIFT)).unwrap();
    let standing = Input::Standing { connected_datastores: 2, eligible: true };
    election.handle_input(at(0), standing).unwrap();
    let first = asked(&drain(&mut election));
    (election, first)
}

#[test]
fn the_host_that_expects_to_win_asks_everybody_at_once() {
    let (_, first) = joins(7);
    assert_eq!(first, [6, 5, 4, 3, 2, 1]);
}

#[test]
fn any_other_asks_the_best_after_an_eighth_of_a_period_and_then_four_times_as_many() {
    // Who hears nobody waits with the second wave until shortly before the window ends, or until somebody speaks.
    for (heard_at, then) in
        [(Some(1), [25_000, 37_500]), (Some(100), [112_500, 125_000]), (None, [300_000, 312_500])]
    {
        let (mut election, first) = joins(5);
        assert_eq!(first, []);
        let mut waves = Vec::new();
        for tick in (500..330_000).step_by(500) {
            let now = Instant::ORIGIN.after(Duration::from_micros(tick));
            if heard_at.is_some_and(|heard| at(heard) == now) {
                let probe = Message::Probe(Probe::Here);
                election.handle_input(now, receive(1, probe, at(0))).unwrap();
            }
            election.handle_timeout(now);
            let asks = asked(&drain(&mut election));
            if !asks.is_empty() && waves.len() < 3 {
                waves.push((tick, asks));
            }
        }
        let expected = [(12_500, vec![7]), (then[0], vec![6, 4, 3, 2]), (then[1], vec![1])];
        assert_eq!(waves, expected, "heard at {heard_at:?} ms");
    }
}

#[test]
fn a_better_candidate_heard_both_ways_ends_the_asking_and_one_heard_one_way_puts_it_off() {
    for (echoes, next) in [(None, 350), (Some(at(0)), 500)] {
        let (mut election, _) = joins(5);
        let vote = Input::Receive { from: host(7), message: candidacy(7), echoes, known_round: None };
        election.handle_input(at(1), vote).unwrap();
        assert_eq!(asked(&drain(&mut election)), [7], "its vote");
        let mut waves = Vec::new();
        for tick in 2..500 {
            election.handle_timeout(at(tick));
            waves.extend(asked(&drain(&mut election)).into_iter().map(|to| (tick, to)));
        }
        // Asked before the window ends for what it had said without an echo; nobody else meanwhile.
        let first = waves.first().map_or(500, |(tick, _)| *tick);
        assert_eq!(first, next, "{waves:?}");
    }
}

#[test]
fn a_host_whose_goodness_is_known_is_expected_to_win_by_it() {
    let (mut election, _) = joins(5);
    let better = Rank { goodness: 9, ..rank(1) };
    let claim = Claim { lists_owned: 0, term: Term::new(Round::new(1), host(1)), rank: better.clone() };
    let stood = Message::Candidacy(Candidacy { rank: better });
    election.handle_input(at(1), receive(1, stood, at(0))).unwrap();
    election.handle_input(at(2), receive(1, Message::Claim(claim), at(0))).unwrap();
    drain(&mut election);
    // The master is lost. It is asked for a claim at once, and not waited for.
    election.handle_input(at(3), Input::HostDead { host: host(1) }).unwrap();
    assert_eq!(asked(&drain(&mut election)), [1]);
    election.handle_timeout(at(16));
    assert_eq!(asked(&drain(&mut election)), [7], "the best of those that may live");
}

/// Its claims were lost, so this host looks for a master; then comes what the master sent before it was one.
#[test]
fn a_late_candidacy_from_before_its_senders_reign_is_no_vote() {
    let mut election = Election::new(Instant::ORIGIN, config(2, &[1, 2], SWIFT)).unwrap();
    election.handle_input(at(0), Input::Standing { connected_datastores: 2, eligible: true }).unwrap();
    let term = Term::new(Round::new(2), host(1));
    let claim = Message::Claim(Claim { lists_owned: 0, term, rank: rank(1) });
    election.handle_input(at(1), receive(1, claim, at(0))).unwrap();
    drain(&mut election);
    election.handle_timeout(at(501));
    assert_eq!(election.role(), Role::Candidate, "lost master");
    let late = |known| Input::Receive {
        from: host(1),
        message: candidacy(1),
        echoes: Some(at(400)),
        known_round: Some(Round::new(known)),
    };
    election.handle_input(at(502), late(1)).unwrap();
    assert_eq!(election.role(), Role::Candidate);
    assert_eq!(election.counters().lower_term.get(), 1);
    // One that it sent after its reign is.
    drain(&mut election);
    election.handle_input(at(503), late(2)).unwrap();
    drain(&mut election);
    assert!(matches!(election.role(), Role::Master { .. }), "{:?}", election.role());
}

#[test]
fn a_master_claims_to_who_follows_a_lower_term_and_does_not_argue_with_who_follows_a_higher_one() {
    for (round, of, claims) in [(0, 3, true), (1, 1, true), (1, 2, false), (1, 3, false), (2, 1, false)] {
        let mut election = master();
        let followed = Term::new(Round::new(round), host(of));
        // Later than the pause between two answers.
        let probe = Message::Probe(Probe::Follows(followed));
        let from = if of == 1 { 3 } else { 1 };
        election.handle_input(at(50), receive(from, probe, at(1))).unwrap();
        let answer = lists_claimed(&drain(&mut election));
        assert_eq!(!answer.is_empty(), claims, "one that follows {followed}");
    }
}
