//! Which datastores can serve, how many, and which of them first.

use ha_core::options::{OPTIONS, Options};
use ha_core::{Limits, Rating};
use ha_datastore::HeartbeatSelection;
use ha_datastore::selection::{
    Better, CandidatePolicy, Datastore, FileSystem, InUse, Mount, PerHost, PerHostOutOfRange,
    SelectionConfig, SelectionError, Unfit, WhyNot,
};

use crate::rig::{
    chosen, cluster, ds, first, host, mount, nfs, only, per_host, prefer, unmount, vmfs, why_not,
};

fn six() -> Vec<(u32, Datastore)> {
    (1..=6).map(|number| (number, vmfs(number))).collect()
}

#[test]
fn two_for_each_host_unless_told_otherwise() {
    let inventory = cluster(3, &six());
    let selection = first(&SelectionConfig::default(), &inventory);
    assert_eq!(selection.hosts().map(|(_, host)| host.chosen.len()).collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(selection.warnings(), []);
    for number in 2..=5 {
        assert_eq!(chosen(&first(&per_host(number), &inventory), 1).len(), number as usize);
    }
}

#[test]
fn two_to_five_for_each_host_and_nothing_else() {
    for number in [0, 1, 6, 256 + 2, u32::MAX] {
        assert_eq!(PerHost::new(number), Err(PerHostOutOfRange { found: number }));
    }
    assert_eq!(
        PerHost::new(1).unwrap_err().to_string(),
        "1 heartbeat datastores for a host: expected 2 to 5"
    );
    assert_eq!([2, 5].map(PerHost::new), [Ok(PerHost::MIN), Ok(PerHost::MAX)]);
}

#[test]
fn options_set_the_number_and_the_silence() {
    let with = |settings: &[(&str, &str)]| {
        let mut options = Options::new();
        for (name, value) in settings {
            options.set(name, value).unwrap();
        }
        SelectionConfig::from_options(&options).unwrap()
    };
    assert_eq!(with(&[]), SelectionConfig::default());
    for number in 2..=5 {
        let config = with(&[("das.heartbeatDsPerHost", &number.to_string())]);
        assert_eq!((config.per_host.get(), config.ignore_insufficient), (number, false));
    }
    assert!(with(&[("das.ignoreInsufficientHbDatastore", "true")]).ignore_insufficient);
    assert!(!with(&[("das.ignoreInsufficientHbDatastore", "false")]).ignore_insufficient);
    let spec = OPTIONS.iter().find(|spec| spec.name == "das.heartbeatDsPerHost").unwrap();
    let range = spec.kind.range().unwrap();
    assert_eq!(
        range,
        (PerHost::MIN.to_string(), PerHost::MAX.to_string()),
        "the option's range is PerHost's"
    );
}

#[test]
fn two_hosts_must_mount_it() {
    for (hosts, serves) in [(1, false), (2, true), (3, true)] {
        let mut inventory = cluster(3, &[(1, vmfs(1)), (2, vmfs(2)), (3, vmfs(3))]);
        for other in hosts + 1..=3 {
            unmount(&mut inventory, other, 1);
        }
        let selection = first(&prefer(&[1]), &inventory);
        assert_eq!(chosen(&selection, 1).contains(&1), serves, "{hosts} hosts");
        if !serves {
            assert_eq!(why_not(&selection, 1, 1), WhyNot::Unfit(Unfit::TooFewHosts { hosts: 1 }));
        }
    }
}

#[test]
fn only_mounts_that_can_be_written_make_a_datastore_shared() {
    for (how, shared) in
        [(Mount::Usable, true), (Mount::Lost, true), (Mount::ReadOnly, false), (Mount::Leaving, false)]
    {
        let mut inventory = cluster(2, &[(1, vmfs(1))]);
        mount(&mut inventory, 2, 1, how);
        assert_eq!(
            chosen(&first(&per_host(2), &inventory), 1),
            if shared { vec![1] } else { vec![] },
            "{how:?}"
        );
    }
}

#[test]
fn a_host_gets_only_what_it_mounts_and_can_use() {
    for (how, why) in
        [(Mount::Lost, WhyNot::Lost), (Mount::ReadOnly, WhyNot::ReadOnly), (Mount::Leaving, WhyNot::Leaving)]
    {
        let mut inventory = cluster(4, &six()[..3]);
        mount(&mut inventory, 1, 1, how);
        let selection = first(&prefer(&[1]), &inventory);
        assert_eq!((chosen(&selection, 1), why_not(&selection, 1, 1)), (vec![2, 3], why));
        assert_eq!(chosen(&selection, 2), [1, 2], "others are not concerned");
        unmount(&mut inventory, 1, 1);
        let selection = first(&prefer(&[1]), &inventory);
        assert_eq!((chosen(&selection, 1), why_not(&selection, 1, 1)), (vec![2, 3], WhyNot::NotMounted));
    }
}

#[test]
fn vsan_and_unshared_locks_cannot_serve() {
    let vsan = Datastore { file_system: FileSystem::Vsan, ..vmfs(1) };
    let unshared = Datastore { rating: Rating::F0, ..vmfs(2) };
    let weak = Datastore { rating: Rating::F1, ..vmfs(3) };
    let selection = first(&prefer(&[1, 2]), &cluster(2, &[(1, vsan), (2, unshared), (3, weak)]));
    assert_eq!(chosen(&selection, 1), [3]);
    assert_eq!(why_not(&selection, 1, 1), WhyNot::Unfit(Unfit::Vsan));
    assert_eq!(why_not(&selection, 1, 2), WhyNot::Unfit(Unfit::LocksNotShared));
}

#[test]
fn cluster_file_systems_come_before_virtual_volumes_before_nfs() {
    let vvol = Datastore { file_system: FileSystem::VirtualVolumes, ..vmfs(2) };
    let mut inventory = cluster(3, &[(1, nfs(1)), (2, vvol), (3, vmfs(3))]);
    for worse_reach in [2, 3] {
        unmount(&mut inventory, 3, worse_reach);
    }
    let selection = first(&per_host(2), &inventory);
    assert_eq!(chosen(&selection, 1), [3, 2], "the kind counts more than the reach");
    assert_eq!(why_not(&selection, 1, 1), WhyNot::Outranked { by: ds(2), better: Better::FileSystem });
    assert_eq!(chosen(&first(&per_host(3), &inventory), 1), [3, 2, 1], "NFS serves too");
}

#[test]
fn distinct_backings_come_before_the_kind_of_file_system() {
    let selection = first(&per_host(2), &cluster(2, &[(1, vmfs(7)), (2, vmfs(7)), (3, nfs(8))]));
    assert_eq!(chosen(&selection, 1), [1, 3]);
    assert_eq!(why_not(&selection, 1, 2), WhyNot::Outranked { by: ds(3), better: Better::OwnBacking });
    let selection = first(&per_host(3), &cluster(2, &[(1, vmfs(7)), (2, vmfs(7)), (3, nfs(8))]));
    assert_eq!(chosen(&selection, 1), [1, 3, 2], "one backing twice before one place empty");
    let shared = selection.of(host(1)).unwrap().why(ds(2)).unwrap().shares_backing_with;
    assert_eq!(shared, Some(ds(1)));
}

#[test]
fn most_hosts_reached_then_the_lowest_number() {
    let mut inventory = cluster(4, &six()[..4]);
    unmount(&mut inventory, 4, 1);
    unmount(&mut inventory, 3, 1);
    unmount(&mut inventory, 4, 2);
    let selection = first(&per_host(2), &inventory);
    assert_eq!(chosen(&selection, 1), [3, 4]);
    assert_eq!(
        why_not(&selection, 1, 2),
        WhyNot::Outranked { by: ds(4), better: Better::Reach { taken: 4, other: 3 } }
    );
    let selection = first(&per_host(3), &inventory);
    assert_eq!(chosen(&selection, 1), [3, 4, 2], "three hosts before two");
    mount(&mut inventory, 4, 2, Mount::Usable);
    let selection = first(&per_host(2), &inventory);
    assert_eq!(chosen(&selection, 1), [2, 3]);
    assert_eq!(why_not(&selection, 1, 4), WhyNot::Outranked { by: ds(3), better: Better::Number });
}

#[test]
fn only_the_users_list_when_so_told() {
    let inventory = cluster(2, &six());
    assert_eq!(chosen(&first(&only(&[5]), &inventory), 1), [5]);
    let selection = first(&only(&[6, 2, 4]), &inventory);
    assert_eq!(chosen(&selection, 1), [2, 4], "no order among the listed");
    assert_eq!(why_not(&selection, 1, 1), WhyNot::Unfit(Unfit::NotListed));
}

#[test]
fn preferred_first_and_others_only_if_they_do_not_suffice() {
    let mut datastores = six();
    datastores[3] = (4, nfs(9));
    datastores[4] = (5, nfs(9));
    let inventory = cluster(2, &datastores);
    for (listed, expected) in
        [(vec![], [1, 2]), (vec![5], [5, 1]), (vec![4, 5], [4, 5]), (vec![4, 5, 6], [6, 4])]
    {
        let selection = first(&prefer(&listed), &inventory);
        assert_eq!(chosen(&selection, 1), expected, "{listed:?}");
    }
    let selection = first(&prefer(&[5, 6]), &inventory);
    assert_eq!(why_not(&selection, 1, 1), WhyNot::Outranked { by: ds(5), better: Better::UserPreference });
    assert_eq!(CandidatePolicy::default(), prefer(&[]).policy);
}

#[test]
fn all_feasible_knows_no_preference() {
    let config = SelectionConfig { policy: CandidatePolicy::AllFeasible, ..SelectionConfig::default() };
    assert_eq!(chosen(&first(&config, &cluster(2, &six())), 1), [1, 2]);
}

#[test]
fn an_inventory_within_the_limits_is_accepted_and_beyond_them_refused() {
    let inventory = cluster(3, &six());
    let with = |hosts, datastores| {
        let limits = Limits { hosts, datastores, ..Limits::DEFAULT };
        HeartbeatSelection::choose(&SelectionConfig { limits, ..per_host(2) }, &inventory, &InUse::new())
            .map(drop)
    };
    assert_eq!([with(3, 6), with(4, 7)], [Ok(()), Ok(())]);
    assert_eq!(with(2, 6), Err(SelectionError::TooManyHosts { found: 3, limit: 2 }));
    assert_eq!(with(3, 5), Err(SelectionError::TooManyDatastores { found: 6, limit: 5 }));
}

#[test]
fn a_mount_of_nothing_is_refused() {
    let mut inventory = cluster(2, &six());
    mount(&mut inventory, 2, 7, Mount::Usable);
    let refused = HeartbeatSelection::choose(&per_host(2), &inventory, &InUse::new()).unwrap_err();
    assert_eq!(refused, SelectionError::UnknownDatastore { host: host(2), datastore: ds(7) });
    let says = "host-2 mounts datastore-7, which is not among the inventory's datastores";
    assert_eq!(refused.to_string(), says);
}

#[test]
fn nothing_is_chosen_from_nothing() {
    let selection = first(&per_host(2), &cluster(0, &[]));
    assert_eq!((selection.hosts().count(), selection.warnings()), (0, &[][..]));
    assert!(selection.of(host(1)).is_none());
}

#[test]
fn reasons_are_told_in_words() {
    let mut inventory = cluster(3, &[(1, vmfs(7)), (2, vmfs(7)), (3, nfs(8)), (4, nfs(9))]);
    unmount(&mut inventory, 3, 1);
    let selection = first(&SelectionConfig { ..prefer(&[1, 2]) }, &inventory);
    let lines: Vec<String> = selection.of(host(1)).unwrap().chosen.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "datastore-2: taken: the user's preference, cluster file system, on backing-7, usable by 3 hosts",
            "datastore-1: taken: the user's preference, cluster file system, on backing-7 like datastore-2, for \
             want of another, usable by 2 hosts",
        ]
    );
    let told = why_not(&selection, 1, 3).to_string();
    assert_eq!(told, "passed over for datastore-1, which the user prefers");
}
