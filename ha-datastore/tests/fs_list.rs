//! A protected list with its log on real files: created by the layout, changed by its owner, read from its path.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
mod fs_common;

use core::time::Duration;
use std::fs;
use std::sync::mpsc::{Receiver, channel};

use common::{HOME, LOGGED, TIMING, host, identity, machine, term, uuid, vm};
use fs_common::{CLUSTER, TempDir};
use ha_core::{FileKind, HostId, Machine, StorageCompletion, TimingConfig};
use ha_datastore::format::{ListEntry, ListState, ProtectedList, Protection, file_size};
use ha_datastore::fs::layout::LayoutError;
use ha_datastore::fs::{FsStorage, boot_clock, layout};
use ha_datastore::ownership::{Event, Input, Output, Ownership, OwnershipConfig};
use ha_datastore::{ChangeId, ListChange};

const LIST: FileKind = FileKind::ProtectedListOf(HostId::new(1));

fn files() -> [(FileKind, u64); 2] {
    [FileKind::ProtectedList, LIST].map(|kind| (kind.clone(), file_size(&kind, &LOGGED)))
}

/// Runs until an event comes that is no beat of the owner record.
fn next_event(owner: &mut Ownership, storage: &FsStorage, done: &Receiver<StorageCompletion>) -> Event {
    for _ in 0..1_000 {
        while let Some(output) = owner.poll_output() {
            match output {
                Output::Storage(request) => storage.submit(request),
                Output::Event(event) => return event,
            }
        }
        match done.recv_timeout(Duration::from_millis(20)) {
            Ok(completion) => owner.handle_input(boot_clock(), Input::Storage(completion)).unwrap(),
            Err(_) => owner.handle_timeout(boot_clock()),
        }
    }
    panic!("nothing happened for long: {owner:?}")
}

fn protect(number: u8) -> Input {
    let entry = ListEntry {
        vm: vm(number),
        protection: Protection::Protected,
        version: 1,
        priority: 1,
        cpu_reservation_mhz: 0,
        memory_overhead_mb: 0,
        intent: None,
    };
    Input::Change { id: ChangeId(number.into()), change: ListChange::Protect(entry) }
}

#[test]
fn changes_go_through_a_full_log_and_are_read_from_the_file() {
    let temp = TempDir::new();
    layout::create(temp.path(), CLUSTER, &files()).unwrap();
    let (deliver, done) = channel();
    let mount = temp.mount_as(HOME);
    let storage = FsStorage::start(vec![mount], move |answer| deliver.send(answer).unwrap_or(())).unwrap();
    // A slow disk is no fault here.
    let timing = TimingConfig {
        datastore_io_timeout: Duration::from_secs(20),
        storage_stall_max: Duration::from_secs(60),
        ..TIMING
    };
    let config = OwnershipConfig {
        identity: identity(1, 1),
        machine: machine(1, 1),
        datastore: HOME,
        hosts: vec![host(1)],
        geometry: LOGGED,
        timing,
    };
    let mut owner = Ownership::new(config, boot_clock());
    owner.handle_input(boot_clock(), Input::Claim { term: term(1, 1), may_take: true }).unwrap();
    assert_eq!(next_event(&mut owner, &storage, &done), Event::Owned { term: term(1, 1) });
    // Four records, a snapshot, two records.
    for number in 1..=7 {
        owner.handle_input(boot_clock(), protect(number)).unwrap();
        let durable = Event::Durable { ids: vec![ChangeId(number.into())] };
        assert_eq!(next_event(&mut owner, &storage, &done), durable);
        let file = fs::read(temp.path_of(&LIST)).unwrap();
        let ListState::Valid { record } = ProtectedList::read(&file, common::CLUSTER, host(1), &LOGGED)
        else {
            panic!("after {number}")
        };
        assert_eq!(record.generation.number(), u64::from(number > 4));
        assert!(record.content.entries.keys().copied().eq((1..=number).map(uuid)));
    }
}

#[test]
fn a_file_without_room_for_the_logs_is_refused() {
    let temp = TempDir::new();
    let slots = 2 * LOGGED.list_area() as u64;
    layout::create(temp.path(), CLUSTER, &[(LIST, slots)]).unwrap();
    let error = layout::create(temp.path(), CLUSTER, &files()).unwrap_err();
    let LayoutError::WrongSize { found, expected, .. } = error else { panic!("{error}") };
    assert_eq!((found, expected), (slots, slots + 2 * LOGGED.list_log_area() as u64));
}
