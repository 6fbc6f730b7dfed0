//! What is to happen in a run, as plain data.

mod generate;
mod timeline;

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use ha_core::timing::PlanError;
use ha_core::{Capability, HostId, Profile, TimingConfig, TimingPlan};

use crate::noise::Noise;

/// One run: a cluster, its network, and the faults that come and go.
///
/// Nothing else goes into a run but the code under test, so a scenario reproduces one; it also survives changes of
/// the generator, which a seed does not. Hosts are numbered from 1, times count from the start.
///
/// A run has two parts. Until [`Scenario::calm_at`] anything may happen, and only safety is asked for. Then the
/// faults stop as [`Scenario::ending`] says, and every group of hosts there must settle in time and stay settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The key of every random choice in the run.
    pub seed: u64,
    /// How many hosts there are.
    pub hosts: u32,
    /// The spans of time of every host.
    pub pace: Pace,
    /// How many datastores each host is connected to, in the order of the hosts; one more decides elections.
    pub datastores: Vec<u32>,
    /// Whether an isolation address is configured.
    pub isolation_address: bool,
    /// Whether hosts monitor their master, so that strong evidence of its end starts an election at once. Only a pace
    /// that knows strong evidence has any.
    pub strong_evidence: bool,
    /// How long a host takes to make a round durable. What is on its way when it crashes is lost.
    pub store_takes: Duration,
    /// What links do until the end, and after it to whoever is outside all groups.
    pub noise: Noise,
    /// What links do after that, within a group.
    pub calm: Noise,
    /// What goes wrong, and for how long. Every fault is over by `calm_at`.
    pub faults: Vec<Fault>,
    /// When the faults stop.
    pub calm_at: Duration,
    /// What stays broken then, and who must settle all the same.
    pub ending: Ending,
}

/// Which spans of time the hosts keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pace {
    /// The profile `swift`.
    Swift,
    /// The profile `vsphere`.
    Vsphere,
    /// The profile `vsphere` with every early end switched off.
    ExactFdm,
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it begins.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What it is.
    pub what: Trouble,
}

/// What can go wrong. Troubles of one kind on one host or link add up: it recovers when the last one is over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// These links, sender first, carry nothing (F-NW-2, F-NW-3, F-NW-6).
    Cut(Vec<(HostId, HostId)>),
    /// The host has crashed. It starts again with what it had stored, in a new life (F-PR-2, F-PR-4).
    Down(HostId),
    /// The agent is stopped as by SIGSTOP; what arrives waits (F-PR-1).
    Stopped(HostId),
    /// The host is suspended; what arrives is lost, and it learns afterwards that it was (F-TM-4).
    Suspended(HostId),
    /// No isolation address answers the host (F-NW-5).
    AddressLost(HostId),
    /// The host is in maintenance.
    Unfit(HostId),
    /// The host owns this many datastores' lists, which counts when two masters meet.
    OwnsLists(HostId, u32),
}

/// What holds for ever after the faults have stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Each of these groups must have one master that all of it follow. Within a group all links work.
    pub groups: Vec<Vec<HostId>>,
    /// Links that stay cut.
    pub cut: Vec<(HostId, HostId)>,
    /// Hosts that crash at this moment and stay down.
    pub dead: Vec<HostId>,
}

impl Scenario {
    /// A cluster of equal hosts to which nothing happens, all started at once.
    #[must_use]
    pub fn quiet(hosts: u32, seed: u64, pace: Pace) -> Self {
        let calm = Noise::calm(Duration::from_micros(100), Duration::from_micros(50));
        Self {
            seed,
            hosts,
            pace,
            datastores: (0..hosts).map(|_| 2).collect(),
            isolation_address: true,
            strong_evidence: false,
            store_takes: Duration::ZERO,
            noise: calm.clone(),
            calm,
            faults: Vec::new(),
            calm_at: Duration::ZERO,
            ending: Ending { groups: alloc::vec![all_hosts(hosts)], ..Ending::default() },
        }
    }

    /// By how long after `calm_at` every group must have settled: T1 of L1 and L6 (reliability 8.2).
    ///
    /// # Errors
    ///
    /// [`PlanError`] if the pace has no valid plan.
    pub fn settled_within(&self) -> Result<Duration, PlanError> {
        let plan = TimingPlan::validate(self.pace.timing(), Capability::SAME_KERNEL)?;
        Ok(plan.settled_within(self.calm.max_delay()))
    }
}

impl Ending {
    /// Whether some hosts need not settle, and live all the same.
    pub(crate) fn has_outsiders(&self, hosts: u32) -> bool {
        let known = self.groups.iter().map(Vec::len).sum::<usize>() + self.dead.len();
        usize::try_from(hosts).is_ok_and(|hosts| known < hosts)
    }
}

impl Pace {
    /// Every pace.
    pub const ALL: [Self; 3] = [Self::Swift, Self::Vsphere, Self::ExactFdm];

    /// Its spans of time.
    #[must_use]
    pub const fn timing(self) -> TimingConfig {
        match self {
            Self::Swift => TimingConfig::profile(Profile::Swift),
            Self::Vsphere => TimingConfig::profile(Profile::Vsphere),
            Self::ExactFdm => TimingConfig::profile(Profile::Vsphere).exact_fdm(),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Swift => "swift",
            Self::Vsphere => "vsphere",
            Self::ExactFdm => "exact",
        })
    }
}

impl FromStr for Pace {
    type Err = UnknownPace;

    fn from_str(text: &str) -> Result<Self, UnknownPace> {
        match text {
            "swift" => Ok(Self::Swift),
            "vsphere" => Ok(Self::Vsphere),
            "exact" => Ok(Self::ExactFdm),
            _ => Err(UnknownPace),
        }
    }
}

/// A text that names no pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPace;

impl fmt::Display for UnknownPace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected `swift`, `vsphere` or `exact`")
    }
}

impl core::error::Error for UnknownPace {}

/// Hosts 1 to `hosts`.
pub(crate) fn all_hosts(hosts: u32) -> Vec<HostId> {
    (1..=hosts).map(HostId::new).collect()
}
