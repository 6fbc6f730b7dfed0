//! The main story on virtual time: a host dies and its virtual machines run again elsewhere, once.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]

mod common;

use core::time::Duration;

use common::{SECOND, protected, swift};
use ha_agent::Event;
use ha_core::{HostId, HostState, Profile, Strength, TimingConfig, VmId};
use ha_sim::{Options, World};

fn vm_of(world: &World, vms: &[VmId], host: HostId) -> VmId {
    vms.iter().find(|vm| world.runs_on(vm.uuid()) == Some(host)).unwrap().clone()
}

#[test]
fn a_dead_slaves_vm_runs_again_within_half_a_second() {
    let (mut world, vms) = protected(&swift(3, 1));
    let slave = (1..=3).map(HostId::new).find(|host| Some(*host) != world.master()).unwrap();
    let vm = vm_of(&world, &vms, slave);
    world.power_off(slave);
    let again = world.run_until(SECOND / 2, |world| world.runs_on(vm.uuid()).is_some());
    assert!(again, "{:#?}", world.records());
    assert_eq!(world.double_runs(), 0);
    let strong = world.records().iter().any(|record| {
        matches!(&record.event, Event::Judged(verdict)
            if verdict.host == slave && verdict.state == HostState::Failed && verdict.strength == Strength::Strong)
    });
    assert!(strong);
}

#[test]
fn a_dead_masters_vm_runs_again_within_a_second_and_a_half() {
    for hosts in 2..=5 {
        let (mut world, vms) = protected(&swift(hosts, 2));
        let master = world.master().unwrap();
        let vm = vm_of(&world, &vms, master);
        world.power_off(master);
        let again = world.run_until(3 * SECOND / 2, |world| world.runs_on(vm.uuid()).is_some());
        assert!(again, "{hosts} hosts: {:#?}", world.records());
        assert_eq!(world.double_runs(), 0);
    }
}

#[test]
fn a_dead_agents_vm_is_left_alone_until_it_ends() {
    let (mut world, vms) = protected(&swift(3, 3));
    let slave = (1..=3).map(HostId::new).find(|host| Some(*host) != world.master()).unwrap();
    let vm = vm_of(&world, &vms, slave);
    world.kill_agent(slave);
    world.run_for(20 * SECOND);
    assert_eq!((world.runs_on(vm.uuid()), world.double_runs()), (Some(slave), 0));
    world.crash_vm(vm.uuid());
    let again = world.run_until(2 * SECOND, |world| world.runs_on(vm.uuid()).is_some());
    assert!(again, "{:#?}", world.records());
    assert_eq!(world.double_runs(), 0);
}

#[test]
fn a_stopped_agent_costs_nothing_but_time() {
    for master_stops in [false, true] {
        let (mut world, vms) = protected(&swift(3, 8));
        let stopped =
            (1..=3).map(HostId::new).find(|host| (Some(*host) == world.master()) == master_stops).unwrap();
        let before: Vec<_> = vms.iter().map(|vm| world.runs_on(vm.uuid())).collect();
        world.stop_agent(stopped);
        world.run_for(10 * SECOND);
        world.continue_agent(stopped);
        world.run_for(10 * SECOND);
        let after: Vec<_> = vms.iter().map(|vm| world.runs_on(vm.uuid())).collect();
        assert_eq!((before, world.double_runs()), (after, 0), "{:#?}", world.records());
        let master = world.master().unwrap();
        assert!(
            world.agent(master).unwrap().may_act(ha_core::DatastoreId::new(1), world.now()),
            "the datastore has no owner: {:#?}",
            world.records()
        );
        // All is as before: the next death is handled as the first one would have been.
        let victim = (1..=3).map(HostId::new).find(|host| *host != master).unwrap();
        let vm = vm_of(&world, &vms, victim);
        world.power_off(victim);
        assert!(
            world.run_until(SECOND / 2, |world| world.runs_on(vm.uuid()).is_some()),
            "{:#?}",
            world.records()
        );
    }
}

#[test]
fn a_vm_that_crashes_on_a_live_host_runs_again() {
    let (mut world, vms) = protected(&swift(3, 4));
    world.crash_vm(vms[0].uuid());
    assert!(
        world.run_until(SECOND, |world| world.runs_on(vms[0].uuid()).is_some()),
        "{:#?}",
        world.records()
    );
    assert_eq!(world.double_runs(), 0);
}

#[test]
fn vsphere_declares_a_dead_slave_after_eighteen_seconds() {
    let options = Options::quiet(3, 5, TimingConfig::profile(Profile::Vsphere));
    let (mut world, vms) = protected(&options);
    let slave = (1..=3).map(HostId::new).find(|host| Some(*host) != world.master()).unwrap();
    let vm = vm_of(&world, &vms, slave);
    let died = world.now();
    world.power_off(slave);
    assert!(
        world.run_until(30 * SECOND, |world| world.runs_on(vm.uuid()).is_some()),
        "{:#?}",
        world.records()
    );
    let failed = |event: &Event| matches!(event, Event::Judged(verdict) if verdict.host == slave && verdict.state == HostState::Failed);
    let declared = world.records().iter().find(|record| failed(&record.event)).unwrap().at.since(died);
    assert!((17 * SECOND..=37 * SECOND / 2).contains(&declared), "declared after {declared:?}");
}

/// When the new master is chosen and when it first orders a restart, after the death of the old one.
fn master_failover(timing: TimingConfig) -> (Duration, Duration) {
    let (mut world, vms) = protected(&Options::quiet(3, 10, timing));
    let master = world.master().unwrap();
    let vm = vm_of(&world, &vms, master);
    let (died, told) = (world.now(), world.records().len());
    world.power_off(master);
    assert!(
        world.run_until(60 * SECOND, |world| world.runs_on(vm.uuid()).is_some()),
        "{:#?}",
        world.records()
    );
    let first = |is: &dyn Fn(&Event) -> bool| {
        world.records()[told..].iter().find(|record| is(&record.event)).unwrap().at.since(died)
    };
    let chosen = first(&|event| matches!(event, Event::RoleChanged { role: "master", .. }));
    (chosen, first(&|event| matches!(event, Event::OrderSent { .. })))
}

#[test]
fn vsphere_replaces_a_dead_master_by_t_plus_11_and_orders_by_t_plus_20() {
    let (chosen, ordered) = master_failover(TimingConfig::profile(Profile::Vsphere));
    assert!(chosen <= 11 * SECOND, "master after {chosen:?}");
    assert!(ordered <= 20 * SECOND, "first order after {ordered:?}");
}

#[test]
fn exact_fdm_timing_replaces_a_dead_master_at_t_plus_25() {
    let (chosen, ordered) = master_failover(TimingConfig::profile(Profile::Vsphere).exact_fdm());
    assert!((24 * SECOND..=26 * SECOND).contains(&chosen), "master after {chosen:?}");
    assert!((25 * SECOND..=36 * SECOND).contains(&ordered), "first order after {ordered:?}");
}

#[test]
fn without_locks_the_check_of_never_twice_fires() {
    let options = Options { locks_bind: false, ..swift(3, 9) };
    let (mut world, _) = protected(&options);
    let slave = (1..=3).map(HostId::new).find(|host| Some(*host) != world.master()).unwrap();
    world.kill_agent(slave);
    world.run_for(5 * SECOND);
    assert!(world.double_runs() > 0, "a dead agent's VMs were started again and nobody noticed");
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = |seed| {
        let options = Options { loss_per_mille: 50, ..swift(3, seed) };
        let (mut world, _) = protected(&options);
        world.power_off(HostId::new(1));
        world.run_for(5 * SECOND);
        world.trace_hash()
    };
    assert_eq!(run(6), run(6));
    assert_ne!(run(6), run(7));
}
