//! A virtual machine's lock file that was made anew or restored while it runs where nobody can see it.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]
#![allow(clippy::wildcard_enum_match_arm, reason = "only some events carry what is checked")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

mod common;

use common::{Bench, Habit, SECOND, identity, vm};
use ha_agent::{Command, Event, RefusedOrder};
use ha_core::{HostId, VmEpoch, VmId};
use ha_datastore::format::VmLockRecord;

const RAN_AT: VmEpoch = VmEpoch::new(1);

/// A master and two slaves, of which one has lost its agent: its virtual machine runs on, and nobody lists it.
fn unseen() -> (Bench, HostId, VmId) {
    let mut bench = Bench::protected(3, Habit::Tidy);
    let (master, lost) = (bench.master().unwrap(), bench.slave());
    bench.agents.remove(&lost);
    (bench, master, vm(u8::try_from(lost.number()).unwrap()))
}

fn initial(vm: &VmId) -> Vec<u8> {
    VmLockRecord::initial(&identity(0), vm).to_vec()
}

fn told(bench: &Bench, wanted: impl Fn(&Event) -> bool) -> usize {
    bench.events.iter().filter(|(_, _, event)| wanted(event)).count()
}

fn power_on_refused(bench: &Bench) -> Vec<RefusedOrder> {
    let refused = |event: &Event| match event {
        Event::PowerOnRefused { refused, .. } => Some(*refused),
        _ => None,
    };
    bench.events.iter().filter_map(|(_, _, event)| refused(event)).collect()
}

#[test]
fn one_made_anew_is_told_and_starts_nothing() {
    let (mut bench, master, vm) = unseen();
    bench.remake_lock_file(&vm, initial(&vm));
    bench.run_for(20 * SECOND);
    assert_eq!(bench.double_runs, 0, "{:#?}", bench.events);
    let found = VmEpoch::ZERO;
    let replaced = Event::LockFileReplaced { vm: vm.clone(), found, least: RAN_AT };
    assert_eq!(told(&bench, |event| *event == replaced), 1, "once: {:#?}", bench.events);

    bench.command(master, Command::PowerOn { vm: vm.clone() });
    bench.run_for(SECOND);
    assert_eq!(power_on_refused(&bench), [RefusedOrder::EpochTooLow { found, least: RAN_AT }]);
    assert_eq!(bench.double_runs, 0);
    assert_eq!(bench.lock_file(&vm), initial(&vm), "nothing was written");
}

#[test]
fn one_restored_is_told_and_starts_nothing() {
    let (mut bench, master, vm) = unseen();
    let backup = bench.lock_file(&vm);
    bench.remake_lock_file(&vm, backup.clone());
    bench.run_for(20 * SECOND);
    assert_eq!(bench.double_runs, 0, "{:#?}", bench.events);
    let refused = |event: &Event| match event {
        Event::OrderRefused { vm: named, refused, .. } => *named == vm && *refused == RefusedOrder::OtherFile,
        _ => false,
    };
    assert!(told(&bench, refused) > 0, "{:#?}", bench.events);

    // Whoever is asked, and whatever it knows: the file itself says so.
    let hosts: Vec<HostId> = bench.agents.keys().copied().collect();
    assert!(hosts.len() == 2 && hosts.contains(&master));
    for host in hosts {
        bench.command(host, Command::PowerOn { vm: vm.clone() });
        bench.run_for(SECOND);
    }
    assert_eq!(power_on_refused(&bench), [RefusedOrder::OtherFile; 2]);
    assert_eq!((bench.double_runs, bench.lock_file(&vm)), (0, backup));
}

/// Eventually again: a person who knows that it runs nowhere makes the lock file anew at the epoch that was told.
#[test]
fn one_renewed_at_the_known_epoch_is_started_again() {
    for (epoch, restarts) in [(0, false), (1, true), (2, true)] {
        let (mut bench, _, vm) = unseen();
        bench.running.retain(|(_, uuid), _| *uuid != vm.uuid());
        let renewed = VmLockRecord::renewed(&identity(0), &vm, VmEpoch::new(epoch));
        bench.remake_lock_file(&vm, renewed.to_vec());
        bench.run_for(20 * SECOND);
        assert_eq!(bench.runs_on(vm.uuid()).is_some(), restarts, "{epoch}: {:#?}", bench.events);
        assert_eq!(bench.double_runs, 0);
    }
}
