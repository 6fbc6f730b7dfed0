//! One failover on virtual time, told by the agents that took part: a host loses its power, and its virtual
//! machine runs again on another one.
//!
//! `cargo run -p ha-agent --example one_restart`
#![allow(clippy::print_stdout, reason = "the example tells a story")]

use core::error::Error;
use core::time::Duration;

use ha_agent::{Command, Event};
use ha_core::{HostId, Profile, TimingConfig};
use ha_sim::{Options, World};

const SECOND: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let timing = TimingConfig::profile(Profile::Swift);
    let mut world = World::new(&Options::quiet(3, 7, timing))?;
    if !world.run_until(10 * SECOND, |world| world.master().is_some()) {
        return Err("no host became master".into());
    }
    world.run_for(SECOND);
    let master = world.master().ok_or("the master is gone")?;
    let victim = (1..=3).map(HostId::new).find(|host| *host != master).ok_or("there is no slave")?;
    let vm = world.create_vm(1);
    world.command(victim, Command::PowerOn { vm: vm.clone() });
    world.run_for(SECOND);
    let (version, priority, cpu_reservation_mhz, memory_overhead_mb) = (1, 3, 500, 90);
    let protect =
        Command::Protect { vm: vm.clone(), version, priority, cpu_reservation_mhz, memory_overhead_mb };
    world.command(master, protect);
    world.run_for(SECOND);

    println!("{master} is master; {victim} runs {} and loses its power.\n", vm.config());
    println!("{:>9}  {:<7} {:<16} what it says", "ms", "host", "event");
    let died = world.now();
    let before = world.records().len();
    world.power_off(victim);
    let closed = |event: &Event| matches!(event, Event::Restarted { .. });
    let again = world
        .run_until(5 * SECOND, |world| world.records()[before..].iter().any(|record| closed(&record.event)));
    for record in &world.records()[before..] {
        let millis = record.at.since(died).as_secs_f64() * 1_000.0;
        println!(
            "{millis:>9.3}  {:<7} {:<16} {}",
            record.host.to_string(),
            record.event.code(),
            record.event
        );
    }

    let host = world.runs_on(vm.uuid()).filter(|_| again).ok_or("it does not run again")?;
    println!(
        "\n{} runs on {host}; started while it already ran: {} times.",
        vm.config(),
        world.double_runs()
    );
    println!("A freed lock proves that a dead host writes no more, so one round of pings was all the wait.");
    Ok(())
}
