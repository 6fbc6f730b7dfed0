//! A term is claimed only once its round is durable, so no crash makes a host claim it twice.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

mod common;

use common::{Cluster, SWIFT, at, config, drain, host, ms};
use ha_core::{Acknowledged, Instant, Machine, Round, Term};
use ha_election::{Claim, Election, ElectionConfig, Event, Input, Message, Output, Rank, Rejected, Role};

/// host-1 alone on its list.
fn alone() -> Election {
    let mut election = Election::new(Instant::ORIGIN, config(1, &[1], SWIFT)).unwrap();
    election.handle_input(at(0), Input::Standing { connected_datastores: 1, eligible: true }).unwrap();
    election
}

fn reserved(round: u64) -> Acknowledged {
    Acknowledged::reserved(Round::new(round))
}

fn asked(election: &mut Election) -> Vec<Acknowledged> {
    let wanted = |output| match output {
        Output::StoreTerm { acknowledged } => Some(acknowledged),
        Output::Transmit { .. } | Output::Event(_) => None,
    };
    core::iter::from_fn(|| election.poll_output()).filter_map(wanted).collect()
}

#[test]
fn a_winner_becomes_master_when_its_round_is_durable() {
    let mut election = alone();
    assert_eq!(asked(&mut election), [reserved(1)]);
    assert_eq!(election.role(), Role::Candidate);
    election.handle_timeout(at(500));
    election.handle_timeout(at(1_000));
    assert_eq!(asked(&mut election), [], "one request at a time");
    assert_eq!(election.role(), Role::Candidate);
    election.handle_input(at(1_001), Input::TermStored { acknowledged: reserved(1) }).unwrap();
    assert_eq!(election.role(), Role::Master { term: Term::new(Round::new(1), host(1)) });
}

#[test]
fn only_the_open_request_can_be_answered() {
    let mut election = alone();
    for (round, answer) in [(0, false), (2, false), (1, true), (1, false)] {
        let acknowledged = reserved(round);
        let result = election.handle_input(at(1), Input::TermStored { acknowledged });
        assert_eq!(result, if answer { Ok(()) } else { Err(Rejected::NotAskedToStore { acknowledged }) });
    }
}

#[test]
fn a_master_keeps_its_term_until_the_higher_round_is_durable() {
    let mut election = alone();
    drain(&mut election);
    election.handle_input(at(100), Input::RoundSeen { round: Round::new(7) }).unwrap();
    assert_eq!(asked(&mut election), [reserved(8)]);
    assert_eq!(election.term().unwrap().round, Round::new(1));
    // A second higher round comes while the first is on its way to the disk.
    election.handle_input(at(200), Input::RoundSeen { round: Round::new(9) }).unwrap();
    election.handle_input(at(201), Input::TermStored { acknowledged: reserved(8) }).unwrap();
    assert_eq!(election.term().unwrap().round, Round::new(1));
    assert_eq!(asked(&mut election), [reserved(10)]);
    election.handle_input(at(202), Input::TermStored { acknowledged: reserved(10) }).unwrap();
    assert_eq!(election.term().unwrap().round, Round::new(10));
}

#[test]
fn a_crash_before_the_round_is_durable_was_no_reign() {
    let mut cluster = Cluster::new(&[1], SWIFT, 1);
    cluster.disk_stuck.insert(host(1));
    cluster.start(1, 2);
    cluster.run_for(3 * SWIFT.election_window);
    assert_eq!(cluster.masters(), [0; 0]);
    cluster.crash(1);
    cluster.disk_stuck.clear();
    cluster.start(1, 2);
    cluster.run_for(ms(10));
    // The rig refuses a term that reigns twice.
    assert_eq!(cluster.masters(), [1]);
}

#[test]
fn a_better_claim_that_comes_while_the_disk_works_ends_the_victory() {
    let mut cluster = Cluster::new(&[1, 2], SWIFT, 1);
    cluster.disk_stuck.insert(host(2));
    cluster.start_all();
    cluster.run_for(ms(100));
    assert_eq!(cluster.masters(), [0; 0], "host-2 has won, and its disk does not answer");
    // host-2 is cut off, host-1 elects itself; then they meet, and the disk answers.
    cluster.cut_both(1, 2, true);
    cluster.run_for(2 * SWIFT.election_window);
    assert_eq!(cluster.masters(), [1]);
    cluster.cut_both(1, 2, false);
    cluster.run_for(ms(300));
    cluster.unstick(2);
    cluster.run_for(ms(300));
    assert_eq!(cluster.agree(&[1, 2]), Some(1), "{}", cluster.picture());
}

#[test]
fn a_failover_waits_for_no_disk_that_is_as_fast_as_the_lost_master_is_slow() {
    let mut cluster = Cluster::started(&[1, 2, 3], SWIFT, 1);
    cluster.run_for(ms(300));
    cluster.crash(3);
    cluster.disk_stuck.extend([host(1), host(2)]);
    let candidates = |c: &Cluster| [1, 2].into_iter().all(|n| c.election(n).role() == Role::Candidate);
    cluster.run_until(ms(700), candidates);
    // Asked for with the first candidacy, long before the election ends.
    cluster.unstick(2);
    cluster.unstick(1);
    let took = cluster.run_until(ms(700), |c| c.masters() == [2]);
    assert!(took <= SWIFT.heartbeat_period + ms(1), "{took:?}");
    let claims = cluster.events(2).iter().filter(|e| matches!(e, Event::Reigning { .. })).count();
    assert_eq!(claims, 1);
    assert!(matches!(cluster.election(2).role(), Role::Master { term } if term.round == Round::new(2)));
}

#[test]
fn no_claim_leaves_before_its_round_is_durable() {
    let mut election = Election::new(Instant::ORIGIN, config(1, &[1, 2], SWIFT)).unwrap();
    election.handle_input(at(0), Input::Standing { connected_datastores: 1, eligible: true }).unwrap();
    election.handle_input(at(1), Input::HostDead { host: host(2) }).unwrap();
    let claims = |election: &mut Election| {
        core::iter::from_fn(|| election.poll_output())
            .filter(|o| matches!(o, Output::Transmit { message: Message::Claim(_), .. }))
            .count()
    };
    assert_eq!(claims(&mut election), 0);
    election.handle_input(at(2), Input::TermStored { acknowledged: reserved(1) }).unwrap();
    assert_eq!(claims(&mut election), 1);
}

/// The claim of host-3 or host-1 of the list 1, 2, 3, in a round, as host-2 gets it.
fn claim(of: u32, round: u64) -> Input {
    let rank = Rank { goodness: 2, moid: format!("host-{of}").parse().unwrap() };
    let term = Term::new(Round::new(round), host(of));
    let message = Message::Claim(Claim { lists_owned: 0, term, rank });
    Input::Receive { from: host(of), message, echoes: Some(Instant::ORIGIN), known_round: None }
}

fn host_2(acknowledged: Acknowledged) -> Election {
    let config = ElectionConfig { acknowledged, ..config(2, &[1, 2, 3], SWIFT) };
    let mut election = Election::new(Instant::ORIGIN, config).unwrap();
    election.handle_input(at(0), Input::Standing { connected_datastores: 2, eligible: true }).unwrap();
    election
}

#[test]
fn a_later_life_follows_no_lower_term_of_the_round_that_an_earlier_one_followed() {
    let mut first_life = host_2(Acknowledged::NONE);
    first_life.handle_input(at(1), claim(3, 1)).unwrap();
    let stored = *asked(&mut first_life).last().unwrap();
    assert_eq!(stored, Term::new(Round::new(1), host(3)).into());
    for (of, round, follows) in [(1, 1, false), (3, 1, true), (1, 2, true)] {
        let mut election = host_2(stored);
        election.handle_input(at(1), claim(of, round)).unwrap();
        let term = Term::new(Round::new(round), host(of));
        let slave = Role::Slave { master: host(of), term };
        assert_eq!(election.role(), if follows { slave } else { Role::Candidate }, "{term} after {stored}");
    }
}

#[test]
fn a_master_has_its_own_term_stored_too() {
    let mut election = alone();
    assert_eq!(asked(&mut election), [reserved(1)]);
    election.handle_input(at(1), Input::TermStored { acknowledged: reserved(1) }).unwrap();
    assert_eq!(asked(&mut election), [Term::new(Round::new(1), host(1)).into()]);
}

/// It would win, and cannot; whoever is there elects another, and it follows.
#[test]
fn a_better_host_whose_disk_hangs_keeps_nobody_from_having_a_master() {
    let mut cold = Cluster::new(&[1, 2, 3], SWIFT, 1);
    cold.disk_stuck.insert(host(3));
    cold.start_all();
    let mut failover = Cluster::started(&[1, 2, 3, 4], SWIFT, 1);
    failover.run_for(ms(500));
    failover.disk_stuck.insert(host(3));
    failover.crash(4);
    for mut cluster in [cold, failover] {
        cluster.run_for(SWIFT.master_lost + 4 * SWIFT.election_window);
        assert_eq!(cluster.agree(&[1, 2, 3]), Some(2), "{}", cluster.picture());
        // The disk works again: it may be master of the next election.
        cluster.unstick(3);
        cluster.run_for(ms(500));
        assert_eq!(cluster.agree(&[1, 2, 3]), Some(2), "{}", cluster.picture());
        cluster.crash(2);
        cluster.run_for(SWIFT.master_lost + 3 * SWIFT.election_window);
        assert_eq!(cluster.agree(&[1, 3]), Some(3), "{}", cluster.picture());
    }
}
