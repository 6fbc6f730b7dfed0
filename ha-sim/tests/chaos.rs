//! Random faults from many seeds: never twice, and eventually again.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]

mod common;

use core::time::Duration;

use common::{SECOND, protected, swift};
use ha_core::{HostId, Random, VmId};
use ha_sim::{Options, World};

/// What a run does to its hosts. At least one host keeps its power and its agent.
fn torment(world: &mut World, random: &mut Random, hosts: u32) {
    let survivor = HostId::new(1 + u32::try_from(random.below(u64::from(hosts))).unwrap());
    let mut stopped = Vec::new();
    for _ in 0..random.below(6) {
        let victim = HostId::new(1 + u32::try_from(random.below(u64::from(hosts))).unwrap());
        match random.below(4) {
            0 if victim != survivor => world.power_off(victim),
            1 if victim != survivor => world.kill_agent(victim),
            2 | 3 => {
                world.stop_agent(victim);
                stopped.push(victim);
            }
            _ => {}
        }
        // From within one heartbeat to several seconds, so that faults meet every stage of a failover.
        let scale = [5, 50, 300, 2_000][usize::try_from(random.below(4)).unwrap()];
        world.run_for(random.span_below(Duration::from_millis(scale)));
        if random.below(2) == 0
            && let Some(host) = stopped.pop()
        {
            world.continue_agent(host);
        }
    }
    for host in stopped {
        world.continue_agent(host);
    }
}

fn run(seed: u64) {
    let mut random = Random::from_seed(seed);
    let hosts = 2 + u32::try_from(random.below(4)).unwrap();
    let loss_per_mille = u16::try_from([0, 0, 20, 100][usize::try_from(random.below(4)).unwrap()]).unwrap();
    let options = Options { loss_per_mille, ..swift(hosts, seed) };
    let (mut world, vms): (World, Vec<VmId>) = protected(&options);
    torment(&mut world, &mut random, hosts);
    let all_run = |world: &World| vms.iter().all(|vm| world.runs_on(vm.uuid()).is_some());
    let again = world.run_until(30 * SECOND, all_run);
    let told: Vec<_> = world.records().iter().map(|r| format!("{} {} {}", r.at, r.host, r.event)).collect();
    assert_eq!(world.double_runs(), 0, "seed {seed}: {told:#?}");
    assert!(again, "seed {seed}, {hosts} hosts: not all run again: {told:#?}");
    world.run_for(5 * SECOND);
    assert!(all_run(&world) && world.double_runs() == 0, "seed {seed}: it did not last");
}

#[test]
fn three_hundred_seeds() {
    for seed in 0..300 {
        run(seed);
    }
}
