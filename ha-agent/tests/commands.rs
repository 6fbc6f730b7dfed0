//! What a manager asks for, and what comes of it.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]
#![allow(clippy::wildcard_enum_match_arm, reason = "only some events carry what is checked")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

mod common;

use common::{Bench, DATASTORE, Habit, SECOND, SWIFT, config, host, protect, vm};
use ha_agent::{Command, Event, Input, RefusedOrder};
use ha_core::{FileKind, FileName, HostId, VmDriverReport, VmId};
use ha_sim::{Options, World};

/// A world with a master and one virtual machine that runs nowhere.
fn world() -> (World, VmId) {
    let mut world = World::new(&Options::quiet(3, 1, SWIFT)).unwrap();
    assert!(world.run_until(10 * SECOND, |world| world.master().is_some()), "{:#?}", world.records());
    world.run_for(SECOND);
    let vm = world.create_vm(1);
    (world, vm)
}

fn slave(world: &World) -> HostId {
    (1..=3).map(HostId::new).find(|host| Some(*host) != world.master()).unwrap()
}

/// Gives a command; answers what the host told within a second.
fn ask(world: &mut World, host: HostId, command: Command) -> Vec<Event> {
    let before = world.records().len();
    world.command(host, command);
    world.run_for(SECOND);
    let records = world.records()[before..].iter().filter(|record| record.host == host);
    records.map(|record| record.event.clone()).collect()
}

fn refusals(events: &[Event]) -> Vec<&'static str> {
    let reason = |event: &Event| match event {
        Event::CommandRefused { reason, .. } => Some(*reason),
        _ => None,
    };
    events.iter().filter_map(reason).collect()
}

const NOT_OWNER: &str = "this host does not own the datastore; ask its master";
const NOT_RUNNING: &str = "it is not known to run with its lock held; power it on first";

#[test]
fn a_slave_protects_nothing() {
    let (mut world, vm) = world();
    let slave = slave(&world);
    ask(&mut world, slave, Command::PowerOn { vm: vm.clone() });
    assert_eq!(refusals(&ask(&mut world, slave, protect(vm.clone()))), [NOT_OWNER]);
    assert_eq!(refusals(&ask(&mut world, slave, Command::Unprotect { vm, version: 2 })), [NOT_OWNER]);
}

#[test]
fn a_master_protects_only_what_runs_with_its_lock() {
    let (mut world, vm) = world();
    let (master, slave) = (world.master().unwrap(), slave(&world));
    assert_eq!(refusals(&ask(&mut world, master, protect(vm.clone()))), [NOT_RUNNING]);
    // Where it runs does not matter.
    ask(&mut world, slave, Command::PowerOn { vm: vm.clone() });
    assert_eq!(ask(&mut world, master, protect(vm.clone())), [Event::Protected { vm: vm.uuid() }]);
}

#[test]
fn a_vm_of_an_unknown_datastore_is_refused() {
    let (mut world, known) = world();
    let master = world.master().unwrap();
    let vm = VmId::new(known.uuid(), ha_core::DatastoreId::new(7), "a/a.vmx").unwrap();
    assert_eq!(refusals(&ask(&mut world, master, protect(vm.clone()))), [NOT_OWNER]);
    let told = ask(&mut world, master, Command::PowerOn { vm: vm.clone() });
    let refused = RefusedOrder::Fault(ha_core::StorageFault::Unsupported);
    assert_eq!(told, [Event::PowerOnRefused { vm, refused }]);
}

#[test]
fn a_running_vm_is_not_started_again() {
    let (mut world, vm) = world();
    let (here, there) = (slave(&world), world.master().unwrap());
    let started = ask(&mut world, here, Command::PowerOn { vm: vm.clone() });
    assert!(matches!(started[..], [Event::LockTaken { .. }, Event::Running { .. }]), "{started:?}");
    let again = ask(&mut world, here, Command::PowerOn { vm: vm.clone() });
    assert_eq!(again, [Event::PowerOnRefused { vm: vm.clone(), refused: RefusedOrder::Busy }]);
    let elsewhere = ask(&mut world, there, Command::PowerOn { vm: vm.clone() });
    assert_eq!(elsewhere, [Event::PowerOnRefused { vm: vm.clone(), refused: RefusedOrder::LockHeld }]);
    assert_eq!((world.runs_on(vm.uuid()), world.double_runs()), (Some(here), 0));
}

#[test]
fn two_commands_at_once_start_one_instance() {
    let (mut world, vm) = world();
    let command = Command::PowerOn { vm: vm.clone() };
    for number in 1..=3 {
        world.command(HostId::new(number), command.clone());
        world.command(HostId::new(number), command.clone());
    }
    world.run_for(SECOND);
    let count = |is: fn(&Event) -> bool| world.records().iter().filter(|record| is(&record.event)).count();
    assert_eq!(count(|event| matches!(event, Event::Running { .. })), 1);
    let refused = |event: &Event| matches!(event, Event::PowerOnRefused { .. });
    assert_eq!((count(refused), world.double_runs()), (5, 0), "{:#?}", world.records());
}

/// A bench with a running virtual machine that is not protected yet.
fn unprotected() -> (Bench, HostId) {
    let mut bench = Bench::new((1..=2).map(|number| config(number, 2)));
    assert!(bench.run_until(10 * SECOND, |bench| bench.master().is_some()));
    bench.run_for(SECOND);
    let master = bench.master().unwrap();
    let vm = bench.create_vm(1);
    bench.command(master, Command::PowerOn { vm });
    bench.run_for(SECOND);
    (bench, master)
}

fn protections(bench: &Bench) -> usize {
    bench.events.iter().filter(|(_, _, event)| matches!(event, Event::Protected { .. })).count()
}

#[test]
fn protected_is_told_when_it_is_durable_and_not_before() {
    let (mut bench, master) = unprotected();
    bench.hold.insert(FileName::new(DATASTORE, FileKind::ProtectedListOf(master)));
    bench.command(master, protect(vm(1)));
    bench.run_for(SECOND);
    assert_eq!(protections(&bench), 0, "the write is still out");
    bench.let_go();
    bench.run_for(SECOND / 10);
    assert_eq!(protections(&bench), 1, "{:#?}", bench.events);
}

#[test]
fn a_protection_that_never_becomes_durable_is_refused() {
    let (mut bench, master) = unprotected();
    bench.hold.insert(FileName::new(DATASTORE, FileKind::ProtectedListOf(master)));
    bench.command(master, protect(vm(1)));
    bench.run_for(10 * SECOND);
    let refused = |event: &Event| match event {
        Event::CommandRefused { reason, .. } => Some(*reason),
        _ => None,
    };
    let refused: Vec<_> = bench.events.iter().filter_map(|(_, _, event)| refused(event)).collect();
    assert_eq!(refused, ["the right over the datastore ended before it was durable; ask its master"]);
    assert_eq!(protections(&bench), 0);
}

#[test]
fn a_vm_without_its_lock_is_not_protected() {
    let (mut bench, master) = unprotected();
    let vm = vm(1);
    let epoch = bench.running[&(master, vm.uuid())].0;
    let outside = ha_core::RunningVm { vm: vm.clone(), epoch, holds_lock: false };
    bench.give(master, Input::Driver(VmDriverReport::Complete(vec![outside]))).unwrap();
    bench.command(master, protect(vm.clone()));
    bench.run_for(SECOND);
    assert_eq!(protections(&bench), 0);
    let outside = Event::RunsOutsideHa { vm: vm.uuid(), host: master };
    assert!(bench.events.iter().any(|(_, _, event)| *event == outside));
}

#[test]
fn an_unprotected_vm_stays_down_with_its_host() {
    let mut bench = Bench::protected(3, Habit::Tidy);
    // The new master hears of the dead host for the first time, long overdue.

    let (master, dead) = (bench.master().unwrap(), bench.slave());
    let number = u8::try_from(dead.number()).unwrap();
    bench.command(master, Command::Unprotect { vm: vm(number), version: 2 });
    bench.run_for(SECOND);
    let done = Event::Unprotected { vm: vm(number).uuid() };
    assert!(bench.events.iter().any(|(_, _, event)| *event == done), "{:#?}", bench.events);
    bench.power_off(dead);
    bench.run_for(10 * SECOND);
    assert_eq!(bench.runs_on(vm(number).uuid()), None);
    assert_eq!(bench.running.len(), 2);
    // Nor does a new master restart it: the removal is in the list.
    bench.power_off(master);
    let other = [1, 2, 3].map(host).into_iter().find(|host| ![master, dead].contains(host)).unwrap();
    assert!(bench.run_until(10 * SECOND, |bench| bench.master() == Some(other)));
    bench.run_for(5 * SECOND);
    assert_eq!(bench.runs_on(vm(number).uuid()), None);
    let masters_vm = vm(u8::try_from(master.number()).unwrap()).uuid();
    assert_eq!(bench.runs_on(masters_vm), Some(other));
}

#[test]
fn an_older_version_of_a_decision_loses() {
    let mut bench = Bench::protected(2, Habit::Tidy);
    let (master, dead) = (bench.master().unwrap(), bench.slave());
    let number = u8::try_from(dead.number()).unwrap();
    bench.command(master, Command::Unprotect { vm: vm(number), version: 0 });
    bench.run_for(SECOND);
    bench.power_off(dead);
    assert!(bench.run_until(2 * SECOND, |bench| bench.runs_on(vm(number).uuid()) == Some(master)));
}

#[test]
fn a_confirmation_of_another_life_changes_nothing() {
    let (mut plain, mut told) = (Bench::protected(3, Habit::Tidy), Bench::protected(3, Habit::Tidy));
    let (master, slave) = (plain.master().unwrap(), plain.slave());
    let exact = common::identity(slave.number());
    for bench in [&mut plain, &mut told] {
        bench.run_for(SECOND);
    }
    let confirm = |boot, incarnation| Command::ConfirmDead { host: slave, boot, incarnation };
    told.command(master, confirm(exact.boot, exact.incarnation.next()));
    told.command(master, confirm(ha_core::BootId::from_bytes([1; 16]), exact.incarnation));
    told.command(slave, confirm(exact.boot, exact.incarnation));
    for bench in [&mut plain, &mut told] {
        bench.run_for(SECOND);
    }
    let refused = |line: &str| line.starts_with("Event(ConfirmRefused");
    let (refusals, rest): (Vec<_>, Vec<_>) =
        told.transcript.into_iter().partition(|(_, _, line)| refused(line));
    assert!(plain.transcript == rest);
    let by: Vec<HostId> = refusals.iter().map(|(_, host, _)| *host).collect();
    assert_eq!(by, [master, master, slave]);
}
