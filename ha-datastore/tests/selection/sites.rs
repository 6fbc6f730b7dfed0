//! Stretched clusters: a share for every host in every site.

use ha_datastore::HeartbeatSelection;
use ha_datastore::selection::{
    Better, Datastore, InUse, Inventory, Mount, Place, SelectionConfig, SelectionError, SiteRule, Warning,
    WhyNot,
};

use crate::rig::{
    at, chosen, cluster, ds, first, host, mount, nfs, per_host, prefer, site, unmount, vmfs, why_not,
};

/// Hosts 1 to 4, the odd ones in site 1 and the even ones in site 2; all mount everything.
fn stretched(datastores: &[(u32, Datastore)]) -> Inventory {
    in_sites(2, cluster(4, datastores))
}

/// Host n stands in site n mod `sites`, counted from 1.
fn in_sites(sites: u32, mut inventory: Inventory) -> Inventory {
    for (id, host) in &mut inventory.hosts {
        host.site = Some(site((id.number() - 1) % sites + 1));
    }
    inventory
}

/// Datastores 1-4 in site 1 and 5-8 in site 2.
fn four_each() -> Vec<(u32, Datastore)> {
    (1..=8).map(|number| (number, at((number - 1) / 4 + 1, vmfs(number)))).collect()
}

#[test]
fn every_host_gets_two_in_each_of_two_sites() {
    let selection = first(&per_host(2), &stretched(&four_each()));
    for number in 1..=4 {
        assert_eq!(chosen(&selection, number), [1, 2, 5, 6], "host-{number}");
    }
    let places = selection.of(host(1)).unwrap().chosen.iter().map(|choice| choice.place);
    let shares = [1, 1, 2, 2].map(|number| Place::Share(site(number)));
    assert_eq!(places.collect::<Vec<_>>(), shares);
    assert_eq!(selection.warnings(), []);
}

#[test]
fn the_shares_count_towards_the_number_for_each_host() {
    let inventory = stretched(&four_each());
    for (number, expected) in [(3, 4), (4, 4), (5, 5)] {
        assert_eq!(chosen(&first(&per_host(number), &inventory), 1).len(), expected, "{number}");
    }
    let fifth = first(&per_host(5), &inventory).of(host(1)).unwrap().chosen[4];
    assert_eq!((fifth.datastore, fifth.place), (ds(3), Place::Open));
}

#[test]
fn a_cluster_in_one_site_or_told_to_ignore_sites_is_not_stretched() {
    let datastores = four_each();
    let one = in_sites(1, cluster(4, &datastores));
    assert_eq!(chosen(&first(&per_host(2), &one), 1), [1, 2]);
    let unaware = SelectionConfig { site_rule: SiteRule::Unaware, ..per_host(2) };
    assert_eq!(chosen(&first(&unaware, &stretched(&datastores)), 1), [1, 2]);
}

#[test]
fn a_host_without_a_site_gets_the_shares_as_well() {
    let mut inventory = stretched(&four_each());
    inventory.hosts.get_mut(&host(3)).unwrap().site = None;
    assert_eq!(chosen(&first(&per_host(2), &inventory), 3), [1, 2, 5, 6]);
}

#[test]
fn three_to_five_sites_have_one_share_each_and_six_are_refused() {
    let datastores: Vec<_> =
        (1..=12).map(|number| (number, at((number - 1) % 6 + 1, vmfs(number)))).collect();
    for sites in 3..=5 {
        let inventory = in_sites(sites, cluster(12, &datastores));
        assert_eq!(chosen(&first(&per_host(2), &inventory), 1), (1..=sites).collect::<Vec<_>>());
    }
    let six = in_sites(6, cluster(12, &datastores));
    let refused = HeartbeatSelection::choose(&per_host(2), &six, &InUse::new()).unwrap_err();
    assert_eq!(refused, SelectionError::TooManySites { found: 6 });
    let unaware = SelectionConfig { site_rule: SiteRule::Unaware, ..per_host(2) };
    assert_eq!(chosen(&first(&unaware, &six), 1).len(), 2, "and without sites it is accepted");
}

#[test]
fn shares_come_before_the_users_preference_and_each_is_filled_by_it_first() {
    let selection = first(&prefer(&[2, 3, 4]), &stretched(&four_each()));
    assert_eq!(chosen(&selection, 1), [2, 3, 5, 6]);
    assert_eq!(why_not(&selection, 1, 4), WhyNot::Outranked { by: ds(3), better: Better::Number });
}

#[test]
fn a_share_that_a_site_cannot_fill_is_filled_from_elsewhere_and_told() {
    for (in_two, expected) in [(0, vec![1, 2, 3, 4]), (1, vec![1, 2, 5, 3]), (2, vec![1, 2, 5, 6])] {
        let mut inventory = stretched(&four_each());
        for missing in 5 + in_two..=8 {
            unmount(&mut inventory, 1, missing);
        }
        let selection = first(&per_host(2), &inventory);
        assert_eq!(chosen(&selection, 1), expected);
        let usable = in_two as usize;
        let warning = Warning::SiteNotSufficient { host: host(1), site: site(2), usable, required: 2 };
        assert_eq!(selection.warnings(), if in_two < 2 { vec![warning] } else { vec![] });
    }
}

#[test]
fn a_site_without_hosts_has_no_share_and_may_fill_open_places() {
    let mut datastores = four_each();
    datastores.push((9, at(3, vmfs(9))));
    let inventory = stretched(&datastores);
    let selection = first(&per_host(2), &inventory);
    assert_eq!(chosen(&selection, 1), [1, 2, 5, 6]);
    assert_eq!(why_not(&selection, 1, 9), WhyNot::SharesFirst);
    let config = SelectionConfig { policy: prefer(&[9]).policy, ..per_host(5) };
    assert_eq!(chosen(&first(&config, &inventory), 1), [1, 2, 5, 6, 9]);
}

#[test]
fn the_same_number_in_two_sites_is_two_backings() {
    let datastores = [(1, at(1, vmfs(7))), (2, at(1, nfs(8))), (3, at(2, vmfs(7))), (4, at(2, nfs(8)))];
    let selection = first(&per_host(2), &stretched(&datastores));
    let choices = &selection.of(host(1)).unwrap().chosen;
    assert!(choices.iter().all(|choice| choice.shares_backing_with.is_none()), "{choices:?}");
}

#[test]
fn a_host_that_loses_a_site_keeps_its_datastores_where_nothing_replaces_them() {
    let datastores: Vec<_> = [1, 2, 5, 6].map(|number| (number, at(number / 4 + 1, vmfs(number)))).into();
    let mut inventory = stretched(&datastores);
    let before = first(&per_host(2), &inventory);
    for lost in [5, 6] {
        mount(&mut inventory, 1, lost, Mount::Lost);
    }
    let after = crate::rig::again(&per_host(2), &inventory, &before.in_use());
    assert_eq!(after.in_use(), before.in_use());
    let warning = Warning::SiteNotSufficient { host: host(1), site: site(2), usable: 0, required: 2 };
    assert_eq!(after.warnings(), [warning], "two are usable, which is enough but for the site");
}
