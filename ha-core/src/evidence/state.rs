use core::fmt;

/// The master's verdict on a host (fdm-facts 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostState {
    /// Its network heartbeats arrive.
    Running,
    /// No network heartbeat; its datastore heartbeat moves and its poweron file says isolated.
    Isolated,
    /// No network heartbeat; its datastore heartbeat moves and it does not say that it is isolated.
    Partitioned,
    /// No network heartbeat, no datastore heartbeat, no answer to pings.
    Failed,
    /// No heartbeat of either kind, but the host answers pings.
    AgentDown,
    /// The evidence does not suffice for any of the others. Starts nothing by itself.
    Unknown,
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Isolated => "isolated",
            Self::Partitioned => "partitioned",
            Self::Failed => "failed",
            Self::AgentDown => "agent down",
            Self::Unknown => "unknown",
        })
    }
}
