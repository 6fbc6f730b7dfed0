//! Whose end must be proven before the lock of a list is tried with care.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::owner::owner_file;
use common::rig::Rig;
use common::{Disk, at, host, identity, term};
use ha_core::record::Generation;
use ha_datastore::format::{ListOwnerRecord, OwnerState};
use ha_datastore::ownership::Input;

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
