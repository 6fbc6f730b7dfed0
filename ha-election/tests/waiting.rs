//! For how long a host waits: for answers, for votes that have grown old, for a master that has become deaf.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

mod common;

use common::{SWIFT, VSPHERE, at, config, drain, host};
use ha_core::{Instant, Machine, Round, Term, TimingConfig};
use ha_election::{Candidacy, Claim, Election, Input, Message, Output, Probe, Rank, Role};

/// host-5 of seven, a candidate since 0 ms.
fn candidate(timing: TimingConfig) -> Election {
    let mut election = Election::new(Instant::ORIGIN, config(5, &[1, 2, 3, 4, 5, 6, 7], timing)).unwrap();
    let standing = Input::Standing { connected_datastores: 2, eligible: true };
    election.handle_input(at(0), standing).unwrap();
    drain(&mut election);
    election
}

fn rank(of: u32) -> Rank {
    Rank { goodness: 2, moid: format!("host-{of}").parse().unwrap() }
}

fn candidacy(of: u32) -> Message {
    Message::Candidacy(Candidacy { rank: rank(of) })
}

fn receive(election: &mut Election, now: Instant, from: u32, message: Message, echoes: Option<Instant>) {
    let input = Input::Receive { from: host(from), message, echoes, known_round: None };
    election.handle_input(now, input).unwrap();
}

fn claim(election: &mut Election, now: Instant, echoes: Instant) {
    let term = Term::new(Round::new(1), host(7));
    let claim = Message::Claim(Claim { lists_owned: 0, term, rank: rank(7) });
    receive(election, now, 7, claim, Some(echoes));
}

/// To whom it says what it stands for.
fn asked(outputs: &[Output]) -> Vec<u32> {
    let to = |output: &Output| match output {
        Output::Transmit { to, message: Message::Candidacy(_) } => Some(to.number()),
        Output::Transmit { .. } | Output::StoreTerm { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(to).collect()
}

/// One of them may follow a master that this host does not hear.
#[test]
fn a_window_does_not_end_before_its_first_asks_can_be_answered() {
    let mut election = candidate(SWIFT);
    // Its asks are put off for this one, which never hears it; and the agent is called late.
    receive(&mut election, at(1), 7, candidacy(7), None);
    receive(&mut election, at(2), 1, candidacy(1), Some(at(0)));
    let mut last = Vec::new();
    for tick in (499..).take(200) {
        election.handle_timeout(at(tick));
        let now = asked(&drain(&mut election));
        last.extend(now.into_iter().map(|to| (tick, to)));
        if !matches!(election.role(), Role::Candidate) {
            assert!(matches!(election.role(), Role::Master { .. }));
            let first_asks = |(_, to): &&(u64, u32)| (2..=4).contains(to);
            let (asked_last, _) = last.iter().filter(first_asks).max().unwrap();
            assert_eq!(tick - asked_last, 100, "{last:?}");
            return;
        }
    }
    panic!("no master: {last:?}");
}

#[test]
fn a_vote_from_just_before_the_window_is_asked_for_again_before_its_end() {
    let mut election = candidate(SWIFT);
    claim(&mut election, at(10), at(0));
    receive(&mut election, at(505), 1, candidacy(1), Some(at(300)));
    election.handle_timeout(at(510));
    assert_eq!(election.role(), Role::Candidate, "lost master");
    drain(&mut election);
    let mut asks = Vec::new();
    for tick in 511..1_010 {
        election.handle_timeout(at(tick));
        asks.extend(asked(&drain(&mut election)).into_iter().filter(|to| *to == 1).map(|to| (tick, to)));
    }
    assert_eq!(asks.len(), 2, "{asks:?}");
    assert_eq!(asks[1], (810, 1), "two periods before the window ends");
}

#[test]
fn a_better_candidate_that_was_told_without_a_recent_echo_is_told_again() {
    let mut election = candidate(VSPHERE);
    let probe = Message::Probe(Probe::Here);
    election.handle_timeout(at(125));
    assert_eq!(asked(&drain(&mut election)), [7]);
    receive(&mut election, at(130), 7, probe, Some(at(125)));
    for tick in (200..13_000).step_by(10) {
        election.handle_timeout(at(tick));
        assert_eq!(asked(&drain(&mut election)).iter().find(|to| **to == 7), None, "{tick} ms");
    }
    // The last asks, two periods before the window ends, echo what it said at 130 ms.
    let told = 13_000;
    election.handle_timeout(at(told));
    assert!(asked(&drain(&mut election)).contains(&7));
    receive(&mut election, at(told + 1), 7, candidacy(7), Some(at(told)));
    assert_eq!(asked(&drain(&mut election)), [7], "what it got was no vote");
    receive(&mut election, at(told + 2), 7, candidacy(7), Some(at(told + 1)));
    assert_eq!(asked(&drain(&mut election)), [], "and now it was");
}

#[test]
fn a_master_that_has_become_deaf_is_lost_three_periods_later_than_one_that_has_died() {
    let mut election = candidate(SWIFT);
    for tick in (100..=800).step_by(100) {
        claim(&mut election, at(tick), at(100));
        drain(&mut election);
    }
    election.handle_timeout(at(899));
    assert!(matches!(election.role(), Role::Slave { .. }));
    election.handle_timeout(at(900));
    assert_eq!(election.role(), Role::Candidate, "100 ms, three periods, and master_lost");
}

/// A better candidate that was deaf when it spoke last is not waited for.
#[test]
fn an_echo_counts_for_three_periods() {
    for (age, counts) in [(299, true), (300, true), (301, false)] {
        let mut election = candidate(SWIFT);
        receive(&mut election, at(400), 1, candidacy(1), Some(at(400 - age)));
        assert_eq!(election.last_contact(), counts.then_some(at(400)), "{age} ms");
        let contact = Input::Contact { from: host(2), echoes: at(401 - age), known_round: None };
        election.handle_input(at(401), contact).unwrap();
        assert_eq!(election.last_contact(), counts.then_some(at(401)), "{age} ms");
        assert_eq!(election.counters().not_echoed.get(), if counts { 0 } else { 2 });
    }
}

/// Its vote may have been on its way for too long, or ours; there is time for one more exchange.
#[test]
fn a_worse_candidate_that_stood_without_a_recent_echo_is_asked_again_before_the_window_ends() {
    let mut election = candidate(SWIFT);
    for tick in 1..=200 {
        election.handle_timeout(at(tick));
        drain(&mut election);
    }
    receive(&mut election, at(201), 1, candidacy(1), None);
    let mut asks = asked(&drain(&mut election));
    asks.retain(|to| *to == 1);
    assert_eq!(asks, [1], "the answer");
    for tick in 202..300 {
        election.handle_timeout(at(tick));
        assert!(!asked(&drain(&mut election)).contains(&1), "{tick} ms");
    }
    election.handle_timeout(at(300));
    assert!(asked(&drain(&mut election)).contains(&1));
}

/// What it got echoed a frame that was about too old, so it may have been no vote.
#[test]
fn a_better_candidate_is_told_again_if_the_echo_was_older_than_half_of_what_counts() {
    for (heard, told_again) in [(149, true), (150, false), (151, false)] {
        let mut election = candidate(SWIFT);
        let probe = Message::Probe(Probe::Here);
        for tick in 1..300 {
            if tick == heard {
                receive(&mut election, at(tick), 7, probe.clone(), Some(at(tick - 1)));
            }
            election.handle_timeout(at(tick));
            drain(&mut election);
        }
        election.handle_timeout(at(300));
        assert!(asked(&drain(&mut election)).contains(&7));
        receive(&mut election, at(301), 7, candidacy(7), Some(at(300)));
        let expected: &[u32] = if told_again { &[7] } else { &[] };
        assert_eq!(asked(&drain(&mut election)), expected, "heard at {heard} ms");
    }
}
