//! Hostile slot areas: a record or a typed fault, and never an allocation.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use allocation_counter::measure;
use ha_core::contract::Hostile;
use ha_core::record::{
    Expectation, Generation, PairExpectation, PairState, RecordFault, RecordKind, Slot, open, read_pair,
    seal_block,
};
use ha_core::{BootId, ClusterId, HostId, Identity, Incarnation};

const AREAS: u32 = 1_000_000;
const CLUSTER: ClusterId = ClusterId::from_bytes([0xc1; 16]);
const WRITER: Identity = Identity {
    cluster: CLUSTER,
    host: HostId::new(7),
    boot: BootId::from_bytes([0xb0; 16]),
    incarnation: Incarnation::new(3),
};
/// Where the payload and its sum end; the rest of a block stays as it is.
const HEAD: usize = 80 + 32;

/// Changes the head of a whole record; in three of four rounds all sums are made right again, so that every check
/// behind them is reached.
#[test]
fn areas() {
    let kind = RecordKind::Heartbeat;
    let expected = Expectation { kind, cluster: CLUSTER, writer: Some(WRITER.host), slot: Slot::A };
    let mut hostile = Hostile::from_seed(1);
    let good = seal_block(kind, &WRITER, Generation::new(4), &[5; 32]).to_vec();
    let (mut area, mut head) = (good.clone(), Vec::new());
    let mut faults = [0_u32; 12];
    for round in 0..AREAS {
        hostile.payload(&[good[..HEAD].to_vec()], HEAD, &mut head);
        area[..HEAD].copy_from_slice(&good[..HEAD]);
        area[..head.len()].copy_from_slice(&head);
        if round % 4 > 0 {
            area[..4].copy_from_slice(b"vHAr");
            let length = u32::from_le_bytes(area[64..68].try_into().unwrap());
            let payload = usize::try_from(length).unwrap().min(area.len() - 80);
            let sum = crc32fast::hash(&area[80..80 + payload]);
            area[68..72].copy_from_slice(&sum.to_le_bytes());
            let sum = crc32fast::hash(&area[..76]);
            area[76..80].copy_from_slice(&sum.to_le_bytes());
        }
        let mut result = Ok(0);
        let taken = measure(|| result = open(&area, &expected).map(|record| record.content.len()));
        assert_eq!(taken.count_total, 0);
        faults[index(result)] += 1;
    }
    // Sizes and zeros are another matter; what a payload says is for its own decoder.
    for (index, count) in faults.iter().enumerate().filter(|(index, _)| !matches!(index, 1 | 2)) {
        assert!(*count > 100, "fault {index} was seen {count} times: {faults:?}");
    }
    assert!(faults[0] > AREAS / 20, "{faults:?}");
}

fn index(result: Result<usize, RecordFault>) -> usize {
    match result {
        Ok(_) => 0,
        Err(RecordFault::NeverWritten) => 1,
        Err(RecordFault::WrongSize { .. }) => 2,
        Err(RecordFault::BadMagic) => 3,
        Err(RecordFault::BadHeader) => 4,
        Err(RecordFault::NewerVersion { .. }) => 5,
        Err(RecordFault::WrongKind { .. }) => 6,
        Err(RecordFault::ForeignCluster { .. }) => 7,
        Err(RecordFault::WrongWriter { .. }) => 8,
        Err(RecordFault::WrongSlot { .. }) => 9,
        Err(RecordFault::BadLength { .. }) => 10,
        Err(RecordFault::BadPayload | RecordFault::NotZeroAfterPayload) => 11,
        Err(RecordFault::BadContent { .. }) => panic!("no content was looked at"),
    }
}

/// Every way in which two slots can stand together, and files of every length around theirs.
#[test]
fn pairs_allocate_nothing_either() {
    let kind = RecordKind::VmLock;
    let expected = PairExpectation { kind, cluster: CLUSTER, writer: None };
    let slot = |generation| seal_block(kind, &WRITER, Generation::new(generation), &[5; 40]).to_vec();
    let (zeros, torn) = (vec![0; 4096], [&slot(6)[..100], &[0; 3996][..]].concat());
    let slots = [slot(4), slot(5), slot(6), slot(9), zeros, torn];
    let mut states = [0; 5];
    for a in &slots {
        for b in &slots {
            let file = [a.as_slice(), b].concat();
            for length in [file.len() - 1, file.len(), 4096, 0] {
                let mut state = PairState::NeverWritten;
                let taken = measure(|| {
                    state = read_pair(&file[..length], 4096, &expected, |payload| Ok(payload.len()))
                });
                assert_eq!(taken.count_total, 0);
                states[match state {
                    PairState::NeverWritten => 0,
                    PairState::Valid { .. } => 1,
                    PairState::Degraded { .. } => 2,
                    PairState::Inconsistent { .. } => 3,
                    PairState::Corrupt { .. } => 4,
                }] += 1;
            }
        }
    }
    assert!(states.iter().all(|count| *count > 0), "{states:?}");
}
