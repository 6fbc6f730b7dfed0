//! Sizes of files, room in lists, names of directories.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{CLUSTER, GEOMETRY, HOME, host, identity, term, uuid, vm};
use ha_core::record::Generation;
use ha_core::{FileKind, Limits, VmEpoch, VmId};
use ha_datastore::format::{
    ClusterDirectory, Geometry, ListEntry, ListFull, PoweronRecord, ProtectedList, Protection, TooManyVms,
    file_size,
};

fn limits(vms_per_host: u32, vms_per_list: u32) -> Geometry {
    Geometry::new(Limits { vms_per_host, vms_per_list, ..Limits::DEFAULT })
}

#[test]
fn files_have_the_sizes_that_follow_from_the_limits() {
    let size = |kind, geometry: &Geometry| file_size(&kind, geometry);
    for geometry in [limits(1, 1), limits(1_024, 100_000)] {
        assert_eq!(size(FileKind::Heartbeat(host(1)), &geometry), 8_192);
        assert_eq!(size(FileKind::ProtectedList, &geometry), 8_192);
        assert_eq!(size(FileKind::PoweredOff(uuid(1)), &geometry), 8_192);
        assert_eq!(size(FileKind::Probe(host(1)), &geometry), 8_192);
        assert_eq!(size(FileKind::VmLock(vm(1)), &geometry), 8_192);
    }
    // 80 + 16 + 24 * 166 = 4,080; one more machine is one more block.
    assert_eq!(size(FileKind::Poweron(host(1)), &limits(166, 1)), 4_096 + 2 * 4_096);
    assert_eq!(size(FileKind::Poweron(host(1)), &limits(167, 1)), 4_096 + 2 * 8_192);
    // 80 + 32 + 192 * 20 = 3,952.
    assert_eq!(size(FileKind::ProtectedListOf(host(1)), &limits(1, 20)), 2 * 4_096);
    assert_eq!(size(FileKind::ProtectedListOf(host(1)), &limits(1, 21)), 2 * 8_192);
    let default = 2 * (19_202_048 + 1_024 * 8_192);
    assert_eq!(size(FileKind::ProtectedListOf(host(1)), &Geometry::new(Limits::DEFAULT)), default);
}

#[test]
fn a_log_is_no_longer_than_its_list_and_no_longer_than_the_limit() {
    let records = |vms_per_list, list_log_records| {
        let geometry = Geometry::new(Limits { vms_per_list, list_log_records, ..Limits::DEFAULT });
        assert_eq!(geometry.list_log_area(), geometry.list_log_records() as usize * 8_192);
        (geometry.list_area(), geometry.list_log_records())
    };
    // 80 + 32 + 192 * 42 = 8,176: as short as a record.
    assert_eq!(records(42, 9), (8_192, 0));
    assert_eq!(records(43, 9), (12_288, 1));
    assert_eq!(records(170, 9), (32_768, 4));
    assert_eq!(records(170, 4), (32_768, 4));
    assert_eq!(records(170, 3), (32_768, 3));
    assert_eq!(records(170, 0), (32_768, 0));
    assert_eq!(records(u32::MAX, u32::MAX).1, 100_663_296, "192 bytes of 8,192 for each machine");
}

#[test]
fn a_full_host_fits_and_one_machine_more_does_not() {
    let geometry = limits(166, 1);
    let record = |count: u32| PoweronRecord {
        inventory: 1,
        isolated: false,
        inventory_complete: true,
        vms: (0..count)
            .map(|number| {
                let mut bytes = [0; 16];
                bytes[..4].copy_from_slice(&number.to_be_bytes());
                (ha_core::VmUuid::from_bytes(bytes), VmEpoch::new(1))
            })
            .collect(),
    };
    let seal =
        |count| record(count).seal(&identity(1, 1), Generation::FIRST, &geometry).map(|area| area.len());
    assert_eq!(seal(166), Ok(4_096));
    assert_eq!(seal(167), Err(TooManyVms { found: 167, limit: 166 }));
}

fn entry(number: u8, config_length: usize) -> ListEntry {
    let config = format!("{}/x", "y".repeat(config_length - 2));
    ListEntry {
        vm: VmId::new(uuid(number), HOME, &config).unwrap(),
        protection: Protection::Protected,
        version: 1,
        priority: 1,
        cpu_reservation_mhz: 0,
        memory_overhead_mb: 0,
        intent: None,
    }
}

#[test]
fn a_list_is_limited_by_entries_and_by_bytes() {
    let seal = |entries: Vec<ListEntry>| {
        let entries = entries.into_iter().map(|entry| (entry.vm.uuid(), entry)).collect();
        let list = ProtectedList { version: 1, entries, ..ProtectedList::new(term(1, 1)) };
        list.seal(&identity(1, 1), Generation::FIRST, &GEOMETRY).map(|area| area.len())
    };
    assert_eq!(seal((0..20).map(|number| entry(number, 10)).collect()), Ok(4_096));
    let one_too_many = ListFull { entries: 21, bytes: 21 * 51 };
    assert_eq!(seal((0..21).map(|number| entry(number, 10)).collect()), Err(one_too_many));
    // 4,096 - 80 - 32 = 3,984 bytes of room: seven full paths and one that just fits, or just does not.
    let paths = |last| (0..7).map(|number| entry(number, 512)).chain([entry(7, last)]).collect::<Vec<_>>();
    assert_eq!(3_984 - 7 * 553 - 41, 72);
    assert_eq!(seal(paths(72)), Ok(4_096));
    assert_eq!(seal(paths(73)), Err(ListFull { entries: 8, bytes: 3_985 }));
}

#[test]
fn entries_are_as_long_as_they_say() {
    let list = |length| {
        let entry = entry(1, length);
        let bytes = entry.encoded_len();
        let entries = [(uuid(1), entry)].into_iter().collect();
        let list = ProtectedList { version: 1, entries, ..ProtectedList::new(term(1, 1)) };
        let area = list.seal(&identity(1, 1), Generation::FIRST, &GEOMETRY).unwrap();
        (bytes, u32::from_le_bytes(area[64..68].try_into().unwrap()))
    };
    assert_eq!(list(3), (44, 32 + 44));
    assert_eq!(list(512), (553, 32 + 553));
}

#[test]
fn cluster_directories_print_and_parse() {
    let directory = ClusterDirectory::new(CLUSTER, 12, "a1b2c3d4", "vc-1.example.org").unwrap();
    let text = "c1c1c1c1-c1c1-c1c1-c1c1-c1c1c1c1c1c1-12-a1b2c3d4-vc-1.example.org";
    assert_eq!(directory.to_string(), text);
    assert_eq!(text.parse(), Ok(directory.clone()));
    let parts = (directory.cluster(), directory.number(), directory.random(), directory.manager());
    assert_eq!(parts, (CLUSTER, 12, "a1b2c3d4", "vc-1.example.org"));
    let longest = "h".repeat(198);
    let name = ClusterDirectory::new(CLUSTER, u32::MAX, "a1b2c3d4", &longest).unwrap().to_string();
    assert_eq!(name.len(), 255);
    assert!(name.parse::<ClusterDirectory>().is_ok());
    assert!(ClusterDirectory::new(CLUSTER, 1, "a1b2c3d4", &"h".repeat(199)).is_err());
}

#[test]
fn bad_directory_names_are_refused() {
    let uuid = "c1c1c1c1-c1c1-c1c1-c1c1-c1c1c1c1c1c1";
    for rest in [
        "",
        "-",
        "-12",
        "-12-a1b2c3d4",
        "-12-a1b2c3d4-",
        "-012-a1b2c3d4-vc",
        "-+12-a1b2c3d4-vc",
        "-4294967296-a1b2c3d4-vc",
        "-12-a1b2c3d-vc",
        "-12-A1b2c3d4-vc",
        "-12-a1b2c3d4--vc",
        "-12-a1b2c3d4-../vc",
        "-12-a1b2c3d4-v\u{fc}",
    ] {
        assert!(format!("{uuid}{rest}").parse::<ClusterDirectory>().is_err(), "{rest}");
    }
    assert!("x1c1c1c1-c1c1-c1c1-c1c1-c1c1c1c1c1c1-12-a1b2c3d4-vc".parse::<ClusterDirectory>().is_err());
    assert!("\u{fc}".repeat(40).parse::<ClusterDirectory>().is_err());
}
