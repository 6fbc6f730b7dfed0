//! One scenario for each way in which a cluster once got stuck, or could have.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]

mod common;

use core::time::Duration;

use common::{SECOND, protected, swift};
use ha_agent::{Command, Event, Role};
use ha_core::{DatastoreId, HostId, VmId};
use ha_sim::{Options, World};

fn hosts(world: &World) -> (HostId, Vec<HostId>) {
    let master = world.master().unwrap();
    (master, (1..=3).map(HostId::new).filter(|host| *host != master).collect())
}

fn vm_of(world: &World, vms: &[VmId], host: HostId) -> VmId {
    vms.iter().find(|vm| world.runs_on(vm.uuid()) == Some(host)).unwrap().clone()
}

fn assert_runs_again(world: &mut World, vms: &[VmId], limit: Duration) {
    let again = world.run_until(limit, |world| vms.iter().all(|vm| world.runs_on(vm.uuid()).is_some()));
    let told: Vec<_> = world.records().iter().map(|r| format!("{} {} {}", r.at, r.host, r.event)).collect();
    assert!(again, "{:#?}", &told[told.len().saturating_sub(20)..]);
    assert_eq!(world.double_runs(), 0);
}

fn protect(world: &mut World, master: HostId, vm: &VmId) {
    let vm = vm.clone();
    let command =
        Command::Protect { vm, version: 1, priority: 3, cpu_reservation_mhz: 0, memory_overhead_mb: 0 };
    world.command(master, command);
}

#[test]
fn a_survivor_of_equal_rounds_owns_the_datastore() {
    let mut world = World::new(&Options { loss_per_mille: 1_000, ..swift(2, 1) }).unwrap();
    world.run_for(10 * SECOND);
    let owned = |event: &Event| matches!(event, Event::DatastoreOwned { .. });
    let owner = world.records().iter().find(|record| owned(&record.event)).unwrap().host;
    let other = HostId::new(3 - owner.number());
    assert!(matches!(world.agent(other).unwrap().role(), Role::Master { .. }));
    let vm = world.create_vm(1);
    world.command(owner, Command::PowerOn { vm: vm.clone() });
    world.run_for(SECOND);
    protect(&mut world, owner, &vm);
    world.run_for(SECOND);
    world.power_off(owner);
    assert_runs_again(&mut world, &[vm], 10 * SECOND);
}

#[test]
fn after_a_power_cut_of_all_whoever_returns_restarts_everything() {
    for master_returns in [false, true] {
        let (mut world, vms) = protected(&swift(3, 1));
        let (master, slaves) = hosts(&world);
        for host in (1..=3).map(HostId::new) {
            world.power_off(host);
        }
        world.run_for(SECOND);
        let returning = if master_returns { vec![master, slaves[0], slaves[1]] } else { slaves };
        for host in returning {
            world.boot(host).unwrap();
        }
        assert_runs_again(&mut world, &vms, 10 * SECOND);
    }
}

#[test]
fn a_death_while_writes_are_stalled_is_not_forgotten() {
    let (mut world, vms) = protected(&swift(3, 1));
    let (master, slaves) = hosts(&world);
    let vm = vm_of(&world, &vms, slaves[0]);
    world.stall_writes(master, 3 * SECOND / 2);
    world.run_for(3 * SECOND / 10);
    world.power_off(slaves[0]);
    assert_runs_again(&mut world, &[vm], 5 * SECOND);
}

#[test]
fn a_target_that_never_answers_is_not_asked_for_ever() {
    for hung in 0..2 {
        let (mut world, vms) = protected(&swift(3, 1));
        let (master, slaves) = hosts(&world);
        let hung = [master, slaves[0]][hung];
        let vm = vm_of(&world, &vms, slaves[1]);
        world.hang_launches(hung);
        world.power_off(slaves[1]);
        assert_runs_again(&mut world, &[vm], 10 * SECOND);
    }
}

#[test]
fn a_target_whose_starts_fail_slowly_is_counted_and_left() {
    for bad in 0..2 {
        let (mut world, vms) = protected(&swift(3, 1));
        let (master, slaves) = hosts(&world);
        let bad = [master, slaves[0]][bad];
        let vm = vm_of(&world, &vms, slaves[1]);
        world.fail_starts(bad, 5 * SECOND);
        world.power_off(slaves[1]);
        // The second try comes two minutes after the first has failed (fdm-facts 11.7).
        assert_runs_again(&mut world, &[vm], 130 * SECOND);
    }
}

#[test]
fn a_slave_stopped_while_it_dials_is_reachable_afterwards() {
    let start = World::new(&swift(3, 1)).unwrap().now();
    let mut world = World::new(&swift(3, 1)).unwrap();
    world.run_for(2 * SECOND);
    let slave = (1..=3).map(HostId::new).find(|host| Some(*host) != world.master()).unwrap();
    let follows = |event: &Event| matches!(event, Event::RoleChanged { role: "slave", .. });
    let followed =
        world.records().iter().find(|record| record.host == slave && follows(&record.event)).unwrap().at;
    for step in 0..100 {
        let mut world = World::new(&swift(3, 1)).unwrap();
        world.run_for(followed.since(start) + Duration::from_micros(10 * step));
        world.stop_agent(slave);
        world.run_for(Duration::from_millis(900));
        world.continue_agent(slave);
        world.run_for(10 * SECOND);
        let vm = world.create_vm(9);
        world.command(slave, Command::PowerOn { vm: vm.clone() });
        world.run_for(SECOND);
        let master = world.master().unwrap();
        protect(&mut world, master, &vm);
        world.run_for(SECOND);
        let protected = |event: &Event| matches!(event, Event::Protected { .. });
        assert!(world.records().iter().any(|record| protected(&record.event)), "stopped at step {step}");
    }
}

#[test]
fn an_isolated_master_lets_the_others_own_and_restart() {
    let (mut world, vms) = protected(&swift(3, 1));
    let (master, slaves) = hosts(&world);
    world.cut_off(master);
    world.run_for(10 * SECOND);
    assert!(!world.agent(master).unwrap().may_act(DatastoreId::new(1), world.now()));
    assert_eq!(world.runs_on(vm_of(&world, &vms, master).uuid()), Some(master), "isolation leaves VMs on");
    let vm = vm_of(&world, &vms, slaves[0]);
    let new_master = slaves
        .iter()
        .find(|host| matches!(world.agent(**host).unwrap().role(), Role::Master { .. }))
        .copied()
        .unwrap();
    let other = if new_master == slaves[0] { slaves[1] } else { slaves[0] };
    let vm = if world.runs_on(vm.uuid()) == Some(other) { vm } else { vm_of(&world, &vms, other) };
    world.power_off(other);
    assert_runs_again(&mut world, &[vm], 5 * SECOND);
    world.reconnect(master);
    world.run_for(5 * SECOND);
    assert!(world.master().is_some(), "two masters after the network healed");
    assert_eq!(world.double_runs(), 0);
}
