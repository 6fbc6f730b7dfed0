//! How much is read at a time to take a datastore.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::rig::Rig;
use common::{HOME, at, host, identity, term, uuid, vm};
use ha_core::record::Generation;
use ha_core::{FileKind, FileName, Limits, StorageRequest};
use ha_datastore::Ownership;
use ha_datastore::format::{Geometry, ListEntry, ProtectedList, Protection, file_size};
use ha_datastore::ownership::{Event, Input};

/// Lists of 32 MB, of which two may be read at once.
const LONG: Geometry = Geometry::new(Limits { vms_per_list: 40_000, ..Limits::DEFAULT });

fn list_of(number: u32) -> FileName {
    FileName::new(HOME, FileKind::ProtectedListOf(host(number)))
}

fn put_list(rig: &mut Rig, number: u32) {
    let own = u8::try_from(number).unwrap();
    let entry = ListEntry {
        vm: vm(own),
        protection: Protection::Protected,
        version: 1,
        priority: 1,
        cpu_reservation_mhz: 0,
        memory_overhead_mb: 0,
        intent: None,
    };
    let list = ProtectedList { term: term(3, number), version: 7, entries: [(uuid(own), entry)].into() };
    let slot = list.seal(&identity(number, 1), Generation::FIRST, &LONG).unwrap();
    rig.disk.file(&list_of(number))[..slot.len()].copy_from_slice(&slot);
}

/// Takes the datastore and gives the most bytes and reads that were out at once, and the lists that were read whole.
fn take(rig: &mut Rig) -> (u64, usize, Vec<FileName>) {
    let whole = file_size(&list_of(1).kind, &LONG);
    let (mut bytes, mut reads, mut lists) = (0, 0, Vec::new());
    rig.ask(at(0), Input::Claim { term: term(5, 1), may_take: true });
    while !rig.requests.is_empty() {
        let lengths = rig.requests.iter().filter_map(|request| match request {
            StorageRequest::Read { length, .. } => Some(u64::from(*length)),
            StorageRequest::Write { .. }
            | StorageRequest::Lock { .. }
            | StorageRequest::Unlock { .. }
            | StorageRequest::LookAtLock { .. } => None,
        });
        bytes = bytes.max(lengths.clone().sum());
        reads = reads.max(lengths.count());
        if let StorageRequest::Read { file, length, .. } = &rig.requests[0]
            && u64::from(*length) == whole
        {
            lists.push(file.clone());
        }
        rig.serve_one(at(0));
    }
    (bytes, reads, lists)
}

#[test]
fn long_lists_are_read_a_few_at_a_time_and_only_if_they_were_ever_written() {
    let mut rig = Rig::with(|config| {
        config.geometry = LONG;
        config.hosts = (1..=20).map(host).collect();
    });
    let written = [2, 5, 6, 20];
    written.iter().for_each(|number| put_list(&mut rig, *number));
    let (bytes, reads, lists) = take(&mut rig);
    assert_eq!(rig.events, [Event::Owned { term: term(5, 1) }]);
    assert!(written.iter().all(|number| rig.protects(u8::try_from(*number).unwrap())));
    assert_eq!(lists, written.map(list_of));
    let whole = file_size(&list_of(1).kind, &LONG);
    assert_eq!((bytes, reads), (2 * whole, Ownership::READS_AT_ONCE));
    assert!(bytes <= Ownership::READS_AT_ONCE_BYTES && 3 * whole > Ownership::READS_AT_ONCE_BYTES);
}

/// One zeroed block must not make a list look never written.
#[test]
fn a_long_list_whose_first_block_is_lost_is_read() {
    let mut rig = Rig::with(|config| config.geometry = LONG);
    put_list(&mut rig, 2);
    rig.give(at(0), Input::Claim { term: term(5, 2), may_take: true });
    // Host 1 has now a log, and one snapshot.
    let id = ha_datastore::ChangeId(1);
    let change = ha_datastore::ListChange::Unprotect { vm: vm(2), version: 2 };
    assert_eq!(rig.give(at(1), Input::Change { id, change }), [Event::Durable { ids: vec![id] }]);
    rig.disk.file(&list_of(1))[..4_096].fill(0);
    rig.disk.free_lock(&common::owner::owner_file());
    let mut other = Rig::with(|config| {
        config.geometry = LONG;
        config.identity = identity(3, 1);
    });
    core::mem::swap(&mut other.disk, &mut rig.disk);
    let told = other.give(at(1_000), Input::Claim { term: term(6, 3), may_take: true });
    assert!(matches!(told[..], [Event::ListUnreadable { host: bad, .. }] if bad == host(1)), "{told:?}");
}
