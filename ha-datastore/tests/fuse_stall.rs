//! A datastore that does not answer: whom it holds up, whom not, and what lands when it answers again.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod fs_common;
mod fuse_common;

use core::time::Duration;
use std::thread;

use fs_common::{BLOCK, DATASTORE, Driver, LATER, heartbeat, poweron, timed, vm};
use fuse_common::{Lab, Node, await_that, pause};
use ha_core::operation::{LockOutcome, LookOutcome};
use ha_core::{DatastoreId, FileKind, StorageFault};
use ha_datastore::fs::{LockTry, VmLockFile, boot_clock, layout};

const LIST: FileKind = FileKind::ProtectedList;
const OTHER: DatastoreId = DatastoreId::new(2);

/// Far less than any stall here lasts, far more than a healthy datastore takes.
const PROMPT: Duration = Duration::from_secs(2);

fn datastore<const N: usize>(lab: &Lab) -> [Node; N] {
    lab.datastore(&[(LIST, 2 * BLOCK), (heartbeat(1), 2 * BLOCK), (poweron(1), 2 * BLOCK)])
}

fn driver(node: &Node) -> Driver {
    Driver::start(vec![node.mount(DATASTORE)])
}

#[test]
fn a_stalled_datastore_delays_neither_another_one_nor_a_vm_lock_there() {
    let Some(lab) = Lab::open() else { return };
    let [stalled] = datastore(&lab);
    let [healthy] = datastore(&lab);
    let vm = vm("web-1/web-1.vmx");
    layout::create_vm_home(healthy.root(), &vm, &[0; 8192]).unwrap();
    let vm_lock = healthy.mount(OTHER).path_of(&FileKind::VmLock(vm));
    let mut driver = Driver::start(vec![stalled.mount(DATASTORE), healthy.mount(OTHER)]);

    stalled.tell("stall");
    let (_, took) = timed(|| {
        driver.submit_write(&heartbeat(1), 0, &[1; 4096], LATER);
        driver.submit_write(&poweron(1), 0, &[1; 4096], LATER);
        driver.submit_read(&heartbeat(1), 0, 1);
        driver.submit_lock(&LIST, LATER);
    });
    assert!(took < Duration::from_millis(100), "to submit is not to wait: {took:?}");
    stalled.await_stalled(4);

    let on_healthy = driver.on(OTHER);
    let (_, took) = timed(|| {
        assert_eq!(on_healthy.write(&heartbeat(1), 0, &[2; 4096]), Ok(()));
        assert_eq!(on_healthy.read(&heartbeat(1), 0, 1).unwrap().bytes[..], [2]);
        assert_eq!(on_healthy.lock(&LIST), LockOutcome::Granted);
        assert!(matches!(on_healthy.look(&heartbeat(1)), LookOutcome::Free { .. }));
        let LockTry::Locked(holder) = VmLockFile::open_and_lock(&vm_lock, LATER).unwrap() else {
            panic!("nobody has it")
        };
        assert_eq!(holder.write_record(0, &[3; 4096], LATER), Ok(()));
    });
    assert!(took < PROMPT, "{took:?}");
    assert_eq!(stalled.stalled(), 4, "all the while");
    assert!(driver.nothing_comes(Duration::ZERO));

    stalled.tell("clear");
    for _ in 0..4 {
        driver.next();
    }
    assert_eq!(stalled.on_disk(&heartbeat(1))[0], 1);
    assert_eq!(stalled.on_disk(&poweron(1))[0], 1);
    assert_eq!(stalled.writes(), 2, "each once");
}

#[test]
fn a_stalled_lease_write_holds_up_neither_lists_nor_polls_nor_locks() {
    let Some(lab) = Lab::open() else { return };
    let [node] = datastore(&lab);
    let mut driver = driver(&node);
    node.tell("stall_write in host-1-hb");
    driver.submit_write(&heartbeat(1), 0, &[1; 4096], LATER);
    node.await_stalled(1);
    let (_, took) = timed(|| {
        assert_eq!(driver.write(&poweron(1), 0, &[1; 4096]), Ok(()));
        assert_eq!(driver.read(&poweron(1), 0, 1).unwrap().bytes[..], [1]);
        assert_eq!(driver.lock(&LIST), LockOutcome::Granted);
    });
    assert!(took < PROMPT, "{took:?}");
    node.tell("clear");
    assert_eq!(driver.written(), Ok(()));
}

#[test]
fn a_late_write_lands_once_and_nothing_overtakes_it() {
    let Some(lab) = Lab::open() else { return };
    let [here, there] = datastore(&lab);
    let (mut writer, mut reader) = (driver(&here), driver(&there));
    assert_eq!(writer.write(&heartbeat(1), 0, &[1; 4096]), Ok(()));

    here.tell("stall_write");
    writer.submit_write(&heartbeat(1), 0, &[2; 4096], LATER);
    here.await_stalled(1);
    writer.submit_write(&heartbeat(1), BLOCK, &[3; 4096], LATER);
    assert!(writer.nothing_comes(Duration::from_millis(100)));
    let seen = reader.read(&heartbeat(1), 0, 8192).unwrap().bytes;
    assert_eq!(seen, [[1; 4096], [0; 4096]].concat(), "nothing has landed");

    here.tell("clear");
    assert_eq!((writer.written(), writer.written()), (Ok(()), Ok(())));
    assert_eq!(here.on_disk(&heartbeat(1)), [[2; 4096], [3; 4096]].concat());
    assert!(writer.nothing_comes(Duration::from_millis(50)));
    assert_eq!(here.writes(), 3, "each once");
}

#[test]
fn what_expires_during_a_stall_does_nothing() {
    let Some(lab) = Lab::open() else { return };
    let [here, there] = datastore(&lab);
    let (mut driver, mut other) = (driver(&here), driver(&there));
    here.tell("stall");
    let not_after = boot_clock().after(Duration::from_millis(300));
    driver.submit_write(&heartbeat(1), 0, &[1; 4096], not_after);
    driver.submit_lock(&LIST, not_after);
    here.await_stalled(2);
    pause(not_after.since(boot_clock()) + Duration::from_millis(10));
    here.tell("clear");

    let (mut write, mut lock) = (None, None);
    for _ in 0..2 {
        match driver.next() {
            ha_core::StorageCompletion::Write(done) => write = Some(*done.outcome()),
            ha_core::StorageCompletion::Lock(done) => lock = Some(*done.outcome()),
            done @ (ha_core::StorageCompletion::Read(_) | ha_core::StorageCompletion::LookAtLock(_)) => {
                panic!("{done:?} was not asked for")
            }
        }
    }
    assert_eq!(write, Some(Err(StorageFault::Expired)));
    assert_eq!(lock, Some(LockOutcome::Expired));
    assert_eq!((here.writes(), here.on_disk(&heartbeat(1))), (0, vec![0; 8192]));
    assert_eq!(other.lock(&LIST), LockOutcome::Granted, "nothing is held");
}

/// There is no way to take back a call that the kernel has begun; the machines count it as overdue.
#[test]
fn a_write_that_the_kernel_has_begun_lands_though_its_time_has_passed() {
    let Some(lab) = Lab::open() else { return };
    let [node] = datastore(&lab);
    let mut driver = driver(&node);
    node.tell("stall_write");
    let not_after = boot_clock().after(Duration::from_secs(1));
    driver.submit_write(&heartbeat(1), 0, &[1; 4096], not_after);
    node.await_stalled(1);
    driver.submit_write(&heartbeat(1), 0, &[2; 4096], not_after);
    pause(not_after.since(boot_clock()) + Duration::from_millis(10));
    node.tell("clear");
    assert_eq!(driver.written(), Ok(()));
    assert_eq!(driver.written(), Err(StorageFault::Expired), "the one behind it was not begun");
    assert_eq!((node.writes(), node.on_disk(&heartbeat(1))[0]), (1, 1));
}

#[test]
fn a_vm_lock_whose_time_passes_in_a_stall_is_not_taken() {
    let Some(lab) = Lab::open() else { return };
    let nodes: [Node; 2] = datastore(&lab);
    let vm = vm("web-1/web-1.vmx");
    layout::create_vm_home(nodes[0].root(), &vm, &[0; 8192]).unwrap();
    let kind = FileKind::VmLock(vm);
    let [here, there] = nodes.each_ref().map(|node| node.mount(DATASTORE).path_of(&kind));

    nodes[0].tell("stall");
    let not_after = boot_clock().after(Duration::from_millis(300));
    let try_here = thread::spawn(move || VmLockFile::open_and_lock(&here, not_after).unwrap());
    nodes[0].await_stalled(1);
    let (taken, took) = timed(|| VmLockFile::open_and_lock(&there, LATER).unwrap());
    assert!(matches!(taken, LockTry::Locked(_)) && took < PROMPT, "another host's lock waits for nobody");
    drop(taken);

    pause(not_after.since(boot_clock()) + Duration::from_millis(10));
    nodes[0].tell("clear");
    assert!(matches!(try_here.join().unwrap(), LockTry::Expired));
    let LockTry::Locked(holder) = VmLockFile::open_and_lock(&there, LATER).unwrap() else {
        panic!("the late try has left a lock behind")
    };
    // The write of a record waits and expires alike.
    nodes[1].tell("stall");
    let not_after = boot_clock().after(Duration::from_millis(200));
    let writer = thread::spawn(move || holder.write_record(0, &[1; 4096], not_after));
    nodes[1].await_stalled(1);
    pause(not_after.since(boot_clock()) + Duration::from_millis(10));
    nodes[1].tell("clear");
    assert_eq!(writer.join().unwrap(), Err(StorageFault::Expired));
    assert_eq!(nodes[1].on_disk(&kind), [0; 8192]);
}

#[test]
fn a_lock_outlives_a_stall_and_the_late_write_under_it() {
    let Some(lab) = Lab::open() else { return };
    let [here, there] = datastore(&lab);
    let (mut holder, mut taker) = (driver(&here), driver(&there));
    assert_eq!(holder.lock(&LIST), LockOutcome::Granted);
    here.tell("stall_write");
    holder.submit_write(&LIST, 0, &[1; 4096], LATER);
    here.await_stalled(1);
    holder.unlock(&LIST);
    for _ in 0..3 {
        assert_eq!(taker.lock(&LIST), LockOutcome::Held, "or the late write would land in the taker's file");
    }
    here.tell("clear");
    assert_eq!(holder.written(), Ok(()));
    await_that("the lock", || taker.lock(&LIST) == LockOutcome::Granted);
    assert_eq!(taker.read(&LIST, 0, 1).unwrap().bytes[..], [1], "it landed before");
}
