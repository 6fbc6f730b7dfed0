//! Locks between two hosts, and what becomes of a right when they are lost, with and without the holder noticing.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod fs_common;
mod fuse_common;

use std::io;
use std::path::{Path, PathBuf};

use fs_common::{BLOCK, DATASTORE, Driver, LATER, heartbeat, timed, vm};
use fuse_common::{Lab, Node, SOON, await_that};
use ha_core::operation::{LockOutcome, LookOutcome};
use ha_core::{FileKind, StorageFault};
use ha_datastore::fs::{LockTry, VmLockFile, fault_of, layout};

const LIST: FileKind = FileKind::ProtectedList;

fn two_hosts(lab: &Lab) -> [Node; 2] {
    lab.datastore(&[(LIST, 2 * BLOCK), (heartbeat(1), 2 * BLOCK)])
}

fn driver(node: &Node) -> Driver {
    Driver::start(vec![node.mount(DATASTORE)])
}

#[test]
fn a_lock_is_one_lock_for_all_hosts() {
    let Some(lab) = Lab::open() else { return };
    let [first, second] = two_hosts(&lab);
    let (mut here, mut there) = (driver(&first), driver(&second));

    assert_eq!(here.lock(&LIST), LockOutcome::Granted);
    assert_eq!(there.lock(&LIST), LockOutcome::Held);
    assert_eq!(there.look(&LIST), LookOutcome::Held);
    assert_eq!(there.lock(&heartbeat(1)), LockOutcome::Granted, "another file");
    here.unlock(&LIST);
    await_that("the lock", || there.lock(&LIST) == LockOutcome::Granted);
    assert_eq!(here.lock(&LIST), LockOutcome::Held);
}

#[test]
fn a_host_that_dies_frees_its_locks() {
    let Some(lab) = Lab::open() else { return };
    let [first, second] = two_hosts(&lab);
    let (mut here, mut there) = (driver(&first), driver(&second));
    assert_eq!(here.lock(&LIST), LockOutcome::Granted);
    assert_eq!(there.lock(&LIST), LockOutcome::Held);
    first.kill_server();
    await_that("the lock", || there.lock(&LIST) == LockOutcome::Granted);
    assert_eq!(here.write(&LIST, 0, &[1; 4096]), Err(StorageFault::Io));
}

#[test]
fn a_lost_lock_ends_the_right_to_write_through_it() {
    let Some(lab) = Lab::open() else { return };
    let [first, second] = two_hosts(&lab);
    let (mut here, mut there) = (driver(&first), driver(&second));
    assert_eq!(here.lock(&LIST), LockOutcome::Granted);
    assert_eq!(here.write(&LIST, 0, &[1; 4096]), Ok(()));

    first.tell("droplocks");
    assert_eq!(there.lock(&LIST), LockOutcome::Granted);
    assert_eq!(there.write(&LIST, BLOCK, &[2; 4096]), Ok(()));
    assert_eq!(here.write(&LIST, BLOCK, &[3; 4096]), Err(StorageFault::Io), "not through a fresh descriptor");
    assert_eq!(first.on_disk(&LIST), [[1; 4096], [2; 4096]].concat());

    // Only a fresh acquisition proves anything from here on.
    assert_eq!(here.lock(&LIST), LockOutcome::Held);
    assert_eq!(here.lock(&LIST), LockOutcome::Held, "still");
    there.unlock(&LIST);
    await_that("the lock", || here.lock(&LIST) == LockOutcome::Granted);
    assert_eq!(here.write(&LIST, BLOCK, &[3; 4096]), Ok(()));
    assert_eq!(there.lock(&LIST), LockOutcome::Held);
}

/// That is what F1 means, and why nobody tries a lock below F3 before its owner's end is proven.
#[test]
fn a_lock_lost_silently_is_not_noticed_by_the_driver() {
    let Some(lab) = Lab::open() else { return };
    let [first, second] = two_hosts(&lab);
    let (mut here, mut there) = (driver(&first), driver(&second));
    assert_eq!(here.lock(&LIST), LockOutcome::Granted);

    first.tell("droplocks_lax");
    assert_eq!(there.lock(&LIST), LockOutcome::Granted);
    assert_eq!(here.write(&LIST, 0, &[1; 4096]), Ok(()), "both write");
    assert_eq!(there.write(&LIST, BLOCK, &[2; 4096]), Ok(()));
    assert_eq!(first.on_disk(&LIST), [[1; 4096], [2; 4096]].concat());

    // Letting go and trying again, as every machine does that lost a right, tells the truth.
    here.unlock(&LIST);
    assert_eq!(here.lock(&LIST), LockOutcome::Held);
    assert_eq!(there.look(&LIST), LookOutcome::Held, "the other's lock was not taken along");
}

/// A home with a lock file of two blocks, and its path on each host.
fn homes<const N: usize>(nodes: &[Node; N]) -> [PathBuf; N] {
    let kind = FileKind::VmLock(vm("web-1/web-1.vmx"));
    layout::create_vm_home(nodes[0].root(), &vm("web-1/web-1.vmx"), &[0; 8192]).unwrap();
    nodes.each_ref().map(|node| node.mount(DATASTORE).path_of(&kind))
}

fn lock(path: &Path) -> Option<VmLockFile> {
    match VmLockFile::open_and_lock(path, LATER).unwrap() {
        LockTry::Locked(file) => Some(file),
        LockTry::Held => None,
        LockTry::Expired => panic!("there is no limit"),
    }
}

#[test]
fn a_vm_lock_lost_with_its_descriptor_leaves_the_record_to_the_taker() {
    let Some(lab) = Lab::open() else { return };
    let nodes = two_hosts(&lab);
    let [here, there] = homes(&nodes);
    let holder = lock(&here).unwrap();
    assert!(lock(&there).is_none());
    assert_eq!(holder.write_record(0, &[1; 4096], LATER), Ok(()));

    nodes[0].tell("droplocks");
    let taker = lock(&there).expect("it is free");
    assert_eq!(taker.write_record(4096, &[2; 4096], LATER), Ok(()));
    assert_eq!(holder.write_record(4096, &[3; 4096], LATER), Err(StorageFault::Io));
    assert_eq!(holder.read_record(8192), Err(StorageFault::Io), "not even a look: it must be gone");
    assert_eq!(taker.read_record(8192).unwrap(), [[1; 4096], [2; 4096]].concat());
    assert!(lock(&here).is_none(), "a new try on the old host sees the taker");
}

#[test]
fn a_vm_lock_lost_silently_shows_in_the_record_alone() {
    let Some(lab) = Lab::open() else { return };
    let nodes = two_hosts(&lab);
    let [here, there] = homes(&nodes);
    let holder = lock(&here).unwrap();
    nodes[0].tell("droplocks_lax");
    let taker = lock(&there).expect("it is free");
    assert_eq!(taker.write_record(4096, &[2; 4096], LATER), Ok(()));

    assert!(holder.same_file().unwrap(), "the file is the same");
    assert_eq!(holder.read_record(8192).unwrap()[4096..], [2; 4096], "what it says is not");
}

#[test]
fn a_failing_vm_lock_file_is_a_typed_fault() {
    let Some(lab) = Lab::open() else { return };
    let nodes = two_hosts(&lab);
    let [here, there] = homes(&nodes);
    let holder = lock(&here).unwrap();
    assert_eq!(holder.write_record(0, &[1; 4096], LATER), Ok(()));

    for (fault, seen) in [
        ("eio_write", StorageFault::Io),
        ("enospc", StorageFault::NoSpace),
        ("eio_read", StorageFault::Io),
        ("torn 100", StorageFault::ReadBackDiffers),
        ("stale", StorageFault::ReadBackDiffers),
    ] {
        nodes[0].tell(fault);
        assert_eq!(holder.write_record(4096, &[9; 4096], LATER), Err(seen), "{fault}");
        nodes[0].tell("clear");
        assert_eq!(nodes[0].on_disk(&FileKind::VmLock(vm("web-1/web-1.vmx")))[..4096], [1; 4096], "{fault}");
        assert_eq!(holder.write_record(4096, &[2; 4096], LATER), Ok(()), "after {fault}");
    }
    assert!(lock(&there).is_none(), "none of it was about the lock");

    nodes[1].kill_server();
    let (error, took) = timed(|| VmLockFile::open_and_lock(&there, LATER).unwrap_err());
    assert_eq!((error.kind(), fault_of(&error)), (io::ErrorKind::NotConnected, StorageFault::Io));
    assert!(took < SOON, "{took:?}");
}
