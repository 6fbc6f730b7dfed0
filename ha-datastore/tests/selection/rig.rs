//! Inventories in few words.

use std::collections::BTreeSet;

use ha_core::{DatastoreId, HostId, Rating};
use ha_datastore::HeartbeatSelection;
use ha_datastore::selection::{
    Backing, CandidatePolicy, Datastore, FileSystem, InUse, Inventory, Mount, PerHost, SelectionConfig,
    SiteId, WhyNot,
};

pub(crate) const fn ds(number: u32) -> DatastoreId {
    DatastoreId::new(number)
}

pub(crate) const fn host(number: u32) -> HostId {
    HostId::new(number)
}

pub(crate) const fn site(number: u32) -> SiteId {
    SiteId::new(number)
}

pub(crate) fn set(numbers: &[u32]) -> BTreeSet<DatastoreId> {
    numbers.iter().copied().map(ds).collect()
}

/// A good datastore: a cluster file system, on the backing of this number.
pub(crate) const fn vmfs(backing: u32) -> Datastore {
    let backing = Backing { site: None, number: backing };
    Datastore { file_system: FileSystem::Cluster, backing, rating: Rating::F3 }
}

pub(crate) const fn nfs(backing: u32) -> Datastore {
    Datastore { file_system: FileSystem::Nfs, ..vmfs(backing) }
}

/// The same in a site.
pub(crate) const fn at(number: u32, datastore: Datastore) -> Datastore {
    let backing = Backing { site: Some(site(number)), number: datastore.backing.number };
    Datastore { backing, ..datastore }
}

/// Hosts 1 to `hosts`, all of which mount all of these datastores.
pub(crate) fn cluster(hosts: u32, datastores: &[(u32, Datastore)]) -> Inventory {
    let described = datastores.iter().map(|&(number, what)| (ds(number), what)).collect();
    let mut inventory = Inventory { datastores: described, ..Inventory::default() };
    for number in 1..=hosts {
        for &(datastore, _) in datastores {
            mount(&mut inventory, number, datastore, Mount::Usable);
        }
    }
    inventory
}

pub(crate) fn mount(inventory: &mut Inventory, on: u32, datastore: u32, how: Mount) {
    inventory.hosts.entry(host(on)).or_default().mounts.insert(ds(datastore), how);
}

pub(crate) fn unmount(inventory: &mut Inventory, on: u32, datastore: u32) {
    inventory.hosts.get_mut(&host(on)).unwrap().mounts.remove(&ds(datastore)).unwrap();
}

/// Takes a datastore out of the inventory.
pub(crate) fn remove(inventory: &mut Inventory, datastore: DatastoreId) {
    inventory.datastores.remove(&datastore);
    for host in inventory.hosts.values_mut() {
        host.mounts.remove(&datastore);
    }
}

pub(crate) fn per_host(number: u32) -> SelectionConfig {
    SelectionConfig { per_host: PerHost::new(number).unwrap(), ..SelectionConfig::default() }
}

pub(crate) fn prefer(numbers: &[u32]) -> SelectionConfig {
    let policy = CandidatePolicy::AllFeasibleWithUserPreference(set(numbers));
    SelectionConfig { policy, ..SelectionConfig::default() }
}

pub(crate) fn only(numbers: &[u32]) -> SelectionConfig {
    SelectionConfig { policy: CandidatePolicy::UserSelected(set(numbers)), ..SelectionConfig::default() }
}

pub(crate) fn first(config: &SelectionConfig, inventory: &Inventory) -> HeartbeatSelection {
    again(config, inventory, &InUse::new())
}

pub(crate) fn again(config: &SelectionConfig, inventory: &Inventory, in_use: &InUse) -> HeartbeatSelection {
    HeartbeatSelection::choose(config, inventory, in_use).unwrap()
}

/// The numbers of a host's datastores, best first.
pub(crate) fn chosen(selection: &HeartbeatSelection, of: u32) -> Vec<u32> {
    selection.of(host(of)).unwrap().datastores().map(DatastoreId::number).collect()
}

pub(crate) fn why_not(selection: &HeartbeatSelection, of: u32, datastore: u32) -> WhyNot {
    selection.of(host(of)).unwrap().why(ds(datastore)).unwrap_err()
}
