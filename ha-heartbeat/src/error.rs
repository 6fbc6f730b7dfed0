use ha_core::{BootId, DatastoreId, HostId, Incarnation};

/// The caller's mistake; the monitor is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The completion answers no open request of this monitor: made for another machine, repeated or made up.
    #[error("the completion answers no open request of this monitor")]
    UnknownRequest,
    /// The host is not watched.
    #[error("{host} is not watched")]
    NotWatched {
        /// The host.
        host: HostId,
    },
    /// There is no room for another host.
    #[error("{limit} hosts are watched already")]
    TooManyHosts {
        /// The most that can be watched.
        limit: u32,
    },
    /// More datastores than the cluster may have.
    #[error("{given} heartbeat datastores given, at most {limit} are possible")]
    TooManyDatastores {
        /// How many were given.
        given: usize,
        /// The most that are possible.
        limit: u32,
    },
    /// A datastore rated F0 proves nothing and must not be used.
    #[error("{datastore} is rated F0: its locks are not shared between hosts")]
    LocksNotShared {
        /// The datastore.
        datastore: DatastoreId,
    },
    /// A confirmation names a life other than the last one known, so it has lapsed, or is a mistake.
    #[error("the confirmation is for another life of {host} than the last known, {known:?}")]
    OtherLife {
        /// The host.
        host: HostId,
        /// The last life known; `None` if none ever was.
        known: Option<(BootId, Incarnation)>,
    },
}
