//! A host whose own list is damaged owns again, and says what may be missing.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::owner::{Owner, owner_file};
use common::{Disk, HOME, LOGGED, at, host, term, uuid, vm};
use ha_core::{FileKind, FileName};
use ha_datastore::format::{ListEntry, ListPoint, ListState, Protection};
use ha_datastore::ownership::{Event, Input, LostReason};
use ha_datastore::{ChangeId, ListChange};

const SLOT: usize = 32_768;

fn protect(number: u8) -> Input {
    let change = ListChange::Protect(ListEntry {
        vm: vm(number),
        protection: Protection::Protected,
        version: 1,
        priority: 1,
        cpu_reservation_mhz: 0,
        memory_overhead_mb: 0,
        intent: None,
    });
    Input::Change { id: ChangeId(number.into()), change }
}

fn list_of(number: u32) -> FileName {
    FileName::new(HOME, FileKind::ProtectedListOf(host(number)))
}

/// Claims at `millis`, and looks again for eleven seconds; what was told.
fn take(owner: &mut Owner, millis: u64, round: u64, number: u32) -> Vec<Event> {
    owner.now = at(millis);
    owner.claim(term(round, number));
    owner.settle();
    for look in 1..=55 {
        owner.tick(at(millis + 200 * look));
        owner.settle();
    }
    owner.news()
}

/// The next life, or another host, on the disk of one that has ended.
fn after(owner: &mut Owner, number: u32, life: u64, millis: u64) -> Owner {
    let mut disk = core::mem::replace(&mut owner.disk, Disk::new(LOGGED));
    disk.free_lock(&owner_file());
    Owner::new(number, life, disk, at(millis))
}

/// Host 7 in its first life, which has protected these machines one after the other, each in a record of the log.
fn owning(machines: &[u8]) -> Owner {
    let mut owner = Owner::new(7, 1, Disk::new(LOGGED), at(0));
    owner.claim(term(5, 7));
    owner.settle();
    for machine in machines {
        owner.give(protect(*machine));
        owner.settle();
    }
    owner.news();
    owner
}

fn machines(owner: &Owner) -> Vec<u8> {
    let list = owner.machine.list().expect("it owns the datastore");
    list.entries().map(|entry| entry.vm.uuid().as_bytes()[0]).collect()
}

fn is_valid(owner: &mut Owner) -> bool {
    matches!(owner.read(), ListState::Valid { .. } | ListState::Degraded { .. })
}

/// The snapshot is gone and its log is not: storage tore the first write of a right and said that all is well. The
/// merged list stands elsewhere, and the changes stand in the log.
#[test]
fn the_changes_after_a_snapshot_that_is_lost_are_not() {
    for (number, life) in [(7, 2), (1, 1)] {
        let mut owner = owning(&[1, 2]);
        owner.disk.file(&list_of(7))[..SLOT].fill(0xff);
        let mut next = after(&mut owner, number, life, 1_000);
        let told = take(&mut next, 1_000, 6, number);
        let [
            Event::ListUnreadable { .. },
            Event::ChangesMayBeMissing { host: of, known: None },
            Event::Owned { .. },
        ] = told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((of, machines(&next)), (host(7), vec![1, 2]));
        assert!(is_valid(&mut next));
    }
}

#[test]
fn this_life_remembers_what_it_has_written() {
    // Everything; the snapshot; the first record; slot and log.
    let damages = [0..4 * SLOT, 0..SLOT, 2 * SLOT..2 * SLOT + 8_192, 0..3 * SLOT];
    for (damage, with) in damages.into_iter().flat_map(|damage| [(damage.clone(), 0), (damage, 0xff)]) {
        let mut owner = owning(&[1, 2]);
        owner.disk.file(&list_of(7))[damage.clone()].fill(with);
        owner.give(Input::Expire);
        let told = take(&mut owner, 1_000, 5, 7);
        let lost = Event::RightLost { reason: LostReason::Expired };
        let [first, Event::ListUnreadable { .. }, Event::Owned { .. }] = &told[..] else {
            panic!("{damage:?} {with}: {told:?}")
        };
        assert_eq!((first, machines(&owner)), (&lost, vec![1, 2]));
        let mut next = after(&mut owner, 7, 2, 60_000);
        assert_eq!(take(&mut next, 60_000, 6, 7), [Event::Owned { term: term(6, 7) }], "{damage:?} {with}");
        assert_eq!(machines(&next), [1, 2], "{damage:?} {with}");
    }
}

/// What an owner after it has merged is not missing, however much of the own file is lost.
#[test]
fn nothing_is_missing_that_a_later_owner_has_merged() {
    let mut owner = owning(&[1, 2]);
    let mut other = after(&mut owner, 1, 1, 1_000);
    assert_eq!(take(&mut other, 1_000, 6, 1), [Event::Owned { term: term(6, 1) }]);
    other.disk.file(&list_of(7)).fill(0xff);
    let mut next = after(&mut other, 7, 2, 60_000);
    let told = take(&mut next, 60_000, 7, 7);
    assert!(matches!(told[..], [Event::ListUnreadable { .. }, Event::Owned { .. }]), "{told:?}");
    assert_eq!(machines(&next), [1, 2]);
}

#[test]
fn what_may_be_missing_is_told_even_if_nothing_is_left() {
    let mut owner = owning(&[1, 2]);
    owner.disk.file(&list_of(7)).fill(0xff);
    let mut next = after(&mut owner, 7, 2, 1_000);
    let told = take(&mut next, 1_000, 6, 7);
    let missing = Event::ChangesMayBeMissing { host: host(7), known: None };
    assert!(matches!(&told[..], [_, told, Event::Owned { .. }] if *told == missing), "{told:?}");
}

#[test]
fn what_is_known_up_to_a_hole_is_told() {
    let mut owner = owning(&[1, 2, 3]);
    // Both copies of the second record.
    owner.disk.file(&list_of(7))[2 * SLOT + 8_192..2 * SLOT + 16_384].fill(0xff);
    let mut next = after(&mut owner, 1, 1, 1_000);
    let told = take(&mut next, 1_000, 6, 1);
    let known = Some(ListPoint { term: term(5, 7), version: 2 });
    assert_eq!(
        told[1..],
        [Event::ChangesMayBeMissing { host: host(7), known }, Event::Owned { term: term(6, 1) }]
    );
    assert_eq!(machines(&next), [1, 3], "what stands behind the hole counts by itself");
    assert!(next.machine.list().unwrap().entry(uuid(2)).is_none());
}

/// A crash in the first write that a host ever makes here leaves nothing whole, and nothing was lost.
#[test]
fn a_torn_first_snapshot_is_no_loss() {
    let mut owner = Owner::new(7, 1, Disk::new(LOGGED), at(0));
    owner.claim(term(5, 7));
    let write = owner.next_list_write().unwrap().write;
    owner.put(&write, 0..40);
    let mut next = after(&mut owner, 7, 2, 1_000);
    let told = take(&mut next, 1_000, 6, 7);
    assert!(matches!(told[..], [Event::ListUnreadable { .. }, Event::Owned { .. }]), "{told:?}");
}

/// The rebuilt snapshot does not follow the whole one of the same life. A crash between its two writes, or in either,
/// loses nothing.
#[test]
fn a_crash_while_the_file_is_rebuilt_loses_nothing() {
    for (whole, torn) in [(0, 0), (0, 512), (0, SLOT - 512), (1, 0), (1, 512), (1, SLOT - 512), (2, 0)] {
        let mut owner = owning(&[1, 2]);
        // A second snapshot, which is then lost; its log has a record.
        owner.give(Input::Expire);
        owner.tick(at(1_000));
        owner.settle();
        owner.give(protect(3));
        owner.settle();
        owner.disk.file(&list_of(7))[SLOT..2 * SLOT].fill(0xff);
        owner.give(Input::Expire);
        owner.news();
        let mut writes = 0;
        let write = 'write: loop {
            owner.tick(owner.now.after(core::time::Duration::from_millis(200)));
            while let Some(pending) = owner.next_list_write() {
                if writes == whole {
                    break 'write pending.write;
                }
                writes += 1;
                owner.land(pending);
            }
            if owner.machine.list().is_some() {
                assert_eq!((writes, whole), (2, 2), "two snapshots");
                break common::owner::ListWrite { offset: 0, bytes: Vec::new() };
            }
        };
        owner.put(&write, 0..torn.min(write.bytes.len()));
        let mut next = after(&mut owner, 7, 2, 60_000);
        take(&mut next, 60_000, 6, 7);
        assert_eq!(machines(&next), [1, 2, 3], "{whole} {torn}");
        assert!(is_valid(&mut next), "{whole} {torn}");
    }
}
