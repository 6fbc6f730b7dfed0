//! Whose end must be proven before the lock of a list is tried with care.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::owner::owner_file;
use common::rig::Rig;
use common::{CLUSTER, Disk, GEOMETRY, HOME, at, host, identity, term};
use ha_core::record::Generation;
use ha_core::{FileKind, FileName};
use ha_datastore::format::{ListOwnerRecord, OwnerDamage, OwnerState, ProtectedList};
use ha_datastore::ownership::{Event, Input};

fn put_owner(disk: &mut Disk, (number, life): (u32, u64), generation: u64, state: OwnerState) {
    let generation = Generation::new(generation);
    let record = ListOwnerRecord { term: term(3, number), counter: 40, state };
    let slot = record.seal(&identity(number, life), generation);
    let offset = usize::try_from(ListOwnerRecord::offset(generation)).unwrap();
    disk.file(&owner_file())[offset..offset + slot.len()].copy_from_slice(&slot);
}

/// Host 1, which takes care, has claimed a minute ago; whether it has ever tried the lock.
fn tries_with_care(rig: &mut Rig, ended: &[(u32, u64)]) -> bool {
    rig.give(at(0), Input::Caution { cautious: true });
    for &(number, life) in ended {
        let incarnation = identity(number, life).incarnation;
        rig.give(at(0), Input::OwnerEnded { host: host(number), incarnation });
    }
    rig.give(at(0), Input::Claim { term: term(5, 1), may_take: true });
    for second in 1..=60 {
        rig.tick(at(1_000 * second));
    }
    rig.locks > 0
}

#[test]
fn a_confirmed_end_proves_nothing_of_a_later_life() {
    for (confirmed, tries) in [(1, false), (2, true), (3, true)] {
        let mut rig = Rig::new();
        put_owner(&mut rig.disk, (2, 2), 0, OwnerState::Owned);
        assert_eq!(tries_with_care(&mut rig, &[(2, confirmed)]), tries, "{confirmed}");
    }
}

#[test]
fn two_owner_records_that_do_not_follow_need_the_end_of_both() {
    let ends: [(&[(u32, u64)], bool); 4] =
        [(&[], false), (&[(2, 1)], false), (&[(3, 1)], false), (&[(2, 1), (3, 1)], true)];
    for (ended, tries) in ends {
        // A late write of host 2 over the record before the one by which host 3 let go.
        let mut rig = Rig::new();
        put_owner(&mut rig.disk, (2, 1), 4, OwnerState::Owned);
        put_owner(&mut rig.disk, (3, 1), 7, OwnerState::Released);
        assert_eq!(tries_with_care(&mut rig, ended), tries, "{ended:?}");
    }
}

/// Nothing in the owner record can be read.
fn spoil_owner(disk: &mut Disk, with: u8) {
    disk.file(&owner_file()).fill(with);
}

fn put_list(disk: &mut Disk, (number, life): (u32, u64), version: u64) {
    let list = ProtectedList { version, ..ProtectedList::new(term(3, number)) };
    let slot = list.seal(&identity(number, life), Generation::FIRST, &GEOMETRY).unwrap();
    disk.file(&list_of(number))[..slot.len()].copy_from_slice(&slot);
}

fn list_of(number: u32) -> FileName {
    FileName::new(HOME, FileKind::ProtectedListOf(host(number)))
}

/// Host 1, which takes care, with its claim and a minute; what it told.
fn claims_with_care(rig: &mut Rig) -> Vec<Event> {
    rig.give(at(0), Input::Caution { cautious: true });
    let mut told = rig.give(at(0), Input::Claim { term: term(5, 1), may_take: true });
    for second in 1..=60 {
        told.append(&mut rig.tick(at(1_000 * second)));
    }
    told
}

fn ended(number: u32, life: u64) -> Input {
    Input::OwnerEnded { host: host(number), incarnation: identity(number, life).incarnation }
}

#[test]
fn an_unreadable_owner_record_needs_the_end_of_all_who_have_written_a_list() {
    let mut rig = Rig::new();
    spoil_owner(&mut rig.disk, 0xff);
    put_list(&mut rig.disk, (1, 0), 80);
    put_list(&mut rig.disk, (2, 2), 90);
    let told = claims_with_care(&mut rig);
    let [Event::OwnerUnreadable { .. }, Event::OwnerUnproven { host: unproven }] = told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((unproven, rig.locks), (host(2), 0), "host 3 has written none, and host 1 is this one");
    for (now, not_enough) in [(70_000, ended(2, 1)), (71_000, ended(3, 9))] {
        rig.give(at(now), not_enough);
        assert_eq!((rig.tick(at(now)), rig.locks), (vec![], 0));
    }
    rig.give(at(80_000), ended(2, 2));
    assert_eq!(rig.tick(at(80_000)), [Event::Owned { term: term(5, 1) }]);
    let found = ListOwnerRecord::read(rig.disk.file(&owner_file()), CLUSTER);
    assert!(found.record().unwrap().content.counter > 90, "{found:?}");
}

/// A list of which nobody knows who wrote it last: no end that was confirmed is known to be the last one's.
#[test]
fn where_no_end_proves_it_somebody_must_say_that_nobody_owns_it() {
    let mut rig = Rig::new();
    spoil_owner(&mut rig.disk, 0xff);
    put_list(&mut rig.disk, (2, 2), 90);
    rig.disk.file(&list_of(2))[8] ^= 1;
    rig.give(at(0), ended(2, 9));
    let told = claims_with_care(&mut rig);
    let [Event::OwnerUnreadable { damage, .. }, Event::OwnerUnproven { .. }] = told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(damage.to_string().parse(), Ok(damage));
    rig.give(at(70_000), Input::NobodyOwns { damage: OwnerDamage::new(damage.number() ^ 1) });
    assert_eq!((rig.tick(at(70_000)), rig.locks), (vec![], 0), "said of something else");
    // Somebody writes, and what was said of the record before is said of it no more.
    spoil_owner(&mut rig.disk, 0xee);
    rig.give(at(71_000), Input::NobodyOwns { damage });
    let told = rig.tick(at(71_000));
    let [Event::OwnerUnreadable { damage: other, .. }] = told[..] else { panic!("{told:?}") };
    assert!(other != damage && rig.locks == 0);
    rig.give(at(72_000), Input::NobodyOwns { damage: other });
    for look in 0..=50 {
        rig.tick(at(72_000 + 200 * look));
    }
    assert!(rig.ownership.may_act(at(82_000)), "{:?}", rig.events);
}
