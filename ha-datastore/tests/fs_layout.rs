//! Creating the files of a datastore.
#![cfg(feature = "fs")]

mod fs_common;

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use fs_common::*;
use ha_core::{FileKind, HostId, StorageFault, VmUuid};
use ha_datastore::fs::layout::{self, LayoutError};
use ha_datastore::fs::path_of;

fn marker() -> FileKind {
    FileKind::PoweredOff(VmUuid::from_bytes([7; 16]))
}

#[test]
fn every_kind_has_its_path() {
    let root = Path::new("/vmfs/ds");
    let path = |kind| path_of(root, "c", &kind).to_str().unwrap().to_owned();
    let host = HostId::new(23);
    assert_eq!(path(FileKind::Heartbeat(host)), "/vmfs/ds/.vSphere-HA/c/host-23-hb");
    assert_eq!(path(FileKind::Poweron(host)), "/vmfs/ds/.vSphere-HA/c/host-23-poweron");
    assert_eq!(path(FileKind::ProtectedList), "/vmfs/ds/.vSphere-HA/c/protectedlist");
    assert_eq!(path(FileKind::ProtectedListOf(host)), "/vmfs/ds/.vSphere-HA/c/protectedlist.23");
    assert_eq!(path(marker()), "/vmfs/ds/.vSphere-HA/c/poweredoff/07070707-0707-0707-0707-070707070707");
    assert_eq!(path(FileKind::VmLock(vm("a/b/web.vmx"))), "/vmfs/ds/a/b/.web.vmx.ha-lock");
}

#[test]
fn files_are_zeros_that_occupy_space_and_are_for_their_owner_only() {
    let temp = TempDir::new();
    let files = [(heartbeat(1), 2 * BLOCK), (marker(), BLOCK), (FileKind::ProtectedList, 100_001)];
    layout::create(temp.path(), CLUSTER, &files).unwrap();
    for (kind, size) in &files {
        let path = temp.path_of(kind);
        let found = fs::metadata(&path).unwrap();
        assert_eq!(found.len(), *size);
        assert!(found.blocks() * 512 >= *size, "{kind:?} has holes");
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(fs::read(&path).unwrap().iter().all(|byte| *byte == 0));
    }
}

#[test]
fn creating_again_changes_nothing() {
    let temp = TempDir::datastore();
    let path = temp.path_of(&heartbeat(1));
    fs::write(&path, [9; 8192]).unwrap();

    layout::create(temp.path(), CLUSTER, &[(heartbeat(1), 2 * BLOCK), (heartbeat(3), BLOCK)]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [9; 8192], "an existing file is left as it is");
    assert_eq!(fs::metadata(temp.path_of(&heartbeat(3))).unwrap().len(), BLOCK, "a missing one is added");
}

#[test]
fn another_size_is_an_error_with_both_sizes() {
    let temp = TempDir::datastore();
    for wrong in [2 * BLOCK - 1, 2 * BLOCK + 1] {
        let error = layout::create(temp.path(), CLUSTER, &[(heartbeat(1), wrong)]).unwrap_err();
        let path = temp.path_of(&heartbeat(1));
        assert_eq!(error.to_string(), format!("{} exists with 8192 bytes; expected {wrong}", path.display()));
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::metadata(path).unwrap().len(), 2 * BLOCK);
    }
}

#[test]
fn what_is_in_the_way_is_named() {
    let temp = TempDir::datastore();
    fs::create_dir(temp.path_of(&heartbeat(5))).unwrap();
    let error = layout::create(temp.path(), CLUSTER, &[(heartbeat(5), BLOCK)]).unwrap_err();
    assert!(matches!(error, LayoutError::NotAFile { .. }), "{error}");

    temp.make_fifo(&heartbeat(6));
    let error = layout::create(temp.path(), CLUSTER, &[(heartbeat(6), BLOCK)]).unwrap_err();
    assert!(matches!(error, LayoutError::NotAFile { .. }), "and no pipe is opened: {error}");

    fs::write(temp.path().join("web-1"), "a file").unwrap();
    let error = layout::create_vm_home(temp.path(), &vm("web-1/web-1.vmx"), &[0; 8]).unwrap_err();
    assert!(matches!(error, LayoutError::NotADirectory { .. }), "{error}");

    let error = layout::create(temp.path(), "../elsewhere", &[]).unwrap_err();
    assert!(matches!(error, LayoutError::BadClusterDirectory { .. }), "{error}");

    let missing = temp.path().join("not-mounted");
    let error = layout::create(&missing, CLUSTER, &[]).unwrap_err();
    assert!(
        error.to_string().contains("not-mounted") && !missing.exists(),
        "the root is never created: {error}"
    );
}

#[test]
fn a_vm_home_holds_the_lock_record_and_keeps_it() {
    let temp = TempDir::new();
    let vm = vm("prod/web-1/web-1.vmx");
    layout::create_vm_home(temp.path(), &vm, &[5; 8192]).unwrap();
    let path = temp.path().join("prod/web-1/.web-1.vmx.ha-lock");
    assert_eq!(fs::read(&path).unwrap(), [5; 8192]);

    layout::create_vm_home(temp.path(), &vm, &[6; 8192]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [5; 8192], "a record that exists is the truth about the epoch");
    let error = layout::create_vm_home(temp.path(), &vm, &[6; 4096]).unwrap_err();
    assert!(matches!(error, LayoutError::WrongSize { found: 8192, expected: 4096, .. }), "{error}");
}

#[test]
fn what_has_no_room_is_not_begun() {
    let temp = TempDir::datastore();
    let available = fs4::available_space(temp.path()).unwrap();
    let files = [(heartbeat(1), 2 * BLOCK), (heartbeat(8), 2 * BLOCK), (heartbeat(9), 1 << 60)];
    let error = layout::create(temp.path(), CLUSTER, &files).unwrap_err();
    let LayoutError::NoRoom { needed, available: found, root } = &error else { panic!("{error}") };
    assert_eq!((*needed, root.as_path()), ((1 << 60) + 2 * BLOCK, temp.path()), "what exists needs nothing");
    assert!(found.abs_diff(available) < 1 << 33, "{found}, others write too; before: {available}");
    assert!(
        error.to_string().contains(&needed.to_string()) && error.to_string().contains(&found.to_string())
    );
    assert!(!temp.path_of(&heartbeat(8)).exists() && !temp.path_of(&heartbeat(9)).exists());
    assert_eq!(error.fault(), Some(StorageFault::NoSpace));
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::StorageFull);

    let home = vm("web-1/web-1.vmx");
    layout::create_vm_home(temp.path(), &home, &[0; 8]).unwrap();
}

#[test]
fn room_is_counted_to_the_block() {
    let temp = TempDir::new();
    let Some(_mounted) = temp.cover("tmpfs", c"size=1m") else { return };
    let all = fs4::available_space(temp.path()).unwrap();
    let error = layout::create(temp.path(), CLUSTER, &[(heartbeat(1), all + 1)]).unwrap_err();
    assert!(matches!(error, LayoutError::NoRoom { needed, available, .. } if needed == available + 1));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
    // Directories of a tmpfs take no blocks.
    layout::create(temp.path(), CLUSTER, &[(heartbeat(1), all)]).unwrap();
    assert_eq!(fs4::available_space(temp.path()).unwrap(), 0);
}

#[test]
fn a_datastore_that_is_full_all_the_same_says_so_and_keeps_no_half_file() {
    let temp = TempDir::new();
    // Root, `.vSphere-HA`, the cluster's directory, that of the markers, and one file.
    let Some(_mounted) = temp.cover("tmpfs", c"size=1m,nr_inodes=5") else { return };
    let error =
        layout::create(temp.path(), CLUSTER, &[(heartbeat(1), BLOCK), (heartbeat(2), BLOCK)]).unwrap_err();
    assert!(matches!(&error, LayoutError::Io { path, .. } if path.ends_with("host-2-hb")), "{error}");
    assert_eq!(error.fault(), Some(StorageFault::NoSpace));
    assert!(!temp.path_of(&heartbeat(2)).exists());
    fs::remove_file(temp.path_of(&heartbeat(1))).unwrap();
    layout::create(temp.path(), CLUSTER, &[(heartbeat(2), BLOCK)]).unwrap();
}

/// 2 x 18 MiB of list and as much of logs, as for 100,000 virtual machines.
#[test]
fn a_large_list_takes_no_ages() {
    let temp = TempDir::new();
    let list = FileKind::ProtectedListOf(HostId::new(1));
    let size = 2 * (18 << 20) + 2 * (8 << 20);
    let began = ha_datastore::fs::boot_clock();
    layout::create(temp.path(), CLUSTER, &[(list.clone(), size)]).unwrap();
    let took = ha_datastore::fs::boot_clock().since(began);
    assert!(took < core::time::Duration::from_secs(30), "{took:?}");
    let found = fs::metadata(temp.path_of(&list)).unwrap();
    assert!(found.len() == size && found.blocks() * 512 >= size);
}
