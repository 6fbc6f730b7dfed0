//! The bytes of every message, and what is no message.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

use ha_core::{HostId, Random, Round, Term};
use ha_election::{Candidacy, Claim, MAX_MESSAGE, Message, MessageError, MessageKind, Probe, Rank};

fn rank(moid: &str) -> Rank {
    Rank { goodness: -2, moid: moid.parse().unwrap() }
}

fn samples() -> Vec<Message> {
    let term = Term::new(Round::new(0x0102_0304_0506_0708), HostId::new(0x0a0b_0c0d));
    vec![
        Message::Candidacy(Candidacy { rank: rank("host-9") }),
        Message::Claim(Claim { lists_owned: 3, term, rank: rank(&"m".repeat(80)) }),
        Message::Probe(Probe::Here),
        Message::Probe(Probe::Follows(term)),
        Message::Probe(Probe::TakesNoPart),
    ]
}

fn bytes(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

#[test]
fn golden_bytes() {
    let golden: [&[u8]; 5] = [
        b"\xfe\xff\xff\xff\xff\xff\xff\xff\x06host-9",
        b"\x03\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01\x0d\x0c\x0b\x0a\xfe\xff\xff\xff\xff\xff\xff\xff\x50\
          mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm",
        b"",
        b"\x08\x07\x06\x05\x04\x03\x02\x01\x0d\x0c\x0b\x0a",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\x01",
    ];
    for (message, golden) in samples().iter().zip(golden) {
        assert_eq!(bytes(message), golden, "{message:?}");
        assert_eq!(Message::decode(message.kind(), golden), Ok(message.clone()));
        assert!(golden.len() <= MAX_MESSAGE);
    }
}

#[test]
fn bytes_of_a_newer_minor_are_ignored() {
    for message in samples() {
        let mut longer = bytes(&message);
        if !longer.is_empty() {
            longer.extend_from_slice(b"newer");
            assert_eq!(Message::decode(message.kind(), &longer), Ok(message));
        }
    }
}

#[test]
fn every_cut_message_is_refused() {
    for message in samples() {
        let whole = bytes(&message);
        for end in 0..whole.len() {
            let cut = Message::decode(message.kind(), &whole[..end]);
            // Cut to nothing, or before its flags, a probe is another probe.
            if message.kind() == MessageKind::Probe && [0, 12].contains(&end) {
                assert_eq!(cut, Ok(Message::Probe(Probe::Here)));
                continue;
            }
            assert!(matches!(cut, Err(MessageError::Truncated { .. })), "{message:?} to {end}: {cut:?}");
        }
    }
}

#[test]
fn the_length_limit_is_exact() {
    let mut payload = bytes(&samples()[0]);
    payload.resize(MAX_MESSAGE, 0);
    assert!(Message::decode(MessageKind::Candidacy, &payload).is_ok());
    payload.push(0);
    let found = MAX_MESSAGE + 1;
    assert_eq!(Message::decode(MessageKind::Candidacy, &payload), Err(MessageError::TooLong { found }));
}

#[test]
fn bad_ids_are_refused() {
    let candidacy = |moid: &[u8]| {
        let mut payload = vec![0; 8];
        payload.push(u8::try_from(moid.len()).unwrap());
        payload.extend_from_slice(moid);
        Message::decode(MessageKind::Candidacy, &payload)
    };
    assert!(matches!(candidacy(b"host 9"), Err(MessageError::Moid(_))));
    assert!(matches!(candidacy(b""), Err(MessageError::Moid(_))));
    assert!(matches!(candidacy(&[b'm'; 81]), Err(MessageError::Moid(_))));
    assert_eq!(candidacy(&[0xff, 0xfe]), Err(MessageError::NotText));
}

#[test]
fn any_bytes_give_a_message_or_an_error() {
    let mut random = Random::from_seed(1);
    let mut decoded = 0;
    for _ in 0..20_000 {
        let length = random.below(40);
        let payload: Vec<u8> = (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        for kind in [MessageKind::Probe, MessageKind::Candidacy, MessageKind::Claim] {
            if let Ok(message) = Message::decode(kind, &payload) {
                assert_eq!(Message::decode(kind, &bytes(&message)), Ok(message));
                decoded += 1;
            }
        }
    }
    assert!(decoded > 0);
}

#[test]
fn ranks_compare_datastores_then_the_id_as_text() {
    let rank = |goodness, moid: &str| Rank { goodness, moid: moid.parse().unwrap() };
    assert!(rank(2, "host-1") > rank(1, "host-9"));
    assert!(rank(1, "host-99") > rank(1, "host-100"));
}
