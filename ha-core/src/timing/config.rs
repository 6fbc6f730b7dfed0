use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use alloc::string::String;

use crate::takeover::{DriftPpm, OwnerNumbers};

/// A named set of spans. There is no default: the embedder names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// FDM's own numbers (fdm-facts 2, 3, 7).
    Vsphere,
    /// Sub-second detection, for networks and storage that allow it.
    Swift,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vsphere => "vsphere",
            Self::Swift => "swift",
        })
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        match text {
            "vsphere" => Ok(Self::Vsphere),
            "swift" => Ok(Self::Swift),
            other => Err(UnknownProfile { found: other.chars().take(64).collect() }),
        }
    }
}

/// A text that names no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a timing profile: expected `swift` or `vsphere`")]
pub struct UnknownProfile {
    /// The text that was given, cut to 64 characters.
    pub found: String,
}

/// When pings for strong evidence are sent, and whether such evidence may end a wait early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrongEvidence {
    /// Silence at which the first ping of a round is sent.
    pub ping_after_silence: Duration,
    /// From one ping of a round to the next; a round has three.
    pub ping_spacing: Duration,
    /// From the first ping of a round to its end.
    pub ping_round: Duration,
}

/// What no host of the cluster may exceed below F3, where a takeover waits until the silent owner must have stopped
/// its virtual machines by itself (architecture 8). It counts where the owner's own numbers cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseMaxima {
    /// A host has stopped its virtual machines this long after the last renewal that it knows to be durable.
    pub ttl: Duration,
    /// A host's watchdog resets it at the latest this long after the last pet. `None`: hosts have none, so no wait
    /// is long enough, and an operator or a fence device must confirm. Both profiles have `None`: only who set the
    /// watchdogs up can know.
    pub watchdog: Option<Duration>,
    /// How far the rates of two hosts' clocks may be from true time, each.
    pub clock_drift: DriftPpm,
}

/// Every number of a profile. Each can be set; [`TimingPlan::validate`](super::TimingPlan::validate) says what
/// follows, or which inequality a choice violates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimingConfig {
    /// Between two network heartbeats.
    pub heartbeat_period: Duration,
    /// Between two writes of the own heartbeat file.
    pub datastore_write_period: Duration,
    /// Between two reads of a watched heartbeat file.
    pub datastore_poll: Duration,
    /// After this an operation on storage is overdue.
    pub datastore_io_timeout: Duration,
    /// Silence before suspicion and the watch of a host's heartbeat files.
    pub suspicion_after: Duration,
    /// Silence before a host counts as unreachable (`das.config.fdm.hostTimeout`).
    pub host_timeout: Duration,
    /// The ping window after that (`das.config.fdm.icmpPingTimeout`).
    pub ping_window: Duration,
    /// Pause between ping rounds to a host that stays silent (`das.config.fdm.deadIcmpPingInterval`).
    pub dead_ping_interval: Duration,
    /// Early declaration by strong evidence; `None` keeps FDM's exact times.
    pub strong_evidence: Option<StrongEvidence>,
    /// From one look at a lock found held to the next, for the first `look_again_fast_for`.
    pub look_again: Duration,
    /// How long the fast period holds.
    pub look_again_fast_for: Duration,
    /// From one look to the next after that.
    pub look_again_slow: Duration,
    /// A slave's silence from its master before it starts an election.
    pub master_lost: Duration,
    /// How long an election lasts unless it can end early.
    pub election_window: Duration,
    /// Whether an election ends as soon as every expected member is accounted for.
    pub early_end: bool,
    /// From the isolation of a slave to its declaration.
    pub slave_isolated_after: Duration,
    /// From the isolation of a master to its declaration.
    pub master_isolated_after: Duration,
    /// From that declaration to the response (`fdm.isolationPolicyDelaySec`).
    pub isolation_policy_delay: Duration,
    /// An overdue storage operation costs the right it backs after this.
    pub storage_stall_max: Duration,
    /// How long an order to start stays valid.
    pub order_validity: Duration,
    /// Between two readings of the poweron files (fdm-facts 16.24).
    pub poweron_poll: Duration,
    /// The process watchdog of the host ends an agent that has not ticked for this long.
    pub agent_watchdog: Duration,
    /// What owners of virtual machines promise below F3.
    pub lease: LeaseMaxima,
}

impl TimingConfig {
    /// The numbers of a named profile (architecture 5).
    #[must_use]
    pub const fn profile(profile: Profile) -> Self {
        match profile {
            Profile::Vsphere => Self::VSPHERE,
            Profile::Swift => Self::SWIFT,
        }
    }

    /// These spans with every early end switched off, as in FDM itself (`exact_fdm_timing`).
    ///
    /// A lost master is counted from the first heartbeat that is missed, not from the last that was heard, so that
    /// the election starts at T+10 s of fdm-facts 7.2 and never sooner, whenever within a period the master dies.
    #[must_use]
    pub const fn exact_fdm(self) -> Self {
        let master_lost = self.master_lost.saturating_add(self.heartbeat_period);
        Self { early_end: false, strong_evidence: None, master_lost, ..self }
    }

    /// What is assumed of an owner whose own numbers cannot be read.
    #[must_use]
    pub const fn owner_maxima(&self) -> OwnerNumbers {
        OwnerNumbers {
            ttl: self.lease.ttl,
            watchdog: self.lease.watchdog,
            period: self.datastore_write_period,
            io_timeout: self.datastore_io_timeout,
        }
    }

    const VSPHERE: Self = Self {
        heartbeat_period: Duration::from_secs(1),
        datastore_write_period: Duration::from_secs(5),
        datastore_poll: Duration::from_secs(1),
        datastore_io_timeout: Duration::from_secs(2),
        suspicion_after: Duration::from_secs(3),
        host_timeout: Duration::from_secs(10),
        ping_window: Duration::from_secs(5),
        dead_ping_interval: Duration::from_secs(10),
        strong_evidence: None,
        look_again: Duration::from_secs(10),
        look_again_fast_for: Duration::from_secs(10),
        look_again_slow: Duration::from_secs(10),
        master_lost: Duration::from_secs(10),
        election_window: Duration::from_secs(15),
        early_end: true,
        slave_isolated_after: Duration::from_secs(30),
        master_isolated_after: Duration::from_secs(5),
        isolation_policy_delay: Duration::from_secs(30),
        storage_stall_max: Duration::from_secs(10),
        order_validity: Duration::from_secs(10),
        poweron_poll: Duration::from_secs(30),
        agent_watchdog: Duration::from_secs(20),
        lease: LeaseMaxima {
            ttl: Duration::from_secs(30),
            watchdog: None,
            clock_drift: DriftPpm::KERNEL_MAX,
        },
    };

    const SWIFT: Self = Self {
        heartbeat_period: Duration::from_millis(100),
        datastore_write_period: Duration::from_millis(200),
        datastore_poll: Duration::from_millis(50),
        datastore_io_timeout: Duration::from_millis(100),
        suspicion_after: Duration::from_millis(300),
        host_timeout: Duration::from_millis(500),
        ping_window: Duration::from_millis(300),
        dead_ping_interval: Duration::from_millis(1_000),
        strong_evidence: Some(StrongEvidence {
            ping_after_silence: Duration::from_millis(200),
            ping_spacing: Duration::from_millis(30),
            ping_round: Duration::from_millis(100),
        }),
        look_again: Duration::from_millis(200),
        look_again_fast_for: Duration::from_secs(10),
        look_again_slow: Duration::from_secs(1),
        master_lost: Duration::from_millis(500),
        election_window: Duration::from_millis(500),
        early_end: true,
        slave_isolated_after: Duration::from_millis(1_500),
        master_isolated_after: Duration::from_millis(500),
        isolation_policy_delay: Duration::from_secs(2),
        storage_stall_max: Duration::from_secs(2),
        order_validity: Duration::from_secs(2),
        poweron_poll: Duration::from_secs(1),
        agent_watchdog: Duration::from_secs(20),
        lease: LeaseMaxima { ttl: Duration::from_secs(2), watchdog: None, clock_drift: DriftPpm::KERNEL_MAX },
    };
}
