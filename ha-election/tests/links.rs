//! Links that work in one direction, or only between some.

mod common;

use common::{Cluster, SWIFT, host, ms};
use ha_election::{Event, Role, WaitReason};

#[test]
fn a_host_that_hears_but_is_not_heard_never_becomes_master() {
    let mut cluster = Cluster::new(&[1, 2, 9], SWIFT, 1);
    cluster.cut = [(host(9), host(1)), (host(9), host(2))].into();
    cluster.start_all();
    cluster.run_for(ms(10_000));
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
    assert_eq!(cluster.election(9).role(), Role::Candidate);
    let reasons = cluster.events(9);
    assert!(reasons.contains(&Event::ElectionGoesOn { reason: WaitReason::NotHeard }));
}

#[test]
fn a_host_that_is_heard_but_does_not_hear_captures_nobody() {
    let mut cluster = Cluster::new(&[1, 2, 9], SWIFT, 1);
    cluster.cut = [(host(1), host(9)), (host(2), host(9))].into();
    cluster.address.remove(&host(9));
    cluster.start_all();
    cluster.run_for(ms(10_000));
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
    assert!(!cluster.election(9).may_act(cluster.now), "it hears nobody, and no address answers");
}

#[test]
fn a_master_that_stops_hearing_is_replaced_and_captures_nobody() {
    let mut cluster = Cluster::started(&[1, 2, 9], SWIFT, 1);
    cluster.run_for(ms(500));
    assert_eq!(cluster.masters(), [9]);
    cluster.cut = [(host(1), host(9)), (host(2), host(9))].into();
    cluster.run_for(ms(5_000));
    assert_eq!(cluster.agree(&[1, 2]), Some(2), "{}", cluster.picture());
    let term = cluster.election(2).term();
    cluster.run_for(ms(5_000));
    assert_eq!(cluster.election(2).term(), term, "and stays so");
}

#[test]
fn a_slave_whose_link_to_the_master_breaks_does_not_unseat_it() {
    for links in [vec![(3, 9)], vec![(9, 3)], vec![(3, 9), (9, 3)]] {
        let mut cluster = Cluster::started(&[1, 2, 3, 9], SWIFT, 1);
        cluster.run_for(ms(500));
        let term = cluster.election(9).term();
        cluster.cut = links.iter().map(|(from, to)| (host(*from), host(*to))).collect();
        cluster.run_for(ms(10_000));
        assert_eq!(cluster.agree(&[1, 2, 9]), Some(9), "{}", cluster.picture());
        assert_eq!(cluster.election(9).term(), term);
        assert_eq!(cluster.election(3).role(), Role::Candidate);
        let waits = Event::ElectionGoesOn { reason: WaitReason::OthersFollow { master: host(9) } };
        assert!(cluster.events(3).contains(&waits));
        cluster.cut.clear();
        cluster.run_for(ms(200));
        assert_eq!(cluster.agree(&[1, 2, 3, 9]), Some(9));
        assert_eq!(cluster.election(9).term(), term);
    }
}

#[test]
fn a_majority_that_shares_one_slave_with_the_master_elects_its_own() {
    // host-1 hears everybody; hosts 2, 3, 4 do not hear host-9.
    let mut cluster = Cluster::started(&[1, 2, 3, 4, 9], SWIFT, 1);
    cluster.run_for(ms(500));
    for number in [2, 3, 4] {
        cluster.cut_both(number, 9, true);
    }
    cluster.run_for(ms(3_000));
    assert_eq!(cluster.agree(&[2, 3, 4]), Some(4), "{}", cluster.picture());
    let view = cluster.picture();
    cluster.run_for(ms(10_000));
    assert_eq!(cluster.picture(), view, "nobody changes sides again and again");
}
