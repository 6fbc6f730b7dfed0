//! The inequalities. The first violated one is named.

use core::time::Duration;

use super::PlanError;
use crate::takeover::DriftPpm;
use crate::timing::{LeaseMaxima, StrongEvidence, TimingConfig};
use crate::{Capability, Rating};

/// A clock that is wrong by more than a tenth is broken, and no wait should count on it.
const LARGEST_DRIFT: DriftPpm = DriftPpm(100_000);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

pub(super) fn all(config: &TimingConfig, capability: &Capability) -> Result<(), PlanError> {
    if capability.rating == Rating::F0 {
        return Err(PlanError::LocksNotShared);
    }
    spans(config)?;
    network(config)?;
    storage(config)?;
    lease(config, capability)?;
    match config.strong_evidence {
        Some(strong) => pings(config, strong),
        None => Ok(()),
    }
}

fn spans(config: &TimingConfig) -> Result<(), PlanError> {
    let positive = [
        ("heartbeat_period", config.heartbeat_period),
        ("datastore_write_period", config.datastore_write_period),
        ("datastore_poll", config.datastore_poll),
        ("datastore_io_timeout", config.datastore_io_timeout),
        ("suspicion_after", config.suspicion_after),
        ("host_timeout", config.host_timeout),
        ("ping_window", config.ping_window),
        ("dead_ping_interval", config.dead_ping_interval),
        ("look_again", config.look_again),
        ("look_again_slow", config.look_again_slow),
        ("master_lost", config.master_lost),
        ("election_window", config.election_window),
        ("slave_isolated_after", config.slave_isolated_after),
        ("master_isolated_after", config.master_isolated_after),
        ("storage_stall_max", config.storage_stall_max),
        ("order_validity", config.order_validity),
        ("poweron_poll", config.poweron_poll),
        ("agent_watchdog", config.agent_watchdog),
        ("lease.ttl", config.lease.ttl),
    ];
    let watchdog = config.lease.watchdog.map(|span| ("lease.watchdog", span));
    let positive = || positive.iter().copied().chain(watchdog);
    // FDM 5.0 responded to isolation at once, and looking may be slow from the start.
    let any = [
        ("isolation_policy_delay", config.isolation_policy_delay),
        ("look_again_fast_for", config.look_again_fast_for),
    ];
    positive().try_for_each(|(what, span)| above_zero(what, span))?;
    positive().chain(any).try_for_each(|(what, span)| within_a_day(what, span))
}

fn network(config: &TimingConfig) -> Result<(), PlanError> {
    let &TimingConfig { heartbeat_period, suspicion_after, host_timeout, .. } = config;
    let &TimingConfig { ping_window, dead_ping_interval, master_lost, .. } = config;
    if heartbeat_period.saturating_mul(2) > suspicion_after {
        return Err(PlanError::SuspicionTooSoon { heartbeat_period, suspicion_after });
    }
    if suspicion_after >= host_timeout {
        return Err(PlanError::UnreachableBeforeSuspected { suspicion_after, host_timeout });
    }
    if ping_window > dead_ping_interval {
        return Err(PlanError::PingRoundsOverlap { ping_window, dead_ping_interval });
    }
    if suspicion_after > master_lost {
        return Err(PlanError::MasterLostTooSoon { suspicion_after, master_lost });
    }
    Ok(())
}

fn storage(config: &TimingConfig) -> Result<(), PlanError> {
    let &TimingConfig { datastore_poll: poll, datastore_io_timeout: io_timeout, .. } = config;
    let &TimingConfig { datastore_write_period: write_period, storage_stall_max, agent_watchdog, .. } =
        config;
    let &TimingConfig { look_again, look_again_slow, .. } = config;
    if poll > write_period {
        return Err(PlanError::PollTooRare { poll, write_period });
    }
    if io_timeout > write_period {
        return Err(PlanError::IoTimeoutTooLong { io_timeout, write_period });
    }
    if io_timeout >= storage_stall_max {
        return Err(PlanError::StallTooShort { io_timeout, storage_stall_max });
    }
    if storage_stall_max >= agent_watchdog {
        return Err(PlanError::WatchdogTooSoon { storage_stall_max, agent_watchdog });
    }
    if look_again > look_again_slow {
        return Err(PlanError::LookAgainGrowsFaster { look_again, look_again_slow });
    }
    Ok(())
}

/// Only where a lease is kept do its numbers matter.
fn lease(config: &TimingConfig, capability: &Capability) -> Result<(), PlanError> {
    if capability.rating.fences() {
        return Ok(());
    }
    let &TimingConfig { datastore_write_period: write_period, datastore_io_timeout: io_timeout, .. } = config;
    let &TimingConfig { storage_stall_max, lease: LeaseMaxima { ttl, clock_drift, .. }, .. } = config;
    if write_period.saturating_add(io_timeout).saturating_mul(2) > ttl {
        return Err(PlanError::LeaseTooShort { write_period, io_timeout, ttl });
    }
    if storage_stall_max > ttl {
        return Err(PlanError::LeaseEndsInAStall { storage_stall_max, ttl });
    }
    if clock_drift > LARGEST_DRIFT {
        return Err(PlanError::ClocksDriftTooFar { clock_drift, limit: LARGEST_DRIFT });
    }
    Ok(())
}

fn pings(config: &TimingConfig, strong: StrongEvidence) -> Result<(), PlanError> {
    let StrongEvidence { ping_after_silence, ping_spacing, ping_round } = strong;
    let &TimingConfig { heartbeat_period, suspicion_after, look_again, .. } = config;
    let spans = [
        ("ping_after_silence", ping_after_silence),
        ("ping_spacing", ping_spacing),
        ("ping_round", ping_round),
    ];
    for (what, span) in spans {
        above_zero(what, span)?;
        within_a_day(what, span)?;
    }
    if heartbeat_period >= ping_after_silence {
        return Err(PlanError::PingsTooSoon { heartbeat_period, ping_after_silence });
    }
    if ping_after_silence > suspicion_after {
        return Err(PlanError::PingsTooLate { ping_after_silence, suspicion_after });
    }
    if ping_spacing.saturating_mul(2) >= ping_round {
        return Err(PlanError::PingRoundTooShort { ping_spacing, ping_round });
    }
    if ping_round > look_again {
        return Err(PlanError::LookAgainTooSoon { ping_round, look_again });
    }
    Ok(())
}

fn above_zero(what: &'static str, span: Duration) -> Result<(), PlanError> {
    if span.is_zero() { Err(PlanError::Zero { what }) } else { Ok(()) }
}

fn within_a_day(what: &'static str, span: Duration) -> Result<(), PlanError> {
    if span > LONGEST { Err(PlanError::TooLong { what, span }) } else { Ok(()) }
}
