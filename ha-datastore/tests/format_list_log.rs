//! The log of a protected list: golden files, and every kind of damage to them.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::golden::load;
use common::{CLUSTER, HOME, LOGGED, host, identity, term, uuid};
use ha_core::record::{Generation, RecordFault, RecordKind, Sealed, seal};
use ha_core::{ClusterId, Random, VmId};
use ha_datastore::format::{ListDamage, ListEntry, ListState, LogIndex, ProtectedList, Protection};
use xxhash_rust::xxh3::xxh3_64;

const BLOCK: usize = 4_096;
/// The first log; the second one is [`LOG`] further on.
const LOGS: usize = 2 * 32_768;
const LOG: usize = 4 * 8_192;

fn read(file: &[u8]) -> ListState {
    ProtectedList::read(file, CLUSTER, host(7), &LOGGED)
}

fn whole() -> Vec<u8> {
    load("protectedlist.7-log")
}

fn entry(number: u8) -> ListEntry {
    let config = match number {
        1 => "vm-1/vm-1.vmx".to_string(),
        _ => format!("{}/{number:05}", "y".repeat(506)),
    };
    ListEntry {
        vm: VmId::new(uuid(number), HOME, &config).unwrap(),
        protection: Protection::Protected,
        version: 1,
        priority: 1,
        cpu_reservation_mhz: 0,
        memory_overhead_mb: 0,
        intent: None,
    }
}

/// The list of the golden files after so many writes: the snapshot, one machine, eight machines more.
fn list(writes: u64) -> ProtectedList {
    let machines = [0, 1, 9][usize::try_from(writes).unwrap()];
    let entries = (1..=machines).map(|number| (uuid(number), entry(number))).collect();
    ProtectedList { term: term(12, 7), version: 1 + writes, entries }
}

fn sealed(writes: u64) -> Sealed<ProtectedList> {
    Sealed { writer: identity(7, 3), generation: Generation::FIRST, content: list(writes) }
}

fn degraded(writes: u64, damage: ListDamage) -> ListState {
    ListState::Degraded { record: sealed(writes), damage }
}

const fn twins(twins: u32) -> ListDamage {
    ListDamage { slot: None, twins, torn_end: false }
}

const fn torn(twins: u32) -> ListDamage {
    ListDamage { slot: None, twins, torn_end: true }
}

const fn hole(lost: u32, found: u32) -> ListState {
    let (lost, found) = (LogIndex::new(lost), LogIndex::new(found));
    ListState::BrokenLog { base: Generation::FIRST, lost, found }
}

/// Where a copy of a record lies in the first log.
fn block(index: usize, copy: usize) -> usize {
    LOGS + (2 * index + copy) * BLOCK
}

fn damage(file: &mut [u8], blocks: &[(usize, usize)]) {
    for (index, copy) in blocks {
        file[block(*index, *copy) + 200] ^= 1;
    }
}

#[test]
fn a_log_of_two_writes() {
    let state = read(&whole());
    assert_eq!(state, ListState::Valid { record: sealed(2) });
    assert_eq!(state.next_generation(), Generation::new(1));
}

#[test]
fn a_bad_twin_is_told_and_costs_nothing() {
    assert_eq!(read(&load("protectedlist.7-log-bad-twin")), degraded(2, twins(1)));
}

#[test]
fn a_hole_is_not_the_end_of_the_log() {
    let state = read(&load("protectedlist.7-log-hole"));
    assert_eq!(state, hole(0, 1));
    assert_eq!((state.record(), state.next_generation()), (None, Generation::new(1)));
}

#[test]
fn a_lost_snapshot_is_known_by_its_log() {
    let state = read(&load("protectedlist.7-log-lost-base"));
    assert_eq!(state, ListState::Outdated { record: sealed(2), lost: Generation::new(1) });
    assert_eq!((state.record(), state.next_generation()), (None, Generation::new(1)));
}

#[test]
fn a_write_that_was_cut_short_does_not_count_and_is_no_hole() {
    // Zeros, or damage, in place of any of the four blocks of the last write.
    for lost in 0..16_u32 {
        let blocks: Vec<_> =
            (0..4).filter(|bit| lost & 1 << bit != 0).map(|bit| (1 + bit / 2, bit % 2)).collect();
        let whole_record = |record: u32| (lost >> (2 * (record - 1))) & 3 != 3;
        let expected = |of_zeros: bool| match (whole_record(1) && whole_record(2), lost.count_ones()) {
            (true, 0) => ListState::Valid { record: sealed(2) },
            (true, bad) => degraded(2, twins(bad)),
            (false, 4) if of_zeros => ListState::Valid { record: sealed(1) },
            (false, _) => degraded(1, torn(0)),
        };
        let (mut damaged, mut zeroed) = (whole(), whole());
        damage(&mut damaged, &blocks);
        for (index, copy) in blocks {
            zeroed[block(index, copy)..][..BLOCK].fill(0);
        }
        assert_eq!(read(&damaged), expected(false), "{lost:b}");
        assert_eq!(read(&zeroed), expected(true), "{lost:b}");
    }
}

#[test]
fn every_combination_of_damaged_blocks_has_its_state() {
    for lost in 0..64_u32 {
        let mut file = whole();
        let blocks: Vec<_> =
            (0..6).filter(|bit| lost & 1 << bit != 0).map(|bit| (bit / 2, bit % 2)).collect();
        damage(&mut file, &blocks);
        let gone = |record: u32| (lost >> (2 * record)) & 3 == 3;
        let expected = match (gone(0), gone(1), gone(2)) {
            (false, false, false) if lost == 0 => ListState::Valid { record: sealed(2) },
            (false, false, false) => degraded(2, twins(lost.count_ones())),
            (false, ..) => degraded(1, torn((lost & 3).count_ones())),
            // Any record of the second write proves that the first was durable.
            (true, false, _) => hole(0, 1),
            (true, true, false) => hole(0, 2),
            (true, true, true) => degraded(0, torn(0)),
        };
        assert_eq!(read(&file), expected, "{lost:06b}");
    }
}

#[test]
fn every_bit_of_a_record_counts() {
    let mut file = whole();
    for (index, copy) in [(0, 0), (0, 1), (2, 1)] {
        let start = block(index, copy);
        let in_use = 80
            + usize::try_from(u32::from_le_bytes(file[start + 64..start + 68].try_into().unwrap())).unwrap();
        for byte in (start..start + in_use + 8).chain([start + BLOCK - 1]).filter(|byte| byte - start < BLOCK)
        {
            for bit in 0..8 {
                file[byte] ^= 1 << bit;
                assert_eq!(read(&file), degraded(2, twins(1)), "{byte}.{bit}");
                file[byte] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn every_length_but_the_right_one_is_refused() {
    let file = whole();
    for length in (0..file.len()).step_by(511).chain([2 * 32_768, file.len() - BLOCK, file.len() - 1]) {
        let fault = RecordFault::WrongSize { found: length };
        assert_eq!(read(&file[..length]), ListState::Corrupt { a: fault, b: fault });
    }
    let longer = [file, vec![0]].concat();
    let fault = RecordFault::WrongSize { found: longer.len() };
    assert_eq!(read(&longer), ListState::Corrupt { a: fault, b: fault });
}

/// Blocks at places that they were not written to, swapped two by two all over the file.
#[test]
fn swapped_blocks_never_make_another_list() {
    let good = whole();
    let blocks = good.len() / BLOCK;
    let mut told = 0;
    for one in 0..blocks {
        for other in one + 1..blocks {
            let mut file = good.clone();
            let (low, high) = file.split_at_mut(other * BLOCK);
            low[one * BLOCK..(one + 1) * BLOCK].swap_with_slice(&mut high[..BLOCK]);
            if file == good {
                continue;
            }
            assert_is_typed(&file, &format!("{one} {other}"));
            told += 1;
        }
    }
    assert!(told > 150, "{told}");
}

/// A state that tells of damage, and no content that was never written.
fn assert_is_typed(file: &[u8], case: &str) {
    match read(file) {
        ListState::Valid { .. } => panic!("{case}: nothing is told"),
        ListState::Degraded { record, .. } | ListState::Outdated { record, .. } => {
            assert!((0..=2).any(|writes| record == sealed(writes)), "{case}: {record:?}");
        }
        ListState::Inconsistent { .. } => panic!("{case}: there is one snapshot"),
        ListState::NeverWritten | ListState::BrokenLog { .. } | ListState::Corrupt { .. } => {}
    }
}

#[test]
fn swapped_areas_are_told() {
    let swapped = |at: usize, length: usize, by: usize| {
        let mut file = whole();
        for byte in at..at + length {
            file.swap(byte, byte + by);
        }
        read(&file)
    };
    // The twins of the first record, of a later one, of both records of the last write.
    assert_eq!(swapped(block(0, 0), BLOCK, BLOCK), hole(0, 1));
    assert_eq!(swapped(block(1, 0), BLOCK, BLOCK), degraded(1, torn(0)));
    // Two records, both copies of each.
    assert_eq!(swapped(block(0, 0), 2 * BLOCK, 2 * BLOCK), hole(0, 2));
    // The logs, and the slots.
    assert_eq!(swapped(LOGS, LOG, LOG), hole(0, 0));
    let wrong = RecordFault::WrongSlot { found: 0, generation: Generation::FIRST };
    assert_eq!(swapped(0, 32_768, 32_768), ListState::Corrupt { a: RecordFault::NeverWritten, b: wrong });
}

#[test]
fn zeros_are_the_end_and_a_log_alone_is_not_never_written() {
    assert_eq!(read(&vec![0; LOGS + 2 * LOG]), ListState::NeverWritten);
    let mut snapshot = whole();
    snapshot[LOGS..].fill(0);
    assert_eq!(read(&snapshot), ListState::Valid { record: sealed(0) });
    let mut log = whole();
    log[..LOGS].fill(0);
    let fault = RecordFault::NeverWritten;
    assert_eq!(read(&log), ListState::Corrupt { a: fault, b: fault });
}

/// The records of generation 0 still lie in the log when the snapshot is of generation 2.
#[test]
fn records_of_an_older_snapshot_are_the_end() {
    let seal = |generation, incarnation| {
        let (list, generation) = (list(2), Generation::new(generation));
        let record = Sealed { writer: identity(7, incarnation), generation, content: list };
        (record.content.seal(&record.writer, generation, &LOGGED).unwrap(), record)
    };
    let mut file = whole();
    let (odd, _) = seal(1, 3);
    let (even, newest) = seal(2, 3);
    file[..32_768].copy_from_slice(&even);
    file[32_768..LOGS].copy_from_slice(&odd);
    assert_eq!(read(&file), ListState::Valid { record: newest });
    // A new life may count afresh: generation 0 again, and the old log is the older life's.
    let mut file = whole();
    let (first, newest) = seal(0, 4);
    file[..32_768].copy_from_slice(&first);
    assert_eq!(read(&file), ListState::Valid { record: newest });
    // The same life and generation with other content: storage has lost what the log continues.
    let mut file = whole();
    let (other, record) = seal(0, 3);
    file[..32_768].copy_from_slice(&other);
    assert_eq!(read(&file), ListState::Outdated { record, lost: Generation::FIRST });
}

#[test]
fn records_of_others_are_damage() {
    let foreign = ClusterId::from_bytes([9; 16]);
    let mut strangers = [identity(8, 3), identity(7, 3)];
    strangers[1].cluster = foreign;
    for writer in strangers {
        let mut file = whole();
        let start = block(0, 0);
        let length = u32::from_le_bytes(file[start + 64..start + 68].try_into().unwrap());
        let payload = file[start + 80..][..usize::try_from(length).unwrap()].to_vec();
        let sealed = seal(RecordKind::ListLog, &writer, Generation::FIRST, &payload, BLOCK).unwrap();
        file[start..start + BLOCK].copy_from_slice(&sealed);
        assert_eq!(read(&file), degraded(2, twins(1)));
    }
}

/// Payloads in a good envelope, at every place: only the chain and the payload's own rules stand in the way.
#[test]
fn payloads_that_no_writer_writes_never_count() {
    let good = whole();
    let start = block(0, 0);
    let length =
        usize::try_from(u32::from_le_bytes(good[start + 64..start + 68].try_into().unwrap())).unwrap();
    let payload = good[start + 80..][..length].to_vec();
    let with = |payload: &[u8]| {
        let mut file = good.clone();
        for (copy, generation) in [(0, 0), (1, 1)] {
            let generation = Generation::new(generation);
            let sealed = seal(RecordKind::ListLog, &identity(7, 3), generation, payload, BLOCK).unwrap();
            file[block(0, copy)..][..BLOCK].copy_from_slice(&sealed);
        }
        read(&file)
    };
    assert_eq!(with(&payload), ListState::Valid { record: sealed(2) });
    for index in 0..length {
        for value in [0, 1, 2, 3, 0x7f, 0x80, 0xff] {
            let mut wrong = payload.clone();
            if wrong[index] == value {
                continue;
            }
            wrong[index] = value;
            let state = with(&wrong);
            assert!(matches!(state, ListState::BrokenLog { .. }), "byte {index} = {value}: {state:?}");
        }
    }
    for length in 0..length {
        assert_eq!(with(&payload[..length]), hole(0, 1), "{length}");
    }
    let mut random = Random::from_seed(7);
    for _ in 0..2_000 {
        let length = usize::try_from(random.below(300)).unwrap();
        let bytes: Vec<u8> = (0..length).map(|_| random.next_u64().to_le_bytes()[0]).collect();
        assert_eq!(with(&bytes), hole(0, 1));
    }
}

/// A record of the golden snapshot's log as FORMAT.md lays it out, and its chain.
struct Crafted {
    index: u32,
    first: u32,
    count: u32,
    entries: u32,
}

impl Crafted {
    /// Puts both copies into `file`.
    fn put(&self, file: &mut [u8], before: u64) -> u64 {
        let mut rest = [&[0; 8], &file[80..88]].concat();
        for number in [self.index, self.first, self.count] {
            rest.extend(number.to_le_bytes());
        }
        rest.extend([12, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        rest.extend(self.entries.to_le_bytes());
        let chain = xxh3_64(&[&before.to_le_bytes(), &rest[..]].concat());
        let payload = [&chain.to_le_bytes(), &rest[..]].concat();
        for copy in 0..2 {
            let generation = Generation::new(u64::from(2 * self.index + copy));
            let sealed = seal(RecordKind::ListLog, &identity(7, 3), generation, &payload, BLOCK).unwrap();
            let at = block(self.index as usize, copy as usize);
            file[at..at + BLOCK].copy_from_slice(&sealed);
        }
        chain
    }
}

/// The golden snapshot with an empty log, and the sum that the log continues.
fn empty_log() -> (Vec<u8>, u64) {
    let mut file = whole();
    file[LOGS..].fill(0);
    let sum = u64::from_le_bytes(file[80..88].try_into().unwrap());
    (file, sum)
}

#[test]
fn crafted_records_count_if_they_chain() {
    let (mut file, sum) = empty_log();
    let chain = Crafted { index: 0, first: 0, count: 1, entries: 0 }.put(&mut file, sum);
    let chain = Crafted { index: 1, first: 1, count: 2, entries: 0 }.put(&mut file, chain);
    Crafted { index: 2, first: 1, count: 2, entries: 0 }.put(&mut file, chain);
    let ListState::Valid { record } = read(&file) else { panic!() };
    assert_eq!((record.content.version, record.content.entries.len()), (9, 0));
}

#[test]
fn a_last_record_with_another_chain_breaks_the_log() {
    let (mut file, sum) = empty_log();
    Crafted { index: 0, first: 0, count: 1, entries: 0 }.put(&mut file, sum ^ 1);
    assert_eq!(read(&file), hole(0, 0));
}

#[test]
fn records_that_do_not_agree_on_their_write_do_not_count() {
    let (mut file, sum) = empty_log();
    let chain = Crafted { index: 0, first: 0, count: 3, entries: 0 }.put(&mut file, sum);
    Crafted { index: 1, first: 0, count: 2, entries: 0 }.put(&mut file, chain);
    assert_eq!(read(&file), degraded(0, torn(0)));
}

#[test]
fn a_write_that_would_leave_the_log_does_not_count() {
    let (mut file, mut chain) = empty_log();
    for index in 0..4 {
        chain = Crafted { index, first: 0, count: 5, entries: 0 }.put(&mut file, chain);
    }
    assert_eq!(read(&file), degraded(0, torn(0)));
    let (mut file, mut chain) = empty_log();
    for index in 0..4 {
        chain = Crafted { index, first: 0, count: 4, entries: 0 }.put(&mut file, chain);
    }
    assert!(matches!(read(&file), ListState::Valid { .. }));
}

#[test]
fn counts_that_are_not_there_are_damage() {
    let table =
        [(0, 0, 0, 0), (0, 1, 1, 0), (1, 0, 1, 0), (0, 0, u32::MAX, 1), (0, 0, 1, 1), (0, 0, 1, u32::MAX)];
    for (index, first, count, entries) in table {
        let (mut file, sum) = empty_log();
        Crafted { index, first, count, entries }.put(&mut file, sum);
        // Damage counts as the end; beyond it, as nothing.
        let expected = match index {
            0 => degraded(0, torn(0)),
            1.. => ListState::Valid { record: sealed(0) },
        };
        assert_eq!(read(&file), expected, "{index} {first} {count} {entries}");
    }
}

/// Random damage anywhere, many bytes at once.
#[test]
fn random_damage_never_makes_another_list() {
    let good = whole();
    let mut random = Random::from_seed(11);
    let in_use: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    for case in 0..2_000 {
        let mut file = good.clone();
        for _ in 0..=random.below(12) {
            let at = in_use[usize::try_from(random.below(in_use.len() as u64)).unwrap()];
            file[at] ^= 1 << random.below(8);
        }
        if file != good {
            assert_is_typed(&file, &format!("{case}"));
        }
    }
}
