use core::time::Duration;

use super::TimingConfig;
use crate::Capability;

/// The chain that follows from a configuration: when things are known, at the earliest and at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimingPlan {
    /// The checked configuration.
    pub config: TimingConfig,
    /// The capability that the plan was made for.
    pub capability: Capability,
    /// From a host's death to its declaration, at the earliest.
    pub declared_min: Duration,
    /// From a host's last heartbeat to its declaration with heartbeat datastores, at the latest.
    pub declared_max: Duration,
}

/// A violated inequality, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A placeholder for the inequalities.
    #[error("{0:?}")]
    Placeholder(Duration),
}

impl TimingPlan {
    /// Computes the chain.
    ///
    /// # Errors
    ///
    /// [`PlanError`] names the violated inequality.
    pub fn validate(config: TimingConfig, capability: Capability) -> Result<Self, PlanError> {
        Ok(Self { config, capability, declared_min: Duration::ZERO, declared_max: Duration::ZERO })
    }
}
