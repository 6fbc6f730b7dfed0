//! The envelope of one slot: its exact bytes, and a typed fault for everything that is not one.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use ha_core::record::{
    BLOCK, Expectation, Generation, HEADER, RecordFault, RecordKind, SealError, Slot, open, open_head, seal,
    seal_block,
};
use ha_core::{BootId, ClusterId, HostId, Identity, Incarnation};

const CLUSTER: ClusterId = ClusterId::from_bytes([0xc1; 16]);
const WRITER: Identity = Identity {
    cluster: CLUSTER,
    host: HostId::new(7),
    boot: BootId::from_bytes([0xb0; 16]),
    incarnation: Incarnation::new(3),
};
const EXPECTED: Expectation = Expectation {
    kind: RecordKind::Heartbeat,
    cluster: CLUSTER,
    writer: Some(HostId::new(7)),
    slot: Slot::B,
};
const GENERATION: Generation = Generation::new(5);

fn sealed(payload: &[u8]) -> Vec<u8> {
    seal(RecordKind::Heartbeat, &WRITER, GENERATION, payload, BLOCK).unwrap().into()
}

/// Changes header bytes and makes the header's sum fit again.
fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut area = sealed(b"beat");
    area[at..at + bytes.len()].copy_from_slice(bytes);
    let sum = crc32fast::hash(&area[..76]);
    area[76..80].copy_from_slice(&sum.to_le_bytes());
    area
}

#[test]
fn the_layout_is_the_one_in_the_documentation() {
    let area = sealed(b"beat");
    assert_eq!(area.len(), BLOCK);
    assert_eq!(&area[..4], b"vHAr");
    assert_eq!(area[4..6], [1, 0], "kind");
    assert_eq!(area[6..8], [1, 1], "version, oldest reader");
    assert_eq!(area[8..24], [0xc1; 16], "cluster");
    assert_eq!(area[24..28], [7, 0, 0, 0], "host");
    assert_eq!(area[28..32], [1, 0, 0, 0], "slot");
    assert_eq!(area[32..48], [0xb0; 16], "boot");
    assert_eq!(area[48..56], [3, 0, 0, 0, 0, 0, 0, 0], "incarnation");
    assert_eq!(area[56..64], [5, 0, 0, 0, 0, 0, 0, 0], "generation");
    assert_eq!(area[64..68], [4, 0, 0, 0], "length");
    assert_eq!(area[68..72], crc32fast::hash(b"beat").to_le_bytes(), "payload sum");
    assert_eq!(area[72..76], [0; 4], "reserved");
    assert_eq!(area[76..80], crc32fast::hash(&area[..76]).to_le_bytes(), "header sum");
    assert_eq!(&area[80..84], b"beat");
    assert!(area[84..].iter().all(|byte| *byte == 0));
    let whole = seal_block(RecordKind::Heartbeat, &WRITER, GENERATION, b"beat");
    assert_eq!(whole, area, "the two ways to seal agree");
}

#[test]
fn a_sealed_record_opens_to_what_was_sealed() {
    for length in [0, 1, BLOCK - HEADER - 1, BLOCK - HEADER] {
        let payload = vec![0xaa; length];
        let area = sealed(&payload);
        let record = open(&area, &EXPECTED).unwrap();
        assert_eq!((record.writer, record.generation, record.content), (WRITER, GENERATION, &payload[..]));
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_made() {
    let seal = |length, area| {
        seal(RecordKind::List, &WRITER, GENERATION, &vec![1; length], area).map(|bytes| bytes.len())
    };
    let room = BLOCK - HEADER;
    assert_eq!(seal(room, BLOCK), Ok(BLOCK));
    assert_eq!(seal(room + 1, BLOCK), Err(SealError::TooLong { needed: room + 1, available: room }));
    assert_eq!(seal(room + 1, 2 * BLOCK), Ok(2 * BLOCK));
    for area in [0, 1, BLOCK - 1, BLOCK + 1] {
        assert_eq!(seal(0, area), Err(SealError::AreaSize { area }));
    }
}

#[test]
fn every_single_bit_flip_is_noticed() {
    let whole = sealed(b"a payload of some length");
    let mut area = whole.clone();
    for bit in 0..area.len() * 8 {
        area[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&area, &EXPECTED).is_err(), "bit {bit}");
        area[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(area, whole);
    assert!(open(&area, &EXPECTED).is_ok());
}

#[test]
fn every_truncation_is_noticed() {
    let area = sealed(b"beat");
    for length in 0..area.len() {
        assert_eq!(open(&area[..length], &EXPECTED), Err(RecordFault::WrongSize { found: length }));
    }
}

#[test]
fn each_fault_has_its_own_name() {
    let table: Vec<(Vec<u8>, RecordFault)> = vec![
        (vec![0; BLOCK], RecordFault::NeverWritten),
        (vec![0; BLOCK + 1], RecordFault::WrongSize { found: BLOCK + 1 }),
        (vec![0xff; BLOCK], RecordFault::BadMagic),
        (patched(0, b"vHAx"), RecordFault::BadMagic),
        (patched(6, &[2, 2]), RecordFault::NewerVersion { version: 2, oldest_reader: 2 }),
        (patched(4, &[2, 0]), RecordFault::WrongKind { found: 2 }),
        (patched(4, &[99, 1]), RecordFault::WrongKind { found: 355 }),
        (patched(8, &[9; 16]), RecordFault::ForeignCluster { found: ClusterId::from_bytes([9; 16]) }),
        (patched(24, &[8]), RecordFault::WrongWriter { found: HostId::new(8) }),
        (patched(28, &[0]), RecordFault::WrongSlot { found: 0, generation: GENERATION }),
        (patched(56, &[6]), RecordFault::WrongSlot { found: 1, generation: Generation::new(6) }),
        (patched(64, &4017_u32.to_le_bytes()), RecordFault::BadLength { found: 4017 }),
        (patched(64, &[0xff; 4]), RecordFault::BadLength { found: u32::MAX }),
        (patched(64, &4016_u32.to_le_bytes()), RecordFault::BadPayload),
        (patched(68, &[0, 0, 0, 0]), RecordFault::BadPayload),
    ];
    for (area, fault) in table {
        assert_eq!(open(&area, &EXPECTED), Err(fault));
    }
    let mut header = sealed(b"beat");
    header[40] ^= 1;
    assert_eq!(open(&header, &EXPECTED), Err(RecordFault::BadHeader));
    let mut rest = sealed(b"beat");
    rest[BLOCK - 1] = 1;
    assert_eq!(open(&rest, &EXPECTED), Err(RecordFault::NotZeroAfterPayload));
}

#[test]
fn a_newer_minor_version_that_we_can_read_is_read() {
    let area = patched(6, &[2, 1]);
    assert_eq!(open(&area, &EXPECTED).map(|record| record.content), Ok(&b"beat"[..]));
}

#[test]
fn the_reserved_field_is_left_to_later_versions() {
    assert!(open(&patched(72, &[1, 2, 3, 4]), &EXPECTED).is_ok());
}

#[test]
fn a_file_of_many_writers_takes_any_writer() {
    let anyone = Expectation { writer: None, ..EXPECTED };
    let area = patched(24, &[8]);
    assert_eq!(open(&area, &anyone).map(|record| record.writer.host), Ok(HostId::new(8)));
}

#[test]
fn a_head_tells_the_writer_whatever_follows_it() {
    let mut torn = sealed(b"payload");
    torn[80..].fill(0xff);
    let head = open_head(&torn[..4_096], &EXPECTED).unwrap();
    assert_eq!((head.writer, head.generation), (WRITER, GENERATION));
    assert!(open(&torn, &EXPECTED).is_err());
    torn[79] ^= 1;
    assert_eq!(open_head(&torn, &EXPECTED).unwrap_err(), RecordFault::BadHeader);
    assert_eq!(open_head(&[0; 4_096], &EXPECTED).unwrap_err(), RecordFault::NeverWritten);
    assert_eq!(open_head(&[0; 79], &EXPECTED).unwrap_err(), RecordFault::WrongSize { found: 79 });
}
