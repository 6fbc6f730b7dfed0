//! Partitions: one master in each, and one after they heal.

mod common;

use common::{Cluster, SWIFT, ms};
use ha_election::{Event, Input};

/// {1, 2, 3} and {4, 5}, long enough for a master in each.
fn partitioned(seed: u64) -> Cluster {
    let mut cluster = Cluster::started(&[1, 2, 3, 4, 5], SWIFT, seed);
    cluster.run_for(ms(500));
    cut(&mut cluster, true);
    cluster.run_for(ms(3_000));
    assert_eq!(cluster.agree(&[1, 2, 3]), Some(3), "{}", cluster.picture());
    assert_eq!(cluster.agree(&[4, 5]), Some(5));
    cluster
}

fn cut(cluster: &mut Cluster, cut: bool) {
    for a in [1, 2, 3] {
        for b in [4, 5] {
            cluster.cut_both(a, b, cut);
        }
    }
}

#[test]
fn the_higher_term_wins_among_masters_with_as_many_lists() {
    let mut cluster = partitioned(1);
    let (three, five) = (cluster.election(3).term().unwrap(), cluster.election(5).term().unwrap());
    assert!(three > five, "the new master took a term above the old one");
    cut(&mut cluster, false);
    let took = cluster.run_until(ms(1_000), |c| c.agree(&[1, 2, 3, 4, 5]).is_some());
    assert!(took <= 3 * SWIFT.heartbeat_period, "{took:?}");
    assert_eq!(cluster.masters(), [3]);
    assert!(cluster.events(5).contains(&Event::Yielded { to: common::host(3), term: three }));
    assert!(!cluster.election(5).may_act(cluster.now));
}

#[test]
fn the_owner_of_lists_wins_although_its_term_is_lower() {
    let mut cluster = partitioned(1);
    cluster.input(5, Input::ListsOwned { count: 3 });
    cluster.run_for(SWIFT.heartbeat_period * 2);
    let both = cluster.election(3).term().max(cluster.election(5).term()).unwrap();
    cut(&mut cluster, false);
    cluster.run_until(ms(1_000), |c| c.agree(&[1, 2, 3, 4, 5]).is_some());
    assert_eq!(cluster.masters(), [5]);
    assert!(cluster.election(5).term().unwrap().round > both.round, "above both");
    cluster.run_for(ms(3_000));
    assert_eq!(cluster.agree(&[1, 2, 3, 4, 5]), Some(5));
}

#[test]
fn masters_of_one_round_settle_whichever_wins() {
    for owner in [1, 2] {
        let mut cluster = Cluster::new(&[1, 2], SWIFT, 1);
        cluster.cut_both(1, 2, true);
        cluster.start(1, 2);
        cluster.start(2, 2);
        cluster.run_for(2 * SWIFT.election_window);
        assert_eq!(cluster.masters(), [1, 2]);
        assert_eq!(
            cluster.election(1).term().unwrap().round,
            cluster.election(2).term().unwrap().round,
            "the case that this test is about"
        );
        cluster.input(owner, Input::ListsOwned { count: 1 });
        cluster.run_for(SWIFT.heartbeat_period);
        cluster.cut_both(1, 2, false);
        cluster.run_until(ms(500), |c| c.agree(&[1, 2]).is_some());
        assert_eq!(cluster.masters(), [owner]);
    }
}

#[test]
fn lists_given_up_while_two_masters_meet_change_nothing() {
    let mut cluster = partitioned(1);
    cluster.input(5, Input::ListsOwned { count: 3 });
    cluster.run_for(SWIFT.heartbeat_period * 2);
    cut(&mut cluster, false);
    cluster.input(5, Input::ListsOwned { count: 0 });
    cluster.input(3, Input::ListsOwned { count: 1 });
    cluster.run_for(ms(2_000));
    assert!(cluster.agree(&[1, 2, 3, 4, 5]).is_some(), "{}", cluster.picture());
}

#[test]
fn many_masters_at_once_settle_under_loss_and_reordering() {
    for seed in 0..50 {
        let numbers = [1, 2, 3, 4];
        let mut cluster = Cluster::new(&numbers, SWIFT, seed);
        for a in numbers {
            for b in numbers {
                if a < b {
                    cluster.cut_both(a, b, true);
                }
            }
        }
        for number in numbers {
            cluster.start(number, 2);
        }
        cluster.run_for(ms(1_000));
        assert_eq!(cluster.masters(), numbers);
        for number in numbers {
            cluster.input(number, Input::ListsOwned { count: number % 3 });
        }
        cluster.cut.clear();
        (cluster.loss, cluster.jitter) = (200, ms(20));
        cluster.run_until(ms(5_000), |c| c.agree(&numbers).is_some());
    }
}
