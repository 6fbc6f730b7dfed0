//! Every span of time that the cluster lives by, in two named profiles, and the chain computed from them.

mod config;
mod plan;

pub use config::{LeaseMaxima, Profile, StrongEvidence, TimingConfig, UnknownProfile};
pub use plan::{FailoverPlan, PlanError, TakeoverPlan, TimingPlan};
