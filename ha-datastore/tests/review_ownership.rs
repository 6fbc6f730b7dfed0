//! Taking and keeping a datastore whose storage is slow and whose lists come and go.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::owner::owner_file;
use common::rig::Rig;
use common::{Disk, GEOMETRY, HOME, at, host, identity, machine, term, uuid, vm};
use ha_core::record::Generation;
use ha_core::{FileKind, FileName, Machine, StorageFault, Term};
use ha_datastore::format::{ListEntry, ProtectedList, Protection};
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

#[test]
fn an_own_list_that_stays_damaged_is_read_again_slowly() {
    let mut rig = Rig::new();
    rig.disk.file(&list_of(1))[90] = 1;
    rig.give(at(0), claim(term(5, 1)));
    for look in 1..=100 {
        rig.tick(at(200 * look));
    }
    // 50 times in the first ten seconds, then once a second.
    assert_eq!(rig.locks, 61);
}
