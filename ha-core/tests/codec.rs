//! One spelling per value, within bounds: identities, payloads that are derived, and bytes that lie.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

extern crate alloc;

use alloc::collections::BTreeMap;

use ha_core::codec::{DecodeError, MAX_ENCODED, Payload, TooLong, bincode, decode, encode};
use ha_core::{
    BootId, ClusterId, DatastoreId, HostId, Incarnation, Moid, Round, Term, VmEpoch, VmId, VmUuid,
};
use proptest::prelude::*;

const MOST: usize = 1_200;

/// Derived as a crate does that has no bincode of its own.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
#[bincode(crate = "ha_core::codec::bincode")]
struct Entry {
    vm: VmId,
    epoch: VmEpoch,
    attempt: u8,
    target: Option<HostId>,
    done: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
#[bincode(crate = "ha_core::codec::bincode")]
enum Message {
    Hello { from: Moid },
    List(Vec<Entry>),
    Numbers(Vec<u64>),
    Nested(Vec<Vec<u8>>),
}

fn vm() -> VmId {
    VmId::new(VmUuid::from_bytes([7; 16]), DatastoreId::new(3), "web-1/web-1.vmx").unwrap()
}

fn entry() -> Entry {
    Entry { vm: vm(), epoch: VmEpoch::new(4), attempt: 1, target: Some(HostId::new(12)), done: true }
}

#[track_caller]
fn has_bytes<T: Payload + PartialEq + core::fmt::Debug>(value: &T, bytes: &[u8]) {
    assert_eq!(encode(value, bytes.len()).unwrap(), bytes);
    assert_eq!(&decode::<T>(bytes, bytes.len()).unwrap(), value);
    assert_eq!(encode(value, bytes.len() - 1), Err(TooLong { most: bytes.len() - 1 }));
    for length in 0..bytes.len() {
        assert_eq!(decode::<T>(&bytes[..length], MOST), Err(DecodeError::Truncated), "{length}");
    }
    let longer = [bytes, &[0]].concat();
    assert_eq!(decode::<T>(&longer, MOST), Err(DecodeError::LeftOver { left: 1 }));
}

#[test]
fn identities_have_their_bytes() {
    let uuid: [u8; 16] = core::array::from_fn(|i| u8::try_from(i).unwrap());
    has_bytes(&HostId::new(0x0102_0304), &[4, 3, 2, 1]);
    has_bytes(&DatastoreId::new(5), &[5, 0, 0, 0]);
    has_bytes(&Incarnation::new(6), &[6, 0, 0, 0, 0, 0, 0, 0]);
    has_bytes(&Round::new(7), &[7, 0, 0, 0, 0, 0, 0, 0]);
    has_bytes(&VmEpoch::new(8), &[8, 0, 0, 0, 0, 0, 0, 0]);
    has_bytes(&Term::new(Round::new(9), HostId::new(1)), &[9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    has_bytes(&ClusterId::from_bytes(uuid), &uuid);
    has_bytes(&BootId::from_bytes(uuid), &uuid);
    has_bytes(&VmUuid::from_bytes(uuid), &uuid);
    has_bytes(&"host-99".parse::<Moid>().unwrap(), b"\x07\0\0\0\0\0\0\0host-99");
    has_bytes(&vm(), &[&[7; 16][..], &[3, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0], b"web-1/web-1.vmx"].concat());
}

#[test]
fn derived_payloads_have_their_bytes() {
    let vm = encode(&vm(), MOST).unwrap();
    let entry_bytes = [&vm[..], &[4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 12, 0, 0, 0, 1]].concat();
    has_bytes(&entry(), &entry_bytes);
    has_bytes(&Message::Hello { from: "a".parse().unwrap() }, &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'a']);
    let list = [&[1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0], &entry_bytes[..], &entry_bytes[..]].concat();
    has_bytes(&Message::List(vec![entry(), entry()]), &list);
}

#[test]
fn identities_are_checked_again() {
    let text = |text: &[u8]| [&(text.len() as u64).to_le_bytes()[..], text].concat();
    let malformed = |what| DecodeError::Malformed { what };
    for bad in [&b""[..], b"host 1", &[b'a'; 81]] {
        let what =
            if bad.len() > Moid::MAX_LEN { "a text is longer than it may be" } else { "managed object id" };
        assert_eq!(decode::<Moid>(&text(bad), MOST), Err(malformed(what)));
    }
    assert!(decode::<Moid>(&text(&[b'a'; 80]), MOST).is_ok());
    assert_eq!(decode::<Moid>(&text(&[0xff]), MOST), Err(malformed("a text is not UTF-8")));

    let vm = |config: &[u8]| decode::<VmId>(&[&[7; 16][..], &[3, 0, 0, 0], &text(config)].concat(), MOST);
    for bad in [&b"no-folder"[..], b"../x/y", b"a//b", b"/etc/passwd"] {
        assert_eq!(vm(bad), Err(malformed("config path")));
    }
    assert!(vm(&[&[b'a'; 255][..], b"/", &[b'b'; 256]].concat()).is_ok());
    assert_eq!(vm(&[b'a'; 513]), Err(malformed("a text is longer than it may be")));
}

#[test]
fn fields_out_of_range_are_malformed() {
    let good = encode(&entry(), MOST).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() = 2;
    assert_eq!(
        decode::<Entry>(&bad, MOST),
        Err(DecodeError::Malformed { what: "a bool is neither 0 nor 1" })
    );
    let unknown_variant = [4, 0, 0, 0, 0];
    assert_eq!(decode::<Message>(&unknown_variant, MOST), Err(DecodeError::Malformed { what: "Message" }));
}

#[test]
fn more_bytes_than_allowed_are_not_looked_at() {
    let bytes = encode(&vm(), MOST).unwrap();
    let (length, most) = (bytes.len(), bytes.len() - 1);
    assert_eq!(decode::<VmId>(&bytes, most), Err(DecodeError::TooLong { length, most }));
    let (huge, most) = (vec![0; MAX_ENCODED + 1], MAX_ENCODED);
    let refused = decode::<VmId>(&huge, usize::MAX);
    assert_eq!(refused, Err(DecodeError::TooLong { length: huge.len(), most }));
}

/// Types that the rules exclude, because they have more than one spelling, are caught all the same.
#[test]
fn a_second_spelling_is_refused() {
    let map = BTreeMap::from([(1_u8, 2_u8), (3, 4)]);
    let bytes = encode(&map, MOST).unwrap();
    assert_eq!(decode::<BTreeMap<u8, u8>>(&bytes, MOST).unwrap(), map);
    for spelling in [[3, 4, 1, 2], [1, 2, 1, 2]] {
        let bytes = [&2_u64.to_le_bytes()[..], &spelling].concat();
        assert_eq!(decode::<BTreeMap<u8, u8>>(&bytes, MOST), Err(DecodeError::NotCanonical));
    }
}

#[test]
fn claimed_lengths_are_stopped_before_memory_is_taken() {
    for variant in 0..4_u8 {
        let bomb = [&[variant, 0, 0, 0][..], &[0xff; 8]].concat();
        assert!(decode::<Message>(&bomb, MOST).is_err(), "variant {variant}");
        for claim in [1_u64 << 20, 1 << 32, 1 << 61, u64::MAX] {
            let bomb = [&[variant, 0, 0, 0][..], &claim.to_le_bytes()].concat();
            let expected = if variant == 0 {
                DecodeError::Malformed { what: "a text is longer than it may be" }
            } else {
                DecodeError::ClaimsTooMuch
            };
            assert_eq!(decode::<Message>(&bomb, MOST), Err(expected), "variant {variant}, {claim}");
        }
    }
    // Within the allowance of so few bytes, the claim is found out when the bytes end.
    let small = [&[2, 0, 0, 0][..], &8_000_u64.to_le_bytes()].concat();
    assert_eq!(decode::<Message>(&small, MOST), Err(DecodeError::Truncated));
    let beyond = [&[2, 0, 0, 0][..], &8_192_u64.to_le_bytes()].concat();
    assert_eq!(decode::<Message>(&beyond, MOST), Err(DecodeError::ClaimsTooMuch));
}

/// Around every step of the allowance, and with the emptiest entries, what is encoded decodes.
#[test]
fn long_lists_come_back() {
    let tiny = VmId::new(VmUuid::from_bytes([1; 16]), DatastoreId::new(1), "a/b").unwrap();
    let entry = Entry { vm: tiny, epoch: VmEpoch::ZERO, attempt: 0, target: None, done: false };
    let each = encode(&entry, MOST).unwrap().len();
    for step in [4 << 10, 64 << 10, 1 << 20, 4 << 20] {
        for count in [step / each - 1, step / each, step / each + 1] {
            let list = vec![entry.clone(); count];
            let bytes = encode(&list, MAX_ENCODED).unwrap();
            assert_eq!(decode::<Vec<Entry>>(&bytes, MAX_ENCODED).unwrap(), list);
        }
    }
}

proptest! {
    /// Bytes are refused, or they are the encoding of what they decode to.
    #[test]
    fn random_bytes_never_panic(variant in 0_u8..5, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&[variant, 0, 0, 0][..], &bytes].concat();
        if let Ok(message) = decode::<Message>(&bytes, MOST) {
            prop_assert_eq!(encode(&message, MOST).unwrap(), bytes);
        }
    }

    #[test]
    fn messages_come_back(numbers in proptest::collection::vec(any::<u64>(), 0..50), nested in
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..10), 0..20)) {
        for message in [Message::Numbers(numbers), Message::Nested(nested)] {
            let bytes = encode(&message, MOST).unwrap();
            prop_assert_eq!(decode::<Message>(&bytes, MOST).unwrap(), message);
        }
    }
}
