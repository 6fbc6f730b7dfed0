//! Hosts that hear each other only in part, for ever.

mod common;

use common::{Cluster, SWIFT, host, ms};
use ha_core::Random;

/// Clusters whose links were drawn at random, each direction by itself.
fn drawn(hosts: u32, seed: u64) -> Cluster {
    let numbers: Vec<u32> = (1..=hosts).collect();
    let mut cluster = Cluster::new(&numbers, SWIFT, seed);
    let mut random = Random::from_seed(seed);
    let cut_per_mille = 100 + random.below(600);
    for from in &numbers {
        for to in &numbers {
            if from != to && random.below(1_000) < cut_per_mille {
                cluster.cut.insert((host(*from), host(*to)));
            }
        }
    }
    cluster
}

/// The sets of hosts that are joined by links which work both ways, maybe over others.
fn components(cluster: &Cluster, hosts: u32) -> Vec<Vec<u32>> {
    let reach = |a: u32, b: u32| !cluster.cut.contains(&(host(a), host(b)));
    let mut left: Vec<u32> = (1..=hosts).collect();
    let mut found = Vec::new();
    while let Some(first) = left.pop() {
        let mut component = vec![first];
        let mut next = 0;
        while let Some(&from) = component.get(next) {
            let (near, far) = left.iter().partition(|to| reach(from, **to) && reach(**to, from));
            component.extend::<Vec<u32>>(near);
            left = far;
            next += 1;
        }
        found.push(component);
    }
    found
}

#[test]
fn every_connected_component_keeps_a_master_and_nobody_changes_sides_for_ever() {
    let mut wrong = Vec::new();
    for hosts in 3..=8 {
        for seed in 0..300 {
            let mut cluster = drawn(hosts, seed);
            cluster.start_all();
            cluster.run_for(ms(10_000));
            let joined: Vec<_> = components(&cluster, hosts).into_iter().filter(|c| c.len() > 1).collect();
            let roles =
                |c: &Cluster| joined.iter().flatten().map(|n| c.election(*n).role()).collect::<Vec<_>>();
            let settled = roles(&cluster);
            let mut same = true;
            for _ in 0..20 {
                cluster.run_for(ms(250));
                same &= roles(&cluster) == settled;
            }
            let masters = cluster.masters();
            let led = |component: &Vec<u32>| component.iter().any(|n| masters.contains(n));
            if !same || !joined.iter().all(led) {
                wrong.push((hosts, seed, same, cluster.picture(), format!("{:?}", cluster.cut)));
            }
        }
    }
    assert_eq!(wrong.len(), 0, "{wrong:#?}");
}
