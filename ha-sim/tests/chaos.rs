//! Random faults from many seeds: never twice, and eventually again.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]

mod common;

use core::time::Duration;

use common::{SECOND, protected, swift};
use ha_core::{HostId, Random, VmId};
use ha_sim::{Options, World};

/// What a run does to its hosts. At least one host keeps its power and its agent.
fn torment(world: &mut World, random: &mut Random, hosts: u32, vms: &[VmId]) {
    let any = |random: &mut Random| HostId::new(1 + u32::try_from(random.below(u64::from(hosts))).unwrap());
    let survivor = any(random);
    let (mut stopped, mut cut) = (Vec::new(), Vec::new());
    for _ in 0..random.below(8) {
        let victim = any(random);
        match random.below(8) {
            0 if victim != survivor => world.power_off(victim),
            1 if victim != survivor => world.kill_agent(victim),
            2 | 3 => {
                world.stop_agent(victim);
                stopped.push(victim);
            }
            4 => {
                world.cut_off(victim);
                cut.push(victim);
            }
            5 => world.stall_writes(victim, random.span_below(4 * SECOND)),
            6 => world.crash_vm(vms[usize::try_from(random.below(vms.len() as u64)).unwrap()].uuid()),
            7 if world.agent(victim).is_none() && world.runs_nothing(victim) => world.boot(victim).unwrap(),
            _ => {}
        }
        // From within one heartbeat to several seconds, so that faults meet every stage of a failover.
        let scale = [5, 50, 300, 2_000][usize::try_from(random.below(4)).unwrap()];
        world.run_for(random.span_below(Duration::from_millis(scale)));
        if random.below(2) == 0 {
            stopped.pop().into_iter().for_each(|host| world.continue_agent(host));
            cut.pop().into_iter().for_each(|host| world.reconnect(host));
        }
    }
    stopped.into_iter().for_each(|host| world.continue_agent(host));
    cut.into_iter().for_each(|host| world.reconnect(host));
}

fn run(seed: u64) {
    let mut random = Random::from_seed(seed);
    let hosts = 2 + u32::try_from(random.below(4)).unwrap();
    let loss_per_mille = u16::try_from([0, 0, 20, 100][usize::try_from(random.below(4)).unwrap()]).unwrap();
    let options = Options { loss_per_mille, ..swift(hosts, seed) };
    let (mut world, vms): (World, Vec<VmId>) = protected(&options);
    torment(&mut world, &mut random, hosts, &vms);
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

/// `cargo test --release -p ha-sim --test chaos -- --ignored`: about ten minutes.
#[test]
#[ignore = "long; the command stands above"]
fn twenty_thousand_seeds() {
    for seed in 1_000..21_000 {
        run(seed);
    }
}
