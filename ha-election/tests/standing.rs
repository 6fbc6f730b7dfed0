//! What hosts are fit for changes while they run: maintenance, standby, the hypervisor's service, datastores.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

mod common;

use common::{Cluster, SWIFT, VSPHERE, at, config, drain, host, ms};
use ha_core::{Instant, Machine, Round, Term};
use ha_election::{Candidacy, Claim, Election, Event, Input, Message, Output, Probe, Rank, Role};

const OUT: Message = Message::Probe(Probe::TakesNoPart);

fn stand(cluster: &mut Cluster, number: u32, connected_datastores: u32, eligible: bool) {
    cluster.input(number, Input::Standing { connected_datastores, eligible });
}

#[test]
fn a_master_that_leaves_has_a_successor_at_once() {
    for timing in [SWIFT, VSPHERE] {
        for (datastores, eligible) in [(2, false), (0, true)] {
            let mut cluster = Cluster::started(&[1, 2, 3, 4], timing, 1);
            cluster.run_for(ms(500));
            assert_eq!(cluster.agree(&[1, 2, 3, 4]), Some(4));
            stand(&mut cluster, 4, datastores, eligible);
            assert_eq!(cluster.election(4).role(), Role::Uninitialized);
            let took = cluster.run_until(timing.master_lost, |c| c.agree(&[1, 2, 3]).is_some());
            assert!(took <= ms(10), "a few round trips, not {took:?}");
            assert_eq!(cluster.agree(&[1, 2, 3]), Some(3));
            // It comes back as a slave, and unseats nobody.
            stand(&mut cluster, 4, 9, true);
            cluster.run_for(timing.heartbeat_period * 2);
            assert_eq!(cluster.agree(&[1, 2, 3, 4]), Some(3));
        }
    }
}

#[test]
fn a_good_bye_that_is_lost_costs_no_more_than_a_death() {
    let mut cluster = Cluster::started(&[1, 2, 3], SWIFT, 1);
    cluster.run_for(ms(500));
    cluster.loss = 1_000;
    stand(&mut cluster, 3, 2, false);
    cluster.loss = 0;
    cluster.run_until(SWIFT.master_lost + SWIFT.heartbeat_period * 2, |c| c.agree(&[1, 2]).is_some());
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
}

#[test]
fn nobody_waits_for_a_host_in_maintenance() {
    for timing in [SWIFT, VSPHERE] {
        let mut cluster = Cluster::new(&[1, 2, 3, 4], timing, 1);
        cluster.start(4, 2);
        stand(&mut cluster, 4, 2, false);
        cluster.run_for(timing.heartbeat_period);
        for number in [1, 2, 3] {
            cluster.start(number, 2);
        }
        let took = cluster.run_until(timing.election_window, |c| c.agree(&[1, 2, 3]).is_some());
        assert!(took <= timing.heartbeat_period, "not the whole window: {took:?}");
        // The master dies: its successor waits for nobody but it, and for that no longer than without a fourth host.
        cluster.crash(3);
        let took = cluster.run_until(timing.master_lost * 2, |c| c.agree(&[1, 2]).is_some());
        assert!(took <= timing.master_lost + timing.heartbeat_period + ms(20), "{took:?}");
    }
}

/// host-2 of the list 1, 2, 3, which follows host-3 in round 7 since 1 ms.
fn slave() -> Election {
    let mut election = Election::new(Instant::ORIGIN, config(2, &[1, 2, 3], SWIFT)).unwrap();
    election.handle_input(at(0), Input::Standing { connected_datastores: 2, eligible: true }).unwrap();
    let term = Term::new(Round::new(7), host(3));
    let claim = Message::Claim(Claim { lists_owned: 0, term, rank: rank(3) });
    election.handle_input(at(1), receive(3, claim, Some(at(0)), 7)).unwrap();
    drain(&mut election);
    election
}

fn rank(of: u32) -> Rank {
    Rank { goodness: 2, moid: format!("host-{of}").parse().unwrap() }
}

fn receive(from: u32, message: Message, echoes: Option<Instant>, round: u64) -> Input {
    Input::Receive { from: host(from), message, echoes, known_round: Some(Round::new(round)) }
}

#[test]
fn only_a_good_bye_of_this_reign_that_echoes_this_host_ends_it() {
    for (from, echoes, round, ends) in [
        (3, Some(at(0)), 7, true),
        (3, Some(at(0)), 8, true),
        // It was sent before this reign, and came late.
        (3, Some(at(0)), 6, false),
        // It may be a recording.
        (3, None, 7, false),
        (1, Some(at(0)), 7, false),
    ] {
        let mut election = slave();
        election.handle_input(at(2), receive(from, OUT, echoes, round)).unwrap();
        let candidate = election.role() == Role::Candidate;
        assert_eq!(candidate, ends, "from host-{from}, echo {echoes:?}, round {round}");
        let reason = "master takes no part any more";
        let told = drain(&mut election).iter().any(
            |o| matches!(o, Output::Event(Event::RoleChanged { reason: given, .. }) if *given == reason),
        );
        assert_eq!(told, ends);
    }
}

#[test]
fn a_host_that_says_that_it_takes_part_again_is_waited_for_again() {
    let candidacy = Message::Candidacy(Candidacy { rank: rank(1) });
    for (again, waits) in [(None, false), (Some(Message::Probe(Probe::Here)), false), (Some(candidacy), true)]
    {
        let mut election = slave();
        election.handle_input(at(2), receive(1, OUT, Some(at(0)), 0)).unwrap();
        if let Some(message) = again {
            election.handle_input(at(3), receive(1, message, Some(at(0)), 0)).unwrap();
        }
        // Its vote grows old, and the master dies.
        for tick in (50..=450).step_by(50) {
            election.handle_timeout(at(tick));
        }
        election.handle_input(at(450), Input::HostDead { host: host(3) }).unwrap();
        drain(&mut election);
        let reigns = matches!(election.role(), Role::Master { .. });
        assert_eq!(reigns, !waits, "{:?}", election.role());
    }
}

#[test]
fn a_host_that_takes_no_part_says_so_when_it_is_asked_and_otherwise_nothing() {
    let mut election = Election::new(Instant::ORIGIN, config(2, &[1, 2, 3], SWIFT)).unwrap();
    let candidacy = || receive(1, Message::Candidacy(Candidacy { rank: rank(1) }), None, 0);
    election.handle_input(at(0), candidacy()).unwrap();
    assert_eq!(drain(&mut election), [], "it has not been told what it is fit for");
    assert!(!election.answers());
    election.handle_input(at(1), Input::Standing { connected_datastores: 0, eligible: true }).unwrap();
    assert!(election.answers());
    assert_eq!(drain(&mut election), [], "it took no part before");
    let out = Output::Transmit { to: host(1), message: OUT };
    for (now, answered) in [(30, true), (54, false), (55, true)] {
        election.handle_input(at(now), candidacy()).unwrap();
        assert_eq!(drain(&mut election), if answered { vec![out.clone()] } else { vec![] }, "{now} ms");
    }
    assert_eq!(election.poll_timeout(), None);
}

#[test]
fn datastores_that_come_and_go_change_the_next_election_and_not_this_reign() {
    let mut cluster = Cluster::started(&[1, 2, 3], SWIFT, 1);
    cluster.run_for(ms(500));
    stand(&mut cluster, 3, 1, true);
    stand(&mut cluster, 1, 7, true);
    cluster.run_for(ms(2_000));
    assert_eq!(cluster.agree(&[1, 2, 3]), Some(3), "a running master is sticky");
    cluster.crash(3);
    cluster.run_until(SWIFT.master_lost * 2, |c| c.agree(&[1, 2]).is_some());
    assert_eq!(cluster.agree(&[1, 2]), Some(1), "most datastores");
}

/// host-2 heard the good-bye of host-3 long ago, and not that it came back; but host-1 follows it now.
#[test]
fn an_old_good_bye_does_not_unseat_a_master_that_came_back() {
    let mut cluster = Cluster::started(&[1, 2, 3], SWIFT, 1);
    cluster.run_for(ms(1_000));
    stand(&mut cluster, 3, 2, false);
    cluster.run_for(ms(2_000));
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
    cluster.cut_both(2, 3, true);
    for (number, eligible) in [(2, false), (3, true), (1, false), (1, true)] {
        stand(&mut cluster, number, 2, eligible);
        cluster.run_for(ms(2_000));
    }
    assert_eq!(cluster.agree(&[1, 3]), Some(3));
    stand(&mut cluster, 2, 2, true);
    cluster.run_for(ms(20_000));
    assert_eq!(cluster.agree(&[1, 3]), Some(3), "{}", cluster.picture());
    assert_eq!(cluster.election(2).role(), Role::Candidate, "it waits, instead of unseating a master");
}

#[test]
fn a_good_bye_that_was_lost_is_said_again_to_who_still_follows() {
    let mut election = Election::new(Instant::ORIGIN, config(3, &[1, 2, 3], SWIFT)).unwrap();
    election.handle_input(at(0), Input::Standing { connected_datastores: 2, eligible: false }).unwrap();
    drain(&mut election);
    for (master, answered) in [(3, true), (2, false)] {
        let follows = Message::Probe(Probe::Follows(Term::new(Round::new(1), host(master))));
        election.handle_input(at(50 * u64::from(master)), receive(1, follows, Some(at(50)), 1)).unwrap();
        let out = Output::Transmit { to: host(1), message: OUT };
        assert_eq!(drain(&mut election), if answered { vec![out] } else { vec![] }, "of host-{master}");
    }
}

#[test]
fn hosts_that_take_no_part_do_not_talk_to_each_other_for_ever() {
    for delay in [1, 60, 160, 400] {
        let mut cluster = Cluster::started(&[1, 2, 3], SWIFT, 1);
        cluster.delay = ms(delay);
        for number in [1, 2, 3] {
            stand(&mut cluster, number, 2, false);
        }
        cluster.run_for(ms(3_000));
        let before = cluster.transmitted;
        cluster.run_for(ms(10_000));
        assert_eq!(cluster.transmitted, before, "{delay} ms of travel");
    }
}
