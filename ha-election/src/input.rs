use alloc::vec::Vec;

use ha_core::{Acknowledged, HostId, Instant, Moid, Round};

use crate::{ConfigError, Message};

/// Everything that can happen to an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// An authentic message arrived. Whatever is in it, this is never rejected.
    Receive {
        /// The authenticated sender.
        from: HostId,
        /// What it says.
        message: Message,
        /// When we sent the frame that this one echoes, if it echoes a recent frame of this agent's life. The
        /// link then works both ways.
        echoes: Option<Instant>,
        /// The round in the frame's header: the highest that the sender knows.
        known_round: Option<Round>,
    },
    /// Any other authentic frame that echoes a recent one of ours, such as a slave's heartbeat to its master.
    Contact {
        /// The authenticated sender.
        from: HostId,
        /// When we sent the frame that this one echoes.
        echoes: Instant,
        /// The round in the frame's header.
        known_round: Option<Round>,
    },
    /// What makes this host eligible, and its rank. Without this input the machine takes no part.
    Standing {
        /// Datastores that are connected now. With none, the host takes no role (fdm-facts 1.14).
        connected_datastores: u32,
        /// Not in maintenance or standby, and the hypervisor's service answers (fdm-facts 1.12, 1.13).
        eligible: bool,
    },
    /// This host need not be waited for: the own monitor has strong evidence of its end, or it is known to take
    /// no part. If it is the master, an election starts at once. Any echoed message of it revokes this.
    HostDead {
        /// The host.
        host: HostId,
    },
    /// Revokes [`Input::HostDead`].
    HostAlive {
        /// The host.
        host: HostId,
    },
    /// An isolation address has answered a ping.
    AddressAnswered {
        /// When that ping was sent.
        asked: Instant,
    },
    /// This host's own declaration of isolation. It silences claims, never candidacies and probes.
    Isolated {
        /// Whether it is isolated.
        isolated: bool,
    },
    /// A round was read in a list on a datastore. A master must be above it.
    RoundSeen {
        /// The round.
        round: Round,
    },
    /// What the last [`Output::StoreTerm`](crate::Output::StoreTerm) asked for is durable.
    TermStored {
        /// As it was asked for.
        acknowledged: Acknowledged,
    },
    /// The host list is this one now; reigns and elections go on, with those that are on both. A host whose id is another
    /// one now is a new host. The wire must know the list too (`Wire::set_hosts`). A host that leaves the cluster itself
    /// is first told that it is no longer eligible.
    HostList {
        /// Every host of the cluster, this one included.
        hosts: Vec<(HostId, Moid)>,
    },
    /// How many datastores' lists this host owns, for claims.
    ListsOwned {
        /// How many.
        count: u32,
    },
    /// The host was suspended, or its agent stopped, for a time that nobody knows the events of. Every right and
    /// all evidence are dropped, and an election begins.
    Resumed,
}

/// The caller's mistake. The machine is as it was before the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The input names a host that is not another host of the host list.
    #[error("{host} is not another host of the host list")]
    UnknownHost {
        /// The host.
        host: HostId,
    },
    /// The host list is none.
    #[error(transparent)]
    HostList(#[from] ConfigError),
    /// The input answers a request that was not made, or that has been answered.
    #[error("storing {acknowledged} was not asked for, or has been answered")]
    NotAskedToStore {
        /// What was said to be durable.
        acknowledged: Acknowledged,
    },
}
