//! Hosts join and leave the cluster while it runs.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

mod common;

use common::{Cluster, SWIFT, VSPHERE, at, config, drain, host, ms};
use ha_core::{HostId, Instant, Machine, Moid, TimingConfig};
use ha_election::{ConfigError, Election, Event, Input, Rejected, Role};

fn list(numbers: &[u32]) -> Vec<(HostId, Moid)> {
    numbers.iter().map(|n| (host(*n), format!("host-{n}").parse().unwrap())).collect()
}

/// Tells these hosts that the cluster has those.
fn tell(cluster: &mut Cluster, hosts: &[u32], numbers: &[u32]) {
    for number in hosts {
        cluster.input(*number, Input::HostList { hosts: list(numbers) });
    }
}

/// Hosts 1, 2 and 3, which know of no host-4 and follow host-3.
fn three(timing: TimingConfig) -> Cluster {
    let mut cluster = Cluster::new(&[1, 2, 3, 4], timing, 1);
    for number in [1, 2, 3] {
        cluster.start(number, 2);
        tell(&mut cluster, &[number], &[1, 2, 3]);
    }
    cluster.run_until(timing.election_window, |c| c.agree(&[1, 2, 3]) == Some(3));
    cluster
}

fn elections(cluster: &Cluster) -> usize {
    let begun = |event: &Event| matches!(event, Event::RoleChanged { to: Role::Candidate, .. });
    cluster.log.iter().filter(|(.., event)| begun(event)).count()
}

#[test]
fn a_host_that_joins_follows_and_disturbs_nobody() {
    for timing in [SWIFT, VSPHERE] {
        let mut cluster = three(timing);
        let (term, before) = (cluster.election(3).term(), elections(&cluster));
        tell(&mut cluster, &[1, 2, 3], &[1, 2, 3, 4]);
        cluster.start(4, 9);
        cluster.run_until(timing.heartbeat_period * 2, |c| c.agree(&[1, 2, 3, 4]) == Some(3));
        assert_eq!(elections(&cluster), before + 1, "only its own");
        assert_eq!(cluster.election(3).term(), term);
    }
}

#[test]
fn a_host_that_joins_before_all_know_of_it_changes_nothing_until_they_do() {
    let mut cluster = three(SWIFT);
    cluster.start(4, 9);
    cluster.run_for(ms(3_000));
    assert_eq!(cluster.agree(&[1, 2, 3]), Some(3));
    tell(&mut cluster, &[1, 2, 3], &[1, 2, 3, 4]);
    cluster.run_until(ms(1_000), |c| c.agree(&[1, 2, 3, 4]).is_some());
    cluster.run_for(ms(3_000));
    assert!(cluster.agree(&[1, 2, 3, 4]).is_some(), "{}", cluster.picture());
}

#[test]
fn a_slave_that_is_taken_from_the_list_is_not_waited_for() {
    let mut cluster = three(VSPHERE);
    tell(&mut cluster, &[1, 2, 3], &[1, 2, 3, 4]);
    cluster.start(4, 2);
    cluster.run_for(ms(1_500));
    let before = elections(&cluster);
    cluster.crash(1);
    tell(&mut cluster, &[2, 3, 4], &[2, 3, 4]);
    cluster.run_for(ms(20_000));
    assert_eq!((cluster.agree(&[2, 3, 4]), elections(&cluster)), (Some(3), before));
    cluster.crash(3);
    let took = cluster.run_until(VSPHERE.master_lost * 2, |c| c.agree(&[2, 4]).is_some());
    assert!(took <= VSPHERE.master_lost + VSPHERE.heartbeat_period + ms(20), "no whole window: {took:?}");
}

#[test]
fn a_master_that_is_taken_from_the_list_has_a_successor_at_once_and_claims_in_vain() {
    let mut cluster = three(SWIFT);
    cluster.run_for(ms(500));
    tell(&mut cluster, &[1, 2], &[1, 2]);
    let took = cluster.run_until(SWIFT.master_lost, |c| c.agree(&[1, 2]) == Some(2));
    assert!(took <= ms(10), "a few round trips, not {took:?}");
    cluster.run_for(ms(1_000));
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
    assert!(cluster.events(1).contains(&Event::InvalidMaster { host: host(3) }));
}

#[test]
fn whoever_is_waited_for_ends_the_wait_by_leaving() {
    let mut cluster = Cluster::new(&[1, 2, 3], SWIFT, 1);
    cluster.start(1, 2);
    cluster.start(2, 2);
    cluster.run_for(ms(400));
    assert_eq!(cluster.masters(), [0; 0], "host-3 might come");
    tell(&mut cluster, &[1, 2], &[1, 2]);
    cluster.run_until(ms(20), |c| c.agree(&[1, 2]) == Some(2));
}

#[test]
fn a_host_with_another_id_is_another_host() {
    let mut election = Election::new(Instant::ORIGIN, config(1, &[1, 2], SWIFT)).unwrap();
    election.handle_input(at(0), Input::Standing { connected_datastores: 2, eligible: true }).unwrap();
    election.handle_input(at(1), Input::HostDead { host: host(2) }).unwrap();
    drain(&mut election);
    assert!(matches!(election.role(), Role::Master { .. }));
    let hosts = vec![(host(1), "host-1".parse().unwrap()), (host(2), "host-22".parse().unwrap())];
    election.handle_input(at(2), Input::HostList { hosts: hosts.clone() }).unwrap();
    election.handle_input(at(3), Input::Resumed).unwrap();
    drain(&mut election);
    assert_eq!(election.role(), Role::Candidate, "the new one is not known to be dead");
}

#[test]
fn a_list_that_is_none_is_refused_and_changes_nothing() {
    let mut cluster = three(SWIFT);
    let mut twice = list(&[1, 2, 3]);
    twice.push((host(4), "host-2".parse().unwrap()));
    let many: Vec<u32> = (0..=ha_core::Limits::DEFAULT.hosts).collect();
    let found = many.len();
    for (hosts, error) in [
        (list(&[1, 2]), ConfigError::MeNotListed { me: host(3) }),
        (twice, ConfigError::ListedTwice { host: host(4), moid: "host-2".parse().unwrap() }),
        (list(&many), ConfigError::TooManyHosts { found, limit: ha_core::Limits::DEFAULT.hosts }),
    ] {
        let mut election = Election::new(Instant::ORIGIN, config(3, &[1, 2, 3], SWIFT)).unwrap();
        let refused = election.handle_input(at(1), Input::HostList { hosts });
        assert_eq!(refused, Err(Rejected::HostList(error)));
        election.handle_input(at(2), Input::HostDead { host: host(1) }).unwrap();
        election.handle_input(at(2), Input::HostDead { host: host(2) }).unwrap();
    }
    cluster.run_for(ms(1_000));
    assert_eq!(cluster.agree(&[1, 2, 3]), Some(3));
}

/// A claim under the old id is none to who knows the new one, also while two masters meet.
#[test]
fn two_masters_of_which_one_is_renamed_while_they_meet_still_merge() {
    for step in 0..250 {
        let mut cluster = Cluster::new(&[1, 2], SWIFT, 1);
        cluster.cut_both(1, 2, true);
        cluster.start_all();
        cluster.run_for(ms(2_000));
        cluster.cut_both(1, 2, false);
        cluster.run_for(core::time::Duration::from_micros(500 * step));
        let hosts = vec![(host(1), "host-1".parse().unwrap()), (host(2), "host-22".parse().unwrap())];
        for number in [1, 2] {
            cluster.input(number, Input::HostList { hosts: hosts.clone() });
        }
        cluster.run_for(ms(3_000));
        assert!(cluster.agree(&[1, 2]).is_some(), "step {step}: {}", cluster.picture());
    }
}

#[test]
fn a_master_with_another_id_is_another_host_too() {
    let mut cluster = three(VSPHERE);
    cluster.run_for(ms(2_000));
    cluster.crash(3);
    let mut hosts = list(&[1, 2]);
    hosts.push((host(3), "host-33".parse().unwrap()));
    for number in [1, 2] {
        cluster.input(number, Input::HostList { hosts: hosts.clone() });
        assert_eq!(cluster.election(number).role(), Role::Candidate, "host-{number}");
    }
}
