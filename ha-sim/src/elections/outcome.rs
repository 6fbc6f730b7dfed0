use core::time::Duration;

use ha_core::timing::PlanError;
use ha_core::wire::WireConfigError;
use ha_election::ConfigError;

use super::Counts;
use crate::Violation;

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first invariant that was broken, on the scenario's own time.
    pub violation: Option<Violation>,
    /// How long after the end of the faults all groups had settled for good. `None`: not within the bound.
    pub settled_after: Option<Duration>,
    /// The bound on it.
    pub bound: Duration,
    /// Equal for equal runs: everything that hosts sent and became, and when.
    pub trace_hash: u64,
    /// The datagrams.
    pub counts: Counts,
    /// How many datagrams an intruder has injected.
    pub intrusions: u64,
}

/// A scenario that no host can start in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its election has no configuration.
    #[error(transparent)]
    Election(#[from] ConfigError),
    /// Its wire has none.
    #[error(transparent)]
    Wire(#[from] WireConfigError),
    /// Its pace has no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A host's name is no managed object id.
    #[error("a host's name is no managed object id")]
    HostName,
}
