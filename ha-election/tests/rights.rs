//! A master without evidence that it is not cut off has no right to act.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

mod common;

use common::{Cluster, SWIFT, at, config, drain, host, ms};
use ha_core::{Instant, Machine};
use ha_election::{Election, Event, Input, Message, Output, Role};

/// Two hosts, host-2 master; then host-1 is alone, with or without a reachable address.
fn survivor(address: bool) -> Cluster {
    let mut cluster = Cluster::started(&[1, 2], SWIFT, 1);
    cluster.run_for(ms(300));
    if !address {
        cluster.address.clear();
    }
    cluster.crash(2);
    cluster.run_for(SWIFT.master_lost + 2 * SWIFT.election_window);
    assert_eq!(cluster.masters(), [1]);
    cluster
}

#[test]
fn a_survivor_with_an_address_may_act() {
    let cluster = survivor(true);
    assert!(cluster.election(1).may_act(cluster.now));
}

#[test]
fn a_host_alone_without_an_answer_may_not_act_until_one_comes() {
    let mut cluster = survivor(false);
    assert!(!cluster.election(1).may_act(cluster.now));
    cluster.run_for(ms(5_000));
    assert!(!cluster.election(1).may_act(cluster.now));
    cluster.input(1, Input::AddressAnswered { asked: at(100) });
    assert!(!cluster.election(1).may_act(cluster.now), "asked before the election began");
    cluster.input(1, Input::AddressAnswered { asked: cluster.now });
    assert!(cluster.election(1).may_act(cluster.now));
}

#[test]
fn a_host_alone_for_which_no_address_is_configured_may_act() {
    let mut cluster = Cluster::new(&[1, 2], SWIFT, 1).without_address();
    cluster.start(1, 2);
    cluster.run_for(SWIFT.election_window + ms(1));
    assert!(cluster.election(1).may_act(cluster.now));
    assert!(!cluster.events(1).contains(&Event::AddressCheckWanted));
}

#[test]
fn isolation_takes_the_right_and_silences_claims_but_not_probes() {
    let mut cluster = survivor(true);
    cluster.input(1, Input::Isolated { isolated: true });
    assert!(!cluster.election(1).may_act(cluster.now));
    assert!(matches!(cluster.election(1).role(), Role::Master { .. }));
    assert_eq!(cluster.events(1).last(), Some(&Event::RightsChanged { rights: false }));
    let sent = cluster.transmitted;
    cluster.run_for(ms(1_000));
    assert!(cluster.transmitted > sent, "it still says that it is there");
    // An answer to an older ping is none; one to a newer ping is what ends the isolation.
    cluster.input(1, Input::AddressAnswered { asked: cluster.now });
    assert!(!cluster.election(1).may_act(cluster.now));
    cluster.input(1, Input::Isolated { isolated: false });
    assert!(cluster.election(1).may_act(cluster.now));
}

#[test]
fn an_isolated_host_does_not_become_master() {
    let mut cluster = Cluster::new(&[1, 2], SWIFT, 1);
    cluster.start(1, 2);
    cluster.input(1, Input::Isolated { isolated: true });
    cluster.run_for(3 * SWIFT.election_window);
    assert_eq!(cluster.election(1).role(), Role::Candidate);
    cluster.input(1, Input::Isolated { isolated: false });
    cluster.run_for(SWIFT.election_window);
    assert_eq!(cluster.masters(), [1]);
}

#[test]
fn a_cluster_in_which_every_host_was_isolated_heals() {
    let numbers = [1, 2, 3];
    let mut cluster = Cluster::started(&numbers, SWIFT, 1);
    cluster.run_for(ms(300));
    for (a, b) in [(1, 2), (1, 3), (2, 3)] {
        cluster.cut_both(a, b, true);
    }
    cluster.address.clear();
    cluster.run_for(ms(1_500));
    for number in numbers {
        cluster.input(number, Input::Isolated { isolated: true });
    }
    cluster.run_for(ms(5_000));
    cluster.cut.clear();
    // What the isolation check does when it hears of a contact.
    for number in numbers {
        let before = cluster.election(number).last_contact();
        cluster.run_until(ms(500), |c| c.election(number).last_contact() > before);
        cluster.input(number, Input::Isolated { isolated: false });
    }
    cluster.run_for(ms(2_000));
    assert!(cluster.agree(&numbers).is_some(), "{}", cluster.picture());
    let master = cluster.masters()[0];
    assert!(cluster.election(master).may_act(cluster.now));
}

/// host-1 alone on its list, master with rights, its next claim due at 200 ms.
fn lone() -> Election {
    let mut election = Election::new(Instant::ORIGIN, config(1, &[1], SWIFT)).unwrap();
    let standing = Input::Standing { connected_datastores: 1, eligible: true };
    election.handle_input(at(0), standing).unwrap();
    election.handle_input(at(1), Input::AddressAnswered { asked: at(1) }).unwrap();
    election.handle_timeout(at(100));
    drain(&mut election);
    assert_eq!(election.poll_timeout().unwrap().at, at(200));
    assert!(election.may_act(at(100)));
    election
}

#[test]
fn the_right_ends_by_the_clock_when_the_agent_stops() {
    let election = lone();
    assert!(election.may_act(at(450)), "due at 200, and half of master_lost is 250");
    assert!(!election.may_act(Instant::from_nanos(at(450).as_nanos() + 1)));
}

#[test]
fn after_a_stop_only_fresh_evidence_gives_the_right_back() {
    let mut election = lone();
    election.handle_timeout(at(450));
    assert!(election.may_act(at(450)), "late, but not too late");
    election.handle_timeout(at(801)); // due at 550
    assert!(!election.may_act(at(801)));
    assert_eq!(election.counters().stalls.get(), 1);
    let outputs = drain(&mut election);
    assert!(outputs.contains(&Output::Event(Event::AddressCheckWanted)));
    election.handle_input(at(802), Input::AddressAnswered { asked: at(800) }).unwrap();
    assert!(!election.may_act(at(802)), "that answer lay waiting");
    election.handle_input(at(803), Input::AddressAnswered { asked: at(801) }).unwrap();
    assert!(election.may_act(at(803)));
}

#[test]
fn after_a_gap_every_right_is_gone() {
    let mut cluster = Cluster::started(&[1, 2, 3], SWIFT, 1);
    cluster.run_for(ms(300));
    assert!(cluster.election(3).may_act(cluster.now));
    cluster.input(3, Input::Resumed);
    assert!(!cluster.election(3).may_act(cluster.now));
    assert_eq!(cluster.election(3).role(), Role::Candidate);
    cluster.run_for(2 * SWIFT.election_window + SWIFT.master_lost);
    assert!(cluster.agree(&[1, 2, 3]).is_some(), "{}", cluster.picture());
}

#[test]
fn a_master_above_a_round_that_was_read() {
    let mut cluster = Cluster::started(&[1, 2], SWIFT, 1);
    cluster.run_for(ms(300));
    let round = ha_core::Round::new(40);
    cluster.input(2, Input::RoundSeen { round });
    assert!(cluster.election(2).term().unwrap().round > round);
    cluster.run_for(ms(2));
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
    // On a slave it reaches the master with the next heartbeat.
    let round = ha_core::Round::new(50);
    cluster.input(1, Input::RoundSeen { round });
    cluster.run_for(2 * SWIFT.heartbeat_period);
    assert!(cluster.election(2).term().unwrap().round > round);
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
}

#[test]
fn the_first_message_of_a_master_is_its_claim() {
    let mut election = Election::new(Instant::ORIGIN, config(1, &[1, 2], SWIFT)).unwrap();
    let standing = Input::Standing { connected_datastores: 1, eligible: true };
    election.handle_input(at(0), standing).unwrap();
    drain(&mut election);
    election.handle_input(at(1), Input::HostDead { host: host(2) }).unwrap();
    let claimed =
        drain(&mut election).iter().any(|o| matches!(o, Output::Transmit { message: Message::Claim(_), .. }));
    assert!(claimed);
}
