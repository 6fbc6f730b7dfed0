use core::fmt;

use ha_core::{DatastoreId, HostId};

use super::config::IGNORE_INSUFFICIENT;
use super::{Backing, SiteId, Unfit};

/// What an operator should know of a choice. A configuration issue each, never a reason not to protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// The user's list is empty, so no host has heartbeat datastores.
    Disabled,
    /// The user's list names a datastore that is gone (`UserHeartbeatDatastoreRemoved`, fdm-facts 3.13).
    UserDatastoreRemoved {
        /// The datastore.
        datastore: DatastoreId,
    },
    /// The user's list names a datastore that can serve no host.
    UserDatastoreUnfit {
        /// The datastore.
        datastore: DatastoreId,
        /// Why it cannot.
        why: Unfit,
    },
    /// A host has fewer than it should (`HeartbeatDatastoreNotSufficient`, fdm-facts 3.13, 3.14).
    NotSufficient {
        /// The host.
        host: HostId,
        /// How many it has that it can use.
        usable: usize,
        /// `das.heartbeatDsPerHost`.
        required: usize,
    },
    /// A host of a stretched cluster has fewer in one site than it should.
    SiteNotSufficient {
        /// The host.
        host: HostId,
        /// The site.
        site: SiteId,
        /// How many it has there that it can use.
        usable: usize,
        /// How many it should have there.
        required: usize,
    },
    /// A host has several, and all are lost together.
    OneBacking {
        /// The host.
        host: HostId,
        /// What they stand on.
        backing: Backing,
    },
}

impl Warning {
    /// The option that silences it, if there is one.
    #[must_use]
    pub const fn silenced_by(&self) -> Option<&'static str> {
        match self {
            Self::NotSufficient { .. } | Self::SiteNotSufficient { .. } => Some(IGNORE_INSUFFICIENT),
            Self::Disabled
            | Self::UserDatastoreRemoved { .. }
            | Self::UserDatastoreUnfit { .. }
            | Self::OneBacking { .. } => None,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("the list of heartbeat datastores is empty: there are none"),
            Self::UserDatastoreRemoved { datastore } => {
                write!(f, "{datastore} is listed as a heartbeat datastore, and is gone")
            }
            Self::UserDatastoreUnfit { datastore, why } => {
                write!(f, "{datastore} is listed as a heartbeat datastore, and cannot be one: {why}")
            }
            Self::NotSufficient { host, usable, required } => {
                write!(f, "{host} has {usable} usable heartbeat datastores, which is less than {required}")
            }
            Self::SiteNotSufficient { host, site, usable, required } => write!(
                f,
                "{host} has {usable} usable heartbeat datastores in {site}, which is less than {required}"
            ),
            Self::OneBacking { host, backing } => {
                write!(f, "all heartbeat datastores of {host} stand on {backing} and are lost together")
            }
        }?;
        self.silenced_by().map_or(Ok(()), |option| write!(f, " (silenced by {option} = true)"))
    }
}
