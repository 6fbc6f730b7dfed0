//! Taking a datastore, keeping it, letting it go.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{CLUSTER, Disk, GEOMETRY, HOME, TIMING, at, host, identity, machine, term, uuid, vm};
use ha_core::operation::LockOutcome;
use ha_core::record::Generation;
use ha_core::{
    FileKind, FileName, HostId, Instant, Machine, Round, StorageCompletion, StorageFault, StorageRequest,
    Term, VmEpoch,
};
use ha_datastore::format::{
    ListEntry, ListOwnerRecord, OrderId, OwnerState, ProtectedList, Protection, RestartIntent,
};
use ha_datastore::ownership::{
    Event, Input, LostReason, Output, Ownership, OwnershipConfig, Rejected, UnreadableList,
};
use ha_datastore::{ChangeId, ChangeRefused, ListChange};

fn ownership(number: u32) -> Ownership {
    let config = OwnershipConfig {
        identity: identity(number, 1),
        machine: machine(number, 1),
        datastore: HOME,
        hosts: vec![host(1), host(2), host(3)],
        geometry: GEOMETRY,
        timing: TIMING,
    };
    Ownership::new(config, at(0))
}

fn owner_file() -> FileName {
    FileName::new(HOME, FileKind::ProtectedList)
}

fn list_file(of: HostId) -> FileName {
    FileName::new(HOME, FileKind::ProtectedListOf(of))
}

fn entry(number: u8, version: u64) -> ListEntry {
    ListEntry {
        vm: vm(number),
        protection: Protection::Protected,
        version,
        priority: 1,
        cpu_reservation_mhz: 0,
        memory_overhead_mb: 0,
        intent: None,
    }
}

fn intent() -> RestartIntent {
    RestartIntent {
        order: OrderId { term: term(5, 1), number: 1 },
        attempts: 0,
        target: Some(host(2)),
        expected: VmEpoch::new(1),
    }
}

fn drain(ownership: &mut Ownership) -> (Vec<StorageRequest>, Vec<Event>) {
    let (mut requests, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = ownership.poll_output() {
        match output {
            Output::Storage(request) => requests.push(request),
            Output::Event(event) => events.push(event),
        }
    }
    (requests, events)
}

fn settle(ownership: &mut Ownership, disk: &mut Disk, now: Instant) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let (requests, mut more) = drain(ownership);
        events.append(&mut more);
        if requests.is_empty() {
            return events;
        }
        for request in requests {
            if let Some(done) = disk.serve(now, request) {
                ownership.handle_input(now, Input::Storage(done)).unwrap();
            }
        }
    }
}

fn give(ownership: &mut Ownership, disk: &mut Disk, now: Instant, input: Input) -> Vec<Event> {
    ownership.handle_input(now, input).unwrap();
    settle(ownership, disk, now)
}

fn tick(ownership: &mut Ownership, disk: &mut Disk, now: Instant) -> Vec<Event> {
    ownership.handle_timeout(now);
    settle(ownership, disk, now)
}

fn claim(term: Term) -> Input {
    Input::Claim { term, may_take: true }
}

fn change(id: u64, change: ListChange) -> Input {
    Input::Change { id: ChangeId(id), change }
}

fn protect(id: u64, number: u8) -> Input {
    change(id, ListChange::Protect(entry(number, 1)))
}

/// An ownership of host 1 under term 5 at 0 ms.
fn owned(disk: &mut Disk) -> Ownership {
    let mut ownership = ownership(1);
    let events = give(&mut ownership, disk, at(0), claim(term(5, 1)));
    assert_eq!(events, [Event::Owned { term: term(5, 1) }]);
    ownership
}

fn owner_record(disk: &mut Disk) -> ListOwnerRecord {
    let state = ListOwnerRecord::read(disk.file(&owner_file()), CLUSTER);
    state.record().unwrap().content
}

fn list_of(disk: &mut Disk, of: HostId) -> (u64, ProtectedList) {
    let state = ProtectedList::read(disk.file(&list_file(of)), CLUSTER, of, &GEOMETRY);
    let record = state.record().unwrap();
    (record.generation.number(), record.content.clone())
}

fn put_list(disk: &mut Disk, of: u32, term: Term, entries: &[ListEntry]) {
    let entries = entries.iter().map(|entry| (entry.vm.uuid(), entry.clone())).collect();
    let list = ProtectedList { term, version: 7, entries };
    let slot = list.seal(&identity(of, 1), Generation::FIRST, &GEOMETRY).unwrap();
    disk.file(&list_file(host(of)))[..slot.len()].copy_from_slice(&slot);
}

fn put_owner(disk: &mut Disk, term: Term, state: OwnerState) {
    let record = ListOwnerRecord { term, counter: 40, state };
    let slot = record.seal(&identity(2, 1), Generation::FIRST);
    disk.file(&owner_file())[..slot.len()].copy_from_slice(&slot);
}

#[test]
fn an_empty_datastore_is_taken_step_by_step() {
    let (mut ownership, mut disk) = (ownership(1), Disk::default());
    ownership.handle_input(at(0), claim(term(5, 1))).unwrap();
    let mut steps = Vec::new();
    loop {
        let (requests, events) = drain(&mut ownership);
        if requests.is_empty() {
            assert_eq!(events, [Event::Owned { term: term(5, 1) }]);
            break;
        }
        assert_eq!(events, []);
        assert!(!ownership.may_act(at(0)) && ownership.list().is_none());
        for request in requests {
            let word = match &request {
                StorageRequest::Lock { .. } => "lock",
                StorageRequest::Read { .. } => "read",
                StorageRequest::Write { .. } => "write",
                StorageRequest::Unlock { .. } | StorageRequest::LookAtLock { .. } => "other",
            };
            steps.push(format!("{word} {}", request.file()));
            let done = disk.serve(at(0), request).unwrap();
            ownership.handle_input(at(0), Input::Storage(done)).unwrap();
        }
    }
    let expected = [
        "lock [datastore-1] protectedlist",
        "read [datastore-1] protectedlist",
        "read [datastore-1] protectedlist.1",
        "read [datastore-1] protectedlist.2",
        "read [datastore-1] protectedlist.3",
        "write [datastore-1] protectedlist.1",
        "write [datastore-1] protectedlist",
    ];
    assert_eq!(steps, expected);
    assert!(ownership.may_act(at(0)));
    let owner = ListOwnerRecord { term: term(5, 1), counter: 1, state: OwnerState::Owned };
    assert_eq!(owner_record(&mut disk), owner);
    assert_eq!(list_of(&mut disk, host(1)).1, ProtectedList { version: 1, ..ProtectedList::new(term(5, 1)) });
}

#[test]
fn nothing_is_tried_without_the_right_to() {
    let (mut ownership, mut disk) = (ownership(1), Disk::default());
    let no = Input::Claim { term: term(5, 1), may_take: false };
    assert_eq!(give(&mut ownership, &mut disk, at(0), no), []);
    assert!(!disk.is_locked(&owner_file()));
    assert_eq!(ownership.poll_timeout(), None);
    let yes = Input::Rights { may_take: true };
    assert_eq!(give(&mut ownership, &mut disk, at(1), yes), [Event::Owned { term: term(5, 1) }]);
    let no = Input::Rights { may_take: false };
    assert_eq!(give(&mut ownership, &mut disk, at(2), no), []);
    assert!(ownership.may_act(at(2)), "what is owned stays owned");
}

#[test]
fn a_grant_that_is_no_longer_wanted_is_given_back() {
    for stop in [Input::Rights { may_take: false }, Input::Release] {
        let released = matches!(stop, Input::Release);
        let (mut ownership, mut disk) = (ownership(1), Disk::default());
        ownership.handle_input(at(0), claim(term(5, 1))).unwrap();
        let [lock] = drain(&mut ownership).0.try_into().unwrap();
        ownership.handle_input(at(1), stop).unwrap();
        let done = disk.serve(at(2), lock).unwrap();
        ownership.handle_input(at(2), Input::Storage(done)).unwrap();
        let (requests, events) = drain(&mut ownership);
        assert_eq!(requests, [StorageRequest::Unlock { file: owner_file() }]);
        assert_eq!(events.contains(&Event::Released { sealed: false }), released);
        assert_eq!(ownership.poll_timeout(), None);
    }
}

#[test]
fn a_held_lock_is_looked_at_again_first_fast_then_slowly() {
    let (mut ownership, mut disk) = (ownership(1), Disk::default());
    disk.hold_lock(&owner_file(), machine(2, 1));
    assert_eq!(give(&mut ownership, &mut disk, at(0), claim(term(5, 1))), [Event::LockHeld]);
    let mut looks = Vec::new();
    while looks.len() < 53 {
        let next = ownership.poll_timeout().unwrap().at;
        looks.push(next);
        assert_eq!(tick(&mut ownership, &mut disk, next), [], "told once");
    }
    let fast: Vec<_> = (1..=50).map(|look| at(200 * look)).collect();
    assert_eq!(looks[..50], fast);
    assert_eq!(looks[50..], [at(11_000), at(12_000), at(13_000)]);
    disk.free_lock(&owner_file());
    assert_eq!(tick(&mut ownership, &mut disk, at(14_000)), [Event::Owned { term: term(5, 1) }]);
}

#[test]
fn all_lists_are_merged_into_the_own_file_before_anything_is_owned() {
    let mut disk = Disk::default();
    put_list(&mut disk, 2, term(3, 2), &[entry(1, 1), entry(2, 5)]);
    let tombstone = ListEntry { protection: Protection::Removed, ..entry(2, 6) };
    put_list(&mut disk, 3, term(2, 3), &[tombstone.clone(), entry(3, 1)]);
    let ownership = owned(&mut disk);
    let entries: Vec<_> = ownership.list().unwrap().entries().cloned().collect();
    assert_eq!(entries, [entry(1, 1), tombstone, entry(3, 1)]);
    let (generation, list) = list_of(&mut disk, host(1));
    assert_eq!((generation, list.term, list.version), (0, term(5, 1), 8));
    assert_eq!(list.entries.into_values().collect::<Vec<_>>(), entries);
    assert_eq!(list_of(&mut disk, host(2)).1.version, 7, "other hosts' files are never written");
}

/// Looks again at the short period until something but a look happens.
fn look_until_owned(ownership: &mut Ownership, disk: &mut Disk) -> (u64, Vec<Event>) {
    (1..=60)
        .map(|look| (200 * look, tick(ownership, disk, at(200 * look))))
        .find(|(_, events)| !events.is_empty())
        .expect("an unreadable list is not waited for for ever")
}

#[test]
fn one_unreadable_list_does_not_blind_the_others() {
    let mut disk = Disk::default();
    put_list(&mut disk, 2, term(3, 2), &[entry(1, 1)]);
    put_list(&mut disk, 3, term(2, 3), &[entry(3, 1)]);
    disk.fail_read = Some((list_file(host(2)), StorageFault::Io));
    let mut first = ownership(1);
    let events = give(&mut first, &mut disk, at(0), claim(term(5, 1)));
    let fault = Event::ListUnreadable { host: host(2), why: UnreadableList::Fault(StorageFault::Io) };
    assert_eq!(events, [fault]);
    let (when, events) = look_until_owned(&mut first, &mut disk);
    let missing = Event::ChangesMayBeMissing { host: host(2), known: None };
    assert_eq!((when, events), (10_000, vec![missing, Event::Owned { term: term(5, 1) }]));
    assert!(first.list().unwrap().entry(uuid(3)).is_some());
    assert!(first.list().unwrap().entry(uuid(1)).is_none());
}

#[test]
fn a_list_that_can_be_read_again_in_time_is_merged() {
    let mut disk = Disk::default();
    put_list(&mut disk, 2, term(3, 2), &[entry(1, 1)]);
    let content = disk.file(&list_file(host(2))).clone();
    disk.file(&list_file(host(2)))[90] ^= 1;
    let mut ownership = ownership(3);
    let events = give(&mut ownership, &mut disk, at(0), claim(term(6, 3)));
    let [Event::ListUnreadable { host: bad, why: UnreadableList::Corrupt { .. } }] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(bad, host(2));
    assert_eq!(tick(&mut ownership, &mut disk, at(200)), []);
    *disk.file(&list_file(host(2))) = content;
    assert_eq!(tick(&mut ownership, &mut disk, at(400)), [Event::Owned { term: term(6, 3) }]);
    assert!(ownership.list().unwrap().entry(uuid(1)).is_some());
}

#[test]
fn a_damaged_own_list_is_overwritten_only_after_a_wait() {
    let mut disk = Disk::default();
    put_list(&mut disk, 1, term(3, 1), &[entry(1, 1)]);
    disk.file(&list_file(host(1)))[90] ^= 1;
    let damaged = disk.file(&list_file(host(1))).clone();
    let mut ownership = ownership(1);
    assert_eq!(give(&mut ownership, &mut disk, at(0), claim(term(5, 1))).len(), 1);
    (1..50).for_each(|look| assert_eq!(tick(&mut ownership, &mut disk, at(200 * look)), []));
    assert_eq!(*disk.file(&list_file(host(1))), damaged);
    assert_eq!(tick(&mut ownership, &mut disk, at(10_000)), [Event::Owned { term: term(5, 1) }]);
}

#[test]
fn without_the_own_list_nothing_is_written() {
    let (mut ownership, mut disk) = (ownership(1), Disk::default());
    disk.fail_read = Some((list_file(host(1)), StorageFault::Io));
    let events = give(&mut ownership, &mut disk, at(0), claim(term(5, 1)));
    assert_eq!(events, [Event::Trouble { fault: StorageFault::Io }]);
    assert!(!disk.is_locked(&owner_file()) && disk.writes == 0);
    disk.fail_read = None;
    assert_eq!(tick(&mut ownership, &mut disk, at(199)), []);
    assert_eq!(tick(&mut ownership, &mut disk, at(200)), [Event::Owned { term: term(5, 1) }]);
}

#[test]
fn a_round_that_is_not_exceeded_waits_for_a_higher_claim() {
    let seen = |round| vec![Event::RoundSeen { round: Round::new(round) }];
    let yes = |claimed| vec![Event::Owned { term: claimed }];
    let table = [
        // Found in the owner record; claimed; outcome.
        (term(4, 2), term(5, 1), yes(term(5, 1))),
        (term(5, 2), term(5, 1), seen(5)),
        (term(5, 2), term(5, 3), seen(5)),
        (term(6, 2), term(5, 1), seen(6)),
        // The same reign, perhaps written by another proxy of the same master.
        (term(5, 1), term(5, 1), yes(term(5, 1))),
    ];
    for in_list in [false, true] {
        for (found, claimed, outcome) in table.clone() {
            let (mut ownership, mut disk) = (ownership(1), Disk::default());
            if in_list {
                put_list(&mut disk, 3, found, &[]);
            } else {
                put_owner(&mut disk, found, OwnerState::Released);
            }
            let events = give(&mut ownership, &mut disk, at(0), claim(claimed));
            assert_eq!(events, outcome, "{found} {claimed}");
            if matches!(outcome[..], [Event::RoundSeen { .. }]) {
                assert!(!disk.is_locked(&owner_file()) && disk.writes == 0);
                assert_eq!(ownership.poll_timeout(), None);
                assert_eq!(
                    give(&mut ownership, &mut disk, at(1), claim(claimed)),
                    [],
                    "the same claim again"
                );
                let events = give(&mut ownership, &mut disk, at(2), claim(term(7, 1)));
                assert_eq!(events, yes(term(7, 1)));
            }
        }
    }
}

#[test]
fn the_owner_record_moves_each_period() {
    let mut disk = Disk::default();
    let mut ownership = owned(&mut disk);
    for beat in 1..5 {
        assert_eq!(ownership.poll_timeout().unwrap().at, at(200 * beat));
        tick(&mut ownership, &mut disk, at(200 * beat - 1));
        assert_eq!(owner_record(&mut disk).counter, beat);
        tick(&mut ownership, &mut disk, at(200 * beat));
        assert_eq!(owner_record(&mut disk).counter, beat + 1);
        assert!(ownership.may_act(at(200 * beat + 300)));
        assert!(!ownership.may_act(at(200 * beat + 301)), "the record is no longer fresh");
    }
}

#[test]
fn an_overdue_write_suspends_the_right_until_it_ends_well() {
    let mut disk = Disk::default();
    let mut ownership = owned(&mut disk);
    ownership.handle_timeout(at(200));
    let [write] = drain(&mut ownership).0.try_into().unwrap();
    assert!(ownership.may_act(at(300)));
    assert!(!ownership.may_act(at(301)), "overdue");
    let done = disk.serve(at(250), write).unwrap();
    ownership.handle_input(at(350), Input::Storage(done)).unwrap();
    assert!(ownership.may_act(at(350)), "the very write ended well");
    assert_eq!(drain(&mut ownership).1, []);
}

#[test]
fn changes_are_committed_in_groups_and_reported_when_durable() {
    let mut disk = Disk::default();
    let mut ownership = owned(&mut disk);
    for (id, number) in [(1, 1), (2, 2), (3, 3)] {
        ownership.handle_input(at(10), protect(id, number)).unwrap();
    }
    let writes = disk.writes;
    let events = settle(&mut ownership, &mut disk, at(10));
    let durable = |ids: &[u64]| Event::Durable { ids: ids.iter().copied().map(ChangeId).collect() };
    assert_eq!(events, [durable(&[1]), durable(&[2, 3])]);
    assert_eq!(disk.writes, writes + 2);
    assert_eq!(list_of(&mut disk, host(1)).1.entries.len(), 3);
    let events = give(
        &mut ownership,
        &mut disk,
        at(11),
        change(4, ListChange::SetIntent { vm: uuid(1), intent: intent() }),
    );
    assert_eq!(events, [durable(&[4])]);
    assert_eq!(list_of(&mut disk, host(1)).1.entries[&uuid(1)].intent, Some(intent()));
    let renewed = change(5, ListChange::Protect(entry(1, 2)));
    give(&mut ownership, &mut disk, at(12), renewed);
    assert_eq!(list_of(&mut disk, host(1)).1.entries[&uuid(1)].intent, Some(intent()), "still open");
    give(&mut ownership, &mut disk, at(13), change(6, ListChange::CloseIntent { vm: uuid(1) }));
    assert_eq!(list_of(&mut disk, host(1)).1.entries[&uuid(1)].intent, None);
    give(&mut ownership, &mut disk, at(14), change(7, ListChange::Unprotect { vm: vm(1), version: 3 }));
    let gone = list_of(&mut disk, host(1)).1.entries[&uuid(1)].clone();
    assert_eq!((gone.protection, gone.version, gone.intent), (Protection::Removed, 3, None));
}

#[test]
fn a_durable_change_is_not_told_while_the_right_is_suspended() {
    let mut disk = Disk::default();
    let mut ownership = owned(&mut disk);
    ownership.handle_timeout(at(200));
    let [beat] = drain(&mut ownership).0.try_into().unwrap();
    ownership.handle_input(at(250), protect(1, 1)).unwrap();
    assert_eq!(settle(&mut ownership, &mut disk, at(400)), [], "the owner record is overdue");
    let done = disk.serve(at(300), beat).unwrap();
    let events = give(&mut ownership, &mut disk, at(410), Input::Storage(done));
    assert_eq!(events, [Event::Durable { ids: vec![ChangeId(1)] }]);
}

#[test]
fn the_caller_s_mistakes_are_refused() {
    let mut disk = Disk::default();
    let mut nobody = ownership(2);
    assert_eq!(nobody.handle_input(at(0), protect(1, 1)).unwrap_err(), Rejected::NotOwned);
    let mut ownership = owned(&mut disk);
    give(&mut ownership, &mut disk, at(0), change(1, ListChange::Protect(entry(1, 5))));
    let before = format!("{ownership:?}");
    let elsewhere = ha_core::VmId::new(uuid(9), ha_core::DatastoreId::new(2), "a/b").unwrap();
    let wrong_home = ChangeRefused::WrongHome { vm: uuid(9), home: elsewhere.home() };
    let stale = ChangeRefused::OldVersion { given: 4, current: 5 };
    let table = [
        (ListChange::Protect(entry(1, 4)), stale),
        (ListChange::Unprotect { vm: vm(1), version: 4 }, stale),
        (ListChange::Unprotect { vm: elsewhere, version: 4 }, wrong_home),
        (
            ListChange::SetIntent { vm: uuid(2), intent: intent() },
            ChangeRefused::NotProtected { vm: uuid(2) },
        ),
    ];
    for (bad, refused) in table {
        let result = ownership.handle_input(at(1), change(2, bad));
        assert_eq!(result.unwrap_err(), Rejected::Change(refused));
    }
    let old = ownership.handle_input(at(1), claim(term(4, 9))).unwrap_err();
    assert_eq!(old, Rejected::OldTerm { given: term(4, 9), current: term(5, 1) });
    assert_eq!(format!("{ownership:?}"), before);
    for number in 2..=20 {
        give(&mut ownership, &mut disk, at(0), protect(u64::from(number), number));
    }
    let full = ownership.handle_input(at(1), protect(99, 21)).unwrap_err();
    assert!(matches!(full, Rejected::Change(ChangeRefused::Full(_))), "{full:?}");
}

#[test]
fn a_fault_ends_the_right_and_the_same_generation_is_written_again() {
    for (file, lands) in [(0, false), (0, true), (1, false), (1, true)] {
        let mut disk = Disk::default();
        let mut ownership = owned(&mut disk);
        give(&mut ownership, &mut disk, at(0), protect(1, 1));
        let name = [owner_file(), list_file(host(1))][file].clone();
        disk.fail_write = Some((name, StorageFault::Io, lands));
        let mut events = give(&mut ownership, &mut disk, at(10), protect(2, 2));
        events.append(&mut tick(&mut ownership, &mut disk, at(200)));
        let lost = Event::RightLost { reason: LostReason::Fault(StorageFault::Io) };
        assert!(events.contains(&lost), "{events:?}");
        let dropped = events.contains(&Event::Dropped { ids: vec![ChangeId(2)] });
        let told = events.contains(&Event::Durable { ids: vec![ChangeId(2)] });
        assert!((file == 1, file == 0) == (dropped, told), "{events:?}");
        assert!(!ownership.may_act(at(200)) && ownership.list().is_none() && !disk.is_locked(&owner_file()));
        let (generation, _) = list_of(&mut disk, host(1));
        disk.fail_write = None;
        let events = tick(&mut ownership, &mut disk, at(400));
        assert_eq!(events, [Event::Owned { term: term(5, 1) }]);
        let expected = match (file, lands) {
            (0, _) | (1, false) => generation + 1,
            // What landed may have come from a cache: its slot is written again, not the other one.
            _ => generation,
        };
        assert_eq!(list_of(&mut disk, host(1)).0, expected);
        assert!(ownership.list().unwrap().entry(uuid(1)).is_some());
    }
}

#[test]
fn a_stalled_write_ends_the_right_and_nothing_begins_before_it_answers() {
    let mut disk = Disk::default();
    let mut ownership = owned(&mut disk);
    ownership.handle_input(at(10), protect(1, 1)).unwrap();
    let [hanging] = drain(&mut ownership).0.try_into().unwrap();
    for beat in 1..=10 {
        assert_eq!(tick(&mut ownership, &mut disk, at(200 * beat)), []);
    }
    assert!(!ownership.may_act(at(2_000)), "overdue");
    assert_eq!(ownership.poll_timeout().unwrap().at, at(2_010));
    let events = tick(&mut ownership, &mut disk, at(2_010));
    let dropped = Event::Dropped { ids: vec![ChangeId(1)] };
    assert_eq!(events, [Event::RightLost { reason: LostReason::Stalled }, dropped]);
    assert_eq!(ownership.poll_timeout(), None, "the write may still land: two writers of one file");
    assert_eq!(tick(&mut ownership, &mut disk, at(5_000)), []);
    let done = disk.serve(at(2_000), hanging).unwrap();
    assert_eq!(give(&mut ownership, &mut disk, at(6_000), Input::Storage(done)), [], "nobody waits for it");
    assert_eq!(tick(&mut ownership, &mut disk, at(6_000)), [Event::Owned { term: term(5, 1) }]);
    assert!(ownership.list().unwrap().entry(uuid(1)).is_some(), "it had landed after all");
}

#[test]
fn a_release_is_sealed_before_the_lock_is_let_go() {
    let mut disk = Disk::default();
    let mut ownership = owned(&mut disk);
    ownership.handle_input(at(10), protect(1, 1)).unwrap();
    let [in_flight] = drain(&mut ownership).0.try_into().unwrap();
    ownership.handle_input(at(11), Input::Release).unwrap();
    let (requests, events) = drain(&mut ownership);
    assert_eq!(events, [Event::Dropped { ids: vec![ChangeId(1)] }]);
    let [seal] = requests.try_into().unwrap();
    assert!(disk.is_locked(&owner_file()) && !ownership.may_act(at(11)));
    let done = disk.serve(at(12), seal).unwrap();
    let events = give(&mut ownership, &mut disk, at(12), Input::Storage(done));
    assert_eq!(events, [Event::Released { sealed: true }]);
    assert!(!disk.is_locked(&owner_file()));
    let released = ListOwnerRecord { term: term(5, 1), counter: 2, state: OwnerState::Released };
    assert_eq!(owner_record(&mut disk), released);
    let done = disk.serve(at(13), in_flight).unwrap();
    assert_eq!(give(&mut ownership, &mut disk, at(13), Input::Storage(done)), []);
    assert_eq!(ownership.poll_timeout(), None);
    let events = give(&mut ownership, &mut disk, at(14), claim(term(6, 1)));
    assert_eq!(events, [Event::Owned { term: term(6, 1) }]);
}

#[test]
fn a_release_that_cannot_be_sealed_lets_go_all_the_same() {
    for stall in [false, true] {
        let mut disk = Disk::default();
        let mut ownership = owned(&mut disk);
        if stall {
            ownership.handle_input(at(10), Input::Release).unwrap();
            let [_seal] = drain(&mut ownership).0.try_into().unwrap();
            assert_eq!(tick(&mut ownership, &mut disk, at(2_009)), []);
            assert_eq!(tick(&mut ownership, &mut disk, at(2_010)), [Event::Released { sealed: false }]);
        } else {
            disk.fail_write = Some((owner_file(), StorageFault::Io, false));
            let events = give(&mut ownership, &mut disk, at(10), Input::Release);
            assert_eq!(events, [Event::Released { sealed: false }]);
        }
        assert!(!disk.is_locked(&owner_file()));
    }
}

#[test]
fn releasing_nothing_is_answered_too() {
    let (mut ownership, mut disk) = (ownership(1), Disk::default());
    assert_eq!(give(&mut ownership, &mut disk, at(0), Input::Release), [Event::Released { sealed: false }]);
}

#[test]
fn a_higher_term_is_written_everywhere_before_anybody_acts_on_it() {
    let mut disk = Disk::default();
    let mut ownership = owned(&mut disk);
    give(&mut ownership, &mut disk, at(0), protect(1, 1));
    ownership.handle_input(at(10), claim(term(6, 1))).unwrap();
    assert!(!ownership.may_act(at(10)));
    assert_eq!(ownership.handle_input(at(10), protect(2, 2)).unwrap_err(), Rejected::NotOwned);
    let [list] = drain(&mut ownership).0.try_into().unwrap();
    assert_eq!(list.file(), &list_file(host(1)));
    let done = disk.serve(at(10), list).unwrap();
    ownership.handle_input(at(10), Input::Storage(done)).unwrap();
    assert!(!ownership.may_act(at(10)), "the owner record is still of the old term");
    assert_eq!(settle(&mut ownership, &mut disk, at(11)), [Event::Owned { term: term(6, 1) }]);
    assert!(ownership.may_act(at(11)));
    assert_eq!(owner_record(&mut disk).term, term(6, 1));
    let (_, list) = list_of(&mut disk, host(1));
    assert_eq!((list.term, list.entries.len()), (term(6, 1), 1));
}

#[test]
fn suspend_expires_the_right_and_a_grant_from_before() {
    let mut disk = Disk::default();
    let mut owner = owned(&mut disk);
    let events = give(&mut owner, &mut disk, at(10), Input::Expire);
    assert_eq!(events, [Event::RightLost { reason: LostReason::Expired }]);
    assert!(!disk.is_locked(&owner_file()) && !owner.may_act(at(10)));
    assert_eq!(tick(&mut owner, &mut disk, at(210)), [Event::Owned { term: term(5, 1) }]);

    let (mut taker, mut disk) = (ownership(1), Disk::default());
    taker.handle_input(at(0), claim(term(5, 1))).unwrap();
    let [lock] = drain(&mut taker).0.try_into().unwrap();
    let granted = disk.serve(at(0), lock).unwrap();
    taker.handle_input(at(900_000), Input::Expire).unwrap();
    assert_eq!(give(&mut taker, &mut disk, at(900_001), Input::Storage(granted)), []);
    assert!(!disk.is_locked(&owner_file()), "a grant from before the suspend proves nothing");
    let again = taker.poll_timeout().unwrap().at;
    assert_eq!(tick(&mut taker, &mut disk, again), [Event::Owned { term: term(5, 1) }]);
}

/// The old owner's last write lands after the new owner has taken over: only its own file changes.
#[test]
fn a_late_write_of_an_old_owner_spoils_nothing() {
    let mut disk = Disk::default();
    let mut old = owned(&mut disk);
    give(&mut old, &mut disk, at(0), protect(1, 1));
    old.handle_input(at(10), protect(2, 2)).unwrap();
    let [late] = drain(&mut old).0.try_into().unwrap();
    disk.free_lock(&owner_file());
    let mut new = ownership(2);
    let events = give(&mut new, &mut disk, at(500), claim(term(6, 2)));
    assert_eq!(events, [Event::Owned { term: term(6, 2) }]);
    give(&mut new, &mut disk, at(510), change(1, ListChange::Unprotect { vm: vm(1), version: 2 }));
    let before = (disk.file(&owner_file()).clone(), disk.file(&list_file(host(2))).clone());
    assert!(disk.serve(at(520), late).is_some());
    assert_eq!((disk.file(&owner_file()).clone(), disk.file(&list_file(host(2))).clone()), before);
    disk.free_lock(&owner_file());
    let mut third = ownership(3);
    give(&mut third, &mut disk, at(1_000), claim(term(7, 3)));
    let one = third.list().unwrap().entry(uuid(1)).unwrap().clone();
    assert_eq!(
        (one.protection, one.version),
        (Protection::Removed, 2),
        "the tombstone outlives the late write"
    );
}

#[test]
fn a_stall_while_taking_lets_the_lock_go() {
    let (mut ownership, mut disk) = (ownership(1), Disk::default());
    ownership.handle_input(at(0), claim(term(5, 1))).unwrap();
    let [lock] = drain(&mut ownership).0.try_into().unwrap();
    let done = disk.serve(at(0), lock).unwrap();
    ownership.handle_input(at(0), Input::Storage(done)).unwrap();
    let [read] = drain(&mut ownership).0.try_into().unwrap();
    assert_eq!(tick(&mut ownership, &mut disk, at(1_999)), []);
    assert_eq!(tick(&mut ownership, &mut disk, at(2_000)), [Event::Stalled]);
    assert!(!disk.is_locked(&owner_file()));
    let done = disk.serve(at(1), read).unwrap();
    assert_eq!(give(&mut ownership, &mut disk, at(3_000), Input::Storage(done)), []);
    assert_eq!(tick(&mut ownership, &mut disk, at(3_000)), [Event::Owned { term: term(5, 1) }]);
}

#[test]
fn a_damaged_owner_record_is_told_and_replaced() {
    let mut disk = Disk::default();
    let mut first = owned(&mut disk);
    tick(&mut first, &mut disk, at(200));
    disk.free_lock(&owner_file());
    disk.file(&owner_file())[90] ^= 1;
    disk.file(&owner_file())[4_096 + 90] ^= 1;
    let events = give(&mut ownership(2), &mut disk, at(1_000), claim(term(6, 2)));
    assert!(matches!(events[..], [Event::OwnerUnreadable { .. }, Event::Owned { .. }]), "{events:?}");
    assert_eq!(owner_record(&mut disk).term, term(6, 2));
}

#[test]
fn answers_to_nobody_are_refused_and_change_nothing() {
    let (mut one, mut other) = (ownership(1), ownership(2));
    one.handle_input(at(0), claim(term(5, 1))).unwrap();
    other.handle_input(at(0), claim(term(5, 2))).unwrap();
    let lock = drain(&mut other).0.remove(0);
    let StorageRequest::Lock { token, .. } = lock else { panic!("{lock:?}") };
    let before = format!("{one:?}");
    let foreign = Input::Storage(StorageCompletion::Lock(token.complete(LockOutcome::Granted)));
    assert!(matches!(one.handle_input(at(1), foreign), Err(Rejected::UnknownRequest(_))));
    assert_eq!(format!("{one:?}"), before);
}

#[test]
fn what_was_in_doubt_is_read_back_before_the_datastore_is_owned_again() {
    for name in [owner_file(), list_file(host(1))] {
        let mut disk = Disk::default();
        let mut ownership = owned(&mut disk);
        disk.fail_write = Some((name.clone(), StorageFault::Io, true));
        give(&mut ownership, &mut disk, at(10), protect(1, 1));
        tick(&mut ownership, &mut disk, at(200));
        disk.fail_write = None;
        ownership.handle_timeout(at(500));
        let mut of_that_file = Vec::new();
        loop {
            let (requests, events) = drain(&mut ownership);
            if requests.is_empty() {
                assert_eq!(events, [Event::Owned { term: term(5, 1) }]);
                break;
            }
            for request in requests {
                if *request.file() == name {
                    of_that_file.push(matches!(request, StorageRequest::Write { .. }));
                }
                let done = disk.serve(at(500), request).unwrap();
                ownership.handle_input(at(500), Input::Storage(done)).unwrap();
            }
        }
        let [.., write, read_back] = of_that_file[..] else { panic!("{of_that_file:?}") };
        assert!(write && !read_back, "{name}: {of_that_file:?}");
    }
}

#[test]
fn a_right_is_lost_once_and_a_claim_without_one_has_nothing_to_seal() {
    let mut disk = Disk::default();
    let mut ownership = owned(&mut disk);
    disk.fail_write = Some((list_file(host(1)), StorageFault::Io, false));
    let events = give(&mut ownership, &mut disk, at(10), protect(1, 1));
    let lost = Event::RightLost { reason: LostReason::Fault(StorageFault::Io) };
    assert_eq!(events, [lost, Event::Dropped { ids: vec![ChangeId(1)] }]);
    let events = tick(&mut ownership, &mut disk, at(210));
    assert_eq!(events, [Event::Trouble { fault: StorageFault::Io }], "there was no right to lose");
    ownership.handle_timeout(at(410));
    let [lock] = drain(&mut ownership).0.try_into().unwrap();
    let done = disk.serve(at(410), lock).unwrap();
    ownership.handle_input(at(410), Input::Storage(done)).unwrap();
    let before = disk.writes;
    let events = give(&mut ownership, &mut disk, at(411), Input::Release);
    assert_eq!((events, disk.writes), (vec![Event::Released { sealed: false }], before));
    assert!(!disk.is_locked(&owner_file()));
}

/// An ownership of host 1 that takes care not to strip a partitioned owner of its locks.
fn cautious(disk: &mut Disk) -> Ownership {
    let mut ownership = ownership(1);
    assert_eq!(give(&mut ownership, disk, at(0), Input::Caution { cautious: true }), []);
    ownership
}

fn ended(number: u32) -> Input {
    Input::OwnerEnded { host: host(number), incarnation: identity(number, 1).incarnation }
}

/// Claims, and lets a minute pass; tells the events and whether the lock was ever tried.
fn claim_with_care(ownership: &mut Ownership, disk: &mut Disk) -> (Vec<Event>, bool) {
    let (mut events, mut tried) = (Vec::new(), false);
    ownership.handle_input(at(0), claim(term(5, 1))).unwrap();
    for second in 0..60 {
        loop {
            let (requests, mut more) = drain(ownership);
            events.append(&mut more);
            if requests.is_empty() {
                break;
            }
            for request in requests {
                tried |= matches!(request, StorageRequest::Lock { .. });
                if let Some(done) = disk.serve(at(1_000 * second), request) {
                    ownership.handle_input(at(1_000 * second), Input::Storage(done)).unwrap();
                }
            }
        }
        ownership.handle_timeout(at(1_000 * (second + 1)));
    }
    (events, tried)
}

#[test]
fn with_care_the_lock_of_an_unproven_owner_is_never_tried() {
    let mut disk = Disk::default();
    put_owner(&mut disk, term(3, 2), OwnerState::Owned);
    let mut ownership = cautious(&mut disk);
    let told = claim_with_care(&mut ownership, &mut disk);
    assert_eq!(told, (vec![Event::OwnerUnproven { host: host(2) }], false));
    assert_eq!(give(&mut ownership, &mut disk, at(61_000), ended(3)), [], "not the owner's end");
    assert_eq!(tick(&mut ownership, &mut disk, at(62_000)), []);
    give(&mut ownership, &mut disk, at(63_000), ended(2));
    assert_eq!(tick(&mut ownership, &mut disk, at(63_000)), [Event::Owned { term: term(5, 1) }]);
}

#[test]
fn with_care_what_nobody_owns_is_taken() {
    let mut fresh = Disk::default();
    let (events, tried) = claim_with_care(&mut cautious(&mut fresh), &mut fresh);
    assert_eq!((events, tried), (vec![Event::Owned { term: term(5, 1) }], true));
    let mut released = Disk::default();
    put_owner(&mut released, term(3, 2), OwnerState::Released);
    let (events, tried) = claim_with_care(&mut cautious(&mut released), &mut released);
    assert_eq!((events, tried), (vec![Event::Owned { term: term(5, 1) }], true));
}

#[test]
fn with_care_what_this_very_host_owned_is_taken() {
    let mut disk = Disk::default();
    let record = ListOwnerRecord { term: term(3, 1), counter: 40, state: OwnerState::Owned };
    let slot = record.seal(&identity(1, 0), Generation::FIRST);
    disk.file(&owner_file())[..slot.len()].copy_from_slice(&slot);
    let (events, tried) = claim_with_care(&mut cautious(&mut disk), &mut disk);
    assert_eq!((events, tried), (vec![Event::Owned { term: term(5, 1) }], true));
}

#[test]
fn a_term_of_an_earlier_life_is_another_reign() {
    let mut disk = Disk::default();
    let record = ListOwnerRecord { term: term(5, 1), counter: 40, state: OwnerState::Owned };
    let slot = record.seal(&identity(1, 0), Generation::FIRST);
    disk.file(&owner_file())[..slot.len()].copy_from_slice(&slot);
    let mut ownership = ownership(1);
    let events = give(&mut ownership, &mut disk, at(0), claim(term(5, 1)));
    assert_eq!(events, [Event::RoundSeen { round: Round::new(5) }]);
    let events = give(&mut ownership, &mut disk, at(1), claim(term(6, 1)));
    assert_eq!(events, [Event::Owned { term: term(6, 1) }]);
}
