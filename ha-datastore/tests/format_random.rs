//! A million random payloads in a good envelope, for each reader: a typed state each time, and never a panic.
//!
//! Random bytes without an envelope end at the first check; here only the payload's own reader stands in the way.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{CLUSTER, GEOMETRY, host, identity};
use ha_core::Random;
use ha_core::record::{Generation, PairState, RecordKind, seal};
use ha_datastore::format::{
    HeartbeatRecord, ListOwnerRecord, PowerOffMarker, PoweronRecord, ProtectedList, VmLockRecord,
};

const PAYLOADS: u32 = 1_000_000;

/// Seals random payloads, of lengths up to `longest`, and reads them; tells how many were good records.
fn read_random<T>(kind: RecordKind, area: usize, longest: u64, read: impl Fn(&[u8]) -> PairState<T>) -> u32 {
    let mut random = Random::from_seed(u64::from(kind.number()));
    let mut file = vec![0; 2 * area];
    let mut payload = Vec::new();
    let mut good = 0;
    for _ in 0..PAYLOADS {
        payload.clear();
        let length = usize::try_from(random.below(longest + 1)).unwrap();
        while payload.len() < length {
            // Small numbers are the interesting ones: counts, states, flags.
            let word = random.next_u64() >> (8 * random.below(8));
            payload.extend_from_slice(&word.to_le_bytes());
        }
        payload.truncate(length);
        let slot = seal(kind, &identity(7, 1), Generation::FIRST, &payload, area).unwrap();
        file[..area].copy_from_slice(&slot);
        match read(&file) {
            PairState::Valid { .. } => good += 1,
            PairState::Corrupt { .. } => {}
            PairState::NeverWritten | PairState::Degraded { .. } | PairState::Inconsistent { .. } => {
                panic!("one slot was written, whole")
            }
        }
    }
    good
}

#[test]
fn heartbeats() {
    let good = read_random(RecordKind::Heartbeat, HeartbeatRecord::AREA, 64, |file| {
        HeartbeatRecord::read(file, CLUSTER, host(7))
    });
    assert!(good > 0, "no payload ever had the right length");
}

#[test]
fn owner_records() {
    read_random(RecordKind::ListOwner, ListOwnerRecord::AREA, 48, |file| {
        ListOwnerRecord::read(file, CLUSTER)
    });
}

#[test]
fn markers() {
    read_random(RecordKind::PowerOffMarker, PowerOffMarker::AREA, 48, |file| {
        PowerOffMarker::read(file, CLUSTER)
    });
}

#[test]
fn lock_records() {
    read_random(RecordKind::VmLock, VmLockRecord::AREA, 48, |file| VmLockRecord::read(file, CLUSTER));
}

#[test]
fn poweron_records() {
    read_random(RecordKind::Poweron, GEOMETRY.poweron_area(), 160, |file| {
        PoweronRecord::read(file, CLUSTER, host(7), &GEOMETRY)
    });
}

#[test]
fn protected_lists() {
    read_random(RecordKind::List, GEOMETRY.list_area(), 400, |file| {
        ProtectedList::read(file, CLUSTER, host(7), &GEOMETRY)
    });
}
