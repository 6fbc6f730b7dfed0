//! Options by name: spellings, suggestions, what is applied, and what an operator is told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use core::net::IpAddr;
use core::time::Duration;

use ha_core::options::{Effect, Finding, OPTIONS, OptionError, Options, Value};
use ha_core::timing::PlanError;
use ha_core::{Capability, Limits, Profile, TimingConfig, TimingPlan};

/// Every name of fdm-facts 15 that comes from a source, those with numbers by their first and last.
const NAMES: &str = "
    das.isolationaddress das.isolationaddress0 das.isolationaddress9 das.isolationaddress10
    das.usedefaultisolationaddress das.isolationshutdowntimeout das.heartbeatDsPerHost
    das.ignoreInsufficientHbDatastore das.ignoreRedundantNetWarning das.allowNetwork0 das.allowNetwork9
    das.bypassNetCompatCheck das.maxvmrestartcount das.perHostConcurrentFailoversLimit das.maxFtVmsPerHost
    das.includeFTcomplianceChecks das.slotcpuinmhz das.slotmeminmb das.vmcpuminmhz das.vmmemoryminmb
    das.iostatsinterval das.failureInterval das.minUptime das.maxFailures das.maxFailureWindow
    das.vmFailoverEnabled das.maskCleanShutdownEnabled das.respectVmVmAntiAffinityRules
    das.respectVmHostSoftAffinityRules fdm.isolationPolicyDelaySec das.config.fdm.isolationPolicyDelaySec
    fdm.nodeGoodness das.config.fdm.hostTimeout das.config.fdm.deadIcmpPingInterval
    das.config.fdm.icmpPingTimeout das.config.fdm.stateLogInterval das.config.fdm.ft.cleanupTimeout
    das.config.fdm.storageVmotionCleanupTimeout das.config.fdm.policy.unknownStateMonitorPeriod
    das.config.fdm.event.maxMasterEvents das.config.fdm.event.maxSlaveEvents das.config.log.maxFileNum
    das.config.log.maxFileSize das.config.log.directory das.failuredetectiontime das.failuredetectioninterval
    das.sensorPollingFreq das.poweroffonisolation das.config.fdm.memReservationMB
    das.config.fdm.reportFailoverFailEvent das.reregisterRestartDisabledVMs das.maxresets
    das.resetretryintervalsec das.maxterminates das.terminateretryintervalsec
    vpxd.das.completemetadataupdateintervalsec vpxd.das.electionWaitTimeSec vpxd.das.sendProtectListIntervalSec
    vpxd.das.reportNoMasterSec vpxd.das.heartbeatPanicMaxTimeout das.restartVmsWithoutResourceChecks
    VSAN.AutoTerminateGhostVm Misc.APDTimeout Disk.AutoremoveOnPDL
    restartPriority readyCondition postReadyDelay restartPriorityTimeout isolationResponse";

fn options(pairs: &[(&str, &str)]) -> Options {
    let mut options = Options::new();
    for (name, value) in pairs {
        options.set(name, value).unwrap();
    }
    options
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn every_name_of_the_facts_is_known_in_any_case() {
    for name in NAMES.split_whitespace() {
        for spelling in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            let refused = Options::new().set(&spelling, "not a value of anything").err();
            let known = matches!(refused, Some(OptionError::Value { .. }) | None);
            assert!(known, "{spelling}: {refused:?}");
        }
    }
}

#[test]
fn every_option_is_a_name_of_the_facts() {
    for spec in OPTIONS {
        let stems = NAMES.split_whitespace().map(|name| name.trim_end_matches(|c: char| c.is_ascii_digit()));
        assert!(stems.into_iter().any(|stem| stem == spec.name), "{spec}");
    }
}

#[test]
fn names_that_no_source_names_are_unknown() {
    for name in ["apd.timeoutSec", "apd.vmsToProtect", "pdl.vmsToProtect", "reportFaultyData"] {
        let refused = Options::new().set(&format!("das.config.fdm.{name}"), "1");
        assert!(matches!(refused, Err(OptionError::Unknown { .. })), "{name}: {refused:?}");
    }
}

#[test]
fn a_misspelt_name_is_answered_with_the_nearest() {
    for (found, nearest) in [
        ("das.heartbeatDsPerHosts", Some("das.heartbeatDsPerHost")),
        ("das.hartbeetDsPerHost", Some("das.heartbeatDsPerHost")),
        ("DAS.USEDEFAULTISOLATIONADRESS", Some("das.usedefaultisolationaddress")),
        ("fdm.hostTimout", Some("das.config.fdm.hostTimeout")),
        ("das.config.hostTimeout", Some("das.config.fdm.hostTimeout")),
        ("hostTimeout", Some("das.config.fdm.hostTimeout")),
        ("nodegoodnes", Some("fdm.nodeGoodness")),
        ("das.isolationaddress11", Some("das.isolationaddress")),
        ("das.isolationaddress01", Some("das.isolationaddress")),
        ("das.allowNetwork10", Some("das.allowNetwork")),
        ("das.allowNetwork", Some("das.allowNetwork")),
        ("das.maxresets2", Some("das.maxresets")),
        ("colour", None),
        ("", None),
    ] {
        let Err(OptionError::Unknown { found: repeated, nearest: spec }) = Options::new().set(found, "1")
        else {
            panic!("`{found}` was accepted");
        };
        assert_eq!((repeated.as_str(), spec.map(|spec| spec.name)), (found, nearest));
    }
    let error = Options::new().set("das.alowNetwork3", "x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`das.alowNetwork3` is not an option; did you mean `das.allowNetwork[0-9]`?"
    );
}

#[test]
fn long_texts_are_cut_in_errors() {
    let long = "ä".repeat(100_000);
    let short: String = long.chars().take(64).collect();
    let error = Options::new().set(&long, "1").unwrap_err();
    assert_eq!(error, OptionError::Unknown { found: short.clone(), nearest: None });
    let error = Options::new().set("das.maxresets", &long).unwrap_err();
    assert!(matches!(error, OptionError::Value { found, .. } if found == short));
}

#[test]
fn both_spellings_of_a_host_option_are_one_option() {
    let mut both = options(&[("das.config.fdm.hostTimeout", "12")]);
    assert_eq!(both.get("FDM.hosttimeout"), Some(&Value::Span(Duration::from_secs(12))));
    let before = both.clone();
    let name = String::from("das.config.fdm.hostTimeout");
    assert_eq!(both.set("fdm.hostTimeout", "13"), Err(OptionError::Twice { name }));
    assert_eq!(both, before);
}

#[test]
fn goodness_is_never_cluster_wide() {
    let found = "das.config.fdm.nodeGoodness";
    let refused = OptionError::HostOnly { found: found.into(), name: "fdm.nodeGoodness" };
    assert_eq!(Options::new().set(found, "1000"), Err(refused));
    assert_eq!(options(&[("fdm.nodeGoodness", "1000")]).node_goodness(), Some(1_000), "fdm-facts 1.11");
    assert_eq!(options(&[("fdm.nodegoodness", "9223372036854775807")]).node_goodness(), Some(i64::MAX));
    assert_eq!(Options::new().node_goodness(), None);
}

#[test]
fn a_hosts_options_go_over_its_clusters() {
    let cluster = options(&[("das.config.fdm.hostTimeout", "12"), ("das.isolationaddress0", "192.0.2.1")]);
    let host = options(&[("fdm.hostTimeout", "14"), ("das.isolationaddress1", "192.0.2.2")]);
    let both = host.over(cluster);
    assert_eq!(both.get("fdm.hostTimeout"), Some(&Value::Span(Duration::from_secs(14))));
    assert_eq!(both.isolation_addresses(None), [address("192.0.2.1"), address("192.0.2.2")]);
}

#[test]
fn a_virtual_machines_options_go_over_its_clusters_unless_they_leave_it_to_the_cluster() {
    let cluster = options(&[("isolationResponse", "shutdown"), ("restartPriority", "low")]);
    let of = |value: &str| options(&[("IsolationResponse", value)]).over(cluster.clone());
    assert_eq!(of("powerOff").get("isolationResponse"), Some(&Value::Choice("powerOff")));
    assert_eq!(of("clusterIsolationResponse").get("isolationResponse"), Some(&Value::Choice("shutdown")));
    assert_eq!(of("none").get("restartPriority"), Some(&Value::Choice("low")));
    let alone = options(&[("isolationResponse", "CLUSTERISOLATIONRESPONSE")]).over(Options::new());
    assert_eq!(alone.get("isolationResponse"), Some(&Value::Choice("clusterIsolationResponse")));
    let error = Options::new().set("isolationResponse", "off").unwrap_err();
    assert!(
        error.to_string().contains("one of clusterIsolationResponse, none, powerOff, shutdown"),
        "{error}"
    );
}

#[test]
fn each_span_goes_to_its_own_place() {
    let set = options(&[
        ("das.config.fdm.hostTimeout", "11"),
        ("das.config.fdm.icmpPingTimeout", "6.5"),
        ("das.config.fdm.deadIcmpPingInterval", "12.25"),
        ("das.config.fdm.isolationPolicyDelaySec", "45"),
    ]);
    for profile in [Profile::Vsphere, Profile::Swift] {
        let before = TimingConfig::profile(profile);
        let expected = TimingConfig {
            host_timeout: Duration::from_secs(11),
            ping_window: Duration::from_millis(6_500),
            dead_ping_interval: Duration::from_millis(12_250),
            isolation_policy_delay: Duration::from_secs(45),
            ..before
        };
        assert_eq!(set.apply_to(profile, before), expected);
    }
}

#[test]
fn under_vsphere_a_short_isolation_delay_counts_as_thirty_seconds() {
    let thirty = Options::FDM_ISOLATION_POLICY_DELAY_MIN;
    let millis = Duration::from_millis;
    for (given, vsphere) in [("0", thirty), ("29.999", thirty), ("30", thirty), ("30.001", millis(30_001))] {
        let set = options(&[("fdm.isolationPolicyDelaySec", given)]);
        let delay = |profile| set.apply_to(profile, TimingConfig::profile(profile)).isolation_policy_delay;
        assert_eq!(delay(Profile::Vsphere), vsphere, "fdm-facts 7.4");
        let Some(&Value::Span(given)) = set.get("fdm.isolationPolicyDelaySec") else { panic!("not set") };
        assert_eq!(delay(Profile::Swift), given);
        assert_eq!(set.findings(Profile::Swift), []);
        let name = "fdm.isolationPolicyDelaySec";
        let told = (given < thirty).then_some(Finding::CountsAs { name, given, counts_as: thirty });
        assert_eq!(set.findings(Profile::Vsphere), Vec::from_iter(told));
    }
}

#[test]
fn spans_that_do_not_fit_together_are_for_the_plan_to_refuse() {
    let set = options(&[("fdm.icmpPingTimeout", "11")]);
    let timing = set.apply_to(Profile::Vsphere, TimingConfig::profile(Profile::Vsphere));
    let refused = PlanError::PingRoundsOverlap {
        ping_window: Duration::from_secs(11),
        dead_ping_interval: Duration::from_secs(10),
    };
    assert_eq!(TimingPlan::validate(timing, Capability::UNDECLARED), Err(refused));
}

#[test]
fn isolation_addresses_keep_their_order_and_stand_once() {
    let gateway = address("192.0.2.254");
    let none = Options::new();
    assert_eq!(none.isolation_addresses(Some(gateway)), [gateway]);
    assert!(none.isolation_addresses(None).is_empty());
    let set = [
        ("das.isolationaddress10", "192.0.2.10"),
        ("das.isolationaddress2", "2001:db8::2"),
        ("das.isolationaddress0", "192.0.2.100"),
        ("das.isolationaddress3", "192.0.2.254"),
        ("das.isolationaddress", "192.0.2.99"),
    ];
    let extra = ["192.0.2.99", "192.0.2.100", "2001:db8::2"].map(address);
    let last = address("192.0.2.10");
    let with_gateway = options(&set).isolation_addresses(Some(gateway));
    assert_eq!(with_gateway, [[gateway].as_slice(), &extra, &[last]].concat());
    let without = [set.as_slice(), &[("das.usedefaultisolationaddress", "false")]].concat();
    assert_eq!(
        options(&without).isolation_addresses(Some(gateway)),
        [extra.as_slice(), &[gateway, last]].concat(),
        "named itself, so pinged though it is the gateway"
    );
}

#[test]
fn limits_and_planned_counts_are_handed_out() {
    let set = options(&[
        ("das.perHostConcurrentFailoversLimit", "4"),
        ("das.maxvmrestartcount", "7"),
        ("das.heartbeatDsPerHost", "3"),
    ]);
    assert_eq!(set.apply_to_limits(Limits::DEFAULT), Limits { restarts_per_host: 4, ..Limits::DEFAULT });
    assert_eq!((set.max_restart_count(), set.heartbeat_datastores_per_host()), (Some(7), Some(3)));
    assert_eq!(Options::new().max_restart_count(), None);
}

#[test]
fn what_does_nothing_is_said() {
    let set = options(&[
        ("das.failuredetectiontime", "20000"),
        ("das.slotmeminmb", "64"),
        ("fdm.hostTimeout", "12"),
    ]);
    let Some((name, spec, _)) = set.iter().next() else { panic!("nothing is set") };
    assert_eq!(name, "das.config.fdm.hostTimeout");
    assert_eq!(spec.effect, Effect::Used);
    let told: Vec<String> = set.findings(Profile::Swift).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "`das.failuredetectiontime` has no effect: it steered AAM, the agent before 5.0; FDM does not read it",
            "`das.slotmeminmb` has no effect yet: it is accepted and checked only",
        ]
    );
}
