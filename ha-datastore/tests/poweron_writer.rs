//! The inventory on disk.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use common::{CLUSTER, Disk, GEOMETRY, HOME, TIMING, at, host, identity, machine, uuid};
use ha_core::{FileKind, FileName, Incarnation, Instant, Machine, StorageFault, StorageRequest, VmEpoch};
use ha_datastore::PoweronWriter;
use ha_datastore::format::{PoweronRecord, TooManyVms};
use ha_datastore::poweron_writer::{Event, Input, Output, PoweronWriterConfig, Rejected};

fn name() -> FileName {
    FileName::new(HOME, FileKind::Poweron(host(7)))
}

fn writer(incarnation: u64) -> PoweronWriter {
    let config = PoweronWriterConfig {
        identity: identity(7, incarnation),
        machine: machine(7, 1),
        datastore: HOME,
        geometry: GEOMETRY,
        timing: TIMING,
    };
    PoweronWriter::new(config, at(0))
}

fn inventory(number: u64, isolated: bool, vms: u8) -> PoweronRecord {
    let vms = (0..vms).map(|vm| (uuid(vm), VmEpoch::new(1))).collect::<BTreeMap<_, _>>();
    PoweronRecord { inventory: number, isolated, inventory_complete: true, vms }
}

fn drain(writer: &mut PoweronWriter) -> (Vec<StorageRequest>, Vec<Event>) {
    let (mut requests, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = writer.poll_output() {
        match output {
            Output::Storage(request) => requests.push(request),
            Output::Event(event) => events.push(event),
        }
    }
    (requests, events)
}

fn settle(writer: &mut PoweronWriter, disk: &mut Disk, now: Instant) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let (requests, mut more) = drain(writer);
        events.append(&mut more);
        if requests.is_empty() {
            return events;
        }
        for request in requests {
            let done = disk.serve(now, request).unwrap();
            writer.handle_input(now, Input::Storage(done)).unwrap();
        }
    }
}

fn give(writer: &mut PoweronWriter, disk: &mut Disk, record: PoweronRecord) -> Vec<Event> {
    writer.handle_input(at(0), Input::Inventory(record)).unwrap();
    settle(writer, disk, at(0))
}

fn on_disk(disk: &mut Disk) -> (u64, PoweronRecord) {
    let file = disk.file(&name());
    let state = PoweronRecord::read(&file[4_096..], CLUSTER, host(7), &GEOMETRY);
    let record = state.record().unwrap();
    (record.generation.number(), record.content.clone())
}

#[test]
fn an_inventory_is_durable_in_slot_and_text() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    assert_eq!(settle(&mut writer, &mut disk, at(0)), [], "nothing to write yet");
    assert_eq!(disk.writes, 0);
    assert_eq!(give(&mut writer, &mut disk, inventory(1, false, 2)), [Event::Durable { inventory: 1 }]);
    assert_eq!(on_disk(&mut disk), (0, inventory(1, false, 2)));
    assert_eq!((disk.writes, &disk.file(&name())[..3]), (2, &b"0\n\0"[..]));
    assert_eq!(give(&mut writer, &mut disk, inventory(2, false, 3)), [Event::Durable { inventory: 2 }]);
    assert_eq!(disk.writes, 3, "the text has not changed");
    assert_eq!(give(&mut writer, &mut disk, inventory(3, true, 3)), [Event::Durable { inventory: 3 }]);
    assert_eq!((disk.writes, &disk.file(&name())[..3]), (5, &b"1\n\0"[..]));
    assert_eq!(on_disk(&mut disk), (2, inventory(3, true, 3)));
    assert_eq!(writer.durable(), Some(3));
}

#[test]
fn inventories_that_come_during_a_write_go_out_as_the_latest_one() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    settle(&mut writer, &mut disk, at(0));
    for number in 1..5 {
        writer.handle_input(at(0), Input::Inventory(inventory(number, false, 1))).unwrap();
    }
    let events = settle(&mut writer, &mut disk, at(0));
    assert_eq!(events, [Event::Durable { inventory: 4 }]);
    assert_eq!(disk.writes, 3, "two slots, one text");
    assert_eq!(on_disk(&mut disk), (1, inventory(4, false, 1)));
}

#[test]
fn the_caller_s_mistakes_are_refused() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    give(&mut writer, &mut disk, inventory(5, false, 1));
    let before = format!("{writer:?}");
    let mut refused = |record| writer.handle_input(at(1), Input::Inventory(record)).unwrap_err();
    assert_eq!(refused(inventory(4, true, 1)), Rejected::OldInventory { given: 4, latest: 5 });
    assert_eq!(refused(inventory(5, true, 1)), Rejected::OldInventory { given: 5, latest: 5 });
    let limit = TooManyVms { found: 101, limit: 100 };
    assert_eq!(refused(inventory(6, true, 101)), Rejected::TooManyVms(limit));
    assert_eq!(format!("{writer:?}"), before);
    assert_eq!(give(&mut writer, &mut disk, inventory(5, false, 1)), [], "the same again is nothing new");
    assert_eq!(give(&mut writer, &mut disk, inventory(6, false, 100)), [Event::Durable { inventory: 6 }]);
}

#[test]
fn after_a_fault_the_same_generation_is_written_again_and_read_back() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    give(&mut writer, &mut disk, inventory(1, false, 1));
    disk.fail_write = Some((name(), StorageFault::Io, true));
    let trouble = Event::Trouble { fault: StorageFault::Io };
    assert_eq!(give(&mut writer, &mut disk, inventory(2, false, 2)), [trouble]);
    assert_eq!(give(&mut writer, &mut disk, inventory(3, false, 3)), [], "waits for the doubtful one");
    disk.fail_write = None;
    writer.handle_timeout(at(100));
    let events = settle(&mut writer, &mut disk, at(100));
    assert_eq!(events, [Event::Recovered, Event::Durable { inventory: 2 }, Event::Durable { inventory: 3 }]);
    assert_eq!(on_disk(&mut disk), (2, inventory(3, false, 3)));
}

#[test]
fn a_later_life_continues_and_a_repeated_one_stops() {
    let (mut older, mut disk) = (writer(1), Disk::default());
    settle(&mut older, &mut disk, at(0));
    give(&mut older, &mut disk, inventory(9, true, 1));
    let mut later = writer(2);
    settle(&mut later, &mut disk, at(0));
    assert_eq!(give(&mut later, &mut disk, inventory(1, false, 0)), [Event::Durable { inventory: 1 }]);
    assert_eq!(on_disk(&mut disk), (1, inventory(1, false, 0)));
    let mut repeated = writer(2);
    let found = Incarnation::new(2);
    assert_eq!(settle(&mut repeated, &mut disk, at(0)), [Event::IncarnationRepeated { found }]);
    let writes = disk.writes;
    assert_eq!(give(&mut repeated, &mut disk, inventory(7, true, 0)), []);
    assert_eq!(disk.writes, writes);
}

#[test]
fn a_repeated_write_counts_only_once_it_was_read_back() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    give(&mut writer, &mut disk, inventory(1, false, 1));
    disk.fail_write = Some((name(), StorageFault::Io, true));
    give(&mut writer, &mut disk, inventory(2, false, 2));
    disk.fail_write = None;
    writer.handle_timeout(at(100));
    let [again] = drain(&mut writer).0.try_into().unwrap();
    writer.handle_input(at(100), Input::Storage(disk.serve(at(100), again).unwrap())).unwrap();
    let (requests, events) = drain(&mut writer);
    assert_eq!(events, [], "after a fault a sync proves nothing by itself");
    let [back] = requests.try_into().unwrap();
    assert!(matches!(back, StorageRequest::Read { offset: 8_192, length: 4_096, .. }), "{back:?}");
    disk.file(&name())[8_192 + 90] ^= 1;
    writer.handle_input(at(101), Input::Storage(disk.serve(at(101), back).unwrap())).unwrap();
    let events = settle(&mut writer, &mut disk, at(101));
    assert_eq!(events, [Event::Trouble { fault: StorageFault::ReadBackDiffers }]);
}
