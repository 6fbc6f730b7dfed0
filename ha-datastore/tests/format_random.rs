//! A million hostile payloads in a good envelope, for each reader: a typed state each time, never a panic, and no
//! more memory than is stated.
//!
//! Random bytes without an envelope end at the first check (ha-core tests those); here only the payload's own reader
//! stands in the way. Payloads are noise, and those of the golden files after changes.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use allocation_counter::measure;
use common::golden::all as golden_files;
use common::{CLUSTER, GEOMETRY, host, identity, pair_of, term};
use ha_core::contract::Hostile;
use ha_core::record::{Generation, PairState, RecordKind, seal};
use ha_core::{DatastoreId, Limits, VmEpoch, VmId, VmUuid};
use ha_datastore::format::{
    ClusterDirectory, Geometry, HeartbeatRecord, ListEntry, ListOwnerRecord, ListState, PowerOffMarker,
    PoweronRecord, ProbeRecord, ProtectedList, Protection, VmLockRecord, max_allocated,
};
use xxhash_rust::xxh3::xxh3_64;

const PAYLOADS: u32 = 1_000_000;
const AREA: usize = 4096;

/// The payload of a slot, if it is whole.
fn payload_of(slot: &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(u32::from_le_bytes(slot[64..68].try_into().unwrap())).unwrap();
    slot.get(80..80 + length).map(<[u8]>::to_vec)
}

/// The payloads of all golden slots of this kind.
fn golden_payloads(kind: RecordKind) -> Vec<Vec<u8>> {
    let files = golden_files().into_values();
    let slots: Vec<Vec<u8>> =
        files.flat_map(|file| file.chunks(AREA).map(<[u8]>::to_vec).collect::<Vec<_>>()).collect();
    let of_kind = |slot: &&Vec<u8>| slot.starts_with(b"vHAr") && slot[4..6] == kind.number().to_le_bytes();
    slots.iter().filter(of_kind).filter_map(|slot| payload_of(slot)).collect()
}

/// Seals hostile payloads, of lengths up to `longest`, and reads them; tells how many were good records.
fn attack<T>(kind: RecordKind, longest: usize, bound: usize, read: impl Fn(&[u8]) -> PairState<T>) -> u32 {
    let goods = golden_payloads(kind);
    assert!(!goods.is_empty());
    let mut hostile = Hostile::from_seed(u64::from(kind.number()));
    let mut file = vec![0; 2 * AREA];
    let (mut payload, mut good) = (Vec::new(), 0);
    for round in 0..PAYLOADS {
        hostile.payload(&goods, longest, &mut payload);
        if kind == RecordKind::List && round % 4 > 0 && payload.len() > 8 {
            let sum = xxh3_64(&payload[8..]);
            payload[..8].copy_from_slice(&sum.to_le_bytes());
        }
        let slot = seal(kind, &identity(7, 1), Generation::FIRST, &payload, AREA).unwrap();
        file[..AREA].copy_from_slice(&slot);
        let mut state = PairState::NeverWritten;
        let taken = measure(|| state = read(&file));
        assert!(taken.bytes_max <= bound as u64, "{payload:?}: {taken:?}");
        match state {
            PairState::Valid { .. } => good += 1,
            PairState::Corrupt { .. } => {}
            PairState::NeverWritten | PairState::Degraded { .. } | PairState::Inconsistent { .. } => {
                panic!("one slot was written, whole")
            }
        }
    }
    good
}

/// So many of a million, at least, are to pass for records, or nothing behind the first fields was tried.
const ENOUGH: u32 = PAYLOADS / 50;

#[test]
fn heartbeats() {
    let read = |file: &[u8]| HeartbeatRecord::read(file, CLUSTER, host(7));
    let good = attack(RecordKind::Heartbeat, 64, 0, read);
    assert!(good > ENOUGH, "{good}");
}

#[test]
fn owner_records() {
    let good = attack(RecordKind::ListOwner, 48, 0, |file| ListOwnerRecord::read(file, CLUSTER));
    assert!(good > ENOUGH, "{good}");
}

#[test]
fn markers() {
    let good = attack(RecordKind::PowerOffMarker, 48, 0, |file| PowerOffMarker::read(file, CLUSTER));
    assert!(good > ENOUGH, "{good}");
}

#[test]
fn probes() {
    let good = attack(RecordKind::Probe, 24, 0, |file| ProbeRecord::read(file, CLUSTER, host(7)));
    assert!(good > ENOUGH, "{good}");
}

#[test]
fn lock_records() {
    let good = attack(RecordKind::VmLock, 64, 0, |file| VmLockRecord::read(file, CLUSTER));
    assert!(good > ENOUGH, "{good}");
}

#[test]
fn poweron_records() {
    let read = |file: &[u8]| PoweronRecord::read(file, CLUSTER, host(7), &GEOMETRY);
    let good = attack(RecordKind::Poweron, 160, max_allocated(2 * AREA), read);
    assert!(good > ENOUGH, "{good}");
}

#[test]
fn protected_lists() {
    let read = |file: &[u8]| pair_of(ProtectedList::read(file, CLUSTER, host(7), &GEOMETRY));
    let good = attack(RecordKind::List, 500, max_allocated(2 * AREA), read);
    assert!(good > ENOUGH, "{good}");
}

#[test]
fn names_of_cluster_directories() {
    let names = ["67e55044-10b1-426f-9247-bb680e5fe0c8-8-k3v9x2ab-vc-1.example.org".to_owned()];
    let names = names.map(String::into_bytes);
    let mut hostile = Hostile::from_seed(1);
    let (mut bytes, mut good) = (Vec::new(), 0);
    for _ in 0..PAYLOADS {
        hostile.payload(&names, 400, &mut bytes);
        let name = String::from_utf8_lossy(&bytes);
        let mut result = None;
        let taken = measure(|| result = Some(name.parse::<ClusterDirectory>()));
        assert!(taken.bytes_max <= ClusterDirectory::MAX_ALLOCATED as u64, "{name}: {taken:?}");
        if let Some(Ok(directory)) = result {
            assert_eq!(directory.to_string().to_lowercase(), name.to_lowercase());
            good += 1;
        }
    }
    assert!(good > ENOUGH, "{good}");
}

/// Two full slots of the smallest entries: what takes most memory for its bytes.
#[test]
fn full_files_stay_within_the_bound() {
    for vms_per_list in [20, 1_000] {
        let geometry = Geometry::new(Limits { vms_per_list, vms_per_host: 100, ..Limits::DEFAULT });
        let area = geometry.list_area();
        let mut file = full_list(u32::try_from((area - 80 - 32) / 44).unwrap(), area);
        file.resize(file.len() + 2 * geometry.list_log_area(), 0);
        let mut state = ListState::NeverWritten;
        let taken = measure(|| state = ProtectedList::read(&file, CLUSTER, host(7), &geometry));
        assert!(matches!(state, ListState::Valid { .. }));
        let bound = max_allocated(file.len()) as u64;
        let of_slots = max_allocated(2 * area) as u64;
        assert!((of_slots / 3..=bound).contains(&taken.bytes_max), "{area}: {taken:?}");
    }
    let vms = (0..100_u8).map(|number| (VmUuid::from_bytes([number; 16]), VmEpoch::ZERO)).collect();
    let record = PoweronRecord { inventory: 1, isolated: false, inventory_complete: true, vms };
    let slot = |generation| record.seal(&identity(7, 1), Generation::new(generation), &GEOMETRY).unwrap();
    let file = [slot(4), slot(5)].concat();
    let taken = measure(|| drop(PoweronRecord::read(&file, CLUSTER, host(7), &GEOMETRY)));
    assert!(taken.bytes_max > 0 && taken.bytes_max <= max_allocated(file.len()) as u64, "{taken:?}");
}

/// A file of two slots of `area` bytes, with more entries than such a file would be made for.
fn full_list(entries: u32, area: usize) -> Vec<u8> {
    let entry = |number: u32| {
        let uuid = VmUuid::from_bytes(u128::from(number).to_be_bytes());
        let vm = VmId::new(uuid, DatastoreId::new(1), "a/b").unwrap();
        let protection = Protection::Removed;
        let (version, priority, intent) = (1, 1, None);
        ListEntry { vm, protection, version, priority, cpu_reservation_mhz: 0, memory_overhead_mb: 0, intent }
    };
    let entries = (0..entries).map(entry).map(|entry| (entry.vm.uuid(), entry)).collect();
    let list = ProtectedList { entries, ..ProtectedList::new(term(1, 7)) };
    let roomy = Geometry::new(Limits::DEFAULT);
    [4, 5]
        .map(|generation| {
            let generation = Generation::new(generation);
            let payload = payload_of(&list.seal(&identity(7, 1), generation, &roomy).unwrap()).unwrap();
            seal(RecordKind::List, &identity(7, 1), generation, &payload, area).unwrap()
        })
        .concat()
}

/// In both copies of the first record of a log; the chain alone would refuse them all, so their readers run first.
#[test]
fn list_records() {
    let geometry = Geometry::new(Limits { vms_per_list: 43, ..Limits::DEFAULT });
    assert_eq!(geometry.list_log_records(), 1);
    let list = ProtectedList { version: 1, ..ProtectedList::new(term(1, 7)) };
    let mut file = list.seal(&identity(7, 1), Generation::FIRST, &geometry).unwrap().to_vec();
    let log = 2 * geometry.list_area();
    file.resize(log + 2 * geometry.list_log_area(), 0);
    let base = file[80..88].to_vec();
    let goods = golden_payloads(RecordKind::ListLog);
    let entries: Vec<_> = goods.iter().map(|payload| payload[56..].to_vec()).collect();
    let mut hostile = Hostile::from_seed(7);
    let (mut noise, mut broken) = (Vec::new(), 0);
    for round in 0..PAYLOADS {
        let payload = if round % 4 == 0 {
            hostile.payload(&goods, 300, &mut noise);
            noise.clone()
        } else {
            hostile.payload(&entries, 300, &mut noise);
            // A good beginning: any chain, this base, the only record of its write, any term and version.
            [&[0; 16], &base[..], &[0; 8], &1_u32.to_le_bytes(), &[0; 20], &noise].concat()
        };
        for (copy, generation) in [(0, Generation::FIRST), (1, Generation::new(1))] {
            let block = seal(RecordKind::ListLog, &identity(7, 1), generation, &payload, AREA).unwrap();
            file[log + copy * AREA..][..AREA].copy_from_slice(&block);
        }
        let mut state = ListState::NeverWritten;
        let taken = measure(|| state = ProtectedList::read(&file, CLUSTER, host(7), &geometry));
        assert!(taken.bytes_max <= max_allocated(file.len()) as u64, "{payload:?}: {taken:?}");
        match state {
            ListState::Degraded { record, .. } => assert_eq!(record.content, list),
            ListState::BrokenLog { .. } => broken += 1,
            // The base is older or newer than the snapshot: a payload of the golden file's.
            ListState::Valid { record } | ListState::Outdated { record, .. } => {
                assert_eq!(record.content, list);
            }
            state
            @ (ListState::NeverWritten | ListState::Inconsistent { .. } | ListState::Corrupt { .. }) => {
                panic!("{state:?}")
            }
        }
    }
    assert!(broken > ENOUGH, "{broken}");
}
