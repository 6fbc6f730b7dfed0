use crate::{BootId, ClusterId, HostId, Incarnation};

/// Who writes or speaks: one life of one host's agent in one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The host.
    pub host: HostId,
    /// The host's boot.
    pub boot: BootId,
    /// The agent's life.
    pub incarnation: Incarnation,
}
