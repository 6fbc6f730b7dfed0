//! A slave that owns a datastore for its master, which cannot reach it.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::owner::{Owner, owner_file};
use common::{CLUSTER, Disk, HOME, LOGGED, TIMING, at, host, ms, term, uuid, vm};
use ha_core::record::PairState;
use ha_core::{Deadline, FileKind, FileName, HostId, Machine, Term};
use ha_datastore::format::{ListEntry, ListOwnerRecord, ListState, OwnerState, ProtectedList, Protection};
use ha_datastore::ownership::{Event, Input, Rejected};
use ha_datastore::{ChangeId, ListChange};

/// The proxy is host 2; the master of these terms is host 1.
const PROXY: u32 = 2;

fn master(round: u64) -> Term {
    term(round, 1)
}

fn proxy() -> Owner {
    Owner::new(PROXY, 1, Disk::new(LOGGED), at(0))
}

fn owning(round: u64) -> Owner {
    let mut proxy = proxy();
    proxy.claim(master(round));
    proxy.settle();
    assert_eq!(proxy.news(), [Event::Owned { term: master(round) }]);
    proxy
}

fn protect(number: u64) -> Input {
    let entry = ListEntry {
        vm: vm(5),
        protection: Protection::Protected,
        version: 1,
        priority: 1,
        cpu_reservation_mhz: 0,
        memory_overhead_mb: 0,
        intent: None,
    };
    Input::Change { id: ChangeId(number), change: ListChange::Protect(entry) }
}

fn owner_record(owner: &mut Owner) -> (HostId, ListOwnerRecord) {
    let found = ListOwnerRecord::read(owner.disk.file(&owner_file()), CLUSTER);
    let PairState::Valid { record } = found else { panic!("{found:?}") };
    (record.writer.host, record.content)
}

fn list_term(owner: &mut Owner) -> Term {
    let ListState::Valid { record } = owner.read() else { panic!("no whole list") };
    record.content.term
}

#[test]
fn it_writes_its_own_list_under_its_masters_term() {
    let mut proxy = owning(5);
    proxy.give(protect(1));
    proxy.settle();
    assert_eq!(proxy.news(), [Event::Durable { ids: vec![ChangeId(1)] }]);
    assert!(proxy.machine.may_act(proxy.now));

    let owned = ListOwnerRecord { term: master(5), counter: 1, state: OwnerState::Owned };
    assert_eq!(owner_record(&mut proxy), (host(PROXY), owned));
    assert_eq!(list_term(&mut proxy), master(5));
    let of_master = FileName::new(HOME, FileKind::ProtectedListOf(host(1)));
    assert!(
        proxy.disk.file(&of_master).iter().all(|byte| *byte == 0),
        "nobody else writes the master's file"
    );
    let found = proxy.read();
    let list: &ProtectedList = &found.record().unwrap().content;
    assert!(list.entries.contains_key(&uuid(5)));
}

#[test]
fn it_seals_and_lets_go_when_it_has_lost_its_master() {
    let mut proxy = owning(5);
    proxy.give(Input::Release);
    assert!(!proxy.machine.may_act(proxy.now), "before anything is written");
    proxy.settle();
    assert_eq!(proxy.news(), [Event::Released { sealed: true }]);
    assert!(!proxy.disk.is_locked(&owner_file()));
    let (writer, record) = owner_record(&mut proxy);
    assert_eq!((writer, record.term, record.state), (host(PROXY), master(5), OwnerState::Released));
}

#[test]
fn a_higher_term_ends_its_right_and_the_same_or_a_lower_one_does_not() {
    for lower in [master(4), term(4, 9), term(5, 0), master(5)] {
        let mut proxy = owning(5);
        proxy.give(Input::TermSeen { term: lower });
        proxy.settle();
        assert!(proxy.machine.may_act(proxy.now), "{lower}");
        assert_eq!(proxy.news(), []);
    }
    // Of one round the higher host's term is the higher one.
    for higher in [term(5, 2), term(6, 0), master(6)] {
        let mut proxy = owning(5);
        proxy.give(Input::TermSeen { term: higher });
        assert!(!proxy.machine.may_act(proxy.now), "{higher}");
        assert_eq!(proxy.machine.handle_input(proxy.now, protect(1)), Err(Rejected::NotOwned));
        proxy.settle();
        assert_eq!(proxy.news(), [Event::Released { sealed: true }], "{higher}");
        assert!(!proxy.disk.is_locked(&owner_file()));
    }
}

#[test]
fn a_higher_term_ends_an_attempt_before_it_owns() {
    let mut proxy = proxy();
    proxy.claim(master(5));
    // The merged list is about to be written, under the lock.
    let write = proxy.next_list_write().unwrap();
    proxy.give(Input::TermSeen { term: master(6) });
    assert_eq!(proxy.news(), [Event::Released { sealed: false }]);
    proxy.land(write);
    proxy.settle();
    assert!(!proxy.disk.is_locked(&owner_file()));
    assert_eq!(proxy.news(), []);
    assert!(proxy.disk.file(&owner_file()).iter().all(|byte| *byte == 0), "it never owned");
}

#[test]
fn a_term_that_was_heard_of_before_keeps_a_lower_claim_out() {
    let mut proxy = proxy();
    proxy.give(Input::TermSeen { term: master(6) });
    assert_eq!(proxy.news(), [], "there was nothing to give up");
    let claim = |term| Input::Claim { term, may_take: true };
    let refused = Rejected::OldTerm { given: master(5), current: master(6) };
    assert_eq!(proxy.machine.handle_input(proxy.now, claim(master(5))), Err(refused));
    assert_eq!(proxy.machine.claimed(), None);
    proxy.claim(master(6));
    proxy.settle();
    assert_eq!(proxy.news(), [Event::Owned { term: master(6) }]);
}

#[test]
fn it_serves_the_next_master_after_the_release_of_the_last() {
    let mut proxy = owning(5);
    proxy.give(Input::TermSeen { term: term(6, 3) });
    // The new master asks for it before the old term's seal is written.
    proxy.claim(term(6, 3));
    proxy.settle();
    proxy.tick(proxy.now.after(TIMING.look_again));
    proxy.settle();
    assert_eq!(proxy.news(), [Event::Released { sealed: true }, Event::Owned { term: term(6, 3) }]);
    assert_eq!(list_term(&mut proxy), term(6, 3));
}

/// The master itself, or another proxy of its, takes over under the higher term: what the old proxy still has on its way
/// lands in the old proxy's own file.
#[test]
fn a_late_write_of_an_ended_proxy_spoils_nothing_of_its_successor() {
    let mut old = owning(5);
    old.give(protect(1));
    let late = old.next_list_write().unwrap();
    old.give(Input::TermSeen { term: term(6, 7) });
    old.settle();
    assert!(old.news().contains(&Event::Dropped { ids: vec![ChangeId(1)] }));

    let mut new = Owner::new(7, 1, core::mem::take(&mut old.disk), old.now);
    new.claim(term(6, 7));
    new.settle();
    assert_eq!(new.news(), [Event::Owned { term: term(6, 7) }]);
    let before = (owner_record(&mut new), list_term(&mut new));
    let bytes = late.write.bytes.clone();
    let of_old = FileName::new(HOME, FileKind::ProtectedListOf(host(PROXY)));
    new.disk.file(&of_old)[late.write.offset..][..bytes.len()].copy_from_slice(&bytes);
    assert_eq!((owner_record(&mut new), list_term(&mut new)), before);
    assert!(new.machine.may_act(new.now));
}

/// The right needs the owner record to be fresh, whatever the proxy has heard.
#[test]
fn it_ends_by_itself_when_its_record_cannot_be_renewed() {
    let proxy = owning(5);
    let fresh_for = TIMING.datastore_write_period + TIMING.datastore_io_timeout;
    assert!(proxy.machine.may_act(at(0).after(fresh_for)));
    assert!(!proxy.machine.may_act(at(0).after(fresh_for + ms(1))));
    let next: Option<Deadline> = proxy.machine.poll_timeout();
    assert_eq!(next.map(|deadline| deadline.at), Some(at(0).after(TIMING.datastore_write_period)));
}
