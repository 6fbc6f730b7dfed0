//! What holds for every inventory, whatever is in use: small ones at random, compared with all that could be chosen.

use std::collections::{BTreeMap, BTreeSet};

use ha_core::{DatastoreId, HostId, Limits, Rating};
use ha_datastore::HeartbeatSelection;
use ha_datastore::selection::{
    Backing, CandidatePolicy, Datastore, FileSystem, HostMounts, InUse, Inventory, Mount, PerHost,
    SelectionConfig, SiteId, SiteRule, WhyNot,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use crate::rig::{again, ds, host, remove, site};

const DATASTORES: u32 = 7;

fn a_site() -> impl Strategy<Value = Option<SiteId>> {
    prop_oneof![2 => Just(None), 2 => (1..=2_u32).prop_map(|number| Some(site(number))), 1 => Just(Some(site(3)))]
}

fn a_datastore() -> impl Strategy<Value = Datastore> {
    let file_system = prop_oneof![
        5 => Just(FileSystem::Cluster),
        1 => Just(FileSystem::VirtualVolumes),
        3 => Just(FileSystem::Nfs),
        1 => Just(FileSystem::Vsan),
    ];
    let rating = prop_oneof![9 => Just(Rating::F3), 1 => Just(Rating::F0)];
    let backing = (a_site(), 0..3_u32).prop_map(|(site, number)| Backing { site, number });
    (file_system, backing, rating).prop_map(|(file_system, backing, rating)| Datastore {
        file_system,
        backing,
        rating,
    })
}

fn a_mount() -> impl Strategy<Value = Mount> {
    prop_oneof![
        7 => Just(Mount::Usable),
        1 => Just(Mount::Lost),
        1 => Just(Mount::ReadOnly),
        1 => Just(Mount::Leaving),
    ]
}

fn some_datastores() -> impl Strategy<Value = BTreeSet<DatastoreId>> {
    btree_set((1..=DATASTORES).prop_map(ds), 0..5)
}

fn an_inventory() -> impl Strategy<Value = Inventory> {
    let mounts = vec(proptest::option::weighted(0.8, a_mount()), DATASTORES as usize);
    (vec((a_site(), mounts), 1..6), vec(a_datastore(), DATASTORES as usize)).prop_map(
        |(hosts, datastores)| {
            let host = |(number, (site, mounts)): (u32, (Option<SiteId>, Vec<Option<Mount>>))| {
                let mounts = (1..).map(ds).zip(mounts).filter_map(|(id, mount)| Some((id, mount?)));
                (host(number), HostMounts { site, mounts: mounts.collect() })
            };
            Inventory {
                hosts: (1..).zip(hosts).map(host).collect(),
                datastores: (1..).map(ds).zip(datastores).collect(),
            }
        },
    )
}

fn a_config() -> impl Strategy<Value = SelectionConfig> {
    let policy = prop_oneof![
        Just(CandidatePolicy::AllFeasible),
        some_datastores().prop_map(CandidatePolicy::UserSelected),
        some_datastores().prop_map(CandidatePolicy::AllFeasibleWithUserPreference),
    ];
    let site_rule = prop_oneof![1 => Just(SiteRule::Unaware), 3 => Just(SiteRule::EverySite)];
    (2..=5_u32, policy, site_rule).prop_map(|(number, policy, site_rule)| SelectionConfig {
        per_host: PerHost::new(number).unwrap(),
        policy,
        site_rule,
        ignore_insufficient: false,
        limits: Limits::DEFAULT,
    })
}

fn an_in_use() -> impl Strategy<Value = InUse> {
    btree_map((1..=6_u32).prop_map(host), some_datastores(), 0..5)
}

/// The rules once more, without the way in which they are followed.
struct Rules<'a> {
    config: &'a SelectionConfig,
    inventory: &'a Inventory,
}

impl Rules<'_> {
    fn mounts(&self, of: DatastoreId, counts: impl Fn(Mount) -> bool) -> usize {
        self.inventory
            .hosts
            .values()
            .filter(|host| host.mounts.get(&of).is_some_and(|&how| counts(how)))
            .count()
    }

    fn fit(&self, id: DatastoreId) -> bool {
        let what = self.inventory.datastores[&id];
        let admitted = match &self.config.policy {
            CandidatePolicy::UserSelected(listed) => listed.contains(&id),
            CandidatePolicy::AllFeasible | CandidatePolicy::AllFeasibleWithUserPreference(_) => true,
        };
        let shared = self.mounts(id, |how| matches!(how, Mount::Usable | Mount::Lost)) >= 2;
        what.file_system != FileSystem::Vsan && what.rating != Rating::F0 && admitted && shared
    }

    /// The sites with a share, and its size.
    fn shares(&self) -> (BTreeSet<SiteId>, usize) {
        let sites: BTreeSet<SiteId> = self.inventory.hosts.values().filter_map(|host| host.site).collect();
        match (self.config.site_rule, sites.len()) {
            (SiteRule::Unaware, _) | (SiteRule::EverySite, 0 | 1) => (BTreeSet::new(), 0),
            (SiteRule::EverySite, 2) => (sites, 2),
            (SiteRule::EverySite, _) => (sites, 1),
        }
    }

    /// How good a set is for a host: more is better, the first number first.
    fn worth(&self, set: &[DatastoreId], in_use: &BTreeSet<DatastoreId>) -> Vec<usize> {
        let what = |id: &DatastoreId| self.inventory.datastores[id];
        let count = |good: &dyn Fn(&DatastoreId) -> bool| set.iter().filter(|id| good(id)).count();
        let (sites, share) = self.shares();
        let in_site = |site: &SiteId| count(&|id| what(id).backing.site == Some(*site)).min(share);
        let listed = self.config.policy.listed();
        vec![
            sites.iter().map(in_site).sum(),
            count(&|id| listed.contains(id)),
            set.iter().map(|id| what(id).backing).collect::<BTreeSet<_>>().len(),
            count(&|id| what(id).file_system == FileSystem::Cluster),
            count(&|id| what(id).file_system == FileSystem::VirtualVolumes),
            count(&|id| in_use.contains(id)),
            set.iter().map(|&id| self.mounts(id, |how| how == Mount::Usable)).sum(),
        ]
    }

    /// The worth of the best set that a host can have; its size is as large as possible.
    fn best(&self, usable: &[DatastoreId], size: usize, in_use: &BTreeSet<DatastoreId>) -> Vec<usize> {
        let subsets = (0..1_usize << usable.len()).filter(|set| set.count_ones() as usize == size);
        let members = |set: usize| {
            let member = |(at, &id): (usize, &DatastoreId)| (set >> at & 1 == 1).then_some(id);
            usable.iter().enumerate().filter_map(member).collect::<Vec<_>>()
        };
        subsets.map(|set| self.worth(&members(set), in_use)).max().unwrap()
    }
}

fn used(in_use: &InUse, by: HostId) -> BTreeSet<DatastoreId> {
    in_use.get(&by).cloned().unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn nothing_better_and_nothing_more_could_be_chosen(
        config in a_config(), inventory in an_inventory(), in_use in an_in_use(),
    ) {
        let rules = Rules { config: &config, inventory: &inventory };
        let (sites, share) = rules.shares();
        let places = config.per_host.get().max(share * sites.len());
        let selection = again(&config, &inventory, &in_use);
        for (id, one) in selection.hosts() {
            let in_use = used(&in_use, id);
            let can_use = |(&id, &how): (&DatastoreId, &Mount)| {
                (how == Mount::Usable && rules.fit(id)).then_some(id)
            };
            let usable: Vec<_> = inventory.hosts[&id].mounts.iter().filter_map(can_use).collect();
            let chosen = one.chosen.iter().filter(|choice| choice.usable());
            let chosen: Vec<_> = chosen.map(|choice| choice.datastore).collect();
            prop_assert!(chosen.iter().all(|id| usable.contains(id)));
            prop_assert_eq!(chosen.len(), usable.len().min(places));
            prop_assert_eq!(rules.worth(&chosen, &in_use), rules.best(&usable, chosen.len(), &in_use));
        }
    }

    #[test]
    fn what_is_lost_fills_only_places_that_nothing_else_can(
        config in a_config(), inventory in an_inventory(), in_use in an_in_use(),
    ) {
        let rules = Rules { config: &config, inventory: &inventory };
        let (sites, share) = rules.shares();
        let places = config.per_host.get().max(share * sites.len());
        for (id, one) in again(&config, &inventory, &in_use).hosts() {
            let lost = |&(id, how): &(&DatastoreId, &Mount)| *how == Mount::Lost && rules.fit(*id);
            let lost = inventory.hosts[&id].mounts.iter().filter(lost);
            let could: BTreeSet<_> =
                lost.map(|(&id, _)| id).filter(|lost| used(&in_use, id).contains(lost)).collect();
            let kept: BTreeSet<_> =
                one.chosen.iter().filter(|choice| !choice.usable()).map(|choice| choice.datastore).collect();
            prop_assert!(kept.is_subset(&could));
            prop_assert_eq!(kept.len(), could.len().min(places - one.usable()));
        }
    }

    #[test]
    fn every_mount_is_chosen_or_passed_over_for_a_reason_that_holds(
        config in a_config(), inventory in an_inventory(), in_use in an_in_use(),
    ) {
        let selection = again(&config, &inventory, &in_use);
        for (id, one) in selection.hosts() {
            let chosen: BTreeSet<_> = one.datastores().collect();
            prop_assert_eq!(chosen.len(), one.chosen.len(), "none twice");
            let passed_over: Vec<_> = one.passed_over.iter().map(|&(id, _)| id).collect();
            let mounts = inventory.hosts[&id].mounts.keys();
            prop_assert_eq!(passed_over, mounts.copied().filter(|id| !chosen.contains(id)).collect::<Vec<_>>());
            for (_, why) in &one.passed_over {
                if let WhyNot::Outranked { by, .. } = why {
                    prop_assert!(chosen.contains(by));
                }
            }
            let dropped: BTreeSet<_> = one.dropped.iter().map(|&(id, _)| id).collect();
            let kept: BTreeSet<_> =
                one.chosen.iter().filter(|choice| choice.kept).map(|choice| choice.datastore).collect();
            prop_assert!(dropped.is_disjoint(&kept));
            prop_assert_eq!(&(&dropped | &kept), &used(&in_use, id));
        }
    }

    #[test]
    fn the_order_of_input_does_not_matter(
        config in a_config(), inventory in an_inventory(), in_use in an_in_use(), seed in any::<u64>(),
    ) {
        let mut random = ha_core::Random::from_seed(seed);
        let mut hosts: Vec<_> = inventory.hosts.clone().into_iter().collect();
        let mut datastores: Vec<_> = inventory.datastores.clone().into_iter().collect();
        hosts.sort_by_cached_key(|_| random.next_u64());
        datastores.sort_by_cached_key(|_| random.next_u64());
        let mut other = Inventory::default();
        other.datastores.extend(datastores);
        for (id, mut mounts) in hosts {
            let mut shuffled: Vec<_> = core::mem::take(&mut mounts.mounts).into_iter().collect();
            shuffled.sort_by_cached_key(|_| random.next_u64());
            mounts.mounts.extend(shuffled);
            other.hosts.insert(id, mounts);
        }
        prop_assert_eq!(again(&config, &inventory, &in_use), again(&config, &other, &in_use));
    }

    #[test]
    fn to_choose_again_changes_nothing(
        config in a_config(), inventory in an_inventory(), in_use in an_in_use(),
    ) {
        let before = again(&config, &inventory, &in_use).in_use();
        let after = again(&config, &inventory, &before);
        prop_assert_eq!(after.in_use(), before);
        prop_assert!(after.hosts().all(|(_, one)| !one.changed()));
    }

    #[test]
    fn to_remove_a_datastore_changes_only_its_place_on_hosts_that_used_it(
        config in a_config(), inventory in an_inventory(), in_use in an_in_use(), gone in 1..=DATASTORES,
    ) {
        let before = again(&config, &inventory, &in_use).in_use();
        let mut smaller = inventory.clone();
        remove(&mut smaller, ds(gone));
        let after = again(&config, &smaller, &before).in_use();
        for (id, mut old) in before {
            let new = &after[&id];
            if old.remove(&ds(gone)) {
                prop_assert!(new.is_superset(&old) && new.len() <= old.len() + 1, "{old:?} became {new:?}");
            } else {
                prop_assert_eq!(new, &old);
            }
        }
    }

    #[test]
    fn an_outage_never_leaves_a_host_with_fewer(
        config in a_config(), inventory in an_inventory(), in_use in an_in_use(),
        outage in btree_set((1..=DATASTORES).prop_map(ds), 0..=DATASTORES as usize),
    ) {
        let before = again(&config, &inventory, &in_use).in_use();
        let mut during = inventory.clone();
        for host in during.hosts.values_mut() {
            let hit = host.mounts.iter_mut().filter(|(id, how)| outage.contains(id) && **how == Mount::Usable);
            hit.for_each(|(_, how)| *how = Mount::Lost);
        }
        let after = again(&config, &during, &before).in_use();
        for (id, old) in before {
            prop_assert!(after[&id].len() >= old.len());
        }
    }

    #[test]
    fn to_add_a_host_changes_no_other_unless_it_is_the_second_or_of_a_new_site(
        config in a_config(), inventory in an_inventory(), in_use in an_in_use(),
        mounts in vec(proptest::option::of(a_mount()), DATASTORES as usize), stands_with in 0..6_u32,
    ) {
        let before = again(&config, &inventory, &in_use).in_use();
        let rules = Rules { config: &config, inventory: &inventory };
        let shared = |&id: &DatastoreId| rules.mounts(id, |how| matches!(how, Mount::Usable | Mount::Lost)) != 1;
        let mounts = (1..).map(ds).zip(mounts).filter_map(|(id, mount)| Some((id, mount?)));
        let newcomer = HostMounts {
            site: inventory.hosts.get(&host(stands_with)).and_then(|host| host.site),
            mounts: mounts.filter(|(id, _)| shared(id)).collect(),
        };
        let mut larger = inventory.clone();
        larger.hosts.insert(host(99), newcomer);
        let after = HeartbeatSelection::choose(&config, &larger, &before).unwrap();
        let others: BTreeMap<_, _> = after.in_use().into_iter().filter(|&(id, _)| id != host(99)).collect();
        prop_assert_eq!(others, before);
    }
}
