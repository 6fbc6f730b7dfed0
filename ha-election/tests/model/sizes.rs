//! The clusters that are checked.

use core::time::Duration;

use crate::checks::{ENDLESS, HAND_OVER, MERGE, RE_ELECTION, TWO_MASTERS, check};
use crate::state::{Kinds, Size, Start};

/// Far more than any run to a number of steps needs.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) const TWO: Size = Size {
    hosts: 2,
    faults: 0,
    without: None,
    kinds: Kinds::ALL,
    start: Start::Settled,
    core: 2,
    liveness: true,
    highest_round: 8,
};

pub(crate) const THREE: Size = Size { hosts: 3, core: 2, ..TWO };

#[test]
fn two_hosts_with_four_faults() {
    short(&four_faults(), 6);
}

#[test]
fn two_hosts_of_which_one_dies() {
    short(&one_dies(), 8);
}

#[test]
fn two_masters_that_meet() {
    short(&meeting(), 10);
}

#[test]
fn two_hosts_from_cold_with_slow_disks() {
    short(&slow_disks(), 8);
}

#[test]
fn three_hosts_with_two_faults() {
    short(&two_faults(), 4);
}

#[test]
fn three_hosts_from_cold() {
    short(&cold(), 6);
}

#[test]
fn three_hosts_over_every_matrix_of_cuts() {
    short(&matrices(), 3);
}

#[test]
fn four_hosts_with_one_fault() {
    short(&one_fault(), 3);
}

/// Each of the 4,096 matrices, in a cluster that had settled before and in one that has just started.
#[test]
fn four_hosts_over_every_matrix_of_cuts() {
    for start in [Start::EveryMatrix, Start::ColdEveryMatrix] {
        let size = Size { hosts: 4, core: 3, start, kinds: Kinds::default(), ..TWO };
        check("four hosts, 4,096 matrices of cuts", size, 0, LIMIT).holds(&[]);
    }
}

/// Every size, each as far as its share of the time allows. `MODEL_SECONDS` is that share, 3,600 if it is not set.
#[test]
#[ignore = "hours; see the crate's documentation"]
fn long_run() {
    let seconds = std::env::var("MODEL_SECONDS").map_or(3_600, |text| text.parse().unwrap());
    let cases =
        [one_dies(), meeting(), slow_disks(), four_faults(), cold(), two_faults(), matrices(), one_fault()];
    for Case { what, size, examples } in cases {
        check(what, size, ENDLESS, Duration::from_secs(seconds)).holds(examples);
    }
}

struct Case {
    what: &'static str,
    size: Size,
    /// What must be seen at least once.
    examples: &'static [&'static str],
}

fn short(case: &Case, steps: usize) {
    check(case.what, case.size.clone(), steps, LIMIT).holds(case.examples);
}

fn four_faults() -> Case {
    let size = Size { faults: 4, ..TWO };
    Case { what: "two hosts, four faults", size, examples: &[TWO_MASTERS] }
}

fn one_dies() -> Case {
    let kinds = Kinds { crash: true, ..Kinds::default() };
    let size = Size { faults: 1, kinds, ..TWO };
    Case { what: "two hosts, one dies", size, examples: &[RE_ELECTION] }
}

fn meeting() -> Case {
    let kinds = Kinds { list: true, ..Kinds::default() };
    let size = Size { start: Start::Apart, faults: 1, kinds, ..TWO };
    Case { what: "two masters meet", size, examples: &[MERGE, TWO_MASTERS, HAND_OVER] }
}

fn slow_disks() -> Case {
    let kinds = Kinds { slow_disk: true, crash: true, ..Kinds::default() };
    let size = Size { start: Start::Down, faults: 1, kinds, ..TWO };
    Case { what: "two hosts from cold, slow disks", size, examples: &[] }
}

fn two_faults() -> Case {
    Case { what: "three hosts, two faults", size: Size { faults: 2, ..THREE }, examples: &[] }
}

fn cold() -> Case {
    let size = Size { start: Start::Down, ..THREE };
    Case { what: "three hosts from cold", size, examples: &[] }
}

fn matrices() -> Case {
    let size = Size { start: Start::EveryMatrix, kinds: Kinds::default(), ..THREE };
    Case { what: "three hosts, 64 matrices of cuts", size, examples: &[] }
}

fn one_fault() -> Case {
    let size = Size { hosts: 4, core: 3, faults: 1, ..TWO };
    Case { what: "four hosts, one fault", size, examples: &[] }
}
