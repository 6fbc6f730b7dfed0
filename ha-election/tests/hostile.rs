//! A million hostile payloads for each message: a message or a typed error, within the stated memory.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use allocation_counter::measure;
use ha_core::contract::Hostile;
use ha_core::{HostId, Round, Term};
use ha_election::{Candidacy, Claim, MAX_MESSAGE, Message, MessageError, MessageKind, Probe, Rank};

const PAYLOADS: u32 = 1_000_000;

fn samples() -> Vec<Message> {
    let term = Term::new(Round::new(0x0102_0304_0506_0708), HostId::new(9));
    let rank = |moid: &str| Rank { goodness: -2, moid: moid.parse().unwrap() };
    vec![
        Message::Candidacy(Candidacy { rank: rank("host-9") }),
        Message::Candidacy(Candidacy { rank: rank(&"m".repeat(80)) }),
        Message::Claim(Claim { lists_owned: 3, term, rank: rank("host-99") }),
        Message::Probe(Probe::Follows(term)),
    ]
}

fn bytes(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

/// Decodes hostile payloads of one kind; tells how many were messages.
fn attack(kind: MessageKind) -> u32 {
    let goods: Vec<Vec<u8>> = samples().iter().filter(|good| good.kind() == kind).map(bytes).collect();
    let mut hostile = Hostile::from_seed(kind as u64);
    let (mut payload, mut decoded) = (Vec::new(), 0);
    for _ in 0..PAYLOADS {
        hostile.payload(&goods, MAX_MESSAGE + 20, &mut payload);
        let mut result = Err(MessageError::NotText);
        let taken = measure(|| result = Message::decode(kind, &payload));
        assert!(
            taken.count_total <= 1 && taken.bytes_total <= payload.len() as u64,
            "{payload:?}: {taken:?}"
        );
        match result {
            Ok(message) => {
                assert_eq!(Message::decode(kind, &bytes(&message)), Ok(message));
                decoded += 1;
            }
            Err(error) => {
                assert_eq!(matches!(error, MessageError::TooLong { .. }), payload.len() > MAX_MESSAGE)
            }
        }
    }
    decoded
}

#[test]
fn candidacies() {
    let decoded = attack(MessageKind::Candidacy);
    assert!(decoded > PAYLOADS / 20, "{decoded}");
}

#[test]
fn claims() {
    let decoded = attack(MessageKind::Claim);
    assert!(decoded > PAYLOADS / 20, "{decoded}");
}

#[test]
fn probes() {
    let decoded = attack(MessageKind::Probe);
    assert!(decoded > PAYLOADS / 2, "{decoded}");
}

/// A payload has no sum of its own: the frame's tag finds flipped bits. Behind a good tag each of them is another
/// message or an error, and never the same message.
#[test]
fn every_bit_counts() {
    for message in samples() {
        let whole = bytes(&message);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Message::decode(message.kind(), &flipped), Ok(message.clone()), "bit {bit}");
        }
    }
}
