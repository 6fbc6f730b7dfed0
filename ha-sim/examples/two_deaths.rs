//! A cluster of four hosts loses a slave and then its master, on virtual time, in a moment of yours.
#![allow(clippy::print_stdout, reason = "telling the story is the example's purpose")]

use core::time::Duration;

use ha_agent::{Command, ConfigError};
use ha_core::{HostId, Profile, TimingConfig, VmId};
use ha_sim::{Options, World};

fn main() -> Result<(), ConfigError> {
    let mut world = World::new(&Options::quiet(4, 1, TimingConfig::profile(Profile::Swift)))?;
    world.run_until(Duration::from_secs(10), |world| world.master().is_some());
    world.run_for(Duration::from_secs(1));
    let vms: Vec<VmId> = (1..=4).map(|number| world.create_vm(number)).collect();
    for (number, vm) in (1..).zip(&vms) {
        world.command(HostId::new(number), Command::PowerOn { vm: vm.clone() });
    }
    world.run_for(Duration::from_secs(1));
    for vm in vms {
        let protect =
            Command::Protect { vm, version: 1, priority: 3, cpu_reservation_mhz: 0, memory_overhead_mb: 0 };
        if let Some(master) = world.master() {
            world.command(master, protect);
        }
    }
    world.run_for(Duration::from_secs(1));

    let slave = (1..).map(HostId::new).find(|host| Some(*host) != world.master());
    for victim in [slave, world.master()].into_iter().flatten() {
        let (began, told) = (world.now(), world.records().len());
        println!("\n{victim} loses power");
        world.power_off(victim);
        world.run_for(Duration::from_secs(1));
        for record in &world.records()[told..] {
            let after = record.at.since(began).as_micros();
            println!("{:>5}.{:03} ms  {}: {}", after / 1_000, after % 1_000, record.host, record.event);
        }
    }
    println!("\n{} virtual machines ran twice at once.", world.double_runs());
    Ok(())
}
