//! Released bytes stay readable: each file as it was written once, compared both ways.
//!
//! The lists with a log are in `format_list_log.rs`.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::time::Duration;
use std::collections::BTreeMap;

use common::golden::compare as golden;
use common::{CLUSTER, GEOMETRY, host, identity, moved_to, new_home, term, uuid, vm};
use ha_core::record::{Generation, PairState};
use ha_core::{FileIdentity, Incarnation, Instant, VmEpoch};
use ha_datastore::format::{
    HeartbeatRecord, ListEntry, ListOwnerRecord, ListState, MarkerState, OrderId, OwnerState, PowerOffMarker,
    PoweronRecord, ProbeNonce, ProbeRecord, ProtectedList, Protection, RestartIntent, VmLockRecord,
    VmLockState,
};

/// The newest record of a file in which nothing is damaged.
fn newest<T: core::fmt::Debug>(state: PairState<T>) -> (u64, T) {
    let PairState::Valid { record } = state else { panic!("{state:?}") };
    (record.generation.number(), record.content)
}

fn generation(number: u64) -> Generation {
    Generation::new(number)
}

#[test]
fn heartbeat() {
    let record = HeartbeatRecord {
        counter: 41,
        write_period: Duration::from_millis(200),
        io_timeout: Duration::from_millis(100),
        ttl: Duration::from_secs(2),
        watchdog: Duration::from_secs(20),
        written_at: Instant::from_nanos(0x0123_4567_89ab_cdef),
    };
    let next = HeartbeatRecord { counter: 42, ..record };
    let writer = identity(7, 3);
    let file = [next.seal(&writer, generation(6)), record.seal(&writer, generation(5))].concat();
    let bytes = golden("heartbeat", &file);
    assert_eq!(newest(HeartbeatRecord::read(&bytes, CLUSTER, host(7))), (6, next));
}

#[test]
fn poweron() {
    let record = PoweronRecord {
        inventory: 9,
        isolated: true,
        inventory_complete: true,
        vms: BTreeMap::from([(uuid(2), VmEpoch::new(8)), (uuid(1), VmEpoch::new(4))]),
    };
    let empty =
        PoweronRecord { inventory: 8, isolated: false, inventory_complete: false, vms: BTreeMap::new() };
    let seal =
        |record: &PoweronRecord, number| record.seal(&identity(7, 3), generation(number), &GEOMETRY).unwrap();
    let file = [record.text(), seal(&empty, 0), seal(&record, 1)].concat();
    let bytes = golden("poweron", &file);
    assert_eq!(&bytes[..2], b"1\n");
    assert_eq!(newest(PoweronRecord::read(&bytes[4096..], CLUSTER, host(7), &GEOMETRY)), (1, record));
}

#[test]
fn list_owner() {
    let owned = ListOwnerRecord { term: term(12, 7), counter: 99, state: OwnerState::Owned };
    let released = ListOwnerRecord { counter: 100, state: OwnerState::Released, ..owned };
    let file =
        [released.seal(&identity(7, 3), generation(2)), owned.seal(&identity(6, 1), generation(1))].concat();
    let bytes = golden("protectedlist", &file);
    assert_eq!(newest(ListOwnerRecord::read(&bytes, CLUSTER)), (2, released));
    let older = [owned.seal(&identity(7, 3), generation(0)), vec![0; 4096].into()].concat();
    assert_eq!(newest(ListOwnerRecord::read(&older, CLUSTER)), (0, owned));
}

#[test]
fn list() {
    let intent = RestartIntent {
        order: OrderId { term: term(12, 7), number: 5 },
        attempts: 2,
        target: Some(host(8)),
        expected: VmEpoch::new(4),
    };
    let entry = |number, protection, intent| ListEntry {
        vm: vm(number),
        protection,
        version: u64::from(number) + 100,
        priority: 3,
        cpu_reservation_mhz: 500,
        memory_overhead_mb: 64,
        intent,
    };
    let nowhere = RestartIntent { target: None, ..intent };
    let entries = [
        entry(1, Protection::Protected, Some(intent)),
        entry(2, Protection::Removed, None),
        entry(3, Protection::Protected, None),
        entry(4, Protection::Protected, Some(nowhere)),
    ];
    let list = ProtectedList {
        term: term(12, 7),
        version: 31,
        entries: entries.into_iter().map(|entry| (entry.vm.uuid(), entry)).collect(),
    };
    let empty = ProtectedList { version: 30, ..ProtectedList::new(term(12, 7)) };
    let seal =
        |list: &ProtectedList, number| list.seal(&identity(7, 3), generation(number), &GEOMETRY).unwrap();
    let file = [seal(&empty, 4), seal(&list, 5)].concat();
    let bytes = golden("protectedlist.7", &file);
    let state = ProtectedList::read(&bytes, CLUSTER, host(7), &GEOMETRY);
    let ListState::Valid { record } = state else { panic!("{state:?}") };
    assert_eq!((record.generation.number(), record.content), (5, list));
}

#[test]
fn power_off_marker() {
    let marker = |state| PowerOffMarker { vm: uuid(5), epoch: VmEpoch::new(17), state };
    let seal = |state, number| marker(state).seal(&identity(7, 3), generation(number));
    let file = [seal(MarkerState::Done, 2), seal(MarkerState::Intended, 1)].concat();
    let bytes = golden("poweredoff", &file);
    assert_eq!(newest(PowerOffMarker::read(&bytes, CLUSTER)), (2, marker(MarkerState::Done)));
    for state in [MarkerState::None, MarkerState::Intended, MarkerState::Cancelled] {
        let file = [seal(state, 0), vec![0; 4096].into()].concat();
        assert_eq!(newest(PowerOffMarker::read(&file, CLUSTER)), (0, marker(state)));
    }
}

#[test]
fn probe() {
    let record = |number| ProbeRecord { nonce: ProbeNonce::new(number) };
    let seal = |number, at| record(number).seal(&identity(7, 3), generation(at));
    let file = [seal(0x0123_4567_89ab_cdef, 2), seal(1, 1)].concat();
    let bytes = golden("probe", &file);
    assert_eq!(newest(ProbeRecord::read(&bytes, CLUSTER, host(7))), (2, record(0x0123_4567_89ab_cdef)));
}

#[test]
fn vm_lock() {
    let file = FileIdentity::new(10_010_728);
    let record = |state| VmLockRecord { file, ..VmLockRecord::of(&vm(5), VmEpoch::new(17), state) };
    let running = VmLockState::Running { host: host(7), incarnation: Incarnation::new(3) };
    let seal = |state, number| record(state).seal(&identity(7, 3), generation(number));
    let untold = VmLockRecord { file: None, ..record(VmLockState::Free) };
    let file = [untold.seal(&identity(7, 3), generation(8)), seal(running, 9)].concat();
    let bytes = golden("ha-lock", &file);
    assert_eq!(newest(VmLockRecord::read(&bytes, CLUSTER)), (9, record(running)));
    for state in [
        VmLockState::HandingOver { target: host(8), within: Duration::ZERO },
        moved_to(&new_home(5), false),
        moved_to(&new_home(5), true),
        VmLockState::CleanlyOff,
    ] {
        let file = [seal(state, 0), vec![0; 4096].into()].concat();
        assert_eq!(newest(VmLockRecord::read(&file, CLUSTER)), (0, record(state)));
    }
}

#[test]
fn a_migrating_vm_lock() {
    let file = FileIdentity::new(10_010_728);
    let record = |state| VmLockRecord { file, ..VmLockRecord::of(&vm(5), VmEpoch::new(17), state) };
    let running = VmLockState::Running { host: host(7), incarnation: Incarnation::new(3) };
    let leaving = VmLockState::HandingOver { target: host(8), within: Duration::from_secs(30) };
    let seal = |state, number| record(state).seal(&identity(7, 3), generation(number));
    let file = [seal(leaving, 10), seal(running, 9)].concat();
    let bytes = golden("ha-lock-handing-over", &file);
    assert_eq!(newest(VmLockRecord::read(&bytes, CLUSTER)), (10, record(leaving)));
}

#[test]
fn a_moved_vm_lock() {
    let state = moved_to(&new_home(5), true);
    let file = FileIdentity::new(10_010_728);
    let record = VmLockRecord { file, ..VmLockRecord::of(&vm(5), VmEpoch::new(17), state) };
    let seal = |number| record.seal(&identity(7, 3), generation(number));
    let file = [seal(12), seal(11)].concat();
    let bytes = golden("ha-lock-moved", &file);
    assert_eq!(newest(VmLockRecord::read(&bytes, CLUSTER)), (12, record));
}

#[test]
fn a_new_vm_lock() {
    let file = VmLockRecord::initial(&identity(7, 3), &vm(5));
    let bytes = golden("ha-lock-initial", &file);
    let free = VmLockRecord::of(&vm(5), VmEpoch::ZERO, VmLockState::Free);
    assert_eq!(newest(VmLockRecord::read(&bytes, CLUSTER)), (0, free));
}
