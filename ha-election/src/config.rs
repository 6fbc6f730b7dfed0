use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use ha_core::{Acknowledged, HostId, Limits, Moid, TimingConfig};

/// What an [`Election`](crate::Election) is made from. A new option needs a new machine, a new host list only
/// [`Input::HostList`](crate::Input::HostList).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionConfig {
    /// This host.
    pub me: HostId,
    /// The host list, this host included. Hosts that are not on it have no say.
    pub hosts: Vec<(HostId, Moid)>,
    /// `fdm.nodeGoodness`: replaces the number of connected datastores in this host's rank (fdm-facts 1.11).
    pub node_goodness: Option<i64>,
    /// Whether any isolation address is configured. Without one a host is never isolated (fdm-facts 8.17), so a
    /// master that hears nobody may act.
    pub isolation_address_configured: bool,
    /// The spans of time; the election uses `heartbeat_period`, `suspicion_after`, `master_lost`,
    /// `election_window` and `early_end`.
    pub timing: TimingConfig,
    /// Seed of the jitter between two candidacies.
    pub seed: u64,
    /// What an earlier life of this agent stored last; [`Acknowledged::NONE`] if there was none.
    pub acknowledged: Acknowledged,
}

/// A configuration that no election can be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// This host is not on its own host list.
    #[error("{me} is not on the host list")]
    MeNotListed {
        /// This host.
        me: HostId,
    },
    /// A host or a managed object id stands on the list twice.
    #[error("{host} ({moid}) is on the host list twice, by number or by managed object id")]
    ListedTwice {
        /// The second entry's host.
        host: HostId,
        /// The second entry's managed object id.
        moid: Moid,
    },
    /// The list is longer than any cluster.
    #[error("the host list has {found} hosts: at most {limit} are possible")]
    TooManyHosts {
        /// How many were given.
        found: usize,
        /// How many there may be.
        limit: u32,
    },
    /// A span so short that the machine would fire without end.
    #[error("`{option}` is too short: at least 8 ns are needed")]
    SpanTooShort {
        /// The name of the field in [`TimingConfig`].
        option: &'static str,
    },
}

/// The host list by number, and this host's own managed object id.
pub(crate) type HostList = (BTreeMap<HostId, Moid>, Moid);

impl ElectionConfig {
    /// Checks everything; answers the other hosts, and this host's own id.
    pub(crate) fn check(&self) -> Result<HostList, ConfigError> {
        for (span, option) in [
            (self.timing.heartbeat_period, "heartbeat_period"),
            (self.timing.master_lost, "master_lost"),
            (self.timing.election_window, "election_window"),
        ] {
            // The shortest pause is an eighth of the heartbeat period, and that must not round to nothing.
            if span < Duration::from_nanos(8) {
                return Err(ConfigError::SpanTooShort { option });
            }
        }
        check_hosts(self.me, &self.hosts)
    }
}

/// Checks a host list; answers the other hosts, and `me`'s own id.
pub(crate) fn check_hosts(me: HostId, hosts: &[(HostId, Moid)]) -> Result<HostList, ConfigError> {
    let limit = Limits::DEFAULT.hosts;
    if usize::try_from(limit).is_ok_and(|limit| hosts.len() > limit) {
        return Err(ConfigError::TooManyHosts { found: hosts.len(), limit });
    }
    let mut others = BTreeMap::new();
    let mut moids = BTreeSet::new();
    for (host, moid) in hosts {
        let new_moid = moids.insert(moid);
        if others.insert(*host, moid.clone()).is_some() || !new_moid {
            return Err(ConfigError::ListedTwice { host: *host, moid: moid.clone() });
        }
    }
    let mine = others.remove(&me).ok_or(ConfigError::MeNotListed { me })?;
    Ok((others, mine))
}
