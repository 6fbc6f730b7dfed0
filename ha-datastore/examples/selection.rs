//! Which heartbeat datastores the hosts of a small stretched cluster get, and why: before and after an outage.
//!
//! `cargo run -p ha-datastore --example selection`

#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::print_stdout, reason = "an example tells its story")]

use std::collections::BTreeSet;

use ha_core::options::Options;
use ha_core::{DatastoreId, HostId, Rating};
use ha_datastore::HeartbeatSelection;
use ha_datastore::selection::{
    Backing, CandidatePolicy, Datastore, FileSystem, HostMounts, InUse, Inventory, Mount, SelectionConfig,
    SiteId,
};

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut options = Options::new();
    options.set("das.heartbeatDsPerHost", "3")?;
    let listed = BTreeSet::from([DatastoreId::new(2), DatastoreId::new(9)]);
    let policy = CandidatePolicy::AllFeasibleWithUserPreference(listed);
    let config = SelectionConfig { policy, ..SelectionConfig::from_options(&options)? };

    let mut inventory = inventory();
    println!("At first:\n");
    let before = HeartbeatSelection::choose(&config, &inventory, &InUse::new())?;
    tell(&before);

    println!("\nhost-1 loses datastore-2:\n");
    if let Some(host) = inventory.hosts.get_mut(&HostId::new(1)) {
        host.mounts.insert(DatastoreId::new(2), Mount::Lost);
    }
    tell(&HeartbeatSelection::choose(&config, &inventory, &before.in_use())?);
    Ok(())
}

/// Two hosts in each of two sites. The second site has but one file server besides its single array.
fn inventory() -> Inventory {
    let datastore = |number, site, array, file_system| {
        let backing = Backing { site: Some(SiteId::new(site)), number: array };
        (DatastoreId::new(number), Datastore { file_system, backing, rating: Rating::F3 })
    };
    let datastores = [
        datastore(1, 1, 1, FileSystem::Cluster),
        datastore(2, 1, 1, FileSystem::Cluster),
        datastore(3, 1, 2, FileSystem::Cluster),
        datastore(4, 2, 1, FileSystem::Cluster),
        datastore(5, 2, 1, FileSystem::Cluster),
        datastore(6, 2, 2, FileSystem::Nfs),
        datastore(7, 2, 3, FileSystem::Vsan),
    ];
    let host = |number| {
        let site = Some(SiteId::new(if number <= 2 { 1 } else { 2 }));
        let mounts = datastores.iter().map(|&(id, _)| (id, Mount::Usable));
        // The file server is not exported to host-2.
        let mounts = mounts.filter(|&(id, _)| (number, id) != (2, DatastoreId::new(6))).collect();
        (HostId::new(number), HostMounts { site, mounts })
    };
    Inventory { hosts: (1..=4).map(host).collect(), datastores: datastores.into() }
}

fn tell(selection: &HeartbeatSelection) {
    for (host, one) in selection.hosts().take(2) {
        println!("{host}{}", if one.changed() { "" } else { ", as before" });
        for choice in &one.chosen {
            println!("  {choice}");
        }
        for (datastore, why) in &one.passed_over {
            println!("  not {datastore}: {why}");
        }
        for (datastore, why) in &one.dropped {
            println!("  no longer {datastore}: {why}");
        }
    }
    for warning in selection.warnings() {
        println!("warning: {warning}");
    }
}
