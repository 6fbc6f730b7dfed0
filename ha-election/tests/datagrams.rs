//! What an election costs on the wire.

mod common;

use common::{Cluster, SWIFT, VSPHERE, ms};
use ha_core::{Instant, TimingConfig};

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

/// Hosts come one after another within one window. Each asks at most everybody, and is answered by those that are there
/// already; some ask once more before the window ends.
#[test]
fn hosts_that_come_one_after_another_exchange_at_most_four_messages_a_pair() {
    for n in [8, 32] {
        for best_first in [false, true] {
            let mut order = numbers(n);
            order.sort_by_key(|number| format!("host-{number}"));
            if best_first {
                order.reverse();
            }
            let mut cluster = Cluster::new(&order, VSPHERE, 1);
            for number in &order {
                cluster.start(*number, 2);
                cluster.run_for(ms(14_000) / n);
            }
            elect(&mut cluster, &order, &VSPHERE);
            let sent: Vec<_> =
                cluster.election_messages.iter().filter(|(_, claims)| !claims).map(|(at, _)| *at).collect();
            let within = |from: &Instant| {
                sent.iter().filter(|at| *at >= from && at.since(*from) < VSPHERE.election_window).count()
            };
            let most = sent.iter().map(within).max().unwrap_or_default();
            let pairs = order.len() * (order.len() - 1) / 2;
            println!("n {n}, best first {best_first}: {most} in one window, {pairs} pairs");
            assert!(most <= 4 * pairs, "{n}: {most}");
        }
    }
}
