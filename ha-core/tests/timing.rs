//! The timing plan: its bounds for both profiles, and every inequality it insists on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use core::time::Duration;

use ha_core::timing::PlanError;
use ha_core::{Capability, Profile, Rating, TimingConfig, TimingPlan};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const F3: Capability = Capability { rating: Rating::F3, looking_is_safe: true, ..Capability::SAME_KERNEL };
const DAY: Duration = Duration::from_secs(24 * 3600);
const JUST: Duration = Duration::from_nanos(1);

fn swift() -> TimingConfig {
    TimingConfig::profile(Profile::Swift)
}

fn refused(change: impl FnOnce(&mut TimingConfig)) -> Option<PlanError> {
    let mut config = swift();
    change(&mut config);
    TimingPlan::validate(config, F3).err()
}

#[test]
fn vsphere_keeps_the_times_of_fdm() {
    let plan = TimingPlan::validate(TimingConfig::profile(Profile::Vsphere), F3).unwrap();
    assert_eq!(plan.suspected_max, ms(3_000));
    assert_eq!(plan.declared_weak_without, ms(15_000), "fdm-facts 7.1");
    assert_eq!(plan.declared_weak_with_datastores, ms(18_000), "fdm-facts 7.1");
    assert_eq!(plan.failover.elected_max, ms(25_000), "fdm-facts 7.2");
    assert_eq!((plan.declared_strong_by_stream, plan.declared_strong_by_silence), (None, None));
    assert_eq!((plan.declared_min, plan.declared_max), (ms(15_000), ms(18_000)));
    assert_eq!(plan.lock_decides_after, ms(18_000));
    assert_eq!(plan.still_after, ms(14_000));
    assert_eq!(plan.settled_max, ms(10_000 + 2 * 15_000));
    assert_eq!(plan.settled_within(ms(3)), ms(40_006), "the last vote in, the claim out");
}

#[test]
fn a_short_window_leaves_time_for_a_master_that_has_become_deaf() {
    // Echoes count for 300 ms, and votes take two periods of 100 ms.
    for (window, settled) in [(100, 500 + 100 + 500), (499, 500 + 499 + 500), (500, 1_500), (501, 1_502)] {
        let config = TimingConfig { election_window: ms(window), ..swift() };
        let plan = TimingPlan::validate(config, F3).unwrap();
        assert_eq!(plan.settled_max, ms(settled), "a window of {window} ms");
    }
}

#[test]
fn swift_declares_below_a_second() {
    for capability in [F3, Capability::SAME_KERNEL] {
        let plan = TimingPlan::validate(swift(), capability).unwrap();
        assert_eq!(plan.suspected_max, ms(300));
        assert_eq!(plan.declared_strong_by_stream, Some(ms(100)));
        assert_eq!(plan.declared_strong_by_silence, Some(ms(300)));
        assert_eq!(plan.declared_weak_without, ms(800));
        assert_eq!(plan.declared_weak_with_datastores, ms(950));
        assert_eq!((plan.declared_min, plan.declared_max), (ms(100), ms(950)));
        assert_eq!(plan.failover.elected_max, ms(1_000));
        assert_eq!(plan.still_after, ms(600));
        assert_eq!(plan.lock_decides_after, plan.declared_max);
    }
}

#[test]
fn strong_evidence_needs_fencing_storage_safe_looks_and_consent() {
    let unsafe_look = Capability { looking_is_safe: false, ..F3 };
    let not_fencing = Capability { rating: Rating::F2, ..F3 };
    for capability in [unsafe_look, not_fencing, Capability::UNDECLARED] {
        let plan = TimingPlan::validate(swift(), capability).unwrap();
        assert_eq!((plan.declared_strong_by_stream, plan.declared_strong_by_silence), (None, None));
        assert_eq!(plan.declared_min, ms(800));
    }
    let exact = TimingConfig { strong_evidence: None, ..swift() };
    assert_eq!(TimingPlan::validate(exact, F3).unwrap().declared_strong_by_silence, None);
}

#[test]
fn strong_evidence_by_silence_never_comes_before_suspicion() {
    let config = TimingConfig { suspicion_after: ms(400), ..swift() };
    let plan = TimingPlan::validate(config, F3).unwrap();
    assert_eq!(plan.declared_strong_by_silence, Some(ms(400)));
}

#[test]
fn the_watch_of_the_files_counts_from_suspicion() {
    // 300 + 2 x (400 + 100) + 50
    let config = TimingConfig { datastore_write_period: ms(400), ..swift() };
    let plan = TimingPlan::validate(config, F3).unwrap();
    assert_eq!((plan.still_after, plan.declared_weak_with_datastores), (ms(1_000), ms(1_350)));
    // The ping window may be the longer one.
    let config = TimingConfig { ping_window: ms(900), ..swift() };
    let plan = TimingPlan::validate(config, F3).unwrap();
    assert_eq!(plan.declared_weak_with_datastores, ms(1_400));
}

#[test]
fn unshared_storage_has_no_plan() {
    let f0 = Capability { rating: Rating::F0, ..F3 };
    assert_eq!(TimingPlan::validate(swift(), f0), Err(PlanError::LocksNotShared));
}

#[test]
fn no_span_is_zero_or_longer_than_a_day() {
    type Set = (&'static str, fn(&mut TimingConfig, Duration));
    let spans: [Set; 20] = [
        ("heartbeat_period", |config, span| config.heartbeat_period = span),
        ("datastore_write_period", |config, span| config.datastore_write_period = span),
        ("datastore_poll", |config, span| config.datastore_poll = span),
        ("datastore_io_timeout", |config, span| config.datastore_io_timeout = span),
        ("suspicion_after", |config, span| config.suspicion_after = span),
        ("host_timeout", |config, span| config.host_timeout = span),
        ("ping_window", |config, span| config.ping_window = span),
        ("dead_ping_interval", |config, span| config.dead_ping_interval = span),
        ("look_again", |config, span| config.look_again = span),
        ("look_again_slow", |config, span| config.look_again_slow = span),
        ("master_lost", |config, span| config.master_lost = span),
        ("election_window", |config, span| config.election_window = span),
        ("slave_isolated_after", |config, span| config.slave_isolated_after = span),
        ("master_isolated_after", |config, span| config.master_isolated_after = span),
        ("storage_stall_max", |config, span| config.storage_stall_max = span),
        ("order_validity", |config, span| config.order_validity = span),
        ("poweron_poll", |config, span| config.poweron_poll = span),
        ("agent_watchdog", |config, span| config.agent_watchdog = span),
        ("lease.ttl", |config, span| config.lease.ttl = span),
        ("lease.watchdog", |config, span| config.lease.watchdog = Some(span)),
    ];
    for (what, set) in spans {
        assert_eq!(refused(|config| set(config, Duration::ZERO)), Some(PlanError::Zero { what }));
        let span = DAY + JUST;
        assert_eq!(refused(|config| set(config, span)), Some(PlanError::TooLong { what, span }));
        let huge = refused(|config| set(config, Duration::MAX));
        assert_eq!(huge, Some(PlanError::TooLong { what, span: Duration::MAX }), "and nothing overflows");
    }
    let what = "isolation_policy_delay";
    assert_eq!(refused(|config| config.isolation_policy_delay = Duration::ZERO), None, "FDM 5.0");
    let too_long = Some(PlanError::TooLong { what, span: Duration::MAX });
    assert_eq!(refused(|config| config.isolation_policy_delay = Duration::MAX), too_long);
}

#[test]
fn each_inequality_of_the_strong_pings_holds_to_the_nanosecond() {
    let cases: [Case; 5] = [
        (
            |config, span| config.strong_evidence.as_mut().unwrap().ping_after_silence = span,
            ms(300),
            true,
            PlanError::PingsTooLate { ping_after_silence: ms(300) + JUST, suspicion_after: ms(300) },
        ),
        (
            |config, span| config.strong_evidence.as_mut().unwrap().ping_after_silence = span,
            ms(100) + JUST,
            false,
            PlanError::PingsTooSoon { heartbeat_period: ms(100), ping_after_silence: ms(100) },
        ),
        (
            |config, span| config.strong_evidence.as_mut().unwrap().ping_spacing = span,
            ms(50) - JUST,
            true,
            PlanError::PingRoundTooShort { ping_spacing: ms(50), ping_round: ms(100) },
        ),
        (
            |config, span| config.strong_evidence.as_mut().unwrap().ping_round = span,
            ms(200),
            true,
            PlanError::LookAgainTooSoon { ping_round: ms(200) + JUST, look_again: ms(200) },
        ),
        (
            |config, span| config.strong_evidence.as_mut().unwrap().ping_spacing = span,
            JUST,
            false,
            PlanError::Zero { what: "ping_spacing" },
        ),
    ];
    boundaries(&cases);
}

#[test]
fn each_inequality_holds_to_the_nanosecond() {
    let cases: [Case; 9] = [
        (
            |config, span| config.heartbeat_period = span,
            ms(150),
            true,
            PlanError::SuspicionTooSoon { heartbeat_period: ms(150) + JUST, suspicion_after: ms(300) },
        ),
        (
            |config, span| config.host_timeout = span,
            ms(300) + JUST,
            false,
            PlanError::UnreachableBeforeSuspected { suspicion_after: ms(300), host_timeout: ms(300) },
        ),
        (
            |config, span| config.dead_ping_interval = span,
            ms(300),
            false,
            PlanError::PingRoundsOverlap { ping_window: ms(300), dead_ping_interval: ms(300) - JUST },
        ),
        (
            |config, span| config.datastore_poll = span,
            ms(200),
            true,
            PlanError::PollTooRare { poll: ms(200) + JUST, write_period: ms(200) },
        ),
        (
            |config, span| config.datastore_io_timeout = span,
            ms(200),
            true,
            PlanError::IoTimeoutTooLong { io_timeout: ms(200) + JUST, write_period: ms(200) },
        ),
        (
            |config, span| config.storage_stall_max = span,
            ms(100) + JUST,
            false,
            PlanError::StallTooShort { io_timeout: ms(100), storage_stall_max: ms(100) },
        ),
        (
            |config, span| config.agent_watchdog = span,
            ms(2_000) + JUST,
            false,
            PlanError::WatchdogTooSoon { storage_stall_max: ms(2_000), agent_watchdog: ms(2_000) },
        ),
        (
            |config, span| config.master_lost = span,
            ms(300),
            false,
            PlanError::MasterLostTooSoon { suspicion_after: ms(300), master_lost: ms(300) - JUST },
        ),
        (
            |config, span| config.look_again_slow = span,
            ms(200),
            false,
            PlanError::LookAgainGrowsFaster { look_again: ms(200), look_again_slow: ms(200) - JUST },
        ),
    ];
    boundaries(&cases);
}

/// How to set the number, its last good value, whether more of it is bad, and the error one step on.
type Case = (fn(&mut TimingConfig, Duration), Duration, bool, PlanError);

fn boundaries(cases: &[Case]) {
    for (set, last_good, more_is_bad, error) in cases {
        assert_eq!(refused(|config| set(config, *last_good)), None, "{error}");
        let (bad, good) = if *more_is_bad {
            (*last_good + JUST, *last_good - JUST)
        } else {
            (*last_good - JUST, *last_good + JUST)
        };
        assert_eq!(refused(|config| set(config, bad)), Some(*error));
        assert_eq!(refused(|config| set(config, good)), None, "{error}");
    }
}

#[test]
fn an_error_names_both_sides_with_their_numbers() {
    let error = refused(|config| config.suspicion_after = ms(150)).unwrap();
    assert_eq!(error.to_string(), "2 x heartbeat_period = 2 x 100ms must be at most suspicion_after = 150ms");
}

#[test]
fn the_plan_prints_as_a_table() {
    let text = TimingPlan::validate(swift(), F3).unwrap().to_string();
    let line = |what: &str| text.lines().find(|line| line.starts_with(what)).unwrap().to_owned();
    assert!(line("host suspected").contains("300ms"), "{text}");
    assert!(line("every dead host is declared by").contains("950ms"), "{text}");
    assert!(line("one master in each set of hosts in touch").contains("1.5s"), "{text}");
    assert!(!text.contains("never"), "{text}");
    let text = TimingPlan::validate(swift(), Capability::UNDECLARED).unwrap().to_string();
    assert_eq!(text.matches("never").count(), 3, "{text}");
    let asked = text.lines().filter(|line| line.ends_with("an operator's confirmation"));
    let expected = [
        "silence after which an owner must have stopped",
        "its virtual machines' locks are tried by",
        "its virtual machines' locks are won by",
        "its protected list is locked by",
        "the same, if only its agent hangs",
        "first restart order, if all answer at once",
        "first restart order by",
    ];
    assert_eq!(asked.map(|line| line[..52].trim_end()).collect::<Vec<_>>(), expected, "{text}");
}
