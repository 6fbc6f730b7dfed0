//! Locks and looks of the driver, between two drivers as between two processes.
#![cfg(feature = "fs")]

mod fs_common;

use core::time::Duration;
use std::fs::{self, OpenOptions};

use fs_common::*;
use ha_core::operation::{LockOutcome, LookOutcome};
use ha_core::{Capability, FileKind, StorageFault};
use ha_datastore::fs::{Mount, boot_clock};

const LIST: FileKind = FileKind::ProtectedList;

fn two_drivers(temp: &TempDir) -> (Driver, Driver) {
    (Driver::start(vec![temp.mount()]), Driver::start(vec![temp.mount()]))
}

#[test]
fn one_holder_at_a_time() {
    let temp = TempDir::datastore();
    let (mut first, mut second) = two_drivers(&temp);

    assert_eq!(first.lock(&LIST), LockOutcome::Granted);
    let (outcome, took) = timed(|| second.lock(&LIST));
    assert_eq!(outcome, LockOutcome::Held);
    assert!(took >= Duration::from_millis(15), "three tries, not one: {took:?}");
    assert_eq!(first.lock(&LIST), LockOutcome::Granted, "again, by the one that has it");

    first.unlock(&LIST);
    assert_eq!(second.lock(&LIST), LockOutcome::Granted);
    assert_eq!(first.lock(&LIST), LockOutcome::Held);
}

#[test]
fn a_driver_that_goes_away_frees_its_locks() {
    let temp = TempDir::datastore();
    let (mut first, mut second) = two_drivers(&temp);
    assert_eq!(first.lock(&LIST), LockOutcome::Granted);
    assert_eq!(second.lock(&LIST), LockOutcome::Held);

    drop(first);
    // Its worker ends by itself, soon.
    assert!((0..100).any(|_| second.lock(&LIST) == LockOutcome::Granted));
}

#[test]
fn a_lock_that_comes_free_between_the_tries_is_taken() {
    let temp = TempDir::datastore();
    let (mut first, mut second) = two_drivers(&temp);
    // Several rounds, since a busy machine may run this thread too late for all three tries.
    let taken = (0..20).any(|_| {
        assert_eq!(first.lock(&LIST), LockOutcome::Granted);
        second.submit_lock(&LIST, LATER);
        let refused_once = second.nothing_comes(Duration::from_millis(4));
        first.unlock(&LIST);
        refused_once && second.locked() == LockOutcome::Granted
    });
    assert!(taken);
}

#[test]
fn refused_tries_do_not_delay_other_locks() {
    let temp = TempDir::datastore();
    let (mut first, mut second) = two_drivers(&temp);
    assert_eq!(first.lock(&LIST), LockOutcome::Granted);

    for _ in 0..50 {
        second.submit_look(&LIST);
    }
    let (_, took) = timed(|| {
        second.submit_lock(&heartbeat(2), LATER);
        for _ in 0..51 {
            second.next();
        }
    });
    // One after the other the looks would take 50 times 18 ms.
    assert!(took < Duration::from_millis(450), "{took:?}");
}

#[test]
fn a_try_ends_when_its_time_has_passed() {
    let temp = TempDir::datastore();
    let (mut first, mut second) = two_drivers(&temp);
    assert_eq!(first.lock(&LIST), LockOutcome::Granted);

    second.submit_lock(&LIST, boot_clock().after(Duration::from_millis(5)));
    assert_eq!(second.locked(), LockOutcome::Expired);
    first.submit_lock(&LIST, boot_clock().before(Duration::from_millis(1)));
    assert_eq!(first.locked(), LockOutcome::Expired, "for the one that has it, too");
}

#[test]
fn an_unlock_ends_a_try_that_is_still_refused() {
    let temp = TempDir::datastore();
    let (mut first, mut second) = two_drivers(&temp);
    assert_eq!(first.lock(&LIST), LockOutcome::Granted);

    second.submit_lock(&LIST, LATER);
    second.unlock(&LIST);
    assert_eq!(second.locked(), LockOutcome::Held);
    first.unlock(&LIST);
    assert!(matches!(first.look(&LIST), LookOutcome::Free { .. }), "nobody took it");
}

#[test]
fn a_look_sees_the_lock_and_leaves_none() {
    let temp = TempDir::datastore();
    let (mut holder, mut looker) = two_drivers(&temp);

    let before = boot_clock();
    let LookOutcome::Free { started } = looker.look(&heartbeat(1)) else { panic!("nobody holds it") };
    assert!(started >= before && started <= boot_clock());
    assert_eq!(holder.lock(&heartbeat(1)), LockOutcome::Granted, "the look left nothing behind");
    assert_eq!(looker.look(&heartbeat(1)), LookOutcome::Held);
    assert_eq!(holder.look(&heartbeat(1)), LookOutcome::Held, "one's own lock, too");
    holder.unlock(&heartbeat(1));
    assert!(matches!(holder.look(&heartbeat(1)), LookOutcome::Free { .. }));
}

#[test]
fn no_look_where_looking_is_not_safe() {
    let temp = TempDir::datastore();
    let capability = Capability { looking_is_safe: false, ..Capability::SAME_KERNEL };
    let mut driver = Driver::start(vec![Mount { capability, ..temp.mount() }]);

    assert_eq!(driver.look(&heartbeat(1)), LookOutcome::Fault(StorageFault::Unsupported));
    assert_eq!(driver.lock(&heartbeat(1)), LockOutcome::Granted, "locking is another matter");
}

#[test]
fn a_lock_on_a_file_that_was_replaced_is_let_go() {
    let temp = TempDir::datastore();
    let (mut first, mut second) = two_drivers(&temp);
    assert_eq!(first.lock(&LIST), LockOutcome::Granted);
    temp.replace(&LIST);

    assert_eq!(first.lock(&LIST), LockOutcome::Fault(StorageFault::Stale));
    assert_eq!(second.lock(&LIST), LockOutcome::Granted, "the new file");
    assert_eq!(first.lock(&LIST), LockOutcome::Held);
}

#[test]
fn a_locked_file_is_written_through_the_locked_descriptor() {
    let temp = TempDir::datastore();
    let mut driver = Driver::start(vec![temp.mount()]);
    assert_eq!(driver.lock(&LIST), LockOutcome::Granted);
    assert_eq!(driver.write(&LIST, 0, &[1; 4096]), Ok(()));
    assert_eq!(driver.write(&LIST, BLOCK, &[1; 8192]), Err(StorageFault::Short), "not extended here either");

    temp.replace(&LIST);
    assert_eq!(driver.write(&LIST, 0, &[2; 4096]), Err(StorageFault::Stale));
    assert_eq!(fs::read(temp.path_of(&LIST)).unwrap()[0], 1, "nor any other descriptor instead");

    // The error made the lock doubtful, so this is a fresh acquisition, of the new file.
    assert_eq!(driver.lock(&LIST), LockOutcome::Granted);
    assert_eq!(driver.write(&LIST, 0, &[2; 4096]), Ok(()));
    assert_eq!(fs::read(temp.path_of(&LIST)).unwrap()[0], 2);
}

#[test]
fn a_lock_outlives_the_writes_that_were_submitted_under_it() {
    let temp = TempDir::datastore();
    let (mut first, mut second) = two_drivers(&temp);
    let way_out = temp.make_fifo(&heartbeat(9));
    assert_eq!(first.lock(&heartbeat(1)), LockOutcome::Granted);

    // The second write waits behind the first, which waits for the pipe's other end.
    first.submit_write(&heartbeat(9), 0, &[1], LATER);
    first.submit_write(&heartbeat(1), 0, &[1; 4096], LATER);
    first.unlock(&heartbeat(1));
    assert_eq!(second.lock(&heartbeat(1)), LockOutcome::Held, "or the late write would be unguarded");

    let reader = OpenOptions::new().read(true).open(way_out).unwrap();
    assert_eq!(first.written(), Err(StorageFault::Unsupported));
    assert_eq!(first.written(), Ok(()));
    assert_eq!(second.lock(&heartbeat(1)), LockOutcome::Granted);
    drop(reader);
}
