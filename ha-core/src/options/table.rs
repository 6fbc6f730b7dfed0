use core::time::Duration;

use super::spec::{DefaultValue, Effect, Kind, Layer, Numbered, OptionSpec, Unit};

const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEKS: Duration = Duration::from_secs(4 * 7 * 24 * 3600);
const SECONDS: Kind = Kind::Seconds { min: Duration::ZERO, max: DAY };
/// Of what is done in, or after, such a span: a plan needs more than nothing.
const POSITIVE_SECONDS: Kind = Kind::Seconds { min: Duration::from_millis(1), max: DAY };
const MILLISECONDS: Kind = Kind::Milliseconds { min: Duration::ZERO, max: DAY };
const MEGAHERTZ: Kind = Kind::Whole { unit: Unit::Megahertz, min: 0, max: u32::MAX as u64 };
const MEGABYTES: Kind = Kind::Whole { unit: Unit::Megabytes, min: 0, max: u32::MAX as u64 };
const COUNT: Kind = count(0, u32::MAX as u64);

const RESTART_PRIORITIES: [&str; 7] =
    ["clusterRestartPriority", "disabled", "lowest", "low", "medium", "high", "highest"];
const ISOLATION_RESPONSES: [&str; 4] = ["clusterIsolationResponse", "none", "powerOff", "shutdown"];

const VCENTER_DECIDES: &str = "it steers vCenter itself, and whatever manages the cluster here decides that";
const AAM_ONLY: &str = "it steered AAM, the agent before 5.0; FDM does not read it";
const NO_FAULT_TOLERANCE: &str = "there are no fault tolerant pairs here";
const NO_LOG: &str = "the library writes no log; whoever embeds it does";
const NO_EVENT_CACHE: &str = "events are handed over at once and not kept";
const EMBEDDER_NETWORKS: &str = "whoever embeds the library brings the sockets, and so chooses the networks";

/// Every option that is known, by subject as in fdm-facts 15. `OPTIONS.md` is this table for people.
///
/// A default is FDM's where the option is not used here. Where no source names a range, it is what the type and
/// common sense allow: spans of up to a day, counts of up to 32 bits.
pub const OPTIONS: &[OptionSpec] = &[
    cluster("das.isolationaddress", Kind::Address).numbered(Numbered::BareAndTo { last: 10 }).used(
        "pinged, besides the gateway, to learn whether a host is cut off; FDM counts 0-9, AAM 1-10",
        "8.6",
    ),
    cluster("das.usedefaultisolationaddress", Kind::Bool)
        .default("true")
        .used("ping the management network's default gateway too", "8.5"),
    cluster("das.isolationshutdowntimeout", SECONDS)
        .default("300")
        .planned("a guest that has not shut down by then is powered off", "9.4"),
    cluster("fdm.isolationPolicyDelaySec", SECONDS)
        .per_profile("30", "2")
        .used("from declared isolation to `ResponseDue`; under vsphere less than 30 counts as 30", "7.4"),
    host("fdm.nodeGoodness", count(1, i64::MAX as u64))
        .used("replaces the number of connected datastores in this host's rank; never cluster-wide", "1.11"),
    // Who is alive.
    cluster("das.config.fdm.hostTimeout", POSITIVE_SECONDS)
        .per_profile("10", "0.5")
        .used("silence on the network before a host counts as unreachable", "7.1"),
    cluster("das.config.fdm.icmpPingTimeout", POSITIVE_SECONDS)
        .per_profile("5", "0.3")
        .used("how long pings to an unreachable host may be answered", "7.1"),
    cluster("das.config.fdm.deadIcmpPingInterval", POSITIVE_SECONDS)
        .per_profile("10", "1")
        .used("from one round of pings to a silent host to the next", "7.1"),
    cluster("das.config.fdm.policy.unknownStateMonitorPeriod", SECONDS)
        .default("10")
        .planned("from a virtual machine seen failed to its restart", "7.5"),
    // Datastores and networks.
    cluster("das.heartbeatDsPerHost", count(2, 5))
        .default("2")
        .planned("how many heartbeat datastores are chosen for a host", "3.1"),
    cluster("das.ignoreInsufficientHbDatastore", Kind::Bool)
        .default("false")
        .planned("do not warn of too few heartbeat datastores", "3.14"),
    cluster("das.ignoreRedundantNetWarning", Kind::Bool)
        .default("false")
        .planned("do not warn of a single management network", "15"),
    cluster("das.allowNetwork", Kind::Text).numbered(Numbered::To { last: 9 }).without_effect(
        EMBEDDER_NETWORKS,
        "the port groups that HA may use; all if none is named",
        "15",
    ),
    cluster("das.bypassNetCompatCheck", Kind::Bool).default("false").without_effect(
        EMBEDDER_NETWORKS,
        "skip the check of subnets of 4.1 and before",
        "15",
    ),
    // Restart.
    cluster("das.perHostConcurrentFailoversLimit", count(1, 1_024))
        .default("32")
        .used("restarts that one host carries out at once", "11.10"),
    cluster("das.maxvmrestartcount", count(1, u32::MAX as u64))
        .default("5")
        .planned("starts, the first included, before a restart is given up; so far none is", "11.7"),
    cluster("das.maskCleanShutdownEnabled", Kind::Bool)
        .planned("take a machine that is off and inaccessible for one not shut down cleanly", "13.1"),
    cluster("das.respectVmVmAntiAffinityRules", Kind::Bool)
        .default("false")
        .planned("rather leave a machine down than break a VM-VM anti-affinity rule", "11.16"),
    cluster("das.respectVmHostSoftAffinityRules", Kind::Bool)
        .default("false")
        .planned("try the hosts of a \"should\" rule first", "11.15"),
    cluster("das.restartVmsWithoutResourceChecks", Kind::Bool)
        .default("false")
        .planned("place without regard to reservations", "15"),
    cluster("das.reregisterRestartDisabledVMs", Kind::Bool)
        .planned("register machines with restart disabled on another host, without a start", "11.20"),
    cluster("das.config.fdm.reportFailoverFailEvent", Kind::Bool)
        .default("false")
        .planned("an event per machine whose restart failed", "15"),
    cluster("das.config.fdm.storageVmotionCleanupTimeout", SECONDS).default("900").without_effect(
        "it is for hosts before 5.0",
        "how long a restart waits for Storage vMotion",
        "11.21",
    ),
    vm("restartPriority", Kind::Choice(&RESTART_PRIORITIES))
        .default("clusterRestartPriority")
        .planned("who is restarted first; a cluster's own default is medium", "11.2"),
    vm("readyCondition", Kind::Choice(&["none", "poweredOn", "guestHbStatusGreen", "appHbStatusGreen"]))
        .default("none")
        .planned("what must be so of a machine before the next priority is started", "11.5"),
    vm("postReadyDelay", SECONDS).default("0").planned("and how long after that", "11.5"),
    vm("restartPriorityTimeout", SECONDS)
        .default("600")
        .planned("the next priority is started after this in any case; unused with `none`", "11.5"),
    // Isolation.
    vm("isolationResponse", Kind::Choice(&ISOLATION_RESPONSES))
        .default("clusterIsolationResponse")
        .planned("what an isolated host does with it; so far every machine is left powered on", "9.1"),
    // Admission control.
    cluster("das.slotcpuinmhz", MEGAHERTZ).planned("the most CPU that a slot may have", "12.1"),
    cluster("das.slotmeminmb", MEGABYTES).planned("the most memory that a slot may have", "12.1"),
    cluster("das.vmcpuminmhz", MEGAHERTZ)
        .default("32")
        .planned("CPU that a machine without a reservation counts for", "12.1"),
    cluster("das.vmmemoryminmb", MEGABYTES)
        .default("0")
        .planned("memory that a machine without a reservation counts for", "12.1"),
    // Guest monitoring.
    cluster("das.iostatsinterval", SECONDS).default("120").planned(
        "a guest's input and output must be silent this long before a reset; 0: no such check",
        "13.2",
    ),
    cluster("das.vmFailoverEnabled", Kind::Bool).planned("monitor guests (old key)", "13.2"),
    cluster("das.failureInterval", SECONDS)
        .default("30")
        .planned("silence of a guest before it counts as failed (old key)", "13.2"),
    cluster("das.minUptime", SECONDS)
        .default("120")
        .planned("from a machine's start to the begin of its monitoring (old key)", "13.2"),
    cluster("das.maxFailures", COUNT).default("3").planned("resets within the window (old key)", "13.2"),
    cluster("das.maxFailureWindow", Kind::Seconds { min: Duration::ZERO, max: WEEKS })
        .default("3600")
        .planned("the window in which resets are counted (old key)", "13.2"),
    // Loss of storage.
    host("Misc.APDTimeout", SECONDS).default("140").planned("from all paths down to declared so", "13.1"),
    cluster("das.maxresets", COUNT).planned("tries to reset a machine after its storage came back", "13.1"),
    cluster("das.resetretryintervalsec", SECONDS).planned("from one such try to the next", "13.1"),
    cluster("das.maxterminates", COUNT).planned("tries to end a machine that lost its storage", "13.1"),
    cluster("das.terminateretryintervalsec", SECONDS).planned("from one such try to the next", "13.1"),
    host("Disk.AutoremoveOnPDL", Kind::Bool).default("true").without_effect(
        "it steers ESXi's own storage stack",
        "remove a device that is gone for ever",
        "15",
    ),
    host("VSAN.AutoTerminateGhostVm", Kind::Bool).default("true").without_effect(
        "there is no vSAN here",
        "vSAN ends machines that it made inaccessible",
        "13.1",
    ),
    // Fault tolerance.
    cluster("das.maxFtVmsPerHost", COUNT).default("4").without_effect(
        NO_FAULT_TOLERANCE,
        "fault tolerant machines placed on one host",
        "15",
    ),
    cluster("das.includeFTcomplianceChecks", Kind::Bool).default("true").without_effect(
        NO_FAULT_TOLERANCE,
        "include the compliance checks of fault tolerance",
        "15",
    ),
    cluster("das.config.fdm.ft.cleanupTimeout", SECONDS).default("900").without_effect(
        NO_FAULT_TOLERANCE,
        "how long vCenter may take to start a secondary",
        "7.5",
    ),
    // The agent's own affairs.
    cluster("das.config.fdm.stateLogInterval", SECONDS).default("600").without_effect(
        NO_LOG,
        "from one status line in the log to the next",
        "1.18",
    ),
    cluster("das.config.log.maxFileNum", COUNT).without_effect(NO_LOG, "log files kept", "15"),
    cluster("das.config.log.maxFileSize", COUNT).without_effect(NO_LOG, "size of one log file", "15"),
    cluster("das.config.log.directory", Kind::Text).without_effect(NO_LOG, "where log files are", "15"),
    cluster("das.config.fdm.event.maxMasterEvents", COUNT).default("1000").without_effect(
        NO_EVENT_CACHE,
        "events that a master keeps for vCenter",
        "15",
    ),
    cluster("das.config.fdm.event.maxSlaveEvents", COUNT).default("600").without_effect(
        NO_EVENT_CACHE,
        "events that a slave keeps for its master",
        "15",
    ),
    cluster(
        "das.config.fdm.memReservationMB",
        Kind::Whole { unit: Unit::Megabytes, min: 100, max: u32::MAX as u64 },
    )
    .default("250")
    .without_effect("the process is its embedder's", "memory reserved for the agent", "15"),
    // AAM.
    cluster("das.failuredetectiontime", MILLISECONDS).default("15000").without_effect(
        AAM_ONLY,
        "silence before a host counts as failed",
        "8.11",
    ),
    cluster("das.failuredetectioninterval", MILLISECONDS).default("1000").without_effect(
        AAM_ONLY,
        "from one heartbeat to the next",
        "15",
    ),
    cluster(
        "das.sensorPollingFreq",
        Kind::Seconds { min: Duration::from_secs(1), max: Duration::from_secs(30) },
    )
    .default("10")
    .without_effect(AAM_ONLY, "from one poll of the status to the next", "15"),
    cluster("das.poweroffonisolation", Kind::Bool).default("true").without_effect(
        AAM_ONLY,
        "power machines off on isolation",
        "15",
    ),
    // vCenter.
    vcenter("vpxd.das.completemetadataupdateintervalsec", "300").without_effect(
        VCENTER_DECIDES,
        "how long a new VM-host rule may be overridden",
        "7.5",
    ),
    vcenter("vpxd.das.electionWaitTimeSec", "120").without_effect(
        VCENTER_DECIDES,
        "how long a new agent may take to find its role",
        "15",
    ),
    vcenter("vpxd.das.sendProtectListIntervalSec", "60").without_effect(
        VCENTER_DECIDES,
        "how long requests to protect are collected",
        "15",
    ),
    vcenter("vpxd.das.reportNoMasterSec", "120").without_effect(
        VCENTER_DECIDES,
        "how long there is no master before that is reported",
        "15",
    ),
    vcenter("vpxd.das.heartbeatPanicMaxTimeout", "60").without_effect(
        VCENTER_DECIDES,
        "the panic timeout that HA sets on hosts",
        "15",
    ),
];

const fn count(min: u64, max: u64) -> Kind {
    Kind::Whole { unit: Unit::Count, min, max }
}

const fn cluster(name: &'static str, kind: Kind) -> Draft {
    Draft { name, numbered: Numbered::No, layer: Layer::Cluster, kind, default: DefaultValue::Unset }
}

const fn host(name: &'static str, kind: Kind) -> Draft {
    Draft { layer: Layer::Host, ..cluster(name, kind) }
}

const fn vm(name: &'static str, kind: Kind) -> Draft {
    Draft { layer: Layer::VirtualMachine, ..cluster(name, kind) }
}

const fn vcenter(name: &'static str, default: &'static str) -> Draft {
    Draft { layer: Layer::VCenter, ..cluster(name, SECONDS) }.default(default)
}

/// A row until its effect, meaning and source are told.
struct Draft {
    name: &'static str,
    numbered: Numbered,
    layer: Layer,
    kind: Kind,
    default: DefaultValue,
}

impl Draft {
    const fn numbered(self, numbered: Numbered) -> Self {
        Self { numbered, ..self }
    }

    const fn default(self, value: &'static str) -> Self {
        Self { default: DefaultValue::Same(value), ..self }
    }

    const fn per_profile(self, vsphere: &'static str, swift: &'static str) -> Self {
        Self { default: DefaultValue::PerProfile { vsphere, swift }, ..self }
    }

    const fn used(self, meaning: &'static str, source: &'static str) -> OptionSpec {
        self.row(Effect::Used, meaning, source)
    }

    const fn planned(self, meaning: &'static str, source: &'static str) -> OptionSpec {
        self.row(Effect::Planned, meaning, source)
    }

    const fn without_effect(
        self,
        reason: &'static str,
        meaning: &'static str,
        source: &'static str,
    ) -> OptionSpec {
        self.row(Effect::WithoutEffect(reason), meaning, source)
    }

    const fn row(self, effect: Effect, meaning: &'static str, source: &'static str) -> OptionSpec {
        let Self { name, numbered, layer, kind, default } = self;
        OptionSpec { name, numbered, layer, kind, default, effect, meaning, source }
    }
}
