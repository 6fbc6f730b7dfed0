mod check;
mod error;
mod table;

use core::time::Duration;

pub use error::PlanError;

use super::TimingConfig;
use crate::Capability;

/// The chain that follows from a configuration: when a host's death is known, at the earliest and at the latest.
///
/// Every bound counts from the last network heartbeat that was heard, unless it says otherwise, on the judge's
/// clock, and takes the judge to be on time: a judge that was stopped widens its judgement by its own lateness.
/// Only [`TimingPlan::validate`] computes one; agents refuse a configuration that has none.
///
/// Not part of the plan yet: the takeover wait (see [`takeover`](crate::takeover), which needs the owner's
/// numbers), isolation, and the zombie time Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimingPlan {
    /// The checked configuration.
    pub config: TimingConfig,
    /// The capability that the plan was made for.
    pub capability: Capability,
    /// Suspicion by silence. A broken stream starts it at once.
    pub suspected_max: Duration,
    /// Strong declaration from the **break of the control stream**, at the earliest. `None` if the configuration
    /// or the capability allows no strong evidence.
    pub declared_strong_by_stream: Option<Duration>,
    /// Strong declaration by silence, at the earliest. `None` as above.
    pub declared_strong_by_silence: Option<Duration>,
    /// How long a heartbeat file must stand still before that counts: 2 x (the writer's period + its I/O timeout).
    pub still_after: Duration,
    /// Declaration by time alone, with heartbeat datastores (fdm-facts 7.1: T+18 s).
    pub declared_weak_with_datastores: Duration,
    /// Declaration by time alone, without heartbeat datastores (fdm-facts 7.1: T+15 s).
    pub declared_weak_without: Duration,
    /// No host is declared dead sooner than this after its last heartbeat, or after the break of its stream.
    pub declared_min: Duration,
    /// A dead host with readable heartbeat datastores is declared by then, evidence arriving on time.
    pub declared_max: Duration,
    /// A host that has been `Unknown` or `AgentDown` this long **after suspicion began** lets each virtual
    /// machine's lock decide, on F3 or same kernel (architecture 6).
    pub lock_decides_after: Duration,
    /// The end of the first election after a master's death (fdm-facts 7.2: T+25 s); repeated elections add
    /// their windows.
    pub master_replaced: Duration,
}

impl TimingPlan {
    /// Computes the chain.
    ///
    /// # Errors
    ///
    /// [`PlanError`] names the violated inequality, with its numbers.
    pub fn validate(config: TimingConfig, capability: Capability) -> Result<Self, PlanError> {
        check::all(&config, &capability)?;
        let still_after = twice(config.datastore_write_period.saturating_add(config.datastore_io_timeout));
        let without = config.host_timeout.saturating_add(config.ping_window);
        let watched =
            config.suspicion_after.saturating_add(still_after).saturating_add(config.datastore_poll);
        let with = without.max(watched);
        let looks = capability.rating.fences() && capability.looking_is_safe;
        let strong = config.strong_evidence.filter(|_| looks);
        let by_stream = strong.map(|strong| strong.ping_round);
        let by_silence = strong
            .map(|strong| strong.ping_after_silence.saturating_add(strong.ping_round))
            .map(|round_ends| round_ends.max(config.suspicion_after));
        let min = [by_stream, by_silence].into_iter().flatten().fold(without, Duration::min);
        Ok(Self {
            config,
            capability,
            suspected_max: config.suspicion_after,
            declared_strong_by_stream: by_stream,
            declared_strong_by_silence: by_silence,
            still_after,
            declared_weak_with_datastores: with,
            declared_weak_without: without,
            declared_min: min,
            declared_max: with,
            lock_decides_after: with,
            master_replaced: config.master_lost.saturating_add(config.election_window),
        })
    }
}

fn twice(span: Duration) -> Duration {
    span.saturating_mul(2)
}
