//! What the owner of a datastore writes into its list: snapshots, records of changes, and what follows a fault.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::golden::{dump, load};
use common::owner::{Owner, PendingWrite};
use common::{Disk, HOME, LOGGED, at, host, term, uuid};
use ha_core::record::Generation;
use ha_core::{FileKind, FileName, StorageFault, VmId};
use ha_datastore::format::{ListEntry, ListState, LogIndex, Protection};
use ha_datastore::ownership::{Event, Input, LostReason, UnreadableList};
use ha_datastore::{ChangeId, ListChange};

const SLOT: usize = 32_768;
const RECORD: usize = 8_192;
/// Where the logs begin.
const LOGS: [usize; 2] = [2 * SLOT, 3 * SLOT];

/// An entry of 553 bytes; seven of them fit into a record. Number 1 is short.
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

fn protect(number: u8) -> Input {
    Input::Change { id: ChangeId(number.into()), change: ListChange::Protect(entry(number)) }
}

/// Host 7 in its third life, which has taken an empty datastore.
fn owned() -> Owner {
    let mut owner = Owner::new(7, 3, Disk::new(LOGGED), at(0));
    owner.claim(term(12, 7));
    owner.settle();
    assert_eq!(owner.news(), [Event::Owned { term: term(12, 7) }]);
    owner
}

/// Makes one write carry the `count` changes from `from` on: they join while the one before them is out. That one
/// is machine 1, renewed.
fn group(owner: &mut Owner, from: u8, count: u8) {
    owner.give(protect(1));
    let one = owner.next_list_write().unwrap();
    for number in from..from + count {
        owner.give(protect(number));
    }
    owner.land(one);
    owner.settle();
}

/// Where the writes since the last look went: offset and length.
fn places(owner: &mut Owner) -> Vec<(usize, usize)> {
    core::mem::take(&mut owner.writes).into_iter().map(|write| (write.offset, write.bytes.len())).collect()
}

fn machines(owner: &mut Owner) -> Vec<VmId> {
    let state = owner.read();
    let record = state.record().unwrap_or_else(|| panic!("{state:?}"));
    record.content.entries.values().map(|entry| entry.vm.clone()).collect()
}

fn durable(ids: &[u64]) -> Event {
    Event::Durable { ids: ids.iter().copied().map(ChangeId).collect() }
}

#[test]
fn the_golden_file_is_what_is_written() {
    let mut owner = owned();
    group(&mut owner, 2, 8);
    assert_eq!(owner.news(), [durable(&[1]), durable(&[2, 3, 4, 5, 6, 7, 8, 9])]);
    let name = owner.list_file();
    assert_eq!(dump(owner.disk.file(&name)), dump(&load("protectedlist.7-log")));
}

#[test]
fn one_change_is_one_small_write_until_the_log_is_full() {
    let mut owner = owned();
    assert_eq!(places(&mut owner), [(0, SLOT)], "a right begins with a snapshot");
    let mut expected = Vec::new();
    for (slot, log) in [(SLOT, LOGS[0]), (0, LOGS[1]), (SLOT, LOGS[0])] {
        expected.extend((0..4).map(|index| (log + index * RECORD, RECORD)));
        expected.push((slot, SLOT));
    }
    for number in 1..=15 {
        owner.give(protect(number));
        owner.settle();
        assert_eq!(owner.news(), [durable(&[number.into()])]);
        assert_eq!(machines(&mut owner).len(), usize::from(number));
    }
    assert_eq!(places(&mut owner), expected);
    let ListState::Valid { record } = owner.read() else { panic!() };
    assert_eq!((record.generation.number(), record.content.version), (3, 16));
}

#[test]
fn a_group_goes_to_the_log_if_it_fits_to_the_record() {
    // Two records are taken: machine 1 before and in the group. Two are left: 14 long entries fit, 15 do not.
    for (count, expected) in
        [(7, (LOGS[0] + 2 * RECORD, RECORD)), (14, (LOGS[0] + 2 * RECORD, 2 * RECORD)), (15, (SLOT, SLOT))]
    {
        let mut owner = owned();
        owner.give(protect(1));
        owner.settle();
        group(&mut owner, 2, count);
        assert_eq!(places(&mut owner).last(), Some(&expected), "{count}");
        assert_eq!(machines(&mut owner).len(), 1 + usize::from(count));
    }
}

#[test]
fn a_group_as_long_as_a_snapshot_is_a_snapshot() {
    // Three are left and three records are 24,576 bytes; a fourth would not fit, and would be no shorter either.
    for (count, expected) in [(21, (LOGS[0] + RECORD, 3 * RECORD)), (22, (SLOT, SLOT))] {
        let mut owner = owned();
        group(&mut owner, 2, count);
        assert_eq!(places(&mut owner).last(), Some(&expected), "{count}");
        assert_eq!(machines(&mut owner).len(), 1 + usize::from(count));
    }
}

#[test]
fn a_change_of_nothing_is_answered_by_a_record_all_the_same() {
    let mut owner = owned();
    owner.give(Input::Change { id: ChangeId(1), change: ListChange::CloseIntent { vm: uuid(1) } });
    owner.settle();
    assert_eq!(owner.news(), [durable(&[1])]);
    let ListState::Valid { record } = owner.read() else { panic!() };
    assert_eq!((record.content.version, record.content.entries.len()), (2, 0));
}

#[test]
fn a_higher_term_and_a_new_right_begin_with_a_snapshot() {
    let mut owner = owned();
    owner.give(protect(1));
    owner.settle();
    owner.claim(term(13, 7));
    owner.settle();
    owner.give(protect(2));
    owner.settle();
    owner.give(Input::Release);
    owner.settle();
    owner.claim(term(14, 7));
    owner.settle();
    let expected = [(0, SLOT), (LOGS[0], RECORD), (SLOT, SLOT), (LOGS[1], RECORD), (0, SLOT)];
    assert_eq!(places(&mut owner), expected);
    let ListState::Valid { record } = owner.read() else { panic!() };
    assert_eq!((record.content.term, record.content.entries.len()), (term(14, 7), 2));
}

/// How much of a write lands before it fails.
const PARTS: [&[(usize, usize)]; 5] =
    [&[], &[(0, 4_096)], &[(4_096, 8_192)], &[(512, 1_024)], &[(0, usize::MAX)]];

fn fail(owner: &mut Owner, pending: PendingWrite, landed: &[(usize, usize)]) {
    for (from, to) in landed {
        owner.put(&pending.write, *from..(*to).min(pending.write.bytes.len()));
    }
    owner.answer(pending, Err(StorageFault::Io));
}

/// The n-th write of the list fails: the snapshot of the taking, a record, the snapshot of a full log, a record
/// after it. What was durable before stays untouched until a newer snapshot is durable, and read back.
#[test]
fn a_fault_at_any_write_costs_only_what_was_not_durable() {
    for failing in 0..12 {
        for landed in PARTS {
            let mut owner = Owner::new(7, 3, Disk::new(LOGGED), at(0));
            let mut safe = Vec::new();
            let (mut written, mut change) = (0, 0);
            owner.claim(term(12, 7));
            let failed = loop {
                let Some(pending) = owner.next_list_write() else {
                    change += 1;
                    owner.give(protect(change));
                    continue;
                };
                if written == failing {
                    break pending;
                }
                written += 1;
                safe = if pending.write.bytes.len() == SLOT { Vec::new() } else { safe };
                safe.push(pending.write.range());
                owner.land(pending);
            };
            let told = change.saturating_sub(1);
            owner.news();
            fail(&mut owner, failed, landed);
            assert_eq!(owner.next_list_write().map(|_| ()), None);
            let lost = LostReason::Fault(StorageFault::Io);
            let events = owner.news();
            assert!(failing == 0 || events.contains(&Event::RightLost { reason: lost }), "{events:?}");
            owner.tick(at(200));
            let again = owner.next_list_write().unwrap();
            let touches = |safe: &core::ops::Range<usize>| {
                safe.start < again.write.range().end && again.write.range().start < safe.end
            };
            assert!(!safe.iter().any(touches), "write {failing}: {:?} {safe:?}", again.write.range());
            assert_eq!(again.write.bytes.len(), SLOT, "a snapshot");
            let read_backs = owner.read_backs;
            // It is cut short too: what was durable is still there.
            if failing > 0 {
                owner.put(&again.write, 0..600);
                assert!(machines(&mut owner).len() >= usize::from(told), "write {failing}");
            }
            owner.land(again);
            owner.settle();
            assert_eq!(owner.read_backs, read_backs + 1, "write {failing}");
            assert_eq!(owner.news(), [Event::Owned { term: term(12, 7) }]);
            let found = machines(&mut owner).len();
            assert!((told..=change).any(|count| usize::from(count) == found), "write {failing}: {found}");
            owner.give(protect(99));
            owner.settle();
            assert_eq!(owner.news(), [durable(&[99])]);
            assert_eq!(machines(&mut owner).len(), found + 1);
        }
    }
}

#[test]
fn a_record_out_when_the_right_ends_is_awaited_and_its_log_never_continued() {
    for lands in [false, true] {
        let mut owner = owned();
        owner.give(protect(1));
        owner.settle();
        owner.give(protect(2));
        let hanging = owner.next_list_write().unwrap();
        assert_eq!(hanging.write.offset, LOGS[0] + RECORD);
        owner.give(Input::Expire);
        let dropped = Event::Dropped { ids: vec![ChangeId(2)] };
        assert_eq!(owner.news()[1..], [Event::RightLost { reason: LostReason::Expired }, dropped]);
        owner.tick(at(5_000));
        assert!(owner.next_list_write().is_none(), "the write may still land");
        if lands {
            owner.land(hanging);
        } else {
            owner.answer(hanging, Err(StorageFault::Io));
        }
        owner.tick(at(5_001));
        let snapshot = owner.next_list_write().unwrap();
        assert_eq!(snapshot.write.range(), SLOT..2 * SLOT, "the other half of the file");
        let read_backs = owner.read_backs;
        owner.land(snapshot);
        owner.settle();
        assert_eq!(owner.read_backs, read_backs + 1);
        assert_eq!(machines(&mut owner).len(), if lands { 2 } else { 1 });
        owner.give(protect(3));
        owner.settle();
        assert_eq!(places(&mut owner).last(), Some(&(LOGS[1], RECORD)));
    }
}

#[test]
fn a_snapshot_in_doubt_keeps_its_slot_until_it_is_durable() {
    let mut owner = owned();
    for number in 1..=4 {
        owner.give(protect(number));
    }
    owner.settle();
    for number in 5..=8 {
        owner.give(protect(number));
        owner.settle();
    }
    // Generation 1 stands in slot B after a few records; the next snapshot fails three times, and lands each time.
    let before = machines(&mut owner).len();
    places(&mut owner);
    owner.give(Input::Expire);
    for attempt in 1..=3 {
        owner.tick(at(400 * attempt));
        let pending = owner.next_list_write().unwrap();
        fail(&mut owner, pending, &[(0, usize::MAX)]);
        assert!(owner.next_list_write().is_none());
    }
    owner.tick(at(2_000));
    owner.settle();
    let places = places(&mut owner);
    assert_eq!(places.len(), 4);
    assert!(places.iter().all(|place| *place == places[0]), "the same slot each time: {places:?}");
    assert_eq!(machines(&mut owner).len(), before);
}

/// Zeros in place of the log look like an empty log, and an older snapshot like a damaged newer one.
#[test]
fn what_this_life_saw_durable_must_still_be_there() {
    for (lost, found) in [(LOGS[0]..LOGS[0] + RECORD, Some(1)), (0..2 * SLOT + RECORD, None)] {
        let mut owner = owned();
        owner.give(protect(1));
        owner.settle();
        let name = owner.list_file();
        owner.disk.file(&name)[lost].fill(0);
        owner.give(Input::Expire);
        owner.news();
        places(&mut owner);
        for look in 1..=50 {
            owner.tick(at(200 * look));
            owner.settle();
        }
        let why = UnreadableList::Regressed { seen: 2, found };
        assert_eq!(owner.news(), [Event::ListUnreadable { host: host(7), why }]);
        assert_eq!(places(&mut owner), [], "nothing is written for ten seconds");
        owner.tick(at(10_200));
        owner.settle();
        assert_eq!(owner.news(), [Event::Owned { term: term(12, 7) }]);
        assert_eq!(machines(&mut owner).len(), 1, "it is remembered");
        owner.give(Input::Expire);
        owner.tick(at(10_400));
        owner.settle();
        let lost = Event::RightLost { reason: LostReason::Expired };
        assert_eq!(owner.news(), [lost, Event::Owned { term: term(12, 7) }], "the file is whole again");
    }
}

/// A read that tells nothing does not make a doubtful snapshot less doubtful.
#[test]
fn a_snapshot_stays_in_doubt_over_a_read_that_fails_to_make_sense() {
    let mut owner = owned();
    owner.give(Input::Expire);
    owner.tick(at(400));
    let pending = owner.next_list_write().unwrap();
    let in_doubt = pending.write.range();
    fail(&mut owner, pending, &[(0, usize::MAX)]);
    let name = owner.list_file();
    let landed = owner.disk.file(&name).clone();
    owner.disk.file(&name).fill(0xff);
    owner.tick(at(800));
    owner.settle();
    *owner.disk.file(&name) = landed;
    owner.tick(at(1_200));
    let again = owner.next_list_write().unwrap();
    assert_eq!(again.write.range(), in_doubt);
}

/// Host 1 looks at a list of host 7 that reads as in the golden file of that name.
fn beside(name: &str) -> Owner {
    let mut disk = Disk::new(LOGGED);
    *disk.file(&FileName::new(HOME, FileKind::ProtectedListOf(host(7)))) = load(name);
    let mut owner = Owner::new(1, 1, disk, at(0));
    owner.claim(term(20, 1));
    owner.settle();
    owner
}

#[test]
fn the_log_of_another_host_is_merged() {
    for name in ["protectedlist.7-log", "protectedlist.7-log-bad-twin"] {
        let mut owner = beside(name);
        assert_eq!(owner.news(), [Event::Owned { term: term(20, 1) }]);
        assert_eq!(machines(&mut owner).len(), 9);
        let ListState::Valid { record } = owner.read() else { panic!() };
        assert_eq!(record.content.version, 4, "one more than at the end of the log");
    }
}

#[test]
fn a_damaged_log_of_another_host_is_told_and_waited_for() {
    let broken =
        UnreadableList::BrokenLog { base: Generation::FIRST, lost: LogIndex::FIRST, found: LogIndex::new(1) };
    let outdated = UnreadableList::Outdated { lost: Generation::new(1) };
    // Of nine machines, the hole has one.
    for (name, why, in_the_end) in
        [("protectedlist.7-log-hole", broken, 8), ("protectedlist.7-log-lost-base", outdated, 9)]
    {
        let mut owner = beside(name);
        assert_eq!(owner.news(), [Event::ListUnreadable { host: host(7), why }]);
        for look in 1..50 {
            owner.tick(at(200 * look));
            owner.settle();
            assert_eq!(owner.news(), [], "{name}, look {look}");
        }
        owner.tick(at(10_000));
        owner.settle();
        let told = owner.news();
        let [Event::ChangesMayBeMissing { host: of, .. }, Event::Owned { .. }] = told[..] else {
            panic!("{told:?}")
        };
        assert_eq!((of, machines(&mut owner).len()), (host(7), in_the_end), "{name}");

        let mut owner = beside(name);
        let name_of_7 = FileName::new(HOME, FileKind::ProtectedListOf(host(7)));
        *owner.disk.file(&name_of_7) = load("protectedlist.7-log");
        owner.tick(at(200));
        owner.settle();
        assert_eq!(machines(&mut owner).len(), 9, "it can be read again in time");
    }
}

#[test]
fn a_damaged_own_log_is_waited_for_and_then_stands_in_a_whole_file() {
    for (name, in_the_end) in [("protectedlist.7-log-hole", 8), ("protectedlist.7-log-lost-base", 9)] {
        let mut disk = Disk::new(LOGGED);
        let own = FileName::new(HOME, FileKind::ProtectedListOf(host(7)));
        *disk.file(&own) = load(name);
        let mut owner = Owner::new(7, 4, disk, at(0));
        owner.claim(term(20, 7));
        owner.settle();
        for look in 1..50 {
            owner.tick(at(200 * look));
            owner.settle();
        }
        assert!(matches!(owner.news()[..], [Event::ListUnreadable { .. }]));
        assert_eq!(dump(owner.disk.file(&own)), dump(&load(name)));
        owner.tick(at(10_000));
        owner.settle();
        let told = owner.news();
        assert!(matches!(told[..], [Event::ChangesMayBeMissing { .. }, Event::Owned { .. }]), "{told:?}");
        let ListState::Valid { record } = owner.read() else { panic!("{:?}", owner.read()) };
        assert_eq!(record.content.entries.len(), in_the_end, "{name}");
    }
}
