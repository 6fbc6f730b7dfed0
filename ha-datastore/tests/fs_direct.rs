//! Reading and writing past the kernel's cache. Skipped, with a word, where the file system refuses it.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says why")]

mod fs_common;

use std::fs;

use fs_common::*;
use ha_core::operation::LockOutcome;
use ha_core::{Capability, FileKind, StorageFault};
use ha_datastore::fs::{CachedMount, Caching, FileSystem, FsStorage, Mount, OpenError, layout};

fn direct(temp: &TempDir) -> Option<CachedMount> {
    let mount = temp.mount().cached(Caching::Direct);
    match FsStorage::start(vec![mount.clone()], |_| {}) {
        Ok(_) => Some(mount),
        Err(error) => {
            assert!(matches!(error, OpenError::NoDirect { .. }), "{error}");
            println!("skipped: {error}");
            None
        }
    }
}

#[test]
fn what_is_written_is_read_by_either_way() {
    let temp = TempDir::datastore();
    let Some(mount) = direct(&temp) else { return };
    let mut driver = Driver::start(vec![mount]);
    let (a, b) = (vec![0xaa; 4096], vec![0xbb; 4096]);
    driver.write(&heartbeat(1), 0, &a).unwrap();
    driver.write(&heartbeat(1), BLOCK, &b).unwrap();
    assert_eq!(driver.read(&heartbeat(1), 0, 8_192).unwrap().bytes, [a.clone(), b.clone()].concat());
    assert_eq!(fs::read(temp.path_of(&heartbeat(1))).unwrap(), [a, b].concat());

    let mut buffered = Driver::start(vec![temp.mount()]);
    buffered.write(&heartbeat(1), 0, &[0xcc; 4096]).unwrap();
    assert_eq!(driver.read(&heartbeat(1), 0, 4_096).unwrap().bytes, [0xcc; 4096].as_slice());
}

#[test]
fn a_read_may_lie_anywhere_within_the_file() {
    let temp = TempDir::datastore();
    let Some(mount) = direct(&temp) else { return };
    let content: Vec<u8> = (0..8_192_u32).map(|index| u8::try_from(index % 251).unwrap()).collect();
    fs::write(temp.path_of(&heartbeat(1)), &content).unwrap();
    let mut driver = Driver::start(vec![mount]);
    for (offset, length) in [(0, 1), (4_095, 2), (1, 8_191), (4_096, 4_096), (8_191, 1), (100, 0), (8_192, 0)]
    {
        let found = driver.read(&heartbeat(1), offset, length).unwrap().bytes;
        let (from, length) = (usize::try_from(offset).unwrap(), usize::try_from(length).unwrap());
        assert_eq!(found, content[from..from + length], "{offset}");
    }
    for (offset, length) in [(0, 8_193), (8_192, 1), (8_191, 2), (1 << 40, 1), (0, 1 << 20)] {
        assert_eq!(driver.read(&heartbeat(1), offset, length).unwrap_err(), StorageFault::Short, "{offset}");
    }
    // The end within a block.
    fs::write(temp.path_of(&heartbeat(1)), &content[..5_000]).unwrap();
    assert_eq!(driver.read(&heartbeat(1), 4_096, 904).unwrap().bytes, content[4_096..5_000]);
    assert_eq!(driver.read(&heartbeat(1), 4_096, 905).unwrap_err(), StorageFault::Short);
}

#[test]
fn a_write_lies_on_blocks_or_is_not_begun() {
    let temp = TempDir::datastore();
    let Some(mount) = direct(&temp) else { return };
    let mut driver = Driver::start(vec![mount]);
    for (offset, length) in [(1, 4_096), (0, 4_095), (512, 512), (0, 4_097)] {
        let outcome = driver.write(&heartbeat(1), offset, &vec![9; length]);
        assert_eq!(outcome.unwrap_err(), StorageFault::Unsupported, "{offset}");
    }
    assert_eq!(driver.write(&heartbeat(1), 8_192, &[9; 4096]).unwrap_err(), StorageFault::Short);
    assert_eq!(fs::read(temp.path_of(&heartbeat(1))).unwrap(), [0; 8_192]);
}

#[test]
fn a_locked_file_is_written_through_the_lock() {
    let temp = TempDir::datastore();
    let Some(mount) = direct(&temp) else { return };
    let mut driver = Driver::start(vec![mount]);
    assert_eq!(driver.lock(&FileKind::ProtectedList), LockOutcome::Granted);
    driver.write(&FileKind::ProtectedList, BLOCK, &[7; 4096]).unwrap();
    assert_eq!(driver.read(&FileKind::ProtectedList, BLOCK, 4_096).unwrap().bytes, [7; 4096].as_slice());
    let outcome = driver.write(&FileKind::ProtectedList, 1, &[7; 4096]);
    assert_eq!(outcome.unwrap_err(), StorageFault::Unsupported);
    temp.replace(&FileKind::ProtectedList);
    let outcome = driver.write(&FileKind::ProtectedList, 0, &[8; 4096]);
    assert_eq!(outcome.unwrap_err(), StorageFault::Stale);
}

#[test]
fn a_large_list_goes_in_one_piece() {
    let temp = TempDir::datastore();
    let Some(mount) = direct(&temp) else { return };
    let list = FileKind::ProtectedListOf(ha_core::HostId::new(1));
    layout::create(temp.path(), CLUSTER, &[(list.clone(), 4 << 20)]).unwrap();
    let mut driver = Driver::start(vec![mount]);
    let snapshot: Vec<u8> = (0..2_u32 << 20).map(|index| u8::try_from(index % 253).unwrap()).collect();
    driver.write(&list, 2 << 20, &snapshot).unwrap();
    assert_eq!(driver.read(&list, 2 << 20, 2 << 20).unwrap().bytes, snapshot);
}

/// ramfs keeps files in the kernel's cache alone, so it has no way past it.
#[test]
fn a_file_system_without_direct_requests_is_refused_by_name() {
    let temp = TempDir::new();
    let Some(_mounted) = temp.cover("ramfs", c"") else { return };
    layout::create(temp.path(), CLUSTER, &[(FileKind::ProtectedList, 2 * BLOCK)]).unwrap();
    let mount = Mount { capability: Capability::UNDECLARED, ..temp.mount() };
    let error = FsStorage::start(vec![mount.clone().cached(Caching::Direct)], |_| {}).unwrap_err();
    let path = temp.path_of(&FileKind::ProtectedList);
    let found = FileSystem::of(&path).unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "datastore-1: {} lies on {found}, which refuses O_DIRECT; accepted there: Caching::Kernel",
            path.display()
        )
    );
    FsStorage::start(vec![mount], |_| {}).unwrap();
}

#[test]
fn a_missing_file_is_not_taken_for_a_refusal() {
    let temp = TempDir::datastore();
    fs::remove_file(temp.path_of(&FileKind::ProtectedList)).unwrap();
    let error = FsStorage::start(vec![temp.mount().cached(Caching::Direct)], |_| {}).unwrap_err();
    assert!(
        matches!(&error, OpenError::Unreadable { path, .. } if path.ends_with("protectedlist")),
        "{error}"
    );
}
