//! The lock of a virtual machine, from the holder's side, with real child processes.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod fs_common;

use core::time::Duration;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_common::*;
use ha_core::{FileIdentity, FileKind, StorageFault};
use ha_datastore::fs::{
    FileSystem, InodeNumbers, LockTry, VmLockFile, boot_clock, fault_of, keep_across_exec, layout,
};
use rustix::io::{FdFlags, fcntl_getfd};

/// A home with a lock file of two blocks.
fn home(temp: &TempDir) -> PathBuf {
    let vm = vm("web-1/web-1.vmx");
    layout::create_vm_home(temp.path(), &vm, &[0; 8192]).unwrap();
    temp.path_of(&FileKind::VmLock(vm))
}

fn lock(path: &Path) -> VmLockFile {
    let LockTry::Locked(file) = VmLockFile::open_and_lock(path, LATER).unwrap() else { panic!("it is held") };
    file
}

fn is_held(path: &Path) -> bool {
    matches!(VmLockFile::open_and_lock(path, LATER).unwrap(), LockTry::Held)
}

/// On whichever file system this runs, the type decides, and the embedder's word overrules it.
#[test]
fn a_locked_file_is_named_by_its_inode_where_that_counts() {
    let temp = TempDir::new();
    let path = home(&temp);
    let holder = lock(&path);
    let inode = FileIdentity::new(fs::metadata(&path).unwrap().ino());
    assert!(inode.is_some());
    let counts = FileSystem::of(&path).unwrap().keeps_inode_numbers();
    assert_eq!(holder.identity(InodeNumbers::ByFileSystem).unwrap(), inode.filter(|_| counts));
    assert_eq!(holder.identity(InodeNumbers::SameEverywhere).unwrap(), inode);
    assert_eq!(holder.identity(InodeNumbers::Differ).unwrap(), None);
    // Of the locked file, not of whatever lies at its path by now.
    fs::rename(&path, temp.path().join("aside")).unwrap();
    fs::write(&path, [0; 8_192]).unwrap();
    assert_eq!(holder.identity(InodeNumbers::SameEverywhere).unwrap(), inode);
    assert_ne!(FileIdentity::new(fs::metadata(&path).unwrap().ino()), inode);
}

#[test]
fn the_lock_lives_as_long_as_the_last_process_that_inherited_it() {
    let temp = TempDir::new();
    let path = home(&temp);
    let descriptor = lock(&path).into_descriptor();
    // As its standard input, `sleep` inherits the very descriptor; nobody else does.
    let mut vm = Command::new("sleep").arg("600").stdin(Stdio::from(descriptor)).spawn().unwrap();

    assert!(is_held(&path), "the holder has let go, its child has not");
    // SIGKILL.
    vm.kill().unwrap();
    vm.wait().unwrap();
    assert!(!is_held(&path), "nobody is left");
}

#[test]
fn a_descriptor_is_closed_on_exec_until_told_otherwise() {
    let temp = TempDir::new();
    let descriptor = lock(&home(&temp)).into_descriptor();
    assert_eq!(fcntl_getfd(&descriptor).unwrap(), FdFlags::CLOEXEC);
    keep_across_exec(&descriptor).unwrap();
    assert_eq!(fcntl_getfd(&descriptor).unwrap(), FdFlags::empty());
}

#[test]
fn a_held_lock_is_tried_three_times() {
    let temp = TempDir::new();
    let path = home(&temp);
    let holder = lock(&path);
    let (held, took) = timed(|| is_held(&path));
    assert!(held && took >= Duration::from_millis(15), "{took:?}");
    drop(holder);
    assert!(!is_held(&path));
}

#[test]
fn no_try_after_its_time() {
    let temp = TempDir::new();
    let path = home(&temp);
    let passed = boot_clock().before(Duration::from_nanos(1));
    assert!(matches!(VmLockFile::open_and_lock(&path, passed), Ok(LockTry::Expired)));

    let holder = lock(&path);
    let soon = boot_clock().after(Duration::from_millis(4));
    assert!(matches!(VmLockFile::open_and_lock(&path, soon), Ok(LockTry::Expired)), "nor between the tries");
    drop(holder);
}

#[test]
fn a_replaced_file_is_noticed() {
    let temp = TempDir::new();
    let path = home(&temp);
    let holder = lock(&path);
    assert!(holder.same_file().unwrap());

    temp.replace(&FileKind::VmLock(vm("web-1/web-1.vmx")));
    assert!(!holder.same_file().unwrap());
    fs::remove_file(&path).unwrap();
    assert!(!holder.same_file().unwrap(), "a missing file is not the same either");
    let error = VmLockFile::open_and_lock(&path, LATER).unwrap_err();
    assert_eq!((error.kind(), fault_of(&error)), (io::ErrorKind::NotFound, StorageFault::Missing));
}

#[test]
fn the_record_is_written_in_place_and_read_back() {
    let temp = TempDir::new();
    let path = home(&temp);
    let holder = lock(&path);
    assert_eq!(holder.read_record(8192).unwrap()[..], [0; 8192]);

    assert_eq!(holder.write_record(4096, &[3; 4096], LATER), Ok(()));
    assert_eq!(holder.read_record(8192).unwrap()[4096..], [3; 4096]);
    assert_eq!(fs::read(&path).unwrap()[..4096], [0; 4096], "the other slot is untouched");

    assert_eq!(holder.write_record(4097, &[4; 4096], LATER), Err(StorageFault::Short));
    let passed = boot_clock().before(Duration::from_nanos(1));
    assert_eq!(holder.write_record(0, &[4; 4096], passed), Err(StorageFault::Expired));
    assert_eq!(holder.read_record(8193), Err(StorageFault::Short));
    assert_eq!(fs::read(&path).unwrap(), [[0; 4096], [3; 4096]].concat(), "neither changed a byte");
}
