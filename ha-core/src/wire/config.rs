use alloc::vec::Vec;
use core::time::Duration;

use super::Security;
use crate::{HostId, Identity};

/// What a [`Wire`](super::Wire) is made of.
#[derive(Clone, Debug)]
pub struct WireConfig {
    /// Who speaks here.
    pub identity: Identity,
    /// The host list, in any order. It may hold this host, which is no peer of itself.
    pub hosts: Vec<HostId>,
    /// How frames are authenticated.
    pub security: Security,
    /// An echo is fresh only if the frame it names was sealed at most this long ago.
    pub echo_fresh: Duration,
    /// The shortest time between two probes to one peer by one channel.
    pub probe_spacing: Duration,
}

/// A host list that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireConfigError {
    /// More hosts than a cluster may have (architecture 4).
    #[error("the host list has {hosts} hosts, at most {most} are possible")]
    TooManyHosts {
        /// How many were given.
        hosts: usize,
        /// How many are possible.
        most: usize,
    },
    /// A host stands in the list twice.
    #[error("{host} stands in the host list twice")]
    DuplicateHost {
        /// The host.
        host: HostId,
    },
}

/// Why a frame was not sealed. No sequence number was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The receiver is not in the host list, or is this host itself.
    #[error("{host} is not a peer of this host")]
    UnknownHost {
        /// The receiver.
        host: HostId,
    },
    /// The payload does not fit the frames of its channel.
    #[error("a payload of {length} bytes is too long, at most {most} fit")]
    TooLong {
        /// The payload's length in bytes.
        length: usize,
        /// The longest payload of the channel, in bytes.
        most: usize,
    },
    /// All 2^64 sequence numbers of this life are used up; only a new incarnation can speak.
    #[error("no sequence number is left in this life of the agent")]
    Exhausted,
}
