//! A world with protected virtual machines, for every test.

use core::time::Duration;

use ha_agent::{Command, Event};
use ha_core::{HostId, Profile, TimingConfig, VmId};
use ha_sim::{Options, World};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A world with one protected virtual machine per host.
pub(crate) fn protected(options: &Options) -> (World, Vec<VmId>) {
    let mut world = World::new(options).unwrap();
    assert!(
        world.run_until(60 * SECOND, |world| world.master().is_some()),
        "no master: {:#?}",
        world.records()
    );
    world.run_for(2 * SECOND);
    let vms: Vec<VmId> = (1..=options.hosts).map(|n| world.create_vm(u8::try_from(n).unwrap())).collect();
    for (number, vm) in (1..).zip(&vms) {
        world.command(HostId::new(number), Command::PowerOn { vm: vm.clone() });
    }
    let all_run = |world: &World| vms.iter().all(|vm| world.runs_on(vm.uuid()).is_some());
    assert!(world.run_until(10 * SECOND, all_run), "not all run: {:#?}", world.records());
    world.run_for(SECOND);
    let master = world.master().unwrap();
    for vm in &vms {
        let command = Command::Protect {
            vm: vm.clone(),
            version: 1,
            priority: 3,
            cpu_reservation_mhz: 0,
            memory_overhead_mb: 0,
        };
        world.command(master, command);
    }
    let protected = |world: &World| {
        vms.iter().all(|vm| {
            let is = |event: &Event| matches!(event, Event::Protected { vm: it } if *it == vm.uuid());
            world.records().iter().any(|record| is(&record.event))
        })
    };
    assert!(world.run_until(10 * SECOND, protected), "not protected: {:#?}", world.records());
    world.run_for(SECOND);
    (world, vms)
}

pub(crate) fn swift(hosts: u32, seed: u64) -> Options {
    Options::quiet(hosts, seed, TimingConfig::profile(Profile::Swift))
}
