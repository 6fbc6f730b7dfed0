//! Taking and keeping a datastore whose storage is slow and whose lists come and go.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::time::Duration;

use common::owner::owner_file;
use common::rig::Rig;
use common::{CLUSTER, Disk, GEOMETRY, HOME, at, host, identity, machine, term, uuid, vm};
use ha_core::record::Generation;
use ha_core::{FileKind, FileName, Machine, Round, StorageFault, Term};
use ha_datastore::format::{ListEntry, ListOwnerRecord, OwnerState, ProtectedList, Protection};
use ha_datastore::ownership::{Event, Input, Rejected};
use ha_datastore::{ChangeId, ChangeRefused, ListChange};

fn claim(term: Term) -> Input {
    Input::Claim { term, may_take: true }
}

fn list_of(number: u32) -> FileName {
    FileName::new(HOME, FileKind::ProtectedListOf(host(number)))
}

/// Host 2 has protected machine 1.
fn protect_one(disk: &mut Disk) {
    let entry = ListEntry {
        vm: vm(1),
        protection: Protection::Protected,
        version: 1,
        priority: 1,
        cpu_reservation_mhz: 0,
        memory_overhead_mb: 0,
        intent: None,
    };
    let list = ProtectedList { term: term(3, 2), version: 7, entries: [(uuid(1), entry)].into() };
    let slot = list.seal(&identity(2, 1), Generation::FIRST, &GEOMETRY).unwrap();
    disk.file(&list_of(2))[..slot.len()].copy_from_slice(&slot);
}

#[test]
fn lists_that_take_long_together_are_no_stall() {
    let mut rig = Rig::new();
    rig.ask(at(0), claim(term(5, 1)));
    rig.serve_one(at(0));
    rig.serve_one(at(0));
    assert_eq!(rig.requests.len(), 3, "one list of each host");
    // Each within `storage_stall_max` of the one before, all three not.
    for now in [1_500, 3_000, 4_500] {
        rig.ownership.handle_timeout(at(now));
        rig.drain();
        rig.serve_one(at(now));
    }
    assert_eq!(rig.settle(at(4_500)), [Event::Owned { term: term(5, 1) }]);
}

#[test]
fn a_list_that_stops_the_others_is_a_stall() {
    let mut rig = Rig::new();
    rig.ask(at(0), claim(term(5, 1)));
    rig.serve_one(at(0));
    rig.serve_one(at(0));
    rig.serve_one(at(1_500));
    rig.ownership.handle_timeout(at(3_499));
    rig.drain();
    assert_eq!(rig.events, []);
    rig.ownership.handle_timeout(at(3_500));
    rig.drain();
    assert_eq!(rig.events, [Event::Stalled]);
}

#[test]
fn each_claim_waits_anew_for_lists_that_cannot_be_read() {
    let mut rig = Rig::new();
    protect_one(&mut rig.disk);
    rig.disk.fail_read = Some((list_of(2), StorageFault::Io));
    assert_eq!(rig.give(at(0), claim(term(5, 1))).len(), 1, "the list of host 2 is told");
    assert_eq!(rig.give(at(100), Input::Release), [Event::Released { sealed: false }]);
    assert_eq!(rig.give(at(60_000), claim(term(6, 1))).len(), 1, "and told again");
    rig.disk.fail_read = None;
    assert_eq!(rig.tick(at(60_200)), [Event::Owned { term: term(6, 1) }]);
    assert!(rig.protects(1));
}

#[test]
fn lists_are_waited_for_anew_after_somebody_else_has_owned() {
    let mut rig = Rig::new();
    protect_one(&mut rig.disk);
    rig.disk.fail_read = Some((list_of(2), StorageFault::Io));
    rig.give(at(0), claim(term(5, 1)));
    rig.disk.hold_lock(&owner_file(), machine(3, 1));
    assert_eq!(rig.tick(at(200)), [Event::LockHeld]);
    rig.disk.free_lock(&owner_file());
    assert_eq!(rig.tick(at(60_000)), []);
    rig.disk.fail_read = None;
    assert_eq!(rig.tick(at(60_200)), [Event::Owned { term: term(5, 1) }]);
    assert!(rig.protects(1));
}

#[test]
fn what_cannot_be_told_is_bounded() {
    let mut rig = Rig::new();
    protect_one(&mut rig.disk);
    assert_eq!(rig.give(at(0), claim(term(5, 1))), [Event::Owned { term: term(5, 1) }]);
    rig.ownership.handle_timeout(at(200));
    rig.drain();
    // The owner record is out and overdue, so the right is suspended; the list is written on and on.
    let beat = rig.requests.pop_front().unwrap();
    let close = |id| Input::Change { id: ChangeId(id), change: ListChange::CloseIntent { vm: uuid(1) } };
    for id in 0..20 {
        assert_eq!(rig.give(at(1_000), close(id)), []);
    }
    let refused = rig.ownership.handle_input(at(1_000), close(20));
    assert_eq!(refused, Err(Rejected::Change(ChangeRefused::Busy)));
    let done = rig.disk.serve(at(1_000), beat).unwrap();
    assert_eq!(rig.give(at(1_000), Input::Storage(done)), []);
    let ids = (0..20).map(ChangeId).collect();
    assert_eq!(rig.tick(at(1_001)), [Event::Durable { ids }], "the next beat is in time");
    assert_eq!(rig.give(at(1_002), close(20)), [Event::Durable { ids: vec![ChangeId(20)] }]);
}

/// Gives the first slot of host 1's list a format that nobody here reads.
fn newer_format(disk: &mut Disk) {
    let list = ProtectedList::new(term(3, 1));
    let slot = list.seal(&identity(1, 1), Generation::FIRST, &GEOMETRY).unwrap();
    let file = disk.file(&list_of(1));
    file[..slot.len()].copy_from_slice(&slot);
    file[7] = 2;
    let sum = crc32fast::hash(&file[..76]).to_le_bytes();
    file[76..80].copy_from_slice(&sum);
}

/// How often the lock is tried in twenty seconds.
fn looks(rig: &mut Rig) -> usize {
    rig.give(at(0), claim(term(5, 1)));
    for look in 1..=100 {
        rig.tick(at(200 * look));
    }
    assert!(rig.ownership.list().is_none());
    rig.locks
}

/// 50 times in the first ten seconds, then once a second.
#[test]
fn what_stays_wrong_is_looked_at_slowly() {
    let mut rig = Rig::new();
    newer_format(&mut rig.disk);
    assert_eq!(looks(&mut rig), 61, "an own list that a newer program wrote is never overwritten");

    let mut rig = Rig::new();
    rig.disk.fail_read = Some((list_of(1), StorageFault::Io));
    assert_eq!(looks(&mut rig), 61, "an own list that cannot be read");
}

#[test]
fn lists_that_do_not_fit_are_told_once_and_read_again_slowly() {
    let mut rig = Rig::new();
    for of in [2, 3] {
        let entries = (0..15).map(|number| uuid(100 * (of - 2) + number)).zip((0..15).map(|number| {
            let vm = vm(100 * (of - 2) + number);
            let protection = Protection::Protected;
            ListEntry {
                vm,
                protection,
                version: 1,
                priority: 1,
                cpu_reservation_mhz: 0,
                memory_overhead_mb: 0,
                intent: None,
            }
        }));
        let list = ProtectedList { term: term(3, of.into()), version: 7, entries: entries.collect() };
        let slot = list.seal(&identity(of.into(), 1), Generation::FIRST, &GEOMETRY).unwrap();
        rig.disk.file(&list_of(of.into()))[..slot.len()].copy_from_slice(&slot);
    }
    let told = rig.give(at(0), claim(term(5, 1)));
    assert!(matches!(told[..], [Event::MergedListFull(full)] if full.entries == 30), "{told:?}");
    for look in 1..=100 {
        assert_eq!(rig.tick(at(200 * look)), []);
    }
    assert_eq!(rig.locks, 21, "once a second");
}

#[test]
fn no_configuration_makes_it_look_without_a_pause() {
    let mut rig = Rig::with(|config| {
        config.timing.look_again = Duration::ZERO;
        config.timing.look_again_slow = Duration::ZERO;
    });
    rig.disk.fail_read = Some((list_of(1), StorageFault::Io));
    rig.give(at(0), claim(term(5, 1)));
    assert!(rig.ownership.poll_timeout().unwrap().at > at(0));
}

#[test]
fn a_look_and_a_lock_that_are_not_answered_are_stalls() {
    for care in [true, false] {
        let mut rig = Rig::new();
        rig.ask(at(0), Input::Caution { cautious: care });
        rig.ask(at(0), claim(term(5, 1)));
        assert_eq!(rig.requests.len(), 1);
        assert_eq!(rig.ownership.poll_timeout().unwrap().at, at(2_000));
        rig.ownership.handle_timeout(at(1_999));
        rig.drain();
        assert_eq!(rig.events, []);
        for now in [2_000, 2_001, 9_000] {
            rig.ownership.handle_timeout(at(now));
            rig.drain();
        }
        assert_eq!(core::mem::take(&mut rig.events), [Event::Stalled], "told once");
        assert_eq!((rig.requests.len(), rig.ownership.poll_timeout()), (1, None), "it may still be answered");
        // The call was made in time and came back late.
        rig.serve_one(at(1_000));
        assert_eq!(rig.settle(at(9_000)), []);
        assert!(!rig.disk.is_locked(&owner_file()), "a grant of long ago proves nothing");
        let next = rig.ownership.poll_timeout().unwrap().at;
        assert_eq!(rig.tick(next), [Event::Owned { term: term(5, 1) }]);
    }
}

/// A write in doubt never landed, and another host has written the same generation since: that record is no doubtful one,
/// and its slot is not written next.
#[test]
fn a_record_of_the_generation_in_doubt_by_another_host_stays() {
    let mut rig = Rig::new();
    assert_eq!(rig.give(at(0), claim(term(5, 1))), [Event::Owned { term: term(5, 1) }]);
    rig.disk.fail_write = Some((owner_file(), StorageFault::Io, false));
    rig.tick(at(200));
    rig.disk.fail_write = None;
    let other = ListOwnerRecord { term: term(6, 2), counter: 9, state: OwnerState::Released };
    let slot = other.seal(&identity(2, 1), Generation::new(1));
    rig.disk.file(&owner_file())[4_096..].copy_from_slice(&slot);
    assert_eq!(rig.tick(at(400)), [Event::RoundSeen { round: Round::new(6) }]);
    assert_eq!(rig.give(at(500), claim(term(7, 1))), [Event::Owned { term: term(7, 1) }]);
    assert_eq!(rig.disk.file(&owner_file())[4_096..], slot, "the other host's record");
    let found = ListOwnerRecord::read(rig.disk.file(&owner_file()), CLUSTER);
    let record = found.record().unwrap();
    assert_eq!((record.generation, record.content.counter), (Generation::new(2), 10));
}
