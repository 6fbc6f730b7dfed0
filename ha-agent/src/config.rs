use core::net::IpAddr;
use core::time::Duration;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use ha_core::options::Options;
use ha_core::timing::PlanError;
use ha_core::wire::{Security, WireConfigError};
use ha_core::{
    Acknowledged, Capability, DatastoreId, HostId, Identity, Limits, Moid, Profile, Rating, TimingConfig,
    TimingPlan,
};

/// One line of the host list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// The host's number, as in its file names.
    pub host: HostId,
    /// Its managed object id, which breaks ties in elections.
    pub moid: Moid,
}

/// One datastore of the cluster. Where it is mounted is the embedder's knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatastoreEntry {
    /// Its number.
    pub datastore: DatastoreId,
    /// What the operator declares of it.
    pub capability: Capability,
    /// Whether hosts write their datastore heartbeats here.
    pub heartbeat: bool,
}

/// Everything an agent is told before it starts. There are no defaults but those of named profiles.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Cluster, host, boot and incarnation. The incarnation must have been raised and made durable before.
    pub identity: Identity,
    /// What an earlier life was asked to store last ([`Output::StoreTerm`](crate::Output::StoreTerm));
    /// [`Acknowledged::NONE`] if there was none. After loss of the local disk too: the terms of owners that are read in
    /// the lists raise the round before anything is written.
    pub acknowledged: Acknowledged,
    /// Every host of the cluster, this one included.
    pub hosts: Vec<HostEntry>,
    /// Every datastore of the cluster.
    pub datastores: Vec<DatastoreEntry>,
    /// How many isolation addresses there are (`das.isolationaddress`), 0 to 11. The embedder knows them.
    pub isolation_addresses: u32,
    /// `fdm.nodeGoodness`: overrides the number of connected datastores in elections.
    pub node_goodness: Option<i64>,
    /// The spans of time, of a named profile or set one by one.
    pub timing: TimingConfig,
    /// How frames are authenticated.
    pub security: Security,
    /// Bounds of every queue and map, and of the sizes of files.
    pub limits: Limits,
    /// The only source of randomness.
    pub seed: u64,
}

/// A setting that no agent can work with: which one, what it is, and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The host list does not name this host.
    #[error("the host list does not name this host, {host}")]
    HostNotListed {
        /// This host.
        host: HostId,
    },
    /// The host list names a host, or a managed object id, twice.
    #[error("the host list names {host} twice, by its number or by its managed object id")]
    HostListedTwice {
        /// The second entry.
        host: HostId,
    },
    /// The host list is longer than the limit.
    #[error("the host list has {found} entries; at most {limit} are accepted")]
    TooManyHosts {
        /// How many it has.
        found: usize,
        /// `Limits::hosts`.
        limit: u32,
    },
    /// There are more datastores than the limit.
    #[error("{found} datastores are configured; at most {limit} are accepted")]
    TooManyDatastores {
        /// How many there are.
        found: usize,
        /// `Limits::datastores`.
        limit: u32,
    },
    /// A datastore is configured twice.
    #[error("{datastore} is configured twice")]
    DatastoreTwice {
        /// The second entry.
        datastore: DatastoreId,
    },
    /// No datastore carries heartbeats, so no host could ever take a role (fdm-facts 1.14).
    #[error("none of the {found} configured datastores carries heartbeats; at least one must")]
    NoHeartbeatDatastore {
        /// How many are configured.
        found: usize,
    },
    /// Below F3 the heartbeat file is the lease that lets virtual machines start there (architecture 8).
    #[error("{datastore} is rated {rating} and carries no heartbeats: below F3 every datastore must")]
    NoLease {
        /// The datastore.
        datastore: DatastoreId,
        /// Its rating.
        rating: Rating,
    },
    /// The timing counts on watchdogs below F3, and this agent neither stops virtual machines when their lease ends
    /// nor pets a watchdog yet: it advertises none, so an operator confirms a host's end there.
    #[error(
        "`lease.watchdog` = {watchdog:?}: this version of the agent keeps no lease below F3, so no watchdog may be \
         counted on; leave it unset"
    )]
    WatchdogNotServed {
        /// The configured time.
        watchdog: Duration,
    },
    /// A full host's inventory would not fit into one control frame.
    #[error("{found} virtual machines per host are too many; at most {limit} are accepted")]
    TooManyVmsPerHost {
        /// `Limits::vms_per_host`.
        found: u32,
        /// The most that fit.
        limit: u32,
    },
    /// There are more isolation addresses than options for them.
    #[error(
        "{found} isolation addresses are configured; at most {} are accepted",
        AgentConfig::MAX_ISOLATION_ADDRESSES
    )]
    TooManyIsolationAddresses {
        /// How many are configured.
        found: u32,
    },
    /// The spans of time contradict one another or the datastore's capability.
    #[error("the timing has no valid plan for {datastore}: {error}")]
    Timing {
        /// The datastore.
        datastore: DatastoreId,
        /// The violated inequality with its numbers.
        error: PlanError,
    },
    /// The frames' guard cannot work with the host list.
    #[error(transparent)]
    Wire(#[from] WireConfigError),
    /// The election cannot work with the host list or the timing.
    #[error(transparent)]
    Election(#[from] ha_election::ConfigError),
    /// The isolation check cannot work with the addresses or the timing.
    #[error(transparent)]
    Isolation(#[from] ha_isolation::ConfigError),
}

impl AgentConfig {
    /// `das.isolationaddress` and `das.isolationaddress0` to `9`.
    pub const MAX_ISOLATION_ADDRESSES: u32 = 11;

    /// So many, with the longest paths, and as many being started, that an inventory fits into a control frame.
    pub const MAX_VMS_PER_HOST: u32 = 1_600;

    /// This configuration with the options that are set: spans of time, limits, goodness, and the number of isolation
    /// addresses. The addresses themselves are [`Options::isolation_addresses`] with the same `gateway`, in the order
    /// of the agent's [`PingTarget::IsolationAddress`](crate::PingTarget).
    ///
    /// A host gives its own options [`over`](Options::over) its cluster's. What an operator should be told of them is
    /// [`Options::findings`].
    #[must_use]
    pub fn with_options(mut self, options: &Options, profile: Profile, gateway: Option<IpAddr>) -> Self {
        self.timing = options.apply_to(profile, self.timing);
        self.limits = options.apply_to_limits(self.limits);
        self.node_goodness = options.node_goodness().or(self.node_goodness);
        let addresses = options.isolation_addresses(gateway).len();
        self.isolation_addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
        self
    }

    /// Checks everything and computes the plan: the one of the weakest heartbeat datastore.
    ///
    /// # Errors
    ///
    /// The first setting that no agent can work with.
    pub fn validate(&self) -> Result<TimingPlan, ConfigError> {
        self.validate_hosts()?;
        let count = self.datastores.len();
        if count > self.limits.datastores as usize {
            return Err(ConfigError::TooManyDatastores { found: count, limit: self.limits.datastores });
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.datastores.iter().find(|entry| !seen.insert(entry.datastore)) {
            return Err(ConfigError::DatastoreTwice { datastore: twice.datastore });
        }
        if self.isolation_addresses > Self::MAX_ISOLATION_ADDRESSES {
            return Err(ConfigError::TooManyIsolationAddresses { found: self.isolation_addresses });
        }
        let lacks_lease = |entry: &&DatastoreEntry| !entry.heartbeat && !entry.capability.rating.fences();
        if let Some(entry) = self.datastores.iter().find(lacks_lease) {
            let DatastoreEntry { datastore, capability, .. } = *entry;
            return Err(ConfigError::NoLease { datastore, rating: capability.rating });
        }
        if let Some(watchdog) = self.timing.lease.watchdog {
            return Err(ConfigError::WatchdogNotServed { watchdog });
        }
        let (found, limit) = (self.limits.vms_per_host, Self::MAX_VMS_PER_HOST);
        if found > limit {
            return Err(ConfigError::TooManyVmsPerHost { found, limit });
        }
        let plan = |entry: &DatastoreEntry| {
            TimingPlan::validate(self.timing, entry.capability)
                .map_err(|error| ConfigError::Timing { datastore: entry.datastore, error })
        };
        for entry in &self.datastores {
            plan(entry)?;
        }
        let weakest = self
            .datastores
            .iter()
            .filter(|entry| entry.heartbeat)
            .min_by_key(|entry| entry.capability.rating)
            .ok_or(ConfigError::NoHeartbeatDatastore { found: count })?;
        plan(weakest)
    }

    fn validate_hosts(&self) -> Result<(), ConfigError> {
        let (found, limit) = (self.hosts.len(), self.limits.hosts);
        if found > limit as usize {
            return Err(ConfigError::TooManyHosts { found, limit });
        }
        let mut seen = BTreeSet::new();
        let mut moids = BTreeSet::new();
        for entry in &self.hosts {
            if !seen.insert(entry.host) || !moids.insert(&entry.moid) {
                return Err(ConfigError::HostListedTwice { host: entry.host });
            }
        }
        let host = self.identity.host;
        if seen.contains(&host) { Ok(()) } else { Err(ConfigError::HostNotListed { host }) }
    }
}
