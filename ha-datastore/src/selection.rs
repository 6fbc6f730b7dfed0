//! Which datastores carry the heartbeats of which host: chosen by whoever manages the cluster, never by the hosts.
//!
//! [`HeartbeatSelection::choose`] is a pure function of an [`Inventory`], a [`SelectionConfig`] and what is in use
//! now. It is for the manager of the cluster, which hands each host its list; fdm-facts 3.1 to 3.15 say what FDM's
//! does. What it does not know: below F3 a host also writes its heartbeat on every datastore that homes a machine
//! it runs (architecture 8). Those files come on top.
//!
//! # The rules
//!
//! A datastore can serve if two hosts mount it, it is not vSAN, its locks are shared, and the policy admits it. A
//! host gets only what it mounts. Its places are filled in this order:
//!
//! 1. in a stretched cluster, a share in every site that has hosts, so that hosts which lose a site can still see each
//!    other and tell a dead site from a cut link;
//! 2. what is left of `das.heartbeatDsPerHost`, from anywhere;
//! 3. what nothing usable can fill, with datastores that were in use and are lost for now.
//!
//! Each place goes to the best candidate left: one that the user prefers, before one that shares its backing with no
//! other choice, before one on a better file system. These three are its *class*. Within a class: one in use, before
//! one that more hosts can use, before the lower number.
//!
//! That the user's word comes before the spread over backings, and this before the file system, is decided here: the
//! sources name these goals without an order. Two datastores on one device are one, whatever is on them; but a user
//! who lists both was told by [`Warning::OneBacking`] and may have reasons.
//!
//! # Small change in, small change out
//!
//! A choice in use stays unless it can no longer serve, its host can no longer use it and another can replace it, or
//! there is another of a strictly better class. So:
//!
//! * a datastore that comes back after an outage does not push out a replacement of its own class;
//! * to remove a datastore changes only hosts that used it;
//! * to add a host changes another's choice only where the newcomer is the second to mount a datastore, or the first
//!   of a second or further site;
//! * the same input, with the result as what is in use, gives the same result.
//!
//! An outage alone leaves no host with fewer than it had. Without heartbeat datastores it would be declared dead on
//! less evidence, just when storage has a bad day.
//!
//! # Cost
//!
//! O(M log D) time for M mounts in all and D datastores, with at most five places a host; O(M) memory, nearly all of
//! it for the reasons why not. 1,000 hosts with 256 datastores each take a tenth of a second in a build for tests.

mod config;
mod datastore;
mod error;
mod host;
mod inventory;
mod per_host;
mod policy;
mod pool;
mod reason;
mod table;
mod warning;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use ha_core::{DatastoreId, HostId};

pub use config::{SelectionConfig, SiteRule};
pub use datastore::{Backing, Datastore, FileSystem, SiteId};
pub use error::{PerHostOutOfRange, SelectionError};
pub use host::{Choice, HostSelection, Place};
pub use inventory::{HostMounts, Inventory, Mount};
pub use per_host::PerHost;
pub use policy::CandidatePolicy;
pub use reason::{Better, Unfit, WhyNot};
pub use warning::Warning;

use pool::Pool;
use table::{Places, Table};

/// The datastores of each host, without reasons: what is handed out, kept, and handed in at the next choice.
pub type InUse = BTreeMap<HostId, BTreeSet<DatastoreId>>;

/// The heartbeat datastores of every host of a cluster, with the reasons. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatSelection {
    hosts: BTreeMap<HostId, HostSelection>,
    warnings: Vec<Warning>,
}

impl HeartbeatSelection {
    /// Chooses. `in_use` is the [`in_use`](Self::in_use) of the last choice, or empty; hosts and datastores in it that
    /// are gone do no harm.
    ///
    /// Choose again after a change of the inventory or the configuration. An outage may be one (fdm-facts 3.13); how
    /// long it must last for a mount to count as [`Mount::Lost`], the caller decides.
    ///
    /// # Errors
    ///
    /// [`SelectionError`] if the inventory is beyond `config.limits`, contradicts itself, or has more sites than can
    /// each have a share. Nothing is chosen then: go on with what is in use.
    pub fn choose(
        config: &SelectionConfig,
        inventory: &Inventory,
        in_use: &InUse,
    ) -> Result<Self, SelectionError> {
        let table = Table::new(config, inventory)?;
        let places = Places::new(config, inventory)?;
        let none = BTreeSet::new();
        let choose = |(&host, mounts)| {
            let in_use = in_use.get(&host).unwrap_or(&none);
            (host, Pool::new(&table, mounts, in_use).choose(&places))
        };
        let hosts = inventory.hosts.iter().map(choose).collect();
        let warnings = warnings(config, &table, &places, &hosts);
        Ok(Self { hosts, warnings })
    }

    /// What was chosen for a host; `None` if it is not in the inventory.
    #[must_use]
    pub fn of(&self, host: HostId) -> Option<&HostSelection> {
        self.hosts.get(&host)
    }

    /// What was chosen for each host, in the order of hosts.
    pub fn hosts(&self) -> impl Iterator<Item = (HostId, &HostSelection)> {
        self.hosts.iter().map(|(&host, selection)| (host, selection))
    }

    /// What an operator should know: first of the user's list, then host by host.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The choice without its reasons.
    #[must_use]
    pub fn in_use(&self) -> InUse {
        self.hosts().map(|(host, selection)| (host, selection.datastores().collect())).collect()
    }
}

fn warnings(
    config: &SelectionConfig,
    table: &Table,
    places: &Places,
    hosts: &BTreeMap<HostId, HostSelection>,
) -> Vec<Warning> {
    if config.policy.disables() {
        return Vec::from([Warning::Disabled]);
    }
    let listed = config.policy.listed().iter().filter_map(|&datastore| match table.row(datastore) {
        None => Some(Warning::UserDatastoreRemoved { datastore }),
        Some(row) => row.unfit.map(|why| Warning::UserDatastoreUnfit { datastore, why }),
    });
    let mut warnings: Vec<Warning> = listed.collect();
    for (&host, selection) in hosts {
        if !config.ignore_insufficient {
            warn_of_too_few(config, places, host, selection, &mut warnings);
        }
        let mut backings = selection.chosen.iter().filter(|choice| choice.usable()).map(Choice::backing);
        if let (Some(backing), Some(second)) = (backings.next(), backings.next())
            && second == backing
            && backings.all(|other| other == backing)
        {
            warnings.push(Warning::OneBacking { host, backing });
        }
    }
    warnings
}

fn warn_of_too_few(
    config: &SelectionConfig,
    places: &Places,
    host: HostId,
    selection: &HostSelection,
    warnings: &mut Vec<Warning>,
) {
    let (usable, required) = (selection.usable(), config.per_host.get());
    if usable < required {
        warnings.push(Warning::NotSufficient { host, usable, required });
    }
    for &site in &places.sites {
        let in_site = |choice: &&Choice| choice.usable() && choice.backing().site == Some(site);
        let (usable, required) = (selection.chosen.iter().filter(in_site).count(), places.per_site);
        if usable < required {
            warnings.push(Warning::SiteNotSufficient { host, site, usable, required });
        }
    }
}
