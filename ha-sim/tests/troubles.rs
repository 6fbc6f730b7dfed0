//! Whole agents under the faults of generated scenarios: never twice, and eventually again.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]

mod common;

use core::time::Duration;

use common::{SECOND, protected, swift};
use ha_agent::{Event, Role};
use ha_core::HostId;
use ha_sim::scenario::{Fault, Pace, Trouble};
use ha_sim::{Options, Scenario, World};

fn told(world: &World) -> Vec<String> {
    world.records().iter().map(|r| format!("{} {} {}", r.at, r.host, r.event)).collect()
}

fn fault(at: Duration, lasts: Duration, what: Trouble) -> Fault {
    Fault { at, lasts, what }
}

#[test]
fn generated_faults_leave_every_vm_running_once() {
    let mut planned = 0;
    for seed in 0..60 {
        let hosts = 2 + u32::try_from(seed % 4).unwrap();
        let scenario = Scenario::generate(seed, hosts, Pace::Swift);
        let options = Options {
            loss_per_mille: scenario.noise.loss_per_mille / 3,
            duplicate_per_mille: scenario.noise.duplicate_per_mille,
            tail_per_mille: scenario.noise.tail_per_mille / 4,
            tail: SECOND,
            ..swift(hosts, seed)
        };
        let (mut world, vms) = protected(&options);
        planned += scenario.faults.iter().filter(|fault| world.plan(fault)).count();
        world.run_for(scenario.calm_at);
        let again =
            world.run_until(60 * SECOND, |world| vms.iter().all(|vm| world.runs_on(vm.uuid()).is_some()));
        assert_eq!(world.double_runs(), 0, "{scenario}{:#?}", told(&world));
        assert!(again, "{scenario}{:#?}", told(&world));
    }
    assert!(planned > 100, "{planned}");
}

#[test]
fn a_slave_that_is_cut_in_one_direction_is_replaced_by_nobody_and_comes_back() {
    for way in 0..2 {
        let (mut world, vms) = protected(&swift(3, 4));
        let master = world.master().unwrap();
        let slave = (1..=3).map(HostId::new).find(|host| *host != master).unwrap();
        let link = if way == 0 { (slave, master) } else { (master, slave) };
        assert!(world.plan(&fault(Duration::ZERO, 3 * SECOND, Trouble::Cut(vec![link]))));
        world.run_for(2 * SECOND);
        assert!(matches!(world.agent(slave).unwrap().role(), Role::Candidate));
        assert_eq!(world.master(), Some(master), "{:#?}", told(&world));
        world.run_for(3 * SECOND);
        assert!(matches!(world.agent(slave).unwrap().role(), Role::Slave { .. }));
        let run = vms.iter().all(|vm| world.runs_on(vm.uuid()).is_some());
        assert!(run && world.double_runs() == 0);
    }
}

#[test]
fn a_suspended_host_is_told_and_starts_over() {
    let (mut world, _) = protected(&swift(3, 5));
    let master = world.master().unwrap();
    assert!(world.plan(&fault(Duration::ZERO, 100 * Duration::from_millis(1), Trouble::Suspended(master))));
    let before = world.records().len();
    world.run_for(Duration::from_millis(101));
    // Shorter than any timeout, and still: all rights of before are void, and an election begins.
    let candidate = |event: &Event| matches!(event, Event::RoleChanged { role: "candidate", .. });
    let after = &world.records()[before..];
    assert!(
        after.iter().any(|record| record.host == master && candidate(&record.event)),
        "{:#?}",
        told(&world)
    );
}

#[test]
fn a_stopped_agent_that_is_suspended_meanwhile_goes_on_with_the_later_end() {
    for (stop, suspend) in [(1, 2), (2, 1)] {
        let (mut world, _) = protected(&swift(3, 6));
        let slave = (1..=3).map(HostId::new).find(|host| Some(*host) != world.master()).unwrap();
        assert!(world.plan(&fault(Duration::ZERO, stop * SECOND, Trouble::Stopped(slave))));
        assert!(world.plan(&fault(Duration::ZERO, suspend * SECOND, Trouble::Suspended(slave))));
        // Past the earlier end, when what it had sent before has arrived.
        world.run_for(3 * SECOND / 2);
        let before = world.records().len();
        world.run_for(SECOND / 4);
        let quiet = world.records()[before..].iter().all(|record| record.host != slave);
        assert!(quiet, "it is still held");
        world.run_for(SECOND);
        let spoke = world.records()[before..].iter().any(|record| record.host == slave);
        assert!(spoke, "{:#?}", told(&world));
    }
}

#[test]
fn what_agents_cannot_have_is_said() {
    let (mut world, _) = protected(&swift(2, 7));
    let host = HostId::new(1);
    assert!(!world.plan(&fault(Duration::ZERO, SECOND, Trouble::Unfit(host))));
    assert!(!world.plan(&fault(Duration::ZERO, SECOND, Trouble::OwnsLists(host, 1))));
    assert!(world.plan(&fault(Duration::ZERO, SECOND, Trouble::AddressLost(host))));
}
