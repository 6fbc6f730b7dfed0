//! A small share of `cargo run --release -p ha-sim --example elections -- --seeds 10000 --hosts 3..32`.

use core::time::Duration;

use ha_core::HostId;
use ha_sim::Scenario;
use ha_sim::elections::{Elections, Elector};
use ha_sim::scenario::{Fault, Pace, Trouble};

fn run(seed: u64, hosts: u32) -> Option<String> {
    let pace = Pace::ALL[usize::try_from(seed % 3).unwrap()];
    let scenario = Scenario::generate(seed, hosts, pace);
    let outcome = Elections::<Elector>::run(&scenario).unwrap();
    outcome.violation.map(|violation| format!("{scenario}{violation}"))
}

#[test]
fn every_component_and_every_core_settles_in_time_and_stays_so() {
    for seed in 0..200 {
        let hosts = 3 + u32::try_from(seed % 14).unwrap();
        assert_eq!(run(seed, hosts), None);
    }
}

#[test]
fn larger_clusters_settle_as_well() {
    for (seed, hosts) in [(1, 48), (2, 64), (3, 96)] {
        assert_eq!(run(seed, hosts), None);
    }
}

/// The seeds would be worth little if they did not make what they are to survive.
#[test]
fn the_generator_makes_every_trouble_and_every_ending() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..400 {
        let scenario = Scenario::generate(seed, 8, Pace::Swift);
        for fault in &scenario.faults {
            assert!(fault.at + fault.lasts <= scenario.calm_at, "every fault is over in time");
            seen.insert(match &fault.what {
                Trouble::Cut(links) => {
                    let back = links.iter().filter(|(from, to)| links.contains(&(*to, *from))).count();
                    if back == links.len() { "cut both ways" } else { "cut one way" }
                }
                Trouble::Down(_) => "down",
                Trouble::Stopped(_) => "stopped",
                Trouble::Suspended(_) => "suspended",
                Trouble::AddressLost(_) => "address lost",
                Trouble::Unfit(_) => "unfit",
                Trouble::OwnsLists(..) => "owns lists",
            });
        }
        let noise = &scenario.noise;
        for (what, often) in [
            ("lost", noise.loss_per_mille),
            ("doubled", noise.duplicate_per_mille),
            ("late", noise.tail_per_mille),
        ] {
            seen.extend((often > 0).then_some(what));
        }
        let ending = &scenario.ending;
        let outside = 8 - ending.groups.iter().map(Vec::len).sum::<usize>() - ending.dead.len();
        seen.insert(match (ending.groups.len(), outside, ending.dead.len()) {
            (1, 0, 0) => "healed",
            (1, 0, _) => "healed but for the dead",
            (2, 0, _) => "split for ever",
            (1, _, _) => "core",
            _ => "nobody",
        });
    }
    assert_eq!(seen.len(), 15, "{seen:?}");
}

/// Host-4 is alone and reigns in 1@host-4, the others follow 1@host-3. It crashes, and its next life meets them.
#[test]
fn a_restarted_host_never_goes_back_within_a_round() {
    let alone = (1..=3).flat_map(|n| [(n, 4), (4, n)]);
    let links: Vec<_> = alone.map(|(from, to)| (HostId::new(from), HostId::new(to))).collect();
    for late in 0..100 {
        let millis = Duration::from_millis;
        let cut = Fault { at: Duration::ZERO, lasts: millis(600), what: Trouble::Cut(links.clone()) };
        let down = Fault { at: millis(550), lasts: millis(late), what: Trouble::Down(HostId::new(4)) };
        let quiet = Scenario::quiet(4, 1, Pace::Swift);
        let scenario = Scenario { faults: vec![cut, down], calm_at: millis(700), ..quiet };
        let outcome = Elections::<Elector>::run(&scenario).unwrap();
        assert_eq!(outcome.violation, None, "{scenario}");
    }
}

/// A master that crashes before its round is durable, and that nobody has heard, would reign in the same term again.
#[test]
fn a_term_does_not_repeat_when_a_crash_beats_the_store() {
    let millis = Duration::from_millis;
    let down = Fault { at: millis(5), lasts: millis(10), what: Trouble::Down(HostId::new(1)) };
    let quiet = Scenario::quiet(1, 1, Pace::Swift);
    let scenario = Scenario { faults: vec![down], calm_at: millis(20), store_takes: millis(10), ..quiet };
    assert_eq!(Elections::<Elector>::run(&scenario).unwrap().violation, None, "{scenario}");
}
