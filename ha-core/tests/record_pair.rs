//! What two slots say together, and which content counts as a step back.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use ha_core::record::{
    BLOCK, Generation, HighWater, PairExpectation, PairRole, PairState, RecordFault, RecordKind, Regressed,
    Slot, read_pair, read_pair_choosing, seal,
};
use ha_core::{BootId, ClusterId, HostId, Identity, Incarnation};

const CLUSTER: ClusterId = ClusterId::from_bytes([0xc1; 16]);
const ONE: PairExpectation =
    PairExpectation { kind: RecordKind::Heartbeat, cluster: CLUSTER, writer: Some(HostId::new(7)) };
const MANY: PairExpectation = PairExpectation { writer: None, ..ONE };

fn life(incarnation: u64) -> Identity {
    Identity {
        cluster: CLUSTER,
        host: HostId::new(7),
        boot: BootId::from_bytes([0xb0; 16]),
        incarnation: Incarnation::new(incarnation),
    }
}

fn slot(writer: Identity, generation: u64) -> Vec<u8> {
    let payload = generation.to_le_bytes();
    seal(RecordKind::Heartbeat, &writer, Generation::new(generation), &payload, BLOCK).unwrap().into()
}

fn blank() -> Vec<u8> {
    vec![0; BLOCK]
}

fn torn(generation: u64) -> Vec<u8> {
    let mut bytes = slot(life(3), generation);
    bytes[81] ^= 1;
    bytes
}

/// The state in a word, with the generation to go by.
fn state(a: &[u8], b: &[u8], expected: &PairExpectation) -> (&'static str, Option<u64>, u64) {
    let file = [a, b].concat();
    let pair = read_pair(&file, BLOCK, expected, Ok);
    let choosing = read_pair_choosing(&file, BLOCK, expected, |_, place| Ok(place));
    let chosen = choosing.record().map(|record| (record.generation, record.content));
    assert_eq!(chosen, pair.record().map(|record| (record.generation, PairRole::Chosen)));
    let word = match &pair {
        PairState::NeverWritten => "never written",
        PairState::Valid { .. } => "valid",
        PairState::Degraded { .. } => "degraded",
        PairState::Inconsistent { .. } => "inconsistent",
        PairState::Corrupt { .. } => "corrupt",
    };
    (word, pair.record().map(|record| record.generation.number()), pair.next_generation().number())
}

#[test]
fn one_writer() {
    let (three, four) = (life(3), life(4));
    let other_boot = Identity { boot: BootId::from_bytes([0xb1; 16]), ..three };
    let table = [
        (blank(), blank(), ("never written", None, 0)),
        (slot(three, 0), blank(), ("valid", Some(0), 1)),
        (slot(three, 0), slot(three, 1), ("valid", Some(1), 2)),
        (slot(three, 2), slot(three, 1), ("valid", Some(2), 3)),
        // The other slot was written once and is zero now: lost.
        (slot(three, 2), blank(), ("degraded", Some(2), 3)),
        (blank(), slot(three, 1), ("degraded", Some(1), 2)),
        (torn(2), slot(three, 1), ("degraded", Some(1), 2)),
        (slot(three, 2), torn(3), ("degraded", Some(2), 3)),
        (torn(2), torn(3), ("corrupt", None, 0)),
        (torn(0), blank(), ("corrupt", None, 0)),
        (slot(three, 2), slot(three, 5), ("inconsistent", None, 6)),
        (slot(three, 8), slot(three, 5), ("inconsistent", None, 9)),
        (slot(three, 2), slot(other_boot, 1), ("inconsistent", None, 3)),
        // A later life counts, wherever it has begun to count.
        (slot(four, 0), slot(three, 9), ("valid", Some(0), 1)),
        (slot(three, 8), slot(four, 1), ("valid", Some(1), 2)),
        (slot(four, 10), slot(three, 9), ("valid", Some(10), 11)),
        (slot(four, 10), slot(three, 11), ("valid", Some(10), 11)),
    ];
    for (row, (a, b, expected)) in table.iter().enumerate() {
        assert_eq!(state(a, b, &ONE), *expected, "row {row}");
    }
}

#[test]
fn many_writers_are_ordered_by_generation_alone() {
    let (three, four) = (life(3), life(4));
    let other = Identity { host: HostId::new(8), ..life(1) };
    assert_eq!(state(&slot(three, 2), &slot(other, 1), &MANY), ("valid", Some(2), 3));
    assert_eq!(state(&slot(three, 2), &slot(other, 3), &MANY), ("valid", Some(3), 4));
    assert_eq!(state(&slot(four, 0), &slot(three, 9), &MANY), ("inconsistent", None, 10));
}

#[test]
fn the_last_generation_follows_nothing_twice() {
    let last = u64::MAX - 1;
    assert_eq!(
        state(&slot(life(3), last), &slot(life(3), u64::MAX), &ONE),
        ("valid", Some(u64::MAX), u64::MAX)
    );
}

#[test]
fn a_pair_of_another_size_is_corrupt() {
    for length in [0, BLOCK, 2 * BLOCK - 1, 2 * BLOCK + 1, 3 * BLOCK] {
        let fault = RecordFault::WrongSize { found: length };
        let file = vec![0; length];
        let pair = read_pair(&file, BLOCK, &ONE, Ok);
        assert_eq!(pair, PairState::Corrupt { a: fault, b: fault });
    }
}

#[test]
fn a_slot_whose_content_is_refused_counts_as_damaged() {
    let file = [slot(life(3), 2), slot(life(3), 1)].concat();
    let refuse = RecordFault::BadContent { field: "everything" };
    let decode = |payload: &[u8]| if payload[0] == 2 { Err(refuse) } else { Ok(payload[0]) };
    let pair = read_pair(&file, BLOCK, &ONE, decode);
    let PairState::Degraded { record, other } = pair else { panic!("{pair:?}") };
    assert_eq!((record.content, other), (1, refuse));
    let decode = |payload: &'_ [u8], place| decode(payload).map(|_| place);
    let pair = read_pair_choosing(&file, BLOCK, &ONE, decode);
    assert_eq!(pair.record().unwrap().content, PairRole::Other, "it was not to be known before");
}

#[test]
fn records_swapped_between_the_slots_are_noticed() {
    assert_eq!(state(&slot(life(3), 1), &slot(life(3), 2), &ONE), ("corrupt", None, 0));
}

/// One write over an older pair, cut short anywhere: any subset of its eight sectors may have landed.
#[test]
fn every_crash_image_of_one_write_opens_to_the_old_or_the_new_record() {
    for first in [4, 5] {
        let (old, new) = (slot(life(3), first), slot(life(3), first + 1));
        let older = slot(life(3), first - 1);
        let place = Generation::new(first + 1).slot();
        for landed in 0..=255_u32 {
            let mut target = older.clone();
            for sector in (0..8).filter(|sector| landed & (1 << sector) != 0) {
                let range = sector * 512..(sector + 1) * 512;
                target[range.clone()].copy_from_slice(&new[range]);
            }
            let (a, b) = match place {
                Slot::A => (&target, &old),
                Slot::B => (&old, &target),
            };
            let (word, opened, next) = state(a, b, &ONE);
            assert!(opened == Some(first) || opened == Some(first + 1), "{landed:08b}: {word} {opened:?}");
            let replaced = Generation::new(next).slot() == place;
            assert!(
                replaced || opened == Some(first + 1),
                "{landed:08b}: the next write would hit the record"
            );
            // The whole difference of these records lies in their first sector.
            let whole = landed & 1 == 1;
            assert_eq!(opened == Some(first + 1), whole, "{landed:08b}");
        }
    }
}

#[test]
fn an_older_record_than_before_is_a_regression() {
    let mut seen = HighWater::NOTHING;
    assert!(seen.is_nothing());
    let generation = Generation::new;
    assert_eq!(seen.admit(&life(3), generation(5)), Ok(()));
    assert_eq!(seen.admit(&life(3), generation(5)), Ok(()), "the same again");
    let back = Regressed { seen: generation(5), found: generation(4) };
    assert_eq!(seen.admit(&life(3), generation(4)), Err(back));
    assert_eq!(seen.admit(&life(4), generation(0)), Ok(()), "a later life counts afresh");
    assert!(seen.admit(&life(3), generation(6)).is_err());
    assert!(!seen.is_nothing());
}
