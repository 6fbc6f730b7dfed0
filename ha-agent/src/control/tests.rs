use alloc::vec;
use alloc::vec::Vec;

use allocation_counter::measure;
use ha_core::contract::Hostile;
use ha_core::{DatastoreId, HostId, Round};

use super::*;

const PAYLOADS: u32 = 1_000_000;

fn samples() -> Vec<ControlMessage> {
    let term = Term::new(Round::new(3), HostId::new(4));
    let uuid = VmUuid::from_bytes([7; 16]);
    let vm = VmId::new(uuid, DatastoreId::new(3), "a/b").unwrap();
    let entry = InventoryEntry { vm: vm.clone(), epoch: VmEpoch::new(5), holds_lock: true };
    let report =
        InventoryReport { generation: 6, complete: true, vms: vec![entry; 3], starting: vec![uuid; 2] };
    let order = Order {
        term,
        number: 7,
        intent_term: term,
        vm: vm.clone(),
        expected: VmEpoch::new(8),
        validity_nanos: 9,
        anchor_incarnation: Incarnation::new(10),
        anchor_sequence: 11,
    };
    let result = |outcome| OrderResult { intent_term: term, number: 7, vm: vm.clone(), outcome };
    vec![
        ControlMessage::Hello { following: term },
        ControlMessage::Welcome { term },
        ControlMessage::Inventory(report),
        ControlMessage::Order(order),
        ControlMessage::OrderResult(result(OrderOutcome::Started { epoch: VmEpoch::new(9) })),
        ControlMessage::OrderResult(result(OrderOutcome::LockHeld)),
    ]
}

#[test]
fn a_million_hostile_payloads_stay_within_the_bound() {
    let goods: Vec<Vec<u8>> = samples().iter().map(|message| encode(message).unwrap()).collect();
    let mut hostile = Hostile::from_seed(1);
    let (mut payload, mut decoded) = (Vec::new(), 0);
    for _ in 0..PAYLOADS {
        hostile.payload(&goods, 300, &mut payload);
        let mut result = Err(DecodeError::Truncated);
        let taken = measure(|| result = decode(&payload));
        assert!(taken.bytes_max <= codec::max_allocated(payload.len()) as u64, "{payload:?}: {taken:?}");
        if let Ok(message) = result {
            assert_eq!(encode(&message).unwrap(), payload);
            decoded += 1;
        }
    }
    assert!(decoded > PAYLOADS / 10, "{decoded}");
}

/// Or a master of this minor version would neither count a slave of the next one as heard nor its inventory as confirmed.
#[test]
fn a_heartbeat_with_fields_of_a_newer_minor_is_a_heartbeat() {
    let newer = [heartbeat_payload(7).as_slice(), b"said by a newer minor"].concat();
    assert_eq!(heartbeat_generation(&newer), Some(7));
    assert_eq!(heartbeat_generation(&newer[..8]), Some(7));
    assert_eq!(heartbeat_generation(&newer[..7]), None);
}

#[test]
fn a_million_hostile_heartbeats_allocate_nothing() {
    let good = heartbeat_payload(7).to_vec();
    let mut hostile = Hostile::from_seed(2);
    let (mut payload, mut decoded) = (Vec::new(), 0);
    for _ in 0..PAYLOADS {
        hostile.payload(core::slice::from_ref(&good), 12, &mut payload);
        let mut generation = None;
        let taken = measure(|| generation = heartbeat_generation(&payload));
        assert_eq!((taken.count_total, generation.is_some()), (0, payload.len() >= 8));
        decoded += u32::from(generation.is_some());
    }
    assert!(decoded > PAYLOADS / 4, "{decoded}");
}

/// A payload has no sum of its own: the frame's tag finds what was changed on the way. Behind a good tag a cut
/// message is refused, and each flipped bit makes another message or none.
#[test]
fn every_truncation_is_refused_and_every_bit_counts() {
    for message in samples() {
        let whole = encode(&message).unwrap();
        assert_eq!(decode(&whole).as_ref(), Ok(&message));
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length]), Err(DecodeError::Truncated), "{message:?} to {length}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(decode(&flipped).as_ref(), Ok(&message), "bit {bit}");
        }
    }
}

#[test]
fn the_longest_payload_is_exact() {
    let longest = vec![0; MAX_CONTROL];
    assert!(!matches!(decode(&longest), Err(DecodeError::TooLong { .. })));
    let (length, most) = (MAX_CONTROL + 1, MAX_CONTROL);
    assert_eq!(decode(&vec![0; length]), Err(DecodeError::TooLong { length, most }));
}
