//! What a failing datastore looks like through the driver: each fault has its type, none loses what was durable.
#![cfg(feature = "fs")]

mod fs_common;
mod fuse_common;

use core::time::Duration;
use std::io;

use fs_common::{BLOCK, CLUSTER, DATASTORE, Driver, LATER, heartbeat, timed};
use fuse_common::{Lab, Node, SOON};
use ha_core::operation::{LockOutcome, LookOutcome};
use ha_core::record::{Generation, PairState};
use ha_core::{
    BootId, Capability, ClusterId, FileKind, HostId, Identity, Incarnation, Instant, StorageFault,
};
use ha_datastore::format::HeartbeatRecord;
use ha_datastore::fs::layout::{self, LayoutError};
use ha_datastore::fs::{FileSystem, FsStorage, Mount, OpenError};

fn two_hosts(lab: &Lab) -> [Node; 2] {
    lab.datastore(&[(heartbeat(1), 2 * BLOCK), (heartbeat(2), 2 * BLOCK)])
}

fn driver(node: &Node) -> Driver {
    Driver::start(vec![node.mount(DATASTORE)])
}

#[test]
fn each_fault_has_its_type_and_its_host() {
    let Some(lab) = Lab::open() else { return };
    let [failing, healthy] = two_hosts(&lab);
    let (mut here, mut there) = (driver(&failing), driver(&healthy));
    assert_eq!(here.write(&heartbeat(1), 0, &[1; 4096]), Ok(()));

    let cases = [
        ("eio_read", Ok(()), Some(StorageFault::Io)),
        ("eio_write", Err(StorageFault::Io), None),
        ("enospc", Err(StorageFault::NoSpace), None),
    ];
    for (fault, written, unread) in cases {
        failing.tell(fault);
        assert_eq!(here.write(&heartbeat(1), BLOCK, &[2; 4096]), written, "{fault}");
        assert_eq!(here.read(&heartbeat(1), 0, 4096).err(), unread, "{fault}");
        assert_eq!(here.lock(&heartbeat(2)), LockOutcome::Granted, "{fault}: a lock is no data");
        here.unlock(&heartbeat(2));
        assert_eq!(there.read(&heartbeat(1), 0, 1).unwrap().bytes[..], [1], "{fault}: not elsewhere");
        assert_eq!(there.write(&heartbeat(2), 0, &[2; 4096]), Ok(()), "{fault}: not elsewhere");

        failing.tell("clear");
        assert_eq!(here.write(&heartbeat(1), BLOCK, &[3; 4096]), Ok(()), "after {fault}");
        assert_eq!(here.read(&heartbeat(1), BLOCK, 1).unwrap().bytes[..], [3], "after {fault}");
    }
}

#[test]
fn a_fault_keeps_to_the_files_it_was_told_of() {
    let Some(lab) = Lab::open() else { return };
    let [node] = lab.datastore(&[(heartbeat(1), BLOCK), (heartbeat(2), BLOCK)]);
    let mut driver = driver(&node);
    node.tell("eio_write in host-2-hb");
    assert_eq!(driver.write(&heartbeat(1), 0, &[1; 4096]), Ok(()));
    assert_eq!(driver.write(&heartbeat(2), 0, &[1; 4096]), Err(StorageFault::Io));
    for nonsense in ["", "stall now", "delay", "delay soon", "clear in host-1-hb", "torn 1 2"] {
        assert!(node.ask(nonsense).starts_with("error: "), "{nonsense}");
    }
}

#[test]
fn what_was_acknowledged_is_there_for_all_whatever_fails_next() {
    let Some(lab) = Lab::open() else { return };
    let [failing, healthy] = two_hosts(&lab);
    let (mut here, mut there) = (driver(&failing), driver(&healthy));
    let mut acknowledged = 0;
    for round in 1..=30 {
        match round % 3 {
            0 => failing.tell("eio_write"),
            1 => failing.tell("clear"),
            _ => failing.tell("enospc"),
        }
        if here.write(&heartbeat(1), 0, &[round; 4096]).is_ok() {
            acknowledged = round;
        }
        let seen = there.read(&heartbeat(1), 0, 4096).unwrap().bytes;
        assert_eq!(seen, [acknowledged; 4096][..], "round {round}");
    }
    assert_eq!(acknowledged, 28, "the last round without a fault");
    failing.kill_server();
    assert_eq!(there.read(&heartbeat(1), 0, 4096).unwrap().bytes, [28; 4096][..]);
}

#[test]
fn a_write_torn_anywhere_is_the_old_record_or_a_named_fault() {
    let Some(lab) = Lab::open() else { return };
    let [writer, reader] = two_hosts(&lab);
    let (mut here, mut there) = (driver(&writer), driver(&reader));
    let cluster = ClusterId::from_bytes([0xc1; 16]);
    let boot = BootId::from_bytes([0xb0; 16]);
    let identity = Identity { cluster, host: HostId::new(1), boot, incarnation: Incarnation::new(1) };
    let record = |number| HeartbeatRecord {
        counter: 0x0101_0101 * number,
        write_period: Duration::from_secs(number),
        io_timeout: Duration::from_secs(2 * number),
        ttl: Duration::from_secs(3 * number),
        watchdog: Duration::from_secs(4 * number),
        // Up to its last byte, so that every cut but the last leaves a mixture.
        written_at: Instant::from_nanos(0x0101_0101_0101_0101 * number),
    };
    let mut write = |number| {
        let generation = Generation::new(number);
        let bytes = record(number).seal(&identity, generation);
        here.write(&heartbeat(1), HeartbeatRecord::offset(generation), &bytes)
    };
    let mut read = || {
        let bytes = there.read(&heartbeat(1), 0, HeartbeatRecord::FILE).unwrap().bytes;
        HeartbeatRecord::read(&bytes, cluster, identity.host)
    };
    assert_eq!(write(1), Ok(()));
    // Generation 2 over generation 0, cut after each byte of header and payload.
    let length = 128;
    let mut degraded = 0;
    for kept in 0..=length {
        assert_eq!(write(0), Ok(()));
        writer.tell(&format!("torn {kept}"));
        assert_eq!(write(2), Ok(()), "such storage says that all is well");
        writer.tell("clear");
        match read() {
            PairState::Valid { record } if kept == length => {
                assert_eq!(record.generation, Generation::new(2))
            }
            // Up to the generation the two have the same bytes.
            PairState::Valid { record: found } => {
                assert!(kept <= 56, "{kept}");
                assert_eq!(found.content, record(1), "{kept}");
            }
            PairState::Degraded { record: found, .. } => {
                assert_eq!(found.content, record(1), "{kept}");
                degraded += 1;
            }
            state
            @ (PairState::NeverWritten | PairState::Inconsistent { .. } | PairState::Corrupt { .. }) => {
                panic!("{kept}: {state:?}")
            }
        }
    }
    assert_eq!(degraded, length - 57, "every cut within what differs");
    assert_eq!(write(2), Ok(()));
    assert_eq!(read().record().map(|found| found.content), Some(record(2)), "the same again heals it");
}

#[test]
fn a_slow_datastore_is_slow_and_no_more() {
    let Some(lab) = Lab::open() else { return };
    let [slow, other] = two_hosts(&lab);
    let (mut here, mut there) = (driver(&slow), driver(&other));
    slow.tell("delay 100");
    let (written, took) = timed(|| here.write(&heartbeat(1), 0, &[1; 4096]));
    assert_eq!(written, Ok(()));
    assert!(took >= Duration::from_millis(100), "{took:?}");
    assert_eq!(there.read(&heartbeat(1), 0, 1).unwrap().bytes[..], [1]);

    // An end of the delay ends the waits for it, too.
    slow.tell("clear");
    slow.tell("delay 3600000");
    here.submit_write(&heartbeat(1), 0, &[2; 4096], LATER);
    assert!(here.nothing_comes(Duration::from_millis(100)));
    slow.tell("clear");
    assert_eq!(here.written(), Ok(()));
}

#[test]
fn a_dead_mount_ends_what_is_out_and_refuses_the_rest() {
    let Some(lab) = Lab::open() else { return };
    let [dying, other] = two_hosts(&lab);
    let (mut here, mut there) = (driver(&dying), driver(&other));
    assert_eq!(here.write(&heartbeat(1), 0, &[1; 4096]), Ok(()));
    dying.tell("stall_write");
    here.submit_write(&heartbeat(1), 0, &[2; 4096], LATER);
    dying.await_stalled(1);
    dying.kill_server();

    assert_eq!(here.written(), Err(StorageFault::Unknown), "it may have landed, as far as one can know");
    assert_eq!(here.write(&heartbeat(1), 0, &[3; 4096]), Err(StorageFault::Io), "this one cannot");
    assert_eq!(here.read(&heartbeat(1), 0, 1), Err(StorageFault::Io));
    assert_eq!(here.lock(&heartbeat(1)), LockOutcome::Fault(StorageFault::Io));
    assert_eq!(here.look(&heartbeat(1)), LookOutcome::Fault(StorageFault::Io));
    assert_eq!(there.read(&heartbeat(1), 0, 4096).unwrap().bytes, [1; 4096][..]);

    let (refused, took) = timed(|| FsStorage::start(vec![dying.mount(DATASTORE)], |_| {}).unwrap_err());
    assert!(matches!(refused, OpenError::Unreadable { .. }), "{refused:?}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn files_are_created_whole_or_with_a_named_error() {
    let Some(lab) = Lab::open() else { return };
    let [node] = lab.datastore(&[]);
    let create = |kind: &FileKind| layout::create(node.root(), CLUSTER, &[(kind.clone(), BLOCK)]);

    node.tell("enospc in host-1-hb");
    let error = create(&heartbeat(1)).unwrap_err();
    let LayoutError::Io { path, source } = &error else { panic!("{error:?}") };
    assert!(path.ends_with("host-1-hb"), "{error}");
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    node.tell("clear");
    create(&heartbeat(1)).unwrap();
    assert_eq!(node.on_disk(&heartbeat(1)), [0; 4096], "the same call again makes up for it");

    node.tell("torn 100");
    create(&heartbeat(2)).unwrap();
    node.tell("clear");
    let error = create(&heartbeat(2)).unwrap_err();
    assert!(matches!(error, LayoutError::WrongSize { found: 100, expected: BLOCK, .. }), "{error:?}");
    let written = driver(&node).write(&heartbeat(2), 0, &[1; 4096]);
    assert_eq!(written, Err(StorageFault::Short), "and nobody makes it longer by writing");
}

#[test]
fn same_kernel_is_refused_on_fuse() {
    let Some(lab) = Lab::open() else { return };
    let [node] = lab.datastore(&[]);
    let mount = Mount { capability: Capability::SAME_KERNEL, ..node.mount(DATASTORE) };
    let error = FsStorage::start(vec![mount], |_| {}).unwrap_err();
    assert!(matches!(&error, OpenError::NotLocal { found: FileSystem::Fuse, .. }), "{error:?}");
}
