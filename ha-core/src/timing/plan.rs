mod check;
mod error;
mod failover;
mod table;
mod takeover;

use core::time::Duration;

pub use error::PlanError;
pub use failover::FailoverPlan;
pub use takeover::TakeoverPlan;

use super::TimingConfig;
use crate::Capability;
use crate::takeover::LocksNotShared;

/// The chain that follows from a configuration: when a host's death is known, at the earliest and at the latest.
///
/// Every bound counts from the last network heartbeat that was heard, unless it says otherwise, on the judge's
/// clock, and takes the judge to be on time: a judge that was stopped widens its judgement by its own lateness.
/// Only [`TimingPlan::validate`] computes one; agents refuse a configuration that has none.
///
/// Not part of the plan yet: the response to isolation, and the zombie time Z.
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
    /// When a silent host's virtual machines are taken over.
    pub takeover: TakeoverPlan,
    /// What follows a master's death.
    pub failover: FailoverPlan,
    /// Every set of hosts that hear each other both ways, and whose faults have stopped, has one master that all of
    /// it follow, by then; counted from the end of the last fault. Travel comes on top:
    /// [`TimingPlan::settled_within`].
    pub settled_max: Duration,
}

/// What is known of a silent host's locks, and when.
struct LocksDecide {
    declared_min: Duration,
    declared_max: Duration,
    /// The earliest strong evidence.
    strong_min: Option<Duration>,
    /// The locks of a dead host can be won.
    lock_free: Duration,
    /// Winning a lock is proof enough.
    by_lock_alone: bool,
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
        let strong_min = [by_stream, by_silence].into_iter().flatten().min();
        let min = strong_min.unwrap_or(without).min(without);
        let decide = LocksDecide {
            declared_min: min,
            declared_max: with,
            strong_min,
            // The host may have died up to a period after its last heartbeat.
            lock_free: config.heartbeat_period.saturating_add(capability.lock_free_after),
            by_lock_alone: capability.rating.fences(),
        };
        let takeover = TakeoverPlan::of(&config, &capability, &decide)
            .map_err(|LocksNotShared| PlanError::LocksNotShared)?;
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
            takeover,
            failover: FailoverPlan::of(&config, &takeover, &decide),
            settled_max: settled_max(&config),
        })
    }

    /// [`TimingPlan::settled_max`] on a network where no datagram travels longer than `max_delay`: the last vote
    /// comes in, and the claim that ends the election goes out.
    #[must_use]
    pub fn settled_within(&self, max_delay: Duration) -> Duration {
        self.settled_max.saturating_add(twice(max_delay))
    }
}

/// The master that is out of reach is noticed; the election that follows may still count hosts that are gone, and end
/// without a result; the next one decides (reliability 8.2, T1). A master that has only become deaf is believed for as
/// long as echoes of what it heard last count, and votes take two periods more: where the window is shorter than that,
/// that is what the second one must leave time for.
fn settled_max(config: &TimingConfig) -> Duration {
    let period = config.heartbeat_period;
    let echoes_count = config.suspicion_after.max(period.saturating_mul(3));
    let second = config.election_window.max(echoes_count.saturating_add(twice(period)));
    config.master_lost.saturating_add(config.election_window).saturating_add(second)
}

fn twice(span: Duration) -> Duration {
    span.saturating_mul(2)
}

/// When a lock that comes free at `free` is won by somebody who tries it first between `first` and `last`, and looks
/// again as configured.
fn won_by(config: &TimingConfig, (first, last): (Duration, Duration), free: Duration) -> Duration {
    if free <= first {
        return last;
    }
    let all_fast = free <= first.saturating_add(config.look_again_fast_for);
    let period = if all_fast { config.look_again } else { config.look_again_slow };
    last.max(free.saturating_add(period))
}
