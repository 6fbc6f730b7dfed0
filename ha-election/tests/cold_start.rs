//! Nobody is master yet.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

mod common;

use core::time::Duration;

use common::{Cluster, SWIFT, VSPHERE, host, ms};
use ha_core::{Random, Round};
use ha_election::{Event, Input, Role};

#[test]
fn three_hosts_started_at_once_elect_the_lexically_highest_id() {
    let mut cluster = Cluster::started(&[1, 9, 10], SWIFT, 1);
    let took = cluster.run_until(SWIFT.election_window, |c| c.agree(&[1, 9, 10]).is_some());
    assert_eq!(cluster.masters(), [9], "`host-9` is above `host-10` as text");
    assert!(took <= ms(4), "one round trip to vote, one half to be found: {took:?}");
    cluster.run_for(ms(5_000));
    assert_eq!(cluster.agree(&[1, 9, 10]), Some(9));
    assert_eq!(cluster.election(9).term().unwrap().round, Round::new(1), "one term, never raised");
}

#[test]
fn five_hosts_elect_the_one_with_most_datastores() {
    let mut cluster = Cluster::new(&[1, 2, 3, 4, 5], SWIFT, 1);
    for (number, datastores) in [(1, 2), (2, 4), (3, 2), (4, 1), (5, 3)] {
        cluster.start(number, datastores);
    }
    cluster.run_for(ms(100));
    assert_eq!(cluster.agree(&[1, 2, 3, 4, 5]), Some(2));
    assert!(cluster.election(2).may_act(cluster.now));
}

#[test]
fn node_goodness_overrides_the_datastores() {
    let mut cluster = Cluster::new(&[1, 2], SWIFT, 1);
    cluster.set_goodness(1, 1_000);
    cluster.start(1, 1);
    cluster.start(2, 200);
    cluster.run_for(ms(100));
    assert_eq!(cluster.agree(&[1, 2]), Some(1));
}

#[test]
fn a_host_that_never_starts_is_waited_for_until_the_window_ends() {
    for timing in [SWIFT, VSPHERE] {
        let mut cluster = Cluster::new(&[1, 2, 3], timing, 1);
        cluster.start(1, 2);
        cluster.start(2, 2);
        cluster.run_for(timing.election_window - ms(1));
        assert_eq!(cluster.masters(), [0; 0]);
        cluster.run_for(ms(5));
        assert_eq!(cluster.agree(&[1, 2]), Some(2));
    }
}

#[test]
fn without_early_end_the_whole_window_passes() {
    let timing = ha_core::TimingConfig { early_end: false, ..SWIFT };
    let mut cluster = Cluster::started(&[1, 2, 3], timing, 1);
    cluster.run_for(timing.election_window - ms(1));
    assert_eq!(cluster.masters(), [0; 0]);
    cluster.run_for(ms(5));
    assert_eq!(cluster.agree(&[1, 2, 3]), Some(3));
}

#[test]
fn a_late_better_candidate_does_not_unseat_the_master() {
    let mut cluster = Cluster::new(&[1, 2, 3], SWIFT, 1);
    cluster.start(1, 1);
    cluster.start(2, 1);
    cluster.run_for(ms(1_000));
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
    let term = cluster.election(2).term();
    cluster.start(3, 50);
    let took = cluster.run_until(ms(100), |c| c.agree(&[1, 2, 3]).is_some());
    assert!(took <= ms(4), "it is told of the master at once: {took:?}");
    cluster.run_for(ms(5_000));
    assert_eq!(cluster.agree(&[1, 2, 3]), Some(2));
    assert_eq!(cluster.election(2).term(), term);
}

#[test]
fn a_host_that_is_not_eligible_or_has_no_datastore_takes_no_part() {
    let mut cluster = Cluster::started(&[1, 2], SWIFT, 1);
    cluster.run_for(ms(100));
    assert_eq!(cluster.agree(&[1, 2]), Some(2));
    for (connected_datastores, eligible) in [(0, true), (2, false)] {
        cluster.input(2, Input::Standing { connected_datastores, eligible });
        assert_eq!(cluster.election(2).role(), Role::Uninitialized);
        assert!(!cluster.election(2).may_act(cluster.now));
        let sent = cluster.transmitted;
        cluster.input(1, Input::HostDead { host: host(2) });
        let of_host_1 = cluster.transmitted - sent;
        cluster.run_for(ms(90));
        assert!(cluster.transmitted - sent <= of_host_1 + 3, "host-2 says only that it takes no part");
        assert_eq!(cluster.masters(), [1]);
        cluster.input(2, Input::Standing { connected_datastores: 2, eligible: true });
        cluster.run_for(ms(20));
        assert_eq!(cluster.agree(&[1, 2]), Some(1), "it comes back as a slave");
        cluster.input(1, Input::Standing { connected_datastores: 2, eligible: false });
        cluster.run_for(ms(1_500));
        cluster.input(1, Input::Standing { connected_datastores: 2, eligible: true });
        cluster.run_for(ms(1_500));
        assert_eq!(cluster.agree(&[1, 2]), Some(2));
    }
}

#[test]
fn a_restarted_host_takes_no_term_that_it_had_before() {
    let mut cluster = Cluster::started(&[1], SWIFT, 1);
    cluster.run_for(ms(200));
    let first = cluster.election(1).term().unwrap();
    cluster.crash(1);
    cluster.start(1, 2);
    cluster.run_for(ms(200));
    assert!(cluster.election(1).term().unwrap() > first);
    assert!(cluster.events(1).contains(&Event::Reigning { term: first }));
}

/// Whichever comes first, and whosever timers are late; the frames to a host that is not there yet are lost. One that
/// comes in the very moment in which the window of another ends may still meet it as a master.
#[test]
fn hosts_that_start_one_after_another_never_have_two_masters() {
    let micros = Duration::from_micros;
    let mut wrong = Vec::new();
    for (name, timing) in [("swift", SWIFT), ("exact", SWIFT.exact_fdm())] {
        for seed in 0..1_500 {
            let mut cluster = Cluster::new(&[1, 2, 3], timing, seed);
            cluster.delay = micros(100);
            cluster.jitter = micros(400);
            let mut random = Random::from_seed(seed);
            let mut order = vec![1, 2, 3];
            let (apart, most_late) = (random.below(30) * random.below(300) * 10, random.below(3_000));
            cluster.late = order.iter().map(|n| (host(*n), micros(random.below(most_late + 1)))).collect();
            while !order.is_empty() {
                let next = order.swap_remove(usize::try_from(random.below(order.len() as u64)).unwrap());
                cluster.start(next, 2);
                cluster.run_for(micros(random.below(apart + 1)));
            }
            cluster.run_for(ms(1_200));
            let reigns = cluster.log.iter().filter(|(.., e)| matches!(e, Event::Reigning { .. })).count();
            if reigns != 1 || cluster.agree(&[1, 2, 3]).is_none() {
                wrong.push(format!("{name} {seed} {reigns} {}", cluster.picture()));
            }
        }
    }
    assert_eq!(wrong.len(), 0, "{wrong:#?}");
}

/// The window ends within less than a message's travel on all of them, long after what they first said has grown too
/// old to be echoed.
#[test]
fn hosts_that_start_further_apart_than_messages_travel_elect_the_best_when_no_window_ends_early() {
    for timing in [SWIFT.exact_fdm(), VSPHERE.exact_fdm()] {
        for (travel, seed) in
            [50, 100, 200, 1_000].into_iter().flat_map(|us| (0..60).map(move |seed| (us, seed)))
        {
            let mut order = vec![1, 2, 3];
            order.rotate_left(usize::try_from(seed % 3).unwrap());
            let mut cluster = Cluster::new(&[1, 2, 3], timing, seed);
            cluster.delay = Duration::from_micros(travel);
            cluster.jitter = Duration::from_micros(100);
            for number in order {
                cluster.start(number, 1);
                cluster.run_for(Duration::from_micros(50 + 37 * (seed % 7)));
            }
            cluster.run_for(timing.election_window + timing.heartbeat_period);
            let told = || format!("{travel} us, seed {seed}: {}", cluster.picture());
            assert_eq!(cluster.agree(&[1, 2, 3]), Some(3), "{}", told());
            let reigns =
                cluster.log.iter().filter(|(_, _, event)| matches!(event, Event::Reigning { .. })).count();
            assert_eq!(reigns, 1, "{}", told());
        }
    }
}
