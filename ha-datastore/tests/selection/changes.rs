//! Choosing again: what is in use stays, unless it must go.

use ha_datastore::selection::{Better, HostMounts, InUse, Inventory, Mount, Place, Unfit, WhyNot};

use crate::rig::{
    again, chosen, cluster, ds, first, host, mount, nfs, only, per_host, prefer, remove, set, unmount, vmfs,
};

/// Two hosts, four equal datastores, and the third and fourth in use.
fn three_and_four() -> (Inventory, InUse) {
    let inventory = cluster(2, &[(1, vmfs(1)), (2, vmfs(2)), (3, vmfs(3)), (4, vmfs(4))]);
    (inventory, InUse::from([(host(1), set(&[3, 4])), (host(2), set(&[3, 4]))]))
}

#[test]
fn what_is_in_use_stays_against_equals_and_against_more_reach() {
    let (mut inventory, in_use) = three_and_four();
    mount(&mut inventory, 3, 1, Mount::Usable);
    let selection = again(&per_host(2), &inventory, &in_use);
    assert_eq!(chosen(&selection, 1), [3, 4]);
    let one = selection.of(host(1)).unwrap();
    assert_eq!(one.why(ds(1)), Err(WhyNot::Outranked { by: ds(4), better: Better::InUse }));
    assert!(!one.changed() && one.chosen.iter().all(|choice| choice.kept));
}

#[test]
fn a_strictly_better_class_replaces_it() {
    let (mut inventory, in_use) = three_and_four();
    assert_eq!(chosen(&again(&prefer(&[1]), &inventory, &in_use), 1), [1, 3], "the user's preference");
    inventory.datastores.insert(ds(4), nfs(4));
    assert_eq!(chosen(&again(&per_host(2), &inventory, &in_use), 1), [3, 1], "the file system");
    inventory.datastores.insert(ds(4), vmfs(3));
    let selection = again(&per_host(2), &inventory, &in_use);
    assert_eq!(chosen(&selection, 1), [3, 1], "an own backing");
    let dropped = &selection.of(host(1)).unwrap().dropped;
    assert_eq!(dropped, &[(ds(4), WhyNot::Outranked { by: ds(1), better: Better::OwnBacking })]);
}

#[test]
fn each_way_to_become_unable_is_replaced_and_told() {
    type Change = fn(&mut Inventory);
    let ways: [(Change, WhyNot); 6] = [
        (|inventory| remove(inventory, ds(3)), WhyNot::Gone),
        (|inventory| unmount(inventory, 1, 3), WhyNot::NotMounted),
        (|inventory| mount(inventory, 1, 3, Mount::Lost), WhyNot::Lost),
        (|inventory| mount(inventory, 1, 3, Mount::ReadOnly), WhyNot::Unfit(Unfit::TooFewHosts { hosts: 1 })),
        (|inventory| unmount(inventory, 2, 3), WhyNot::Unfit(Unfit::TooFewHosts { hosts: 1 })),
        (
            |inventory| {
                mount(inventory, 3, 3, Mount::Usable);
                mount(inventory, 1, 3, Mount::Leaving);
            },
            WhyNot::Leaving,
        ),
    ];
    for (change, why) in ways {
        let (mut inventory, in_use) = three_and_four();
        change(&mut inventory);
        let selection = again(&per_host(2), &inventory, &in_use);
        let one = selection.of(host(1)).unwrap();
        let unmounted = matches!(why, WhyNot::NotMounted);
        assert_eq!(chosen(&selection, 1), [4, 1], "{why}");
        assert_eq!(one.dropped, [(ds(3), why)]);
        assert_eq!(one.why(ds(3)), Err(why));
        assert!(one.changed() && one.chosen[0].kept && !one.chosen[1].kept);
        assert!(!unmounted || chosen(&selection, 2) == [4, 1], "nobody shares it with host-2 now");
    }
}

#[test]
fn a_datastore_that_comes_back_does_not_push_out_its_replacement() {
    let (mut inventory, in_use) = three_and_four();
    mount(&mut inventory, 1, 3, Mount::Lost);
    let during = again(&per_host(2), &inventory, &in_use);
    assert_eq!((chosen(&during, 1), chosen(&during, 2)), (vec![4, 1], vec![4, 3]));
    mount(&mut inventory, 1, 3, Mount::Usable);
    assert_eq!(again(&per_host(2), &inventory, &during.in_use()).in_use(), during.in_use());
}

#[test]
fn what_is_lost_everywhere_is_kept_until_something_can_replace_it() {
    let mut inventory = cluster(2, &[(1, vmfs(1)), (2, vmfs(2))]);
    let before = first(&per_host(2), &inventory);
    for (on, datastore) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        mount(&mut inventory, on, datastore, Mount::Lost);
    }
    let during = again(&per_host(2), &inventory, &before.in_use());
    assert_eq!(during.in_use(), before.in_use());
    let choice = during.of(host(1)).unwrap().chosen[0];
    assert_eq!((choice.place, choice.usable(), choice.reach), (Place::Unfilled, false, 0));
    let says = "datastore-1: kept though lost for now, as nothing can replace it: cluster file system, on \
                backing-1, usable by 0 hosts";
    assert_eq!(choice.to_string(), says);
    assert_eq!(chosen(&first(&per_host(2), &inventory), 1), [0; 0], "but nothing lost is ever taken anew");

    inventory.datastores.insert(ds(3), nfs(3));
    mount(&mut inventory, 1, 3, Mount::Usable);
    mount(&mut inventory, 2, 3, Mount::Usable);
    let after = again(&per_host(2), &inventory, &before.in_use());
    assert_eq!(chosen(&after, 1), [3, 1]);
    assert_eq!(after.of(host(1)).unwrap().dropped, [(ds(2), WhyNot::Lost)]);
}

#[test]
fn the_policy_ends_even_what_is_in_use() {
    let (inventory, in_use) = three_and_four();
    let selection = again(&only(&[1]), &inventory, &in_use);
    assert_eq!(chosen(&selection, 1), [1]);
    let not_listed = WhyNot::Unfit(Unfit::NotListed);
    assert_eq!(selection.of(host(1)).unwrap().dropped, [(ds(3), not_listed), (ds(4), not_listed)]);
}

#[test]
fn more_and_fewer_places_leave_the_others_alone() {
    let (inventory, in_use) = three_and_four();
    let more = again(&per_host(3), &inventory, &in_use);
    assert_eq!(chosen(&more, 1), [3, 4, 1]);
    assert_eq!(chosen(&again(&per_host(2), &inventory, &more.in_use()), 1), [1, 3]);
}

#[test]
fn strangers_in_what_was_in_use_do_no_harm() {
    let (inventory, mut in_use) = three_and_four();
    in_use.insert(host(99), set(&[1, 98]));
    in_use.insert(host(1), set(&[3, 4, 97]));
    let selection = again(&per_host(2), &inventory, &in_use);
    assert_eq!(chosen(&selection, 1), [3, 4]);
    assert_eq!(selection.of(host(1)).unwrap().dropped, [(ds(97), WhyNot::Gone)]);
    assert!(selection.of(host(99)).is_none());
}

#[test]
fn a_host_without_mounts_has_nothing_and_is_told_so() {
    let (mut inventory, in_use) = three_and_four();
    inventory.hosts.insert(host(1), HostMounts::default());
    let selection = again(&per_host(2), &inventory, &in_use);
    let one = selection.of(host(1)).unwrap();
    assert_eq!(one.dropped, [(ds(3), WhyNot::NotMounted), (ds(4), WhyNot::NotMounted)]);
    assert_eq!((one.usable(), one.changed()), (0, true));
}
