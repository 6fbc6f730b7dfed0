use core::time::Duration;

use ha_core::Counter;

/// What a [`HostMonitor`](crate::HostMonitor) counts. Nothing is decided by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The longest that the monitor was called after its own deadline.
    pub late_max: Duration,
    /// How often it was so late that it widened its judgement.
    pub widened: Counter,
    /// Frames of a life of a host that is older than the last one known, or contradicts it; ignored.
    pub old_lives: Counter,
    /// Evidence from a datastore that is none of the host's; ignored.
    pub foreign_evidence: Counter,
    /// Answers to requests that no longer mattered.
    pub superseded: Counter,
    /// Ping rounds put off because too many earlier pings of the host are not completed.
    pub rounds_withheld: Counter,
    /// Ping rounds given up because the embedder completed their pings far too late.
    pub rounds_abandoned: Counter,
}
