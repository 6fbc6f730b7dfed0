//! The rest of the timing plan's chain: takeover and master failover, for every capability.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use core::time::Duration;

use ha_core::takeover::{DriftPpm, Takeover, required_silence};
use ha_core::timing::{LeaseMaxima, PlanError};
use ha_core::{Capability, Profile, Rating, TimingConfig, TimingPlan};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const JUST: Duration = Duration::from_nanos(1);
const F3: Capability = Capability { rating: Rating::F3, ..Capability::SAME_KERNEL };
const F2: Capability = Capability {
    rating: Rating::F2,
    queued_writes: ms(500),
    looking_is_safe: false,
    ..Capability::SAME_KERNEL
};
const F1: Capability = Capability { rating: Rating::F1, ..F2 };

fn vsphere() -> TimingConfig {
    TimingConfig::profile(Profile::Vsphere)
}

fn swift() -> TimingConfig {
    TimingConfig::profile(Profile::Swift)
}

/// With hosts whose watchdog resets them after `watchdog`.
fn watched(config: TimingConfig, watchdog: Duration) -> TimingConfig {
    TimingConfig { lease: LeaseMaxima { watchdog: Some(watchdog), ..config.lease }, ..config }
}

fn plan(config: TimingConfig, capability: Capability) -> TimingPlan {
    TimingPlan::validate(config, capability).unwrap()
}

#[test]
fn where_a_lock_is_proof_machines_are_taken_over_at_the_declaration() {
    for capability in [F3, Capability::SAME_KERNEL] {
        for config in [swift(), vsphere(), watched(swift(), ms(1))] {
            let plan = plan(config, capability);
            assert_eq!(plan.takeover.rule, Takeover::AtOnceByLock);
            assert_eq!(plan.takeover.tried_by, Some(plan.declared_max));
        }
    }
    assert_eq!(plan(swift(), F3).takeover.won_by, Some(ms(950)));
    assert_eq!(plan(vsphere(), F3).takeover.won_by, Some(ms(18_000)));
}

#[test]
fn a_lock_that_stays_held_is_won_one_look_after_it_comes_free() {
    // The first try is at the declaration, 100 ms after the break of a stream at the earliest; the host may have died
    // 100 ms after its last heartbeat. Looks are fast for ten seconds.
    for (lock_free_after, won_by) in [
        (ms(0), ms(950)),
        (ms(650), ms(950)),
        (ms(651), ms(951)),
        (ms(2_000), ms(2_300)),
        (ms(10_000), ms(10_300)),
        (ms(10_000) + JUST, ms(11_100) + JUST),
        (ms(60_000), ms(61_100)),
    ] {
        let plan = plan(swift(), Capability { lock_free_after, ..F3 });
        assert_eq!(plan.takeover.won_by, Some(won_by), "{lock_free_after:?}");
    }
}

#[test]
fn below_f3_without_a_watchdog_only_an_operator_ends_the_wait() {
    for capability in [F1, F2, Capability::UNDECLARED] {
        for config in [swift(), vsphere()] {
            let plan = plan(config, capability);
            assert_eq!(plan.takeover.rule, Takeover::OperatorOnly);
            assert_eq!((plan.takeover.tried_by, plan.takeover.won_by), (None, None));
            let failover = plan.failover;
            assert_eq!((failover.list_locked_max, failover.list_locked_after_hang), (None, None));
            assert_eq!((failover.ordered_expected, failover.ordered_max), (None, None));
            assert!(failover.elected_max > ms(0), "a master is elected all the same");
        }
    }
}

#[test]
fn below_f3_with_a_watchdog_the_wait_is_that_of_the_rule() {
    for capability in [F1, F2] {
        let config = watched(swift(), ms(2_000));
        let plan = plan(config, capability);
        let wait =
            required_silence(ms(2_000), Some(ms(2_000)), ms(500), ms(50), DriftPpm::KERNEL_MAX).unwrap();
        assert!(
            wait > ms(4_550) && wait < ms(4_555),
            "TTL + WD + Q + p, and a little for the clocks: {wait:?}"
        );
        assert_eq!(plan.takeover.rule, Takeover::AfterSilence(wait));
        // Watched from suspicion on, the first read within its timeout.
        assert_eq!(plan.takeover.tried_by, Some(ms(300) + ms(100) + wait));
        assert_eq!(plan.takeover.won_by, plan.takeover.tried_by, "locks are free by then");
        assert_eq!(plan.failover.list_locked_max, plan.takeover.tried_by, "and so is the list");
        assert_eq!(plan.failover.ordered_max, Some(ms(300) + ms(100) + wait + ms(500)));
    }
}

#[test]
fn a_master_is_replaced_and_orders_as_fdm_does() {
    let quick = plan(vsphere(), F3).failover;
    assert_eq!(
        (quick.elected_min, quick.elected_expected, quick.elected_max),
        (ms(10_000), ms(11_000), ms(25_000))
    );
    assert_eq!(quick.ordered_min, ms(15_000));
    assert_eq!(quick.ordered_expected, Some(ms(18_000)));
    assert_eq!(quick.ordered_max, Some(ms(35_000)));

    let exact = plan(vsphere().exact_fdm(), F3).failover;
    assert_eq!(
        (exact.elected_min, exact.elected_expected, exact.elected_max),
        (ms(26_000), ms(26_000), ms(26_000))
    );
    assert_eq!(exact.ordered_min, ms(26_000));
    assert_eq!(
        (exact.ordered_expected, exact.ordered_max),
        (Some(ms(26_000)), Some(ms(36_000))),
        "fdm-facts 7.2"
    );
}

#[test]
fn swift_orders_within_a_second_of_the_masters_death() {
    let plan = plan(swift(), Capability::SAME_KERNEL);
    let failover = plan.failover;
    assert_eq!(failover.elected_min, ms(100), "by a broken stream");
    assert_eq!((failover.elected_expected, failover.elected_max), (ms(600), ms(1_000)));
    assert_eq!((failover.ordered_min, failover.ordered_expected), (ms(100), Some(ms(950))));
    assert_eq!(failover.ordered_max, Some(ms(1_500)), "every operation as slow as its timeout");
    // 20 s of process watchdog, past the fast looks.
    assert_eq!(failover.list_locked_after_hang, Some(ms(21_000)));
}

#[test]
fn each_inequality_of_the_lease_holds_to_the_nanosecond() {
    let with = |lease| TimingPlan::validate(TimingConfig { lease, ..swift() }, F1).map(|_| ());
    let lease = swift().lease;
    // 2 x (200 + 100) is less than the stall of 2 s.
    for (ttl, outcome) in [
        (
            ms(2_000) - JUST,
            Err(PlanError::LeaseEndsInAStall { storage_stall_max: ms(2_000), ttl: ms(2_000) - JUST }),
        ),
        (ms(2_000), Ok(())),
        (ms(2_000) + JUST, Ok(())),
    ] {
        assert_eq!(with(LeaseMaxima { ttl, ..lease }), outcome);
    }
    let slow = |ttl| {
        let lease = LeaseMaxima { ttl, ..lease };
        let spans = TimingConfig { datastore_write_period: ms(1_500), lease, ..swift() };
        TimingPlan::validate(spans, F2).map(|_| ())
    };
    let (write_period, io_timeout, ttl) = (ms(1_500), ms(100), ms(3_200) - JUST);
    assert_eq!(slow(ttl), Err(PlanError::LeaseTooShort { write_period, io_timeout, ttl }));
    assert_eq!((slow(ms(3_200)), slow(ms(3_200) + JUST)), (Ok(()), Ok(())));

    let limit = DriftPpm(100_000);
    for (ppm, accepted) in [(99_999, true), (100_000, true), (100_001, false), (u32::MAX, false)] {
        let clock_drift = DriftPpm(ppm);
        let refused = Err(PlanError::ClocksDriftTooFar { clock_drift, limit });
        assert_eq!(with(LeaseMaxima { clock_drift, ..lease }), if accepted { Ok(()) } else { refused });
    }
    let error = PlanError::ClocksDriftTooFar { clock_drift: DriftPpm(100_001), limit };
    assert_eq!(error.to_string(), "lease.clock_drift = 100001 ppm must be at most 100000 ppm, below F3");
}

#[test]
fn where_no_lease_is_kept_its_numbers_do_not_matter() {
    let lease = LeaseMaxima { ttl: JUST, watchdog: None, clock_drift: DriftPpm(u32::MAX) };
    for capability in [F3, Capability::SAME_KERNEL] {
        assert!(TimingPlan::validate(TimingConfig { lease, ..swift() }, capability).is_ok());
    }
}

#[test]
fn the_chain_never_runs_backwards() {
    for config in
        [swift(), vsphere(), vsphere().exact_fdm(), watched(swift(), ms(7)), watched(vsphere(), ms(60_000))]
    {
        for rating in [Rating::F1, Rating::F2, Rating::F3, Rating::SameKernel] {
            for lock_free_after in [ms(0), ms(1_000), ms(15_000), ms(90_000)] {
                let plan = plan(config, Capability { rating, lock_free_after, ..F3 });
                let failover = plan.failover;
                assert!(plan.declared_min <= plan.declared_max);
                assert!(failover.elected_min <= failover.elected_expected);
                assert!(failover.elected_expected <= failover.elected_max);
                let Some(tried_by) = plan.takeover.tried_by else { continue };
                assert!(plan.declared_max <= tried_by && Some(tried_by) <= plan.takeover.won_by);
                let (expected, max) = (failover.ordered_expected.unwrap(), failover.ordered_max.unwrap());
                assert!(failover.ordered_min <= expected && expected <= max);
                assert!(failover.list_locked_max.unwrap() < max);
            }
        }
    }
}
