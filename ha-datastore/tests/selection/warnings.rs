//! What the operator is told, and what silences it.

use ha_datastore::selection::{Mount, SelectionConfig, Unfit, Warning};

use crate::rig::{
    again, at, chosen, cluster, ds, first, host, mount, only, per_host, prefer, remove, site, vmfs,
};

#[test]
fn too_few_is_told_and_only_too_few() {
    for (mounted, told) in [(1, true), (2, true), (3, false), (4, false)] {
        let datastores: Vec<_> = (1..=mounted).map(|number| (number, vmfs(number))).collect();
        let inventory = cluster(2, &datastores);
        let selection = first(&per_host(3), &inventory);
        let warning =
            |number| Warning::NotSufficient { host: host(number), usable: mounted as usize, required: 3 };
        let expected = if told { vec![warning(1), warning(2)] } else { vec![] };
        assert_eq!(selection.warnings(), expected, "{mounted}");
        let silent = SelectionConfig { ignore_insufficient: true, ..per_host(3) };
        assert_eq!(first(&silent, &inventory).warnings(), []);
        assert_eq!(first(&silent, &inventory).in_use(), selection.in_use(), "silence changes no choice");
    }
}

#[test]
fn what_is_lost_does_not_count_as_sufficient() {
    let mut inventory = cluster(2, &[(1, vmfs(1)), (2, vmfs(2))]);
    let before = first(&per_host(2), &inventory);
    mount(&mut inventory, 1, 2, Mount::Lost);
    let after = again(&per_host(2), &inventory, &before.in_use());
    assert_eq!(after.warnings(), [Warning::NotSufficient { host: host(1), usable: 1, required: 2 }]);
}

#[test]
fn a_missing_share_is_silenced_as_well() {
    let mut inventory = cluster(2, &[(1, at(1, vmfs(1))), (2, at(1, vmfs(2))), (3, at(2, vmfs(3)))]);
    for (id, host) in &mut inventory.hosts {
        host.site = Some(site(id.number()));
    }
    let warning =
        |number| Warning::SiteNotSufficient { host: host(number), site: site(2), usable: 1, required: 2 };
    assert_eq!(first(&per_host(2), &inventory).warnings(), [warning(1), warning(2)]);
    let silent = SelectionConfig { ignore_insufficient: true, ..per_host(2) };
    assert_eq!(first(&silent, &inventory).warnings(), []);
}

#[test]
fn an_empty_list_disables_and_says_nothing_else() {
    let inventory = cluster(2, &[(1, vmfs(1)), (2, vmfs(2))]);
    let selection = first(&only(&[]), &inventory);
    assert_eq!((chosen(&selection, 1), selection.warnings()), (vec![], &[Warning::Disabled][..]));
    let one = first(&only(&[1]), &inventory);
    let few = |number| Warning::NotSufficient { host: host(number), usable: 1, required: 2 };
    assert_eq!((chosen(&one, 1), one.warnings()), (vec![1], &[few(1), few(2)][..]));
}

#[test]
fn a_listed_datastore_that_is_gone_or_cannot_serve_is_told() {
    let mut inventory = cluster(2, &[(1, vmfs(1)), (2, vmfs(2)), (3, vmfs(3))]);
    assert_eq!(first(&prefer(&[1, 3]), &inventory).warnings(), []);
    inventory.hosts.get_mut(&host(2)).unwrap().mounts.remove(&ds(1));
    remove(&mut inventory, ds(3));
    inventory.datastores.insert(ds(4), vmfs(4));
    mount(&mut inventory, 1, 4, Mount::Usable);
    mount(&mut inventory, 2, 4, Mount::Usable);
    let unfit = Warning::UserDatastoreUnfit { datastore: ds(1), why: Unfit::TooFewHosts { hosts: 1 } };
    let gone = Warning::UserDatastoreRemoved { datastore: ds(3) };
    assert_eq!(first(&prefer(&[1, 3]), &inventory).warnings(), [unfit, gone]);
}

#[test]
fn one_backing_for_all_is_told() {
    let one = Warning::OneBacking { host: host(1), backing: vmfs(7).backing };
    for (datastores, told) in [
        (vec![(1, vmfs(7))], false),
        (vec![(1, vmfs(7)), (2, vmfs(7))], true),
        (vec![(1, vmfs(7)), (2, vmfs(7)), (3, vmfs(8))], false),
        (vec![(1, vmfs(7)), (2, vmfs(7)), (3, vmfs(7))], true),
    ] {
        let warnings = first(&per_host(3), &cluster(2, &datastores)).warnings().to_vec();
        assert_eq!(warnings.contains(&one), told, "{datastores:?}: {warnings:?}");
    }
}

#[test]
fn one_backing_for_the_first_two_is_not_one_for_all() {
    let inventory = cluster(2, &[(1, vmfs(7)), (2, vmfs(7)), (3, vmfs(8))]);
    let config = SelectionConfig { policy: prefer(&[1, 2]).policy, ..per_host(3) };
    let selection = first(&config, &inventory);
    assert_eq!((chosen(&selection, 1), selection.warnings()), (vec![1, 2, 3], &[][..]));
}

#[test]
fn every_warning_says_what_silences_it() {
    let told = Warning::NotSufficient { host: host(3), usable: 1, required: 2 }.to_string();
    let says = "host-3 has 1 usable heartbeat datastores, which is less than 2 \
                (silenced by das.ignoreInsufficientHbDatastore = true)";
    assert_eq!(told, says);
    let share = Warning::SiteNotSufficient { host: host(3), site: site(1), usable: 0, required: 2 };
    assert_eq!(share.silenced_by(), Some("das.ignoreInsufficientHbDatastore"));
    let others = [
        Warning::Disabled,
        Warning::UserDatastoreRemoved { datastore: ds(1) },
        Warning::UserDatastoreUnfit { datastore: ds(1), why: Unfit::Vsan },
        Warning::OneBacking { host: host(1), backing: vmfs(1).backing },
    ];
    assert!(others.iter().all(|warning| warning.silenced_by().is_none()));
    let says = "datastore-1 is listed as a heartbeat datastore, and cannot be one: vSAN cannot serve";
    assert_eq!(others[2].to_string(), says);
}
