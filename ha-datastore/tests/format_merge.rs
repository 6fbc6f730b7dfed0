//! What several lists say together.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{host, term, uuid, vm};
use ha_core::{Term, VmEpoch};
use ha_datastore::format::{ListEntry, MergedList, OrderId, ProtectedList, Protection, RestartIntent, merge};

fn entry(version: u64, protection: Protection, intent: Option<u64>) -> ListEntry {
    ListEntry {
        vm: vm(1),
        protection,
        version,
        priority: 1,
        cpu_reservation_mhz: 0,
        memory_overhead_mb: 0,
        intent: intent.map(|number| RestartIntent {
            order: OrderId { term: term(1, 1), number },
            attempts: 0,
            target: Some(host(2)),
            expected: VmEpoch::new(1),
        }),
    }
}

fn list(term: Term, version: u64, entry: ListEntry) -> ProtectedList {
    ProtectedList { term, version, entries: [(uuid(1), entry)].into_iter().collect() }
}

fn intent_of(merged: &MergedList) -> Option<u64> {
    merged.entries[&uuid(1)].intent.map(|intent| intent.order.number)
}

#[test]
fn nothing_merges_to_nothing() {
    assert_eq!(merge([]), MergedList::default());
    assert_eq!(merge([ProtectedList { version: 5, ..ProtectedList::new(term(1, 1)) }]).version, 5);
}

#[test]
fn the_higher_protection_version_wins_whatever_the_term() {
    use Protection::{Protected, Removed};
    let (old, new) = (term(1, 1), term(2, 2));
    let table = [
        ((old, 1, Protected), (new, 2, Removed), (2, Removed)),
        ((old, 2, Removed), (new, 1, Protected), (2, Removed)),
        ((old, 3, Protected), (new, 2, Removed), (3, Protected)),
        // Ties by term: the later owner has seen the earlier one's list.
        ((old, 2, Protected), (new, 2, Removed), (2, Removed)),
        ((old, 2, Removed), (new, 2, Protected), (2, Protected)),
    ];
    for ((term_a, version_a, a), (term_b, version_b, b), (version, protection)) in table {
        let lists = [list(term_a, 9, entry(version_a, a, None)), list(term_b, 4, entry(version_b, b, None))];
        let merged = merge(lists.clone());
        let found = &merged.entries[&uuid(1)];
        assert_eq!((found.version, found.protection), (version, protection));
        assert_eq!(merged.version, 9);
        assert_eq!(merge(lists.into_iter().rev()), merged, "the order of the files does not matter");
    }
}

#[test]
fn the_latest_list_knows_which_restart_is_open() {
    let protected = |version, intent| entry(version, Protection::Protected, intent);
    let merged = |a, b| intent_of(&merge([list(term(1, 1), 5, a), list(term(2, 2), 6, b)]));
    assert_eq!(merged(protected(1, Some(1)), protected(1, Some(2))), Some(2));
    assert_eq!(merged(protected(1, Some(1)), protected(1, None)), None, "the later owner has closed it");
    assert_eq!(merged(protected(2, None), protected(1, Some(2))), Some(2), "an older version opened later");
    let removed = entry(2, Protection::Removed, None);
    assert_eq!(merged(removed, protected(1, Some(2))), None, "no longer protected");
}

#[test]
fn two_files_of_one_term_are_ordered_by_their_own_version() {
    let protected = |intent| entry(1, Protection::Protected, Some(intent));
    let lists = [list(term(2, 2), 7, protected(7)), list(term(2, 2), 6, protected(6))];
    assert_eq!(intent_of(&merge(lists)), Some(7));
}
