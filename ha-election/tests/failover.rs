//! The master dies.

mod common;

use common::{Cluster, SWIFT, VSPHERE, host, ms};
use ha_core::TimingConfig;
use ha_election::{Event, Input, Role};

fn settled(numbers: &[u32], timing: TimingConfig) -> Cluster {
    let mut cluster = Cluster::started(numbers, timing, 1);
    cluster.run_for(timing.election_window + ms(10));
    assert_eq!(cluster.agree(numbers), numbers.iter().copied().max());
    cluster
}

#[test]
fn with_strong_evidence_everywhere_a_new_master_is_found_within_two_round_trips() {
    let mut cluster = settled(&[1, 2, 3, 4, 5], SWIFT);
    let old = cluster.election(5).term().unwrap();
    cluster.crash(5);
    for survivor in 1..=4 {
        cluster.input(survivor, Input::HostDead { host: host(5) });
    }
    let took = cluster.run_until(ms(100), |c| c.agree(&[1, 2, 3, 4]).is_some());
    assert_eq!(cluster.masters(), [4]);
    assert!(took <= 4 * cluster.delay, "{took:?}");
    assert!(cluster.election(4).term().unwrap() > old);
    assert!(cluster.election(4).may_act(cluster.now));
}

#[test]
fn strong_evidence_at_different_times_costs_only_the_difference() {
    let mut cluster = settled(&[1, 2, 3, 4], SWIFT);
    cluster.crash(4);
    for survivor in [2, 3, 1] {
        cluster.input(survivor, Input::HostDead { host: host(4) });
        cluster.run_for(ms(30));
    }
    assert_eq!(cluster.agree(&[1, 2, 3]), Some(3), "{}", cluster.picture());
}

#[test]
fn without_strong_evidence_the_lost_master_is_waited_for_one_heartbeat_period() {
    for timing in [SWIFT, VSPHERE] {
        let mut cluster = settled(&[1, 2, 3], timing);
        cluster.crash(3);
        let took = cluster
            .run_until(timing.master_lost + 2 * timing.election_window, |c| c.agree(&[1, 2]).is_some());
        // From the last claim, which is up to one period older than the death. vsphere: by T+11 s.
        assert!(took >= timing.master_lost - timing.heartbeat_period, "{took:?}");
        assert!(took <= timing.master_lost + timing.heartbeat_period + 5 * cluster.delay, "{took:?}");
        assert_eq!(cluster.masters(), [2]);
    }
}

#[test]
fn exact_fdm_timing_takes_master_lost_and_the_whole_window() {
    let timing = TimingConfig { early_end: false, ..VSPHERE };
    let mut cluster = settled(&[1, 2, 3], timing);
    cluster.crash(3);
    cluster.run_for(ms(2));
    let died = cluster.now;
    cluster.run_until(ms(60_000), |c| c.agree(&[1, 2]).is_some());
    let took = cluster.now.since(died);
    assert!((ms(24_000)..=ms(26_000)).contains(&took), "{took:?}");
}

#[test]
fn a_lost_master_that_is_heard_again_is_not_excused() {
    let mut cluster = settled(&[1, 2, 3], SWIFT);
    let term = cluster.election(3).term();
    // Long enough for an election, too short for the lost master to be excused.
    for slave in [1, 2] {
        cluster.cut_both(slave, 3, true);
    }
    let candidate = |cluster: &Cluster, slave| cluster.election(slave).role() == Role::Candidate;
    cluster.run_until(ms(700), |cluster| candidate(cluster, 1) && candidate(cluster, 2));
    for slave in [1, 2] {
        assert_eq!(cluster.election(slave).role(), Role::Candidate);
        cluster.cut_both(slave, 3, false);
    }
    cluster.run_for(ms(300));
    assert_eq!(cluster.agree(&[1, 2, 3]), Some(3), "{}", cluster.picture());
    assert_eq!(cluster.election(3).term(), term);
}

#[test]
fn a_master_is_lost_at_the_very_end_of_the_silence() {
    let mut cluster = settled(&[1, 2], SWIFT);
    cluster.crash(2);
    cluster.run_for(ms(2)); // the last claim arrives
    let lost = cluster.election(1).last_contact().unwrap().after(SWIFT.master_lost);
    cluster.run_for(lost.since(cluster.now) - ms(1));
    assert!(matches!(cluster.election(1).role(), Role::Slave { .. }));
    cluster.run_for(ms(1));
    assert_eq!(cluster.election(1).role(), Role::Candidate);
    let lost =
        cluster.events(1).iter().any(|e| matches!(e, Event::RoleChanged { reason: "lost master", .. }));
    assert!(lost);
}

#[test]
fn evidence_against_a_living_master_starts_an_election_that_it_ends() {
    let mut cluster = settled(&[1, 2, 3], SWIFT);
    let term = cluster.election(3).term();
    cluster.input(1, Input::HostDead { host: host(3) });
    assert_eq!(cluster.election(1).role(), Role::Candidate);
    cluster.run_for(ms(5));
    assert_eq!(cluster.agree(&[1, 2, 3]), Some(3));
    assert_eq!(cluster.election(3).term(), term);
}

#[test]
fn votes_of_an_ended_election_do_not_count_in_the_next() {
    let mut cluster = Cluster::started(&[1, 2, 3], SWIFT, 1);
    cluster.run_until(ms(100), |c| c.agree(&[1, 2, 3]).is_some());
    // Well within the time for which a candidacy counts, only host-2 has evidence of the master's death.
    cluster.crash(3);
    cluster.input(2, Input::HostDead { host: host(3) });
    cluster.run_for(ms(100));
    assert_eq!(cluster.election(2).role(), Role::Candidate, "host-1 has not voted");
    cluster.input(1, Input::HostDead { host: host(3) });
    cluster.run_for(4 * cluster.delay);
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
}

#[test]
fn the_second_best_takes_over_when_the_best_dies_in_the_election() {
    let mut cluster = settled(&[1, 2, 3, 4], SWIFT);
    cluster.crash(4);
    cluster.run_until(ms(700), |cluster| cluster.election(3).role() == Role::Candidate);
    assert_eq!(cluster.election(3).role(), Role::Candidate);
    cluster.crash(3);
    cluster.run_for(3 * SWIFT.election_window);
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
}

#[test]
fn a_deaf_stop_of_a_slave_is_not_the_masters_death() {
    let mut cluster = settled(&[1, 2], SWIFT);
    // Nothing is delivered and nobody ticks for a second; then host-1 is called first.
    cluster.now = cluster.now.after(ms(1_000));
    cluster.input(1, Input::ListsOwned { count: 0 });
    assert_eq!(cluster.election(1).counters().stalls.get(), 1);
    cluster.run_for(ms(300));
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
    assert!(
        !cluster
            .events(1)
            .iter()
            .any(|e| matches!(e, Event::RoleChanged { to: Role::Candidate, from: Role::Slave { .. }, .. }))
    );
}

#[test]
fn a_third_host_that_was_proven_dead_before_is_not_waited_for() {
    for timing in [SWIFT, VSPHERE] {
        let mut cluster = settled(&[1, 2, 3], timing);
        cluster.crash(1);
        cluster.input(2, Input::HostDead { host: host(1) });
        cluster.run_for(timing.master_lost);
        assert_eq!(cluster.agree(&[2, 3]), Some(3));
        cluster.crash(3);
        let took = cluster.run_until(2 * timing.master_lost, |c| c.masters() == [2]);
        assert!(took <= timing.master_lost + timing.heartbeat_period + 5 * cluster.delay, "{took:?}");
    }
}
