//! Takes one rule away, and the check that watches over it fails, in the smallest cluster that shows it.

use core::time::Duration;

use ha_election::Rule;

use crate::checks::{
    CORE_SETTLES, LOYAL, NO_STEP_BACK, NOT_UNHEARD, ONE_YIELDS, PROVEN, SILENT, TERMS_RISE, check,
};
use crate::sizes::{THREE, TWO};
use crate::state::{Kinds, Size, Start};

const LIMIT: Duration = Duration::from_secs(60);

/// The same size with the rule and without it: `broken` fails only without.
fn convicts(rule: Rule, broken: &str, size: Size, steps: usize) {
    let whole = check("whole", size.clone(), steps, LIMIT);
    assert_eq!(whole.broken(), [""; 0]);
    let mutant = check(&format!("without {rule:?}"), Size { without: Some(rule), ..size }, steps, LIMIT);
    assert!(mutant.has(broken), "without {rule:?} it still holds: {broken}; {:?}", mutant.broken());
}

#[test]
fn without_the_echo_a_host_that_nobody_hears_becomes_master() {
    let kinds = Kinds { cut: true, ..Kinds::default() };
    convicts(Rule::Echo, NOT_UNHEARD, Size { start: Start::Cold, faults: 2, kinds, ..TWO }, 4);
}

#[test]
fn without_the_echo_a_host_that_does_not_hear_captures_the_core() {
    let kinds = Kinds { cut: true, ..Kinds::default() };
    convicts(Rule::Echo, CORE_SETTLES, Size { kinds, ..THREE }, 2);
}

#[test]
fn without_stickiness_a_slave_that_lost_only_its_link_unseats_the_master() {
    let kinds = Kinds { cut: true, ..Kinds::default() };
    convicts(Rule::Stickiness, LOYAL, Size { faults: 2, kinds, ..THREE }, 2);
}

#[test]
fn without_the_term_check_a_master_that_gives_way_goes_back_to_a_lower_term() {
    let kinds = Kinds { list: true, ..Kinds::default() };
    convicts(Rule::Terms, NO_STEP_BACK, Size { start: Start::Apart, kinds, ..TWO }, 5);
}

#[test]
fn without_the_frozen_claim_two_masters_both_give_way() {
    let kinds = Kinds { list: true, ..Kinds::default() };
    convicts(Rule::FrozenClaim, ONE_YIELDS, Size { start: Start::Apart, faults: 1, kinds, ..TWO }, 8);
}

#[test]
fn without_isolation_silence_an_isolated_master_claims() {
    let kinds = Kinds { isolation: true, ..Kinds::default() };
    convicts(Rule::IsolationSilence, SILENT, Size { faults: 1, kinds, ..TWO }, 3);
}

#[test]
fn without_proof_a_host_that_is_cut_off_acts() {
    let kinds = Kinds { isolation: true, pause: true, ..Kinds::default() };
    convicts(Rule::ProvenRights, PROVEN, Size { faults: 2, kinds, ..TWO }, 3);
}

#[test]
fn without_a_durable_round_a_crash_repeats_a_term() {
    let kinds = Kinds { slow_disk: true, crash: true, ..Kinds::default() };
    let size = Size { hosts: 1, core: 1, start: Start::Down, faults: 1, kinds, ..TWO };
    convicts(Rule::DurableRound, TERMS_RISE, size, 6);
}
