//! What a fault-free election costs in datagrams. `--example elections -- --cost 3,8,32,96,300,1000` has the table.

use core::time::Duration;

use ha_sim::Scenario;
use ha_sim::elections::{Counts, Elections, Elector};
use ha_sim::scenario::Pace;

const LIMIT: Duration = Duration::from_secs(60);

/// The datagrams of a cold start, and of the election after the master's death.
fn cost(hosts: u32, pace: Pace) -> [Counts; 2] {
    let mut world: Elections<Elector> = Elections::new(&Scenario::quiet(hosts, 1, pace));
    world.run_until_settled(LIMIT).unwrap().unwrap();
    let cold_start = world.counts().clone();
    world.run_for(3 * pace.timing().master_lost).unwrap();
    world.kill(world.master().unwrap());
    world.count_anew();
    world.run_until_settled(LIMIT).unwrap().unwrap();
    [cold_start, world.counts().clone()]
}

#[test]
fn without_an_election_a_period_costs_two_datagrams_a_host() {
    for pace in Pace::ALL {
        let mut world: Elections<Elector> = Elections::new(&Scenario::quiet(32, 1, pace));
        world.run_until_settled(LIMIT).unwrap().unwrap();
        world.run_for(pace.timing().master_lost).unwrap();
        world.count_anew();
        world.run_for(100 * pace.timing().heartbeat_period).unwrap();
        let Counts { candidacies, claims, probes, heartbeats, .. } = world.counts();
        assert_eq!((*candidacies, *probes), (0, 0));
        assert!((31 * 99..=31 * 101).contains(claims), "{claims}");
        assert!((31 * 99..=31 * 101).contains(heartbeats), "{heartbeats}");
    }
}

#[test]
fn an_election_costs_at_most_eight_datagrams_a_host() {
    for pace in Pace::ALL {
        for hosts in [3, 8, 32, 96] {
            for counts in cost(hosts, pace) {
                assert!(counts.of_elections() <= 8 * u64::from(hosts), "{hosts} hosts, {pace}: {counts:?}");
            }
        }
    }
}

#[test]
fn no_window_costs_more_than_one_datagram_on_each_link() {
    for pace in Pace::ALL {
        for hosts in [8, 32, 96] {
            for counts in cost(hosts, pace) {
                let links = u64::from(hosts * (hosts - 1));
                assert!(counts.busiest_window <= links, "{hosts} hosts, {pace}: {counts:?}");
            }
        }
    }
}
