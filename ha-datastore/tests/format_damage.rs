//! Whatever happens to the bytes of a file: a typed fault, or the other slot's record; never a third content.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::fmt::Debug;
use core::time::Duration;
use std::collections::BTreeMap;

use common::{CLUSTER, GEOMETRY, at, host, identity, pair_of, term, uuid, vm};
use ha_core::VmEpoch;
use ha_core::record::{Generation, PairState, RecordFault, RecordKind, seal};
use ha_datastore::format::{
    HeartbeatRecord, ListEntry, ListOwnerRecord, MarkerState, OrderId, OwnerState, PowerOffMarker,
    PoweronRecord, ProbeNonce, ProbeRecord, ProtectedList, Protection, RestartIntent, VmLockRecord,
    VmLockState,
};

/// A kind of file: how it is read, and two successive records of it.
struct Case<T> {
    kind: RecordKind,
    area: usize,
    slots: [Vec<u8>; 2],
    read: fn(&[u8]) -> PairState<T>,
}

const A: Generation = Generation::new(4);
const B: Generation = Generation::new(5);

fn heartbeat() -> Case<HeartbeatRecord> {
    let record = |counter| HeartbeatRecord {
        counter,
        write_period: Duration::from_millis(200),
        io_timeout: Duration::from_millis(100),
        ttl: Duration::from_secs(2),
        watchdog: Duration::from_secs(20),
        written_at: at(0),
    };
    let slots = [(1, A), (2, B)].map(|(counter, g)| record(counter).seal(&identity(7, 3), g).into());
    let read = |file: &[u8]| HeartbeatRecord::read(file, CLUSTER, host(7));
    Case { kind: RecordKind::Heartbeat, area: 4096, slots, read }
}

fn poweron() -> Case<PoweronRecord> {
    let record = |inventory| PoweronRecord {
        inventory,
        isolated: true,
        inventory_complete: true,
        vms: BTreeMap::from([(uuid(1), VmEpoch::new(1)), (uuid(2), VmEpoch::new(2))]),
    };
    let slots = [(1, A), (2, B)].map(|(n, g)| record(n).seal(&identity(7, 3), g, &GEOMETRY).unwrap().into());
    let read = |file: &[u8]| PoweronRecord::read(file, CLUSTER, host(7), &GEOMETRY);
    Case { kind: RecordKind::Poweron, area: GEOMETRY.poweron_area(), slots, read }
}

fn list_owner() -> Case<ListOwnerRecord> {
    let record = |counter| ListOwnerRecord { term: term(3, 7), counter, state: OwnerState::Owned };
    let slots = [(1, A), (2, B)].map(|(counter, g)| record(counter).seal(&identity(7, 3), g).into());
    let read = |file: &[u8]| ListOwnerRecord::read(file, CLUSTER);
    Case { kind: RecordKind::ListOwner, area: 4096, slots, read }
}

fn list() -> Case<ProtectedList> {
    let intent = RestartIntent {
        order: OrderId { term: term(3, 7), number: 1 },
        attempts: 1,
        target: Some(host(8)),
        expected: VmEpoch::new(1),
    };
    let entry = |number| ListEntry {
        vm: vm(number),
        protection: Protection::Protected,
        version: 1,
        priority: 1,
        cpu_reservation_mhz: 1,
        memory_overhead_mb: 1,
        intent: Some(intent),
    };
    let list = |version| ProtectedList {
        term: term(3, 7),
        version,
        entries: (1..4).map(|number| (uuid(number), entry(number))).collect(),
    };
    let slots = [(1, A), (2, B)].map(|(n, g)| list(n).seal(&identity(7, 3), g, &GEOMETRY).unwrap().into());
    let read = |file: &[u8]| pair_of(ProtectedList::read(file, CLUSTER, host(7), &GEOMETRY));
    Case { kind: RecordKind::List, area: GEOMETRY.list_area(), slots, read }
}

fn marker() -> Case<PowerOffMarker> {
    let record = |epoch| PowerOffMarker { vm: uuid(1), epoch: VmEpoch::new(epoch), state: MarkerState::Done };
    let slots = [(1, A), (2, B)].map(|(epoch, g)| record(epoch).seal(&identity(7, 3), g).into());
    let read = |file: &[u8]| PowerOffMarker::read(file, CLUSTER);
    Case { kind: RecordKind::PowerOffMarker, area: 4096, slots, read }
}

fn probe() -> Case<ProbeRecord> {
    let record = |number| ProbeRecord { nonce: ProbeNonce::new(number) };
    let slots = [(1, A), (2, B)].map(|(number, g)| record(number).seal(&identity(7, 3), g).into());
    let read = |file: &[u8]| ProbeRecord::read(file, CLUSTER, host(7));
    Case { kind: RecordKind::Probe, area: 4096, slots, read }
}

fn vm_lock() -> Case<VmLockRecord> {
    let record = |epoch| VmLockRecord::of(&vm(1), VmEpoch::new(epoch), VmLockState::Free);
    let slots = [(1, A), (2, B)].map(|(epoch, g)| record(epoch).seal(&identity(7, 3), g).into());
    let read = |file: &[u8]| VmLockRecord::read(file, CLUSTER);
    Case { kind: RecordKind::VmLock, area: 4096, slots, read }
}

impl<T: Clone + Debug + PartialEq> Case<T> {
    fn file(&self) -> Vec<u8> {
        self.slots.concat()
    }

    fn payload(&self) -> &[u8] {
        let length = u32::from_le_bytes(self.slots[1][64..68].try_into().unwrap());
        &self.slots[1][80..80 + usize::try_from(length).unwrap()]
    }

    /// The file with another payload, correctly sealed, in slot B; slot A is torn.
    fn with_payload(&self, payload: &[u8]) -> PairState<T> {
        let mut a = self.slots[0].clone();
        a[0] ^= 1;
        let b = seal(self.kind, &identity(7, 3), B, payload, self.area).unwrap();
        (self.read)(&[a, b.into()].concat())
    }

    fn check(&self) {
        let good = (self.read)(&self.file());
        let PairState::Valid { record: newest } = good.clone() else { panic!("{good:?}") };
        assert_eq!(newest.generation, B);
        self.every_bit_flip(&newest.content);
        self.every_truncation();
        self.every_wrong_payload(&newest.content);
    }

    fn every_bit_flip(&self, newest: &T) {
        let mut file = self.file();
        let in_use = 80 + self.payload().len() + 8;
        for slot in [0, self.area] {
            // The header, the payload, and the first and last zeros after it.
            for byte in (slot..slot + in_use).chain([slot + self.area - 1]) {
                for bit in 0..8 {
                    file[byte] ^= 1 << bit;
                    let state = (self.read)(&file);
                    let PairState::Degraded { record, .. } = state else { panic!("{byte}.{bit}: {state:?}") };
                    let expected = if slot == 0 { B } else { A };
                    assert_eq!(record.generation, expected, "{byte}.{bit}");
                    assert_eq!(record.content == *newest, slot == 0, "{byte}.{bit}");
                    file[byte] ^= 1 << bit;
                }
            }
        }
    }

    fn every_truncation(&self) {
        let file = self.file();
        let short = (0..200).chain(file.len() - 200..file.len()).chain([self.area]);
        for length in short {
            let fault = RecordFault::WrongSize { found: length };
            assert_eq!((self.read)(&file[..length]), PairState::Corrupt { a: fault, b: fault });
        }
    }

    /// Payloads whose sum fits but that no writer writes.
    fn every_wrong_payload(&self, newest: &T) {
        let payload = self.payload().to_vec();
        for length in 0..payload.len() {
            assert_refused(&self.with_payload(&payload[..length]), length);
        }
        assert_refused(&self.with_payload(&[payload.clone(), vec![0]].concat()), payload.len() + 1);
        // Any other byte anywhere decodes to something else, or to nothing; it never panics.
        for index in 0..payload.len() {
            for value in [0, 1, 2, 3, 0x7f, 0x80, 0xff] {
                let mut wrong = payload.clone();
                if wrong[index] == value {
                    continue;
                }
                wrong[index] = value;
                if let PairState::Degraded { record, .. } = self.with_payload(&wrong) {
                    assert_ne!(record.content, *newest, "byte {index} = {value} makes no difference");
                }
            }
        }
    }
}

fn assert_refused<T: Debug>(state: &PairState<T>, length: usize) {
    let PairState::Corrupt { b, .. } = state else { panic!("{length}: {state:?}") };
    assert!(matches!(b, RecordFault::BadContent { .. } | RecordFault::BadPayload), "{length}: {b}");
}

#[test]
fn heartbeat_damage() {
    heartbeat().check();
}

#[test]
fn poweron_damage() {
    poweron().check();
}

#[test]
fn list_owner_damage() {
    list_owner().check();
}

#[test]
fn list_damage() {
    list().check();
}

#[test]
fn power_off_marker_damage() {
    marker().check();
    probe().check();
}

#[test]
fn vm_lock_damage() {
    vm_lock().check();
}

/// The two slots of a list, each over more than eight sectors: the write is cut short at every sector.
#[test]
fn every_crash_image_of_a_list_write_opens_to_the_old_or_the_new_list() {
    let case = list();
    let older = &case.slots[0];
    let sectors = case.area / 512;
    assert!(sectors >= 8);
    let new: Vec<u8> = {
        let entry = |number: u8| {
            let config = format!("{}/x.vmx", "y".repeat(300));
            ListEntry {
                vm: ha_core::VmId::new(uuid(number), common::HOME, &config).unwrap(),
                protection: Protection::Protected,
                version: 9,
                priority: 1,
                cpu_reservation_mhz: 1,
                memory_overhead_mb: 1,
                intent: None,
            }
        };
        let list = ProtectedList {
            term: term(3, 7),
            version: 3,
            entries: (1..11).map(|number| (uuid(number), entry(number))).collect(),
        };
        list.seal(&identity(7, 3), Generation::new(6), &GEOMETRY).unwrap().into()
    };
    let in_use = new.iter().rposition(|byte| *byte != 0).unwrap() / 512 + 1;
    assert!(in_use == 7 && sectors <= 16, "{in_use} of {sectors} sectors in use");
    for landed in 0..1_u32 << sectors {
        let mut a = older.clone();
        for sector in (0..sectors).filter(|sector| landed & (1 << sector) != 0) {
            a[sector * 512..(sector + 1) * 512].copy_from_slice(&new[sector * 512..(sector + 1) * 512]);
        }
        let state = (case.read)(&[a, case.slots[1].clone()].concat());
        let version = state.record().map(|record| record.content.version);
        let whole = landed & 0x7f == 0x7f;
        assert_eq!(version, Some(if whole { 3 } else { 2 }), "{landed:b}: {state:?}");
    }
}
