use core::time::Duration;

use crate::takeover::DriftPpm;

/// Why a configuration has no valid plan: the violated inequality, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A span that something is done in, or after, is zero.
    #[error("`{what}` must be greater than zero")]
    Zero {
        /// The name of the number.
        what: &'static str,
    },
    /// A span is longer than a day, so a mistake; also what keeps every sum far from overflow.
    #[error("`{what}` = {span:?} must be at most one day")]
    TooLong {
        /// The name of the number.
        what: &'static str,
        /// Its value.
        span: Duration,
    },
    /// The storage's locks are not shared between hosts; nothing can be protected there.
    #[error("the datastore is rated F0: its locks are not shared between hosts, so it cannot be used")]
    LocksNotShared,
    /// One late heartbeat would already be suspicion.
    #[error(
        "2 x heartbeat_period = 2 x {heartbeat_period:?} must be at most suspicion_after = {suspicion_after:?}"
    )]
    SuspicionTooSoon {
        /// Between two network heartbeats.
        heartbeat_period: Duration,
        /// Silence before suspicion.
        suspicion_after: Duration,
    },
    /// A host would be unreachable before it is suspected.
    #[error("suspicion_after = {suspicion_after:?} must be less than host_timeout = {host_timeout:?}")]
    UnreachableBeforeSuspected {
        /// Silence before suspicion.
        suspicion_after: Duration,
        /// Silence before unreachable.
        host_timeout: Duration,
    },
    /// A new ping round would be due while the last one still runs.
    #[error("ping_window = {ping_window:?} must be at most dead_ping_interval = {dead_ping_interval:?}")]
    PingRoundsOverlap {
        /// How long one round lasts.
        ping_window: Duration,
        /// From one round to the next.
        dead_ping_interval: Duration,
    },
    /// Reads would be rarer than writes, so "unchanged" would take longer than the plan says.
    #[error("datastore_poll = {poll:?} must be at most datastore_write_period = {write_period:?}")]
    PollTooRare {
        /// Between two reads.
        poll: Duration,
        /// Between two writes.
        write_period: Duration,
    },
    /// A write would be overdue only after the next one is due.
    #[error(
        "datastore_io_timeout = {io_timeout:?} must be at most datastore_write_period = {write_period:?}"
    )]
    IoTimeoutTooLong {
        /// After this an operation is overdue.
        io_timeout: Duration,
        /// Between two writes.
        write_period: Duration,
    },
    /// An overdue operation would cost its right before it can be called overdue.
    #[error(
        "datastore_io_timeout = {io_timeout:?} must be less than storage_stall_max = {storage_stall_max:?}"
    )]
    StallTooShort {
        /// After this an operation is overdue.
        io_timeout: Duration,
        /// After this it costs the right.
        storage_stall_max: Duration,
    },
    /// A slow disk would end the agent, and free all of its locks, before it costs the one right it backs.
    #[error(
        "storage_stall_max = {storage_stall_max:?} must be less than agent_watchdog = {agent_watchdog:?}"
    )]
    WatchdogTooSoon {
        /// An overdue operation costs its right after this.
        storage_stall_max: Duration,
        /// The watchdog's time.
        agent_watchdog: Duration,
    },
    /// An election would start before the master is even suspected.
    #[error("suspicion_after = {suspicion_after:?} must be at most master_lost = {master_lost:?}")]
    MasterLostTooSoon {
        /// Silence before suspicion.
        suspicion_after: Duration,
        /// Silence before an election.
        master_lost: Duration,
    },
    /// Looking would become faster with time.
    #[error("look_again = {look_again:?} must be at most look_again_slow = {look_again_slow:?}")]
    LookAgainGrowsFaster {
        /// The fast period.
        look_again: Duration,
        /// The slow period.
        look_again_slow: Duration,
    },
    /// Every host would be pinged between any two of its heartbeats.
    #[error(
        "heartbeat_period = {heartbeat_period:?} must be less than ping_after_silence = {ping_after_silence:?}"
    )]
    PingsTooSoon {
        /// Between two network heartbeats.
        heartbeat_period: Duration,
        /// Silence at the first ping.
        ping_after_silence: Duration,
    },
    /// The pings for strong evidence would begin after suspicion, which they are to confirm.
    #[error(
        "ping_after_silence = {ping_after_silence:?} must be at most suspicion_after = {suspicion_after:?}"
    )]
    PingsTooLate {
        /// Silence at the first ping.
        ping_after_silence: Duration,
        /// Silence before suspicion.
        suspicion_after: Duration,
    },
    /// The third ping of a round would have no time to be answered.
    #[error("2 x ping_spacing = 2 x {ping_spacing:?} must be less than ping_round = {ping_round:?}")]
    PingRoundTooShort {
        /// From one ping to the next.
        ping_spacing: Duration,
        /// From the first ping to the round's end.
        ping_round: Duration,
    },
    /// A lock would be looked at again before the fresh ping round that must come first can end.
    #[error("ping_round = {ping_round:?} must be at most look_again = {look_again:?}")]
    LookAgainTooSoon {
        /// From the first ping to the round's end.
        ping_round: Duration,
        /// From one look to the next.
        look_again: Duration,
    },
    /// Below F3: one renewal that is late would already stop virtual machines.
    #[error(
        "2 x (datastore_write_period + datastore_io_timeout) = 2 x ({write_period:?} + {io_timeout:?}) must be at \
         most lease.ttl = {ttl:?}, below F3"
    )]
    LeaseTooShort {
        /// Between two renewals.
        write_period: Duration,
        /// After this a renewal is overdue.
        io_timeout: Duration,
        /// When virtual machines have been stopped.
        ttl: Duration,
    },
    /// Below F3: virtual machines would be stopped before the stalled renewal even counts as lost.
    #[error("storage_stall_max = {storage_stall_max:?} must be at most lease.ttl = {ttl:?}, below F3")]
    LeaseEndsInAStall {
        /// An overdue operation costs its right after this.
        storage_stall_max: Duration,
        /// When virtual machines have been stopped.
        ttl: Duration,
    },
    /// Below F3: no wait on one host says anything about time on another.
    #[error("lease.clock_drift = {} ppm must be at most {} ppm, below F3", .clock_drift.0, .limit.0)]
    ClocksDriftTooFar {
        /// The configured bound on clock rates.
        clock_drift: DriftPpm,
        /// The most that is accepted.
        limit: DriftPpm,
    },
}
