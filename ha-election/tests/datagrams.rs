//! What an election costs on the wire.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

mod common;

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BTreeMap;

use common::{Cluster, SWIFT, VSPHERE};
use ha_core::{Instant, Random, TimingConfig};

const SIZES: [u32; 6] = [2, 3, 5, 8, 32, 96];

fn exact(timing: TimingConfig) -> TimingConfig {
    TimingConfig { early_end: false, ..timing }
}

fn numbers(n: u32) -> Vec<u32> {
    (1..=n).collect()
}

/// Election messages until all of `numbers` follow one master, and that master.
fn elect(cluster: &mut Cluster, numbers: &[u32], timing: &TimingConfig) -> (usize, u32) {
    let before = cluster.election_messages.len();
    let limit = timing.master_lost + 2 * timing.election_window;
    cluster.run_until(limit, |c| c.agree(numbers).is_some());
    (cluster.election_messages.len() - before, cluster.agree(numbers).unwrap_or_default())
}

#[test]
fn without_faults_one_election_costs_at_most_8_datagrams_per_host() {
    for timing in [SWIFT, VSPHERE, exact(SWIFT), exact(VSPHERE)] {
        for n in SIZES {
            let all = numbers(n);
            let mut cluster = Cluster::started(&all, timing, 1);
            let (cost, master) = elect(&mut cluster, &all, &timing);
            println!(
                "n {n}, window {:?}, early end {}: cold start {cost}",
                timing.election_window, timing.early_end
            );
            assert!(cost <= 8 * all.len(), "cold start of {n}: {cost}");
            // Between two claims, so that the next claim is not counted as part of the election.
            cluster.run_for(timing.heartbeat_period / 2);
            cluster.crash(master);
            let rest: Vec<u32> = all.iter().copied().filter(|host| *host != master).collect();
            let (cost, _) = elect(&mut cluster, &rest, &timing);
            println!(
                "n {n}, window {:?}, early end {}: master died {cost}",
                timing.election_window, timing.early_end
            );
            assert!(cost <= 8 * all.len(), "death of the master of {n}: {cost}");
        }
    }
}

/// Election messages but claims, which are a master's heartbeats too, in the busiest window; if the hosts come up in this
/// order, evenly over a span.
fn busiest(order: &[u32], timing: TimingConfig, span: Duration, seed: u64) -> usize {
    let mut cluster = Cluster::new(order, timing, seed);
    for number in order {
        cluster.start(*number, 2);
        cluster.run_for(span / u32::try_from(order.len()).unwrap());
    }
    elect(&mut cluster, order, &timing);
    cluster.run_for(timing.election_window);
    let messages = cluster.election_messages.iter();
    let sent: Vec<_> = messages.filter(|(_, claims)| !claims).map(|(at, _)| *at).collect();
    let until = |from: &Instant| sent.partition_point(|at| at.since(*from) < timing.election_window);
    sent.iter().enumerate().map(|(first, from)| until(from) - first).max().unwrap_or_default()
}

/// Each host would ask those that are not there yet; so one that hears nobody asks only the best, and the others shortly
/// before its window ends. Parts of two elections may fall into a window then: at most twice what one costs.
#[test]
fn hosts_that_come_one_after_another_send_no_more_in_any_window_than_two_elections_cost() {
    let mut most = BTreeMap::<u32, (usize, String)>::new();
    for (name, timing) in [("swift", SWIFT), ("vsphere", VSPHERE), ("exact", exact(SWIFT))] {
        for n in [2, 3, 5, 8, 16, 32] {
            for seed in 0..4 {
                let mut random = Random::from_seed(seed);
                let mut order = numbers(n);
                order.sort_by_cached_key(|number| match seed {
                    0 => (0, format!("host-{number}")),
                    _ => (random.below(1_000), String::new()),
                });
                if seed == 1 {
                    order.sort_by_key(|number| Reverse(format!("host-{number}")));
                }
                for quarters in [1, 2, 3, 4, 6, 8] {
                    let span = timing.election_window * quarters / 4;
                    let busiest = busiest(&order, timing, span, seed);
                    let what = format!("{name}, seed {seed}, {quarters} quarters of a window");
                    let election = order.len() * (order.len() - 1).max(8);
                    assert!(busiest <= 2 * election, "{n} hosts, {what}: {busiest}");
                    let entry = most.entry(n).or_default();
                    if busiest > entry.0 {
                        *entry = (busiest, what);
                    }
                }
            }
        }
    }
    for (n, (most, what)) in most {
        println!("n {n}: at most {most} in one window, n (n - 1) is {} ({what})", n * (n - 1));
    }
}
