//! A million hostile payloads for each shape of type: a value or a typed error, within the stated memory.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use allocation_counter::measure;
use ha_core::codec::{DecodeError, MAX_ENCODED, Payload, bincode, decode, encode, max_allocated};
use ha_core::contract::Hostile;
use ha_core::{DatastoreId, HostId, Moid, Round, Term, VmEpoch, VmId, VmUuid};

const PAYLOADS: u32 = 1_000_000;
const LONGEST: usize = 400;

/// As much memory for its bytes as the rules allow: 64 for 4.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
#[bincode(crate = "ha_core::codec::bincode")]
enum Wide {
    Nothing,
    Much([u64; 7]),
}

#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
#[bincode(crate = "ha_core::codec::bincode")]
enum Message {
    Moids(Vec<Moid>),
    Vms(Vec<(VmId, VmEpoch, Option<HostId>)>),
    Nested(Vec<Vec<u64>>),
    Wide(Vec<Wide>),
    Terms(Vec<Term>, bool),
}

fn vm(config: &str) -> VmId {
    VmId::new(VmUuid::from_bytes([7; 16]), DatastoreId::new(3), config).unwrap()
}

fn messages() -> Vec<Message> {
    let term = Term::new(Round::new(3), HostId::new(4));
    vec![
        Message::Moids(vec!["host-9".parse().unwrap(), "m".repeat(80).parse().unwrap()]),
        Message::Vms(vec![
            (vm("a/b"), VmEpoch::new(1), None),
            (vm("c/d"), VmEpoch::new(2), Some(HostId::new(9))),
        ]),
        Message::Nested(vec![vec![1, 2, 3], vec![], vec![4]]),
        Message::Wide(vec![Wide::Nothing, Wide::Much([5; 7]), Wide::Nothing]),
        Message::Terms(vec![term; 3], true),
    ]
}

/// Decodes hostile forms of `goods`; tells how many were values.
fn attack<T: Payload + PartialEq>(seed: u64, goods: &[T]) -> u32 {
    let goods: Vec<Vec<u8>> = goods.iter().map(|good| encode(good, LONGEST).unwrap()).collect();
    let mut hostile = Hostile::from_seed(seed);
    let mut bytes = Vec::new();
    let mut decoded = 0;
    for _ in 0..PAYLOADS {
        hostile.payload(&goods, LONGEST, &mut bytes);
        let mut result = Err(DecodeError::Truncated);
        let taken = measure(|| result = decode::<T>(&bytes, LONGEST));
        assert!(taken.bytes_max <= max_allocated(bytes.len()) as u64, "{} bytes: {taken:?}", bytes.len());
        if let Ok(value) = result {
            decoded += 1;
            assert!(encode(&value, LONGEST).unwrap() == bytes, "a second spelling");
        }
    }
    decoded
}

#[test]
fn messages_of_lists() {
    let decoded = attack(1, &messages());
    assert!(decoded > PAYLOADS / 20, "{decoded}");
}

#[test]
fn managed_object_ids() {
    let moids: Vec<Moid> = vec!["host-99".parse().unwrap(), "m".repeat(80).parse().unwrap()];
    let decoded = attack(2, &moids);
    assert!(decoded > PAYLOADS / 50, "{decoded}");
}

#[test]
fn virtual_machines() {
    let decoded = attack(3, &[vm("a/b"), vm(&format!("{}/x.vmx", "d".repeat(300)))]);
    assert!(decoded > PAYLOADS / 20, "{decoded}");
}

/// The worst that can be made: a list that claims all there is, its first entries, and in the last of them another
/// claim of what is left. Neither what is claimed nor what is decoded bounds it alone.
#[test]
fn a_claim_behind_good_entries_stays_within_the_bound() {
    let entries = 500_u64;
    let mut bomb = 2_u32.to_le_bytes().to_vec();
    bomb.extend_from_slice(&(65_000 / 24_u64).to_le_bytes());
    for _ in 0..entries {
        bomb.extend_from_slice(&0_u64.to_le_bytes());
    }
    bomb.extend_from_slice(&900_u64.to_le_bytes());
    let taken = measure(|| assert!(decode::<Message>(&bomb, MAX_ENCODED).is_err()));
    assert!(taken.bytes_max > 64 << 10, "more than lengths may claim: {taken:?}");
    assert!(taken.bytes_max <= max_allocated(bomb.len()) as u64, "{taken:?}");
}

#[test]
fn the_bound_is_as_the_table_says() {
    for (given, allocated) in [
        (0, 64 << 10),
        (4 << 10, 128 << 10),
        (64 << 10, 2 << 20),
        (1 << 20, 32 << 20),
        (64 << 20, 512 << 20),
        ((64 << 20) + 1, 0),
    ] {
        assert_eq!(max_allocated(given), allocated, "{given}");
    }
    // The widest entries that the rules allow, at each step, and one more claim than there are.
    for step in [4 << 10, 64 << 10, 1 << 20] {
        let count = (step - 12) / 4;
        let list = encode(&Message::Wide(vec![Wide::Nothing; count]), step).unwrap();
        let taken = measure(|| assert!(decode::<Message>(&list, step).is_ok()));
        assert!(taken.bytes_max > 15 * list.len() as u64, "{taken:?}");
        assert!(taken.bytes_max <= max_allocated(list.len()) as u64, "{taken:?}");
    }
}
