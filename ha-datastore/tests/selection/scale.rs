//! The largest cluster: 1,000 hosts, each with all of 256 datastores.

use core::time::Duration;
use std::time::Instant;

use ha_core::Limits;
use ha_datastore::selection::{InUse, Inventory, Mount, SiteId};

use crate::rig::{again, at, cluster, first, nfs, per_host, vmfs};

const HOSTS: u32 = 1_000;
const DATASTORES: u32 = 256;

/// In two sites, and with every tenth mount read-only, so that reach differs.
fn largest() -> Inventory {
    let datastore = |number: u32| {
        let what = if number.is_multiple_of(3) { nfs(number / 4) } else { vmfs(number / 4) };
        (number, at(number % 2 + 1, what))
    };
    let mut inventory = cluster(HOSTS, &(1..=DATASTORES).map(datastore).collect::<Vec<_>>());
    for (id, host) in &mut inventory.hosts {
        host.site = Some(SiteId::new(id.number() % 2 + 1));
        for (datastore, how) in &mut host.mounts {
            if (id.number() * 7 + datastore.number() * 13).is_multiple_of(10) {
                *how = Mount::ReadOnly;
            }
        }
    }
    inventory
}

#[test]
fn the_largest_cluster_takes_no_second() {
    assert_eq!(DATASTORES, Limits::DEFAULT.datastores);
    let inventory = largest();
    let config = per_host(5);
    let (mut in_use, mut longest) = (InUse::new(), Duration::ZERO);
    for _ in 0..3 {
        #[allow(clippy::disallowed_methods, reason = "this measures")]
        let (begin, selection) = (Instant::now(), again(&config, &inventory, &in_use));
        longest = longest.max(begin.elapsed());
        assert!(selection.hosts().all(|(_, one)| one.usable() == 5), "{:?}", selection.warnings());
        assert_eq!(selection.warnings(), []);
        in_use = selection.in_use();
    }
    println!("{HOSTS} hosts with {DATASTORES} datastores each: {longest:?}");
    // Ten times what it takes; a step quadratic in the mounts would take minutes.
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[test]
fn one_lost_datastore_of_the_largest_cluster_moves_only_its_users() {
    let mut inventory = largest();
    let before = first(&per_host(2), &inventory).in_use();
    let victim = *before.values().next().unwrap().first().unwrap();
    for host in inventory.hosts.values_mut() {
        host.mounts.insert(victim, Mount::Lost);
    }
    let after = again(&per_host(2), &inventory, &before);
    let users = before.values().filter(|used| used.contains(&victim)).count();
    assert!(users > 0 && users < HOSTS as usize, "{users} use {victim}");
    assert_eq!(after.hosts().filter(|(_, one)| one.changed()).count(), users);
    assert!(after.hosts().all(|(_, one)| one.usable() == 4));
}
