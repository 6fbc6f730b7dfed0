//! The wait before a takeover, and when there is none.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use core::time::Duration;

use ha_core::takeover::{
    DriftPpm, LocksNotShared, OwnerNumbers, StopProof, Takeover, TakeoverCase, required_silence,
};
use ha_core::{Capability, Rating};
use proptest::prelude::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const SWIFT: OwnerNumbers =
    OwnerNumbers { ttl: ms(2_000), watchdog: Some(ms(2_500)), period: ms(200), io_timeout: ms(100) };
const LARGER: OwnerNumbers =
    OwnerNumbers { ttl: secs(10), watchdog: Some(secs(20)), period: secs(5), io_timeout: secs(2) };
const NO_WATCHDOG: OwnerNumbers = OwnerNumbers { watchdog: None, ..SWIFT };

const PROOFS: [StopProof; 8] = [
    StopProof::CompletePoweron,
    StopProof::MarkerDone,
    StopProof::SignedStopped,
    StopProof::NewerBoot,
    StopProof::FreeRecord,
    StopProof::CleanlyOff,
    StopProof::OwnOlderBoot,
    StopProof::Confirmed,
];

fn case(rating: Rating) -> TakeoverCase {
    TakeoverCase {
        capability: Capability { rating, queued_writes: ms(300), ..Capability::UNDECLARED },
        owner: Some(SWIFT),
        maxima: LARGER,
        largest_read: None,
        proof: None,
        poll: ms(50),
        drift: DriftPpm(0),
    }
}

#[test]
fn storage_that_fences_needs_no_wait_whatever_the_owner_promises() {
    for rating in [Rating::F3, Rating::SameKernel] {
        for owner in [None, Some(SWIFT), Some(NO_WATCHDOG)] {
            assert_eq!(Takeover::rule(&TakeoverCase { owner, ..case(rating) }), Ok(Takeover::AtOnceByLock));
        }
    }
}

#[test]
fn f0_is_refused_even_with_a_proof() {
    for proof in PROOFS.map(Some).into_iter().chain([None]) {
        assert_eq!(Takeover::rule(&TakeoverCase { proof, ..case(Rating::F0) }), Err(LocksNotShared));
    }
}

#[test]
fn below_f3_every_proof_of_the_stop_ends_the_wait() {
    for rating in [Rating::F1, Rating::F2] {
        for proof in PROOFS {
            for owner in [None, Some(NO_WATCHDOG)] {
                let case = TakeoverCase { proof: Some(proof), owner, ..case(rating) };
                assert_eq!(Takeover::rule(&case), Ok(Takeover::AtOnceByLock), "{proof:?}");
            }
        }
    }
}

#[test]
fn below_f3_without_proof_the_wait_is_the_owners_sum() {
    for rating in [Rating::F1, Rating::F2] {
        // 2.0 + 2.5 of the owner, 0.3 queued, 0.05 poll: "about 5 s" (architecture 5).
        assert_eq!(Takeover::rule(&case(rating)), Ok(Takeover::AfterSilence(ms(4_850))));
    }
}

#[test]
fn unreadable_numbers_mean_the_larger_of_the_maxima_and_the_largest_ever_read() {
    let unreadable = TakeoverCase { owner: None, ..case(Rating::F1) };
    assert_eq!(Takeover::rule(&unreadable), Ok(Takeover::AfterSilence(ms(30_350))));
    let smaller = TakeoverCase { largest_read: Some(SWIFT), ..unreadable };
    assert_eq!(Takeover::rule(&smaller), Ok(Takeover::AfterSilence(ms(30_350))));
    let ttl = OwnerNumbers { ttl: secs(60), ..SWIFT };
    let each_the_larger = TakeoverCase { largest_read: Some(ttl), ..unreadable };
    assert_eq!(Takeover::rule(&each_the_larger), Ok(Takeover::AfterSilence(ms(80_350))));
}

#[test]
fn without_a_watchdog_only_an_operator_decides() {
    let owner = Some(NO_WATCHDOG);
    assert_eq!(Takeover::rule(&TakeoverCase { owner, ..case(Rating::F2) }), Ok(Takeover::OperatorOnly));
    // A host that once ran without one counts as without one while its numbers cannot be read.
    let once = TakeoverCase { owner: None, largest_read: Some(NO_WATCHDOG), ..case(Rating::F1) };
    assert_eq!(Takeover::rule(&once), Ok(Takeover::OperatorOnly));
    assert_eq!(SWIFT.larger(NO_WATCHDOG).watchdog, None);
    assert_eq!(SWIFT.larger(LARGER), LARGER);
}

#[test]
fn drift_scales_the_owners_part_only_and_rounds_up() {
    let wait = |nanos, ppm| {
        let ttl = Duration::from_nanos(nanos);
        required_silence(ttl, Some(Duration::ZERO), secs(7), ms(50), DriftPpm(ppm)).unwrap() - ms(7_050)
    };
    assert_eq!(wait(1_000_000_000, 0), secs(1));
    // 1 s x 1 000 500 / 999 500 = 1.001000500250125 s, so one nanosecond more than the whole ones.
    assert_eq!(wait(1_000_000_000, 500), Duration::from_nanos(1_001_000_501));
    assert_eq!(wait(1, 1), Duration::from_nanos(2));
    assert_eq!(wait(999_999, 1), Duration::from_nanos(1_000_001), "exact: nothing to round");
}

#[test]
fn no_wait_suffices_where_clocks_may_stand_still_or_the_sum_is_past_every_clock() {
    let wait = |ttl, q, ppm| required_silence(ttl, Some(secs(1)), q, ms(1), DriftPpm(ppm));
    assert_eq!(wait(secs(1), secs(1), 1_000_000), None);
    assert_eq!(wait(secs(1), secs(1), u32::MAX), None);
    assert!(wait(secs(1), secs(1), 999_999).is_some());
    assert_eq!(wait(Duration::MAX, secs(1), 0), None);
    assert_eq!(wait(secs(u64::MAX - 2), secs(0), 500), None);
    assert_eq!(wait(secs(1), Duration::MAX, 0), None);
    assert_eq!(required_silence(secs(1), None, secs(1), ms(1), DriftPpm(0)), None);
}

proptest! {
    /// Whatever the two clocks do within the bound, the owner has ended before the observer's wait is over.
    #[test]
    fn the_owner_has_ended_before_the_wait_is_over(
        ttl in 0..100_000_000_000_u64, watchdog in 0..100_000_000_000_u64,
        queued in 0..10_000_000_000_u64, poll in 1..1_000_000_000_u64, ppm in 0..200_000_u32,
    ) {
        let nanos = Duration::from_nanos;
        let wait = required_silence(nanos(ttl), Some(nanos(watchdog)), nanos(queued), nanos(poll), DriftPpm(ppm));
        let own_part = wait.unwrap().as_nanos() - u128::from(queued) - u128::from(poll);
        // In units of 10^-6 ns of true time, by cross-multiplication: the observer's clock fast, the owner's slow.
        let (fast, slow) = (1_000_000 + u128::from(ppm), 1_000_000 - u128::from(ppm));
        let needed = (u128::from(ttl) + u128::from(watchdog)) * fast;
        prop_assert!(own_part * slow >= needed, "too short");
        prop_assert!(own_part == 0 || (own_part - 1) * slow < needed, "more than a nanosecond too long");
    }
}
