use ha_core::{DatastoreId, HostId};

use super::PerHost;

/// A mistake of the caller: the inventory cannot be chosen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// More hosts than `limits.hosts`.
    #[error("{found} hosts, and at most {limit} are allowed")]
    TooManyHosts {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: u32,
    },
    /// More datastores than `limits.datastores`.
    #[error("{found} datastores, and at most {limit} are allowed")]
    TooManyDatastores {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: u32,
    },
    /// A host mounts what the inventory does not describe.
    #[error("{host} mounts {datastore}, which is not among the inventory's datastores")]
    UnknownDatastore {
        /// The host.
        host: HostId,
        /// What it mounts.
        datastore: DatastoreId,
    },
    /// The hosts stand in more sites than a host may have heartbeat datastores.
    #[error(
        "the hosts stand in {found} sites, and a host has at most {} heartbeat datastores: \
         choose without regard to sites",
        PerHost::MAX
    )]
    TooManySites {
        /// How many there are; at most [`MAX_SITES`](super::SelectionConfig::MAX_SITES) can each have a share.
        found: usize,
    },
}

/// A number of heartbeat datastores that a host cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} heartbeat datastores for a host: expected {} to {}", PerHost::MIN, PerHost::MAX)]
pub struct PerHostOutOfRange {
    /// The number that was given.
    pub found: u32,
}
