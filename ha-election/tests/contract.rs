//! What every machine promises (`ha_core::Machine`), and what hostile messages do.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

mod common;

use common::{SWIFT, VSPHERE, at, config, drain, host};
use ha_core::{Acknowledged, HostId, Instant, Machine, Random, Round, Term};
use ha_election::{
    Candidacy, Claim, ConfigError, Election, Event, Input, Message, Output, Probe, Rank, Rejected, Role,
};

fn election() -> Election {
    Election::new(Instant::ORIGIN, config(1, &[1, 2, 3], SWIFT)).unwrap()
}

fn standing() -> Input {
    Input::Standing { connected_datastores: 2, eligible: true }
}

fn rank(of: u32, goodness: i64) -> Rank {
    Rank { goodness, moid: format!("host-{of}").parse().unwrap() }
}

fn claim(from: u32, round: u64, echoes: Option<Instant>) -> Input {
    let term = Term::new(Round::new(round), host(from));
    let message = Message::Claim(Claim { lists_owned: 0, term, rank: rank(from, 2) });
    Input::Receive { from: host(from), message, echoes, known_round: Some(term.round) }
}

/// An input of any kind, also a senseless one.
fn any_input(random: &mut Random, now: Instant) -> Input {
    let number = u32::try_from(random.below(5)).unwrap();
    let (from, flag) = (host(number), random.below(2) == 0);
    let round = Round::new(random.below(4).wrapping_sub(1));
    let echoes = flag.then_some(now);
    let rank = rank(number, i64::try_from(random.below(4)).unwrap());
    let term = Term::new(round, host(u32::try_from(random.below(5)).unwrap()));
    let message = match random.below(3) {
        0 => Message::Candidacy(Candidacy { rank }),
        1 => Message::Claim(Claim { lists_owned: number, term: Term::new(round, from), rank }),
        _ => Message::Probe(if flag { Probe::Follows(term) } else { Probe::Here }),
    };
    match random.below(14) {
        0 => standing(),
        1 => Input::Standing { connected_datastores: number, eligible: flag },
        2 => Input::HostDead { host: from },
        3 => Input::HostAlive { host: from },
        4 => Input::AddressAnswered { asked: now },
        5 => Input::Isolated { isolated: flag },
        6 => Input::RoundSeen { round },
        7 => Input::ListsOwned { count: number },
        8 => Input::Resumed,
        9 => Input::Contact { from, echoes: now, known_round: Some(round) },
        _ => Input::Receive { from, message, echoes, known_round: flag.then_some(round) },
    }
}

/// Any inputs at any times, also backward ones; answers every output.
fn wild_run(seed: u64) -> (Vec<Output>, Election) {
    let mut random = Random::from_seed(seed);
    let mut election = election();
    let mut outputs = Vec::new();
    let mut now = 0_u64;
    for _ in 0..400 {
        now = match random.below(20) {
            0 => now.saturating_sub(random.below(1_000_000_000)),
            1 => now.saturating_add(random.below(3_000_000_000)),
            _ => now.saturating_add(random.below(60_000_000)),
        };
        let at = Instant::from_nanos(now);
        let before = format!("{election:?}");
        let input = any_input(&mut random, at);
        let peer_input = matches!(input, Input::Receive { .. } | Input::Contact { .. });
        if let Err(Rejected::UnknownHost { .. }) = election.handle_input(at, input) {
            assert!(!peer_input, "R7: what a peer sends is never an error");
            assert_eq!(format!("{election:?}"), before, "a rejected input changes nothing");
        }
        let first = election.poll_output();
        if first.is_some() {
            outputs.extend(first);
            outputs.extend(drain(&mut election));
        }
        election.handle_timeout(at);
        if let Some(output) = election.poll_output() {
            outputs.push(output);
            outputs.extend(drain(&mut election));
        }
        assert!(!matches!(election.role(), Role::Slave { master, .. } if master == host(1)));
    }
    (outputs, election)
}

#[test]
fn r1_equal_inputs_give_equal_outputs() {
    for seed in 0..50 {
        assert_eq!(wild_run(seed).0, wild_run(seed).0);
    }
}

#[test]
fn r3_inputs_fire_no_timer_and_a_tick_leaves_nothing_due() {
    let mut election = election();
    election.handle_input(at(0), standing()).unwrap();
    drain(&mut election);
    let due = election.poll_timeout().unwrap().at;
    election.handle_timeout(Instant::from_nanos(due.as_nanos() - 1));
    assert_eq!(drain(&mut election), [], "nothing is due yet");
    election.handle_input(due, Input::ListsOwned { count: 1 }).unwrap();
    assert_eq!(drain(&mut election), [], "an input fires no timer");
    assert_eq!(election.poll_timeout().unwrap().at, due);
    election.handle_timeout(due);
    assert!(!drain(&mut election).is_empty());
    assert!(election.poll_timeout().unwrap().at > due);
    election.handle_timeout(due);
    assert_eq!(drain(&mut election), [], "a second tick finds nothing due");
}

#[test]
fn r4_while_outputs_wait_the_deadline_is_now() {
    let mut election = election();
    election.handle_input(at(5), standing()).unwrap();
    let deadline = election.poll_timeout().unwrap();
    assert_eq!((deadline.at, deadline.reason), (at(5), "queued output"));
    drain(&mut election);
    assert!(election.poll_timeout().unwrap().at > at(5));
}

#[test]
fn r5_time_that_goes_back_or_to_its_end_breaks_nothing() {
    let mut election = election();
    election.handle_input(at(1_000), standing()).unwrap();
    drain(&mut election);
    election.handle_timeout(at(1));
    assert_eq!(drain(&mut election), [], "the largest reading counts");
    for now in [Instant::from_nanos(u64::MAX), Instant::ORIGIN] {
        election.handle_timeout(now);
        election.handle_input(now, claim(2, u64::MAX, Some(now))).unwrap();
        drain(&mut election);
    }
}

#[test]
fn r6_one_peer_gets_at_most_one_answer_in_a_quarter_period() {
    let mut election = election();
    election.handle_input(at(0), standing()).unwrap();
    drain(&mut election);
    let mut answers = 0;
    for nano in 0..1_000 {
        election
            .handle_input(at(1).after(core::time::Duration::from_nanos(nano)), claim(2, 1, None))
            .unwrap();
        answers += drain(&mut election).len();
    }
    assert_eq!(answers, 1);
    assert_eq!(election.counters().answer_held_back.get(), 999);
    election.handle_input(at(26), claim(2, 1, None)).unwrap();
    assert_eq!(drain(&mut election).len(), 1);
}

#[test]
fn unknown_hosts_of_the_caller_are_rejected_and_change_nothing() {
    let mut election = election();
    let before = format!("{election:?}");
    for input in [Input::HostDead { host: host(4) }, Input::HostAlive { host: host(1) }] {
        assert!(matches!(election.handle_input(at(9), input), Err(Rejected::UnknownHost { .. })));
    }
    assert_eq!(format!("{election:?}"), before);
}

#[test]
fn a_rogue_changes_nothing_and_is_told_once() {
    let mut election = election();
    election.handle_input(at(0), standing()).unwrap();
    drain(&mut election);
    let term = Term::new(Round::new(9), host(2));
    let other_id = Claim { lists_owned: 9, term, rank: rank(3, 9) };
    let other_term = Claim { lists_owned: 9, term: Term::new(Round::new(9), host(3)), rank: rank(2, 9) };
    let rogue = |from: HostId, claim: &Claim| Input::Receive {
        from,
        message: Message::Claim(claim.clone()),
        echoes: Some(at(0)),
        known_round: Some(Round::new(9)),
    };
    for _ in 0..3 {
        election.handle_input(at(1), claim(4, 9, Some(at(0)))).unwrap();
        election.handle_input(at(1), rogue(host(2), &other_id)).unwrap();
        election.handle_input(at(1), rogue(host(2), &other_term)).unwrap();
    }
    let invalid = |n| Output::Event(Event::InvalidMaster { host: host(n) });
    assert_eq!(drain(&mut election), [invalid(4), invalid(2)]);
    assert_eq!(election.role(), Role::Candidate);
    assert_eq!(election.highest_round(), Round::ZERO);
    assert_eq!(election.counters().unlisted_sender.get(), 3);
    assert_eq!(election.counters().contradiction.get(), 6);
}

#[test]
fn a_claim_counts_only_if_it_echoes_and_is_not_a_step_back() {
    let mut election = election();
    election.handle_input(at(0), standing()).unwrap();
    election.handle_input(at(1), claim(2, 5, None)).unwrap();
    assert_eq!(election.role(), Role::Candidate);
    assert_eq!(election.highest_round(), Round::ZERO, "not even its round counts");
    election.handle_input(at(2), claim(2, 5, Some(at(1)))).unwrap();
    assert_eq!(election.master(), Some((host(2), Term::new(Round::new(5), host(2)))));
    drain(&mut election);
    election.handle_input(at(3), claim(3, 4, Some(at(1)))).unwrap();
    assert_eq!(election.master().unwrap().0, host(2), "a lower term");
    let answer = drain(&mut election);
    let probe = Message::Probe(Probe::Follows(Term::new(Round::new(5), host(2))));
    assert_eq!(answer, [Output::Transmit { to: host(3), message: probe }]);
    election.handle_input(at(4), claim(3, 5, Some(at(1)))).unwrap();
    assert_eq!(election.master().unwrap().0, host(3), "the same round, a higher host");
    election.handle_input(at(5), claim(2, 5, Some(at(1)))).unwrap();
    assert_eq!(election.master().unwrap().0, host(3));
    assert_eq!(election.counters().lower_term.get(), 2);
}

#[test]
fn a_stored_round_is_never_gone_below() {
    let stored = ha_election::ElectionConfig {
        acknowledged: Acknowledged::reserved(Round::new(7)),
        ..config(1, &[1, 2, 3], VSPHERE)
    };
    let mut election = Election::new(Instant::ORIGIN, stored).unwrap();
    election.handle_input(at(0), standing()).unwrap();
    election.handle_input(at(1), claim(2, 6, Some(at(0)))).unwrap();
    assert_eq!(election.role(), Role::Candidate);
    election.handle_input(at(2), claim(2, 7, Some(at(0)))).unwrap();
    assert_eq!(election.master().unwrap().0, host(2));
}

#[test]
fn configurations_that_cannot_be_are_named() {
    let new = |config| Election::new(Instant::ORIGIN, config).err();
    let good = config(1, &[1, 2], SWIFT);
    assert_eq!(new(good.clone()), None);
    let mut absent = good.clone();
    absent.me = host(3);
    assert_eq!(new(absent), Some(ConfigError::MeNotListed { me: host(3) }));
    let mut twice = good.clone();
    twice.hosts[1].1 = twice.hosts[0].1.clone();
    assert!(matches!(new(twice), Some(ConfigError::ListedTwice { .. })));
    let mut short = good.clone();
    short.timing.heartbeat_period = core::time::Duration::ZERO;
    assert_eq!(new(short), Some(ConfigError::SpanTooShort { option: "heartbeat_period" }));
    let many: Vec<u32> = (0..4_097).collect();
    assert_eq!(new(config(1, &many, SWIFT)), Some(ConfigError::TooManyHosts { found: 4_097, limit: 4_096 }));
    assert_eq!(new(config(1, &many[..4_096], SWIFT)), None);
}
