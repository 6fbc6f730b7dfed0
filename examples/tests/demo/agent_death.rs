//! An agent's death or pause is no death of its host's virtual machines.

use core::time::Duration;

use ha_core::HostId;
use ha_examples::config::VmProgram;
use ha_examples::demo::Demo;
use ha_examples::measure::ran_twice;
use rustix::process::Signal;

use crate::support::{assert_no_second_copy, protected, setup, turn};

/// A VM that dies after its host's agent did runs again within this.
const RESTART_LIMIT: Duration = Duration::from_secs(2);

fn agent_dies(choose: impl Fn(&Demo) -> Option<HostId>) {
    let _turn = turn();
    let mut demo = protected(setup(3, 6));
    let host = choose(&demo).unwrap();
    let (first, epoch) = demo.vms_of(host).swap_remove(0);

    demo.signal_agent(host, Signal::KILL).unwrap();
    demo.go_on_for(Duration::from_secs(5)).unwrap();
    assert_no_second_copy(&demo);

    let died = demo.kill_vm(&first).unwrap();
    demo.wait_until_restarted(&[(first.clone(), epoch)], RESTART_LIMIT * 2).unwrap();
    let instances = demo.instances_of(&first).unwrap();
    assert_eq!(instances.len(), 2);
    let after = Duration::from_nanos(instances[1].first_ns - died.as_nanos());
    assert!(after <= RESTART_LIMIT, "{} ran again only after {after:?}", first.name);

    demo.go_on_for(Duration::from_millis(500)).unwrap();
    let finished = demo.finish().unwrap();
    assert_eq!((finished.measured.double_runs, finished.measured.lost), (0, 0));
    let elsewhere = finished.instances.iter().filter(|(vm, _)| **vm != first.id.uuid().to_string());
    assert!(elsewhere.clone().all(|(_, instances)| instances.len() == 1), "{elsewhere:?}");
}

#[test]
fn a_killed_slave_agent_leaves_its_vms_alone_until_they_die() {
    agent_dies(Demo::slave_with_vms);
}

#[test]
fn a_killed_master_agent_leaves_its_vms_alone_until_they_die() {
    agent_dies(Demo::master);
}

fn agent_pauses(choose: impl Fn(&Demo) -> Option<HostId>) {
    let _turn = turn();
    let mut demo = protected(setup(3, 6));
    let host = choose(&demo).unwrap();
    demo.signal_agent(host, Signal::STOP).unwrap();
    demo.go_on_for(Duration::from_secs(10)).unwrap();
    assert_no_second_copy(&demo);
    demo.signal_agent(host, Signal::CONT).unwrap();
    demo.wait_for(Duration::from_secs(10), "one master for all", |demo| Ok(demo.master().is_some())).unwrap();
    demo.go_on_for(Duration::from_secs(3)).unwrap();
    assert_no_second_copy(&demo);
    let measured = demo.finish().unwrap().measured;
    assert_eq!((measured.double_runs, measured.lost), (0, 0));
}

#[test]
fn a_slave_agent_that_pauses_for_ten_seconds_starts_nothing() {
    agent_pauses(Demo::slave_with_vms);
}

#[test]
fn a_master_agent_that_pauses_for_ten_seconds_starts_nothing() {
    agent_pauses(Demo::master);
}

/// The measure works: it sees what would happen without locks.
#[test]
fn vms_that_skip_their_lock_are_seen_to_run_twice() {
    let _turn = turn();
    let mut demo = protected(ha_examples::demo::Setup { vm_program: VmProgram::Unlocked, ..setup(3, 3) });
    let host = demo.slave_with_vms().unwrap();
    let (vm, _) = demo.vms_of(host).swap_remove(0);
    demo.signal_agent(host, Signal::KILL).unwrap();
    let limit = Duration::from_secs(10);
    demo.wait_for(limit, "a second copy", |demo| Ok(ran_twice(&demo.instances_of(&vm)?))).unwrap();
    assert!(demo.finish().unwrap().measured.double_runs > 0);
}
