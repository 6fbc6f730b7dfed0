//! Every run of a lock probe between two hosts with at most two deviations from the plain run, at any two steps: lost,
//! repeated and overtaking words, lost locks, hosts that stop hearing each other, faults, and time that passes.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
mod lock_probe_pair;

use ha_core::Instant;
use ha_datastore::lock_probe::{Inconclusive, Verdict};
use lock_probe_pair::{Deviation, HOLDER, Locks, Pair, TAKER};

/// More than any run takes.
const LONGEST: usize = 400;

/// A deviation, and before which step.
type Plan = Vec<(usize, Deviation)>;

struct Run {
    verdict: Verdict,
    /// What else could have been done before each step.
    choices: Vec<Vec<Deviation>>,
}

fn run(locks: Locks, plan: &Plan) -> Run {
    let mut pair = Pair::new(locks);
    let mut choices = Vec::new();
    for step in 0..LONGEST {
        if let Some(verdict) = pair.verdict {
            // What is still on its way changes nothing, and leaves no lock behind.
            pair.run_out();
            assert_eq!(pair.held, [false, false], "{plan:?}");
            return Run { verdict, choices };
        }
        choices.push(pair.deviations());
        match plan.iter().find(|(at, _)| *at == step) {
            Some((_, deviation)) => pair.deviate(*deviation),
            None => pair.step(),
        }
    }
    panic!("no verdict after {LONGEST} steps: {plan:?}")
}

/// Runs everything; tells how much that was.
fn search(locks: Locks, check: impl Fn(&Plan, Verdict)) -> usize {
    let plain = run(locks, &Vec::new());
    check(&Vec::new(), plain.verdict);
    let mut runs = 1;
    for (first, choices) in plain.choices.iter().enumerate() {
        for deviation in choices {
            let plan = vec![(first, *deviation)];
            let once = run(locks, &plan);
            check(&plan, once.verdict);
            runs += 1;
            for (second, choices) in once.choices.iter().enumerate().skip(first + 1) {
                for deviation in choices {
                    let plan = vec![plan[0], (second, *deviation)];
                    check(&plan, run(locks, &plan).verdict);
                    runs += 1;
                }
            }
        }
    }
    runs
}

/// Whether such a run may end without showing anything.
fn is_excused(plan: &Plan, why: Inconclusive) -> bool {
    let has = |deviation| plan.iter().any(|(_, other)| *other == deviation);
    let is_cut = has(Deviation::Deafen(HOLDER)) || has(Deviation::Deafen(TAKER));
    match why {
        Inconclusive::Contradictory => false,
        // A request that is out while time passes up to the next deadline.
        Inconclusive::Stalled => has(Deviation::Leap),
        Inconclusive::NotHeard
        | Inconclusive::NoAnswer
        | Inconclusive::Refused(_)
        | Inconclusive::FileHeld
        | Inconclusive::HeldByAnother
        | Inconclusive::HolderLostLock
        | Inconclusive::Slow
        | Inconclusive::Fault(_)
        | Inconclusive::Cancelled => is_cut,
    }
}

#[test]
fn shared_locks_are_never_taken_for_local_ones() {
    let runs = search(Locks::Shared, |plan, verdict| match verdict {
        Verdict::LocksShared { .. } => {}
        Verdict::LocksNotShared { .. } => panic!("{plan:?}"),
        Verdict::Inconclusive { why } => {
            let lost = |host| plan.iter().any(|(_, other)| *other == Deviation::LoseLock(host));
            // A round that shows local locks takes the loss of both.
            let both_lost = why == Inconclusive::Contradictory && lost(HOLDER) && lost(TAKER);
            assert!(is_excused(plan, why) || both_lost, "{why:?}: {plan:?}");
        }
    });
    assert!(runs > 10_000, "{runs}");
}

#[test]
fn local_locks_are_never_taken_for_shared_ones_and_are_found_out() {
    let runs = search(Locks::Local, |plan, verdict| match verdict {
        Verdict::LocksNotShared { same_file, .. } => assert!(same_file, "{plan:?}"),
        Verdict::LocksShared { .. } => panic!("{plan:?}"),
        Verdict::Inconclusive { why } => assert!(is_excused(plan, why), "{why:?}: {plan:?}"),
    });
    assert!(runs > 10_000, "{runs}");
}

#[test]
fn two_datastores_under_one_name_are_told_apart() {
    let Run { verdict, .. } = run(Locks::TwoFiles, &Vec::new());
    let Verdict::LocksNotShared { at, same_file: false } = verdict else { panic!("{verdict:?}") };
    assert!(at > Instant::ORIGIN);
}

/// What the verdict cannot tell from local locks, and need not: nothing may rely on such locks.
#[test]
fn shared_locks_that_both_hosts_lose_in_every_round_count_as_local() {
    let mut pair = Pair::new(Locks::Shared);
    while pair.verdict.is_none() {
        pair.held = [false, false];
        pair.step();
    }
    assert!(matches!(pair.verdict, Some(Verdict::LocksNotShared { .. })), "{:?}", pair.verdict);
}
