//! Writes, reads, refusals of mounts, and stalled datastores.
#![cfg(feature = "fs")]

mod fs_common;

use core::time::Duration;
use std::fs::{self, OpenOptions};

use fs_common::*;
use ha_core::operation::{LockOutcome, LookOutcome};
use ha_core::{BootId, Capability, DatastoreId, Instant, Rating, StorageFault};
use ha_datastore::fs::{FileSystem, FsStorage, Mount, OpenError, boot_clock, boot_id};

#[test]
fn what_was_written_is_read_back_and_the_rest_is_untouched() {
    let temp = TempDir::datastore();
    let mut driver = Driver::start(vec![temp.mount()]);
    let block = vec![0xa5; 4096];

    assert_eq!(driver.write(&heartbeat(1), BLOCK, &block), Ok(()));

    let before = boot_clock();
    let reply = driver.read(&heartbeat(1), 0, 8192).unwrap();
    assert!(reply.started >= before && reply.started <= boot_clock());
    assert!(reply.bytes[..4096].iter().all(|byte| *byte == 0));
    assert_eq!(reply.bytes[4096..], block);
    assert_eq!(
        fs::read(temp.path_of(&heartbeat(1))).unwrap(),
        reply.bytes,
        "visible at the path, not only here"
    );
}

#[test]
fn a_write_never_extends() {
    let temp = TempDir::datastore();
    let mut driver = Driver::start(vec![temp.mount()]);
    let path = temp.path_of(&heartbeat(1));
    let before = fs::read(&path).unwrap();

    assert_eq!(
        driver.write(&heartbeat(1), BLOCK + 1, &[1; 4096]),
        Err(StorageFault::Short),
        "one byte too far"
    );
    assert_eq!(driver.write(&heartbeat(1), u64::MAX, &[1; 4096]), Err(StorageFault::Short));
    assert_eq!(fs::read(&path).unwrap(), before, "not even the part that fits");
    assert_eq!(driver.write(&heartbeat(1), BLOCK, &[1; 4096]), Ok(()), "the last block exactly");
    assert_eq!(fs::metadata(&path).unwrap().len(), 2 * BLOCK);
}

#[test]
fn a_write_never_creates() {
    let temp = TempDir::datastore();
    let mut driver = Driver::start(vec![temp.mount()]);

    assert_eq!(driver.write(&heartbeat(3), 0, &[1; 4096]), Err(StorageFault::Missing));
    assert!(!temp.path_of(&heartbeat(3)).exists());
    assert_eq!(driver.read(&heartbeat(3), 0, 1), Err(StorageFault::Missing));
    assert_eq!(driver.lock(&heartbeat(3)), LockOutcome::Fault(StorageFault::Missing));
    assert_eq!(driver.look(&heartbeat(3)), LookOutcome::Fault(StorageFault::Missing));
}

#[test]
fn a_read_is_whole_or_short() {
    let temp = TempDir::datastore();
    let mut driver = Driver::start(vec![temp.mount()]);

    assert_eq!(driver.read(&heartbeat(1), 1, 8191).unwrap().bytes.len(), 8191);
    assert_eq!(driver.read(&heartbeat(1), 1, 8192), Err(StorageFault::Short));
    assert_eq!(driver.read(&heartbeat(1), u64::MAX, u32::MAX), Err(StorageFault::Short));
}

#[test]
fn what_has_expired_is_not_carried_out() {
    let temp = TempDir::datastore();
    let mut driver = Driver::start(vec![temp.mount()]);
    let passed = Instant::from_nanos(boot_clock().as_nanos() - 1);

    driver.submit_write(&heartbeat(1), 0, &[1; 4096], passed);
    assert_eq!(driver.written(), Err(StorageFault::Expired));
    assert!(fs::read(temp.path_of(&heartbeat(1))).unwrap().iter().all(|byte| *byte == 0));

    driver.submit_lock(&heartbeat(1), passed);
    assert_eq!(driver.locked(), LockOutcome::Expired);
    assert_eq!(
        Driver::start(vec![temp.mount()]).lock(&heartbeat(1)),
        LockOutcome::Granted,
        "nothing is held"
    );

    driver.submit_write(&heartbeat(1), 0, &[1; 4096], boot_clock().after(Duration::from_secs(10)));
    assert_eq!(driver.written(), Ok(()));
}

#[test]
fn requests_of_one_type_for_one_file_keep_their_order() {
    let temp = TempDir::datastore();
    let mut driver = Driver::start(vec![temp.mount()]);
    for round in 0..50_u8 {
        driver.submit_write(&heartbeat(1), 0, &[round; 4096], LATER);
    }
    for _ in 0..50 {
        assert_eq!(driver.written(), Ok(()));
    }
    assert_eq!(driver.read(&heartbeat(1), 0, 1).unwrap().bytes[..], [49]);
}

#[test]
fn an_unknown_datastore_is_unsupported() {
    let temp = TempDir::datastore();
    let mut driver = Driver::start(vec![temp.mount()]);
    driver.on(DatastoreId::new(9));

    let fault = StorageFault::Unsupported;
    assert_eq!(driver.write(&heartbeat(1), 0, &[1; 4096]), Err(fault));
    assert_eq!(driver.read(&heartbeat(1), 0, 1), Err(fault));
    assert_eq!(driver.lock(&heartbeat(1)), LockOutcome::Fault(fault));
    assert_eq!(driver.look(&heartbeat(1)), LookOutcome::Fault(fault));
}

#[test]
fn a_stalled_datastore_delays_no_other() {
    let (stalled, healthy) = (TempDir::datastore(), TempDir::datastore());
    let other = DatastoreId::new(2);
    let mut driver = Driver::start(vec![stalled.mount(), healthy.mount_as(other)]);
    for kind in [heartbeat(8), heartbeat(9), poweron(9)] {
        stalled.make_fifo(&kind);
    }
    // `open` of a pipe for reading waits for a writer; for writing, for a reader. None ever comes.
    driver.submit_read(&heartbeat(8), 0, 1);
    driver.submit_write(&heartbeat(9), 0, &[1], LATER);
    driver.submit_write(&poweron(9), 0, &[1], LATER);
    let on_healthy = driver.on(other);
    let (_, took) = timed(|| {
        assert_eq!(on_healthy.write(&heartbeat(1), 0, &[1; 4096]), Ok(()));
        assert_eq!(on_healthy.read(&heartbeat(1), 0, 1).unwrap().bytes[..], [1]);
        assert_eq!(on_healthy.lock(&heartbeat(1)), LockOutcome::Granted);
        assert!(matches!(on_healthy.look(&heartbeat(2)), LookOutcome::Free { .. }));
    });
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_stalled_list_delays_neither_lease_nor_polls_nor_locks() {
    let temp = TempDir::datastore();
    let mut driver = Driver::start(vec![temp.mount()]);
    let way_out = temp.make_fifo(&poweron(9));

    driver.submit_write(&poweron(9), 0, &[1; 4096], LATER);
    assert_eq!(driver.write(&heartbeat(1), 0, &[1; 4096]), Ok(()));
    assert_eq!(driver.read(&heartbeat(1), 0, 1).unwrap().bytes[..], [1]);
    assert_eq!(driver.lock(&heartbeat(1)), LockOutcome::Granted);
    driver.submit_write(&poweron(1), 0, &[1; 4096], LATER);
    assert!(driver.nothing_comes(Duration::from_millis(50)), "the other lists do wait");

    let reader = OpenOptions::new().read(true).open(way_out).unwrap();
    assert_eq!(driver.written(), Err(StorageFault::Unsupported), "a pipe is no file to overwrite");
    assert_eq!(driver.written(), Ok(()));
    drop(reader);
}

#[test]
fn same_kernel_is_refused_where_the_file_system_is_not_known_to_be_local() {
    let mount = Mount {
        id: DATASTORE,
        root: "/proc".into(),
        cluster_directory: CLUSTER.into(),
        capability: Capability::SAME_KERNEL,
    };
    let error = FsStorage::start(vec![mount.clone()], |_| {}).unwrap_err();
    assert!(matches!(&error, OpenError::NotLocal { found: FileSystem::Other(0x9fa0), .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "datastore-1 at /proc is rated SameKernel but lies on a file system of unknown type 0x9fa0; \
         accepted: ext2/3/4, xfs, btrfs, tmpfs, overlayfs"
    );

    let undeclared = Mount { capability: Capability::UNDECLARED, ..mount };
    let error = FsStorage::start(vec![undeclared], |_| {}).unwrap_err();
    assert!(matches!(error, OpenError::Unreadable { .. }), "only its directory is missing now: {error:?}");
}

#[test]
fn bad_mounts_are_refused_by_name() {
    let temp = TempDir::datastore();
    let refusal = |mounts| FsStorage::start(mounts, |_| {}).unwrap_err().to_string();

    let not_shared = Capability { rating: Rating::F0, ..Capability::UNDECLARED };
    let text = refusal(vec![Mount { capability: not_shared, ..temp.mount() }]);
    assert!(text.contains("datastore-1") && text.contains("rated F0"), "{text}");

    let text = refusal(vec![temp.mount(), temp.mount()]);
    assert!(text.contains("datastore-1 is given twice"), "{text}");

    let text = refusal(vec![Mount { root: "/no/such/mount".into(), ..temp.mount() }]);
    assert!(text.contains("/no/such/mount"), "{text}");

    let text = refusal(vec![Mount { cluster_directory: "of-another-cluster".into(), ..temp.mount() }]);
    assert!(text.contains(".vSphere-HA/of-another-cluster"), "{text}");

    for name in ["", ".", "..", "a/b"] {
        let text = refusal(vec![Mount { cluster_directory: name.into(), ..temp.mount() }]);
        assert!(text.contains("names no cluster directory"), "{name}: {text}");
    }
}

#[test]
fn the_boot_clock_moves_and_the_boot_id_does_not() {
    let first = boot_clock();
    let (_, took) = timed(|| while boot_clock() == first {});
    assert!(took < Duration::from_secs(1), "{took:?}");
    let boot: BootId = boot_id().unwrap();
    assert_eq!(boot, boot_id().unwrap());
    assert_ne!(boot, BootId::from_bytes([0; 16]));
}
