//! What is the same for every host: which datastores can serve, how far each reaches, how many places there are.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use ha_core::{DatastoreId, Rating};

use super::{
    Datastore, FileSystem, Inventory, Mount, SelectionConfig, SelectionError, SiteId, SiteRule, Unfit,
};

/// One datastore of the inventory.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: DatastoreId,
    pub(super) what: Datastore,
    /// On the user's list.
    pub(super) preferred: bool,
    /// How many hosts mount it, in reach or not.
    shared_by: u32,
    /// How many hosts can use it now.
    pub(super) reach: u32,
    pub(super) unfit: Option<Unfit>,
}

/// All datastores, ordered by number.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub(super) fn new(config: &SelectionConfig, inventory: &Inventory) -> Result<Self, SelectionError> {
        inventory.check(&config.limits)?;
        let row = |(&id, &what): (&DatastoreId, &Datastore)| {
            let preferred = config.policy.listed().contains(&id);
            Row { id, what, preferred, shared_by: 0, reach: 0, unfit: None }
        };
        let mut table = Self { rows: inventory.datastores.iter().map(row).collect() };
        for (&host, mounts) in &inventory.hosts {
            for (&datastore, &mount) in &mounts.mounts {
                let row = table.row_mut(datastore);
                let row = row.ok_or(SelectionError::UnknownDatastore { host, datastore })?;
                row.shared_by = row.shared_by.saturating_add(u32::from(mount.shares()));
                row.reach = row.reach.saturating_add(u32::from(mount == Mount::Usable));
            }
        }
        for row in &mut table.rows {
            row.unfit = unfit(config, row);
        }
        Ok(table)
    }

    pub(super) fn row(&self, id: DatastoreId) -> Option<&Row> {
        let at = self.rows.binary_search_by_key(&id, |row| row.id).ok()?;
        self.rows.get(at)
    }

    fn row_mut(&mut self, id: DatastoreId) -> Option<&mut Row> {
        let at = self.rows.binary_search_by_key(&id, |row| row.id).ok()?;
        self.rows.get_mut(at)
    }
}

/// Why it can serve nobody, the most lasting reason first.
fn unfit(config: &SelectionConfig, row: &Row) -> Option<Unfit> {
    if row.what.file_system == FileSystem::Vsan {
        return Some(Unfit::Vsan);
    }
    if row.what.rating == Rating::F0 {
        return Some(Unfit::LocksNotShared);
    }
    if !config.policy.admits(row.id) {
        return Some(Unfit::NotListed);
    }
    (row.shared_by < 2).then_some(Unfit::TooFewHosts { hosts: row.shared_by })
}

/// How many datastores every host should have, and how many of them in each site.
#[derive(Debug)]
pub(super) struct Places {
    /// The sites of a stretched cluster; empty if it is none, or if sites do not count.
    pub(super) sites: BTreeSet<SiteId>,
    /// In each of these sites.
    pub(super) per_site: usize,
    /// In all.
    pub(super) total: usize,
}

impl Places {
    pub(super) fn new(config: &SelectionConfig, inventory: &Inventory) -> Result<Self, SelectionError> {
        let single = Self { sites: BTreeSet::new(), per_site: 0, total: config.per_host.get() };
        match config.site_rule {
            SiteRule::Unaware => return Ok(single),
            SiteRule::EverySite => {}
        }
        let sites: BTreeSet<SiteId> = inventory.hosts.values().filter_map(|host| host.site).collect();
        if sites.len() < 2 {
            return Ok(single);
        }
        if sites.len() > SelectionConfig::MAX_SITES {
            return Err(SelectionError::TooManySites { found: sites.len() });
        }
        // Two sites get two each and three to five get one each: never more than a host may have.
        let per_site = (SelectionConfig::MAX_SITES / sites.len()).min(SelectionConfig::PER_SITE);
        let total = config.per_host.get().max(per_site * sites.len());
        Ok(Self { sites, per_site, total })
    }
}
