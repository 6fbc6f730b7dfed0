use alloc::collections::BTreeMap;

use ha_core::{DatastoreId, HostId, Limits};

use super::{Datastore, SelectionError, SiteId};

/// The hosts of a cluster, its datastores, and who mounts which. Plain data, without an order of its own.
///
/// It is what is *configured*. A host that is down or cut off stays in, with the mounts it had: to drop it would
/// take away from others the datastores that they shared with it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The hosts.
    pub hosts: BTreeMap<HostId, HostMounts>,
    /// The datastores, mounted or not.
    pub datastores: BTreeMap<DatastoreId, Datastore>,
}

impl Inventory {
    /// Whether this can be chosen from.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), SelectionError> {
        let beyond = |found: usize, limit: u32| u32::try_from(found).map_or(true, |found| found > limit);
        if beyond(self.hosts.len(), limits.hosts) {
            return Err(SelectionError::TooManyHosts { found: self.hosts.len(), limit: limits.hosts });
        }
        if beyond(self.datastores.len(), limits.datastores) {
            let (found, limit) = (self.datastores.len(), limits.datastores);
            return Err(SelectionError::TooManyDatastores { found, limit });
        }
        Ok(())
    }
}

/// One host of an [`Inventory`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostMounts {
    /// Where it stands. A cluster whose hosts name two sites or more is *stretched*.
    pub site: Option<SiteId>,
    /// What it mounts, and how each mount is.
    pub mounts: BTreeMap<DatastoreId, Mount>,
}

/// How a mount is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mount {
    /// It can be read and written.
    Usable,
    /// Mounted, but out of reach for now: all paths down, or the device permanently lost.
    Lost,
    /// It can be read only.
    ReadOnly,
    /// The agent was asked to stop using it, because it is about to be unmounted (fdm-facts 3.15).
    Leaving,
}

impl Mount {
    /// Whether it makes its datastore one that the host shares with others. An outage does not end that.
    pub(super) const fn shares(self) -> bool {
        match self {
            Self::Usable | Self::Lost => true,
            Self::ReadOnly | Self::Leaving => false,
        }
    }
}
