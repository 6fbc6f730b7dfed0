use alloc::vec::Vec;
use core::time::Duration;

use crate::scenario::Fault;
use crate::{Noise, Scenario};

/// Makes a failing scenario smaller, as long as `fails` still says so: which should mean the same invariant.
///
/// Delta debugging over the faults (halves, quarters, and so on down to single ones), then over what the network does
/// to datagrams. No choice in what stays moves, because every choice is named (reliability 9). At most `budget` runs.
pub fn shrink(scenario: &Scenario, budget: u32, mut fails: impl FnMut(&Scenario) -> bool) -> Scenario {
    let mut best = scenario.clone();
    let mut left = budget;
    let mut holds = |candidate: &Scenario| {
        let try_it = left > 0;
        left = left.saturating_sub(1);
        try_it && fails(candidate)
    };
    loop {
        let before = best.clone();
        fewer_faults(&mut best, &mut holds);
        for quieter in QUIETER {
            let mut candidate = best.clone();
            quieter(&mut candidate.noise);
            if candidate != best && holds(&candidate) {
                best = candidate;
            }
        }
        if best == before {
            return best;
        }
    }
}

fn fewer_faults(best: &mut Scenario, holds: &mut impl FnMut(&Scenario) -> bool) {
    let mut pieces = 1;
    while !best.faults.is_empty() {
        let size = best.faults.len().div_ceil(pieces);
        let smaller = (0..pieces).find_map(|piece| {
            let gone = piece * size..(piece + 1) * size;
            let kept: Vec<Fault> = best
                .faults
                .iter()
                .enumerate()
                .filter(|(at, _)| !gone.contains(at))
                .map(|(_, fault)| fault.clone())
                .collect();
            let candidate = Scenario { faults: kept, ..best.clone() };
            (candidate.faults.len() < best.faults.len() && holds(&candidate)).then_some(candidate)
        });
        match smaller {
            Some(smaller) => {
                *best = smaller;
                pieces = pieces.saturating_sub(1).max(1);
            }
            None if size == 1 => return,
            None => pieces = (2 * pieces).min(best.faults.len()),
        }
    }
}

/// One thing less that the network does.
const QUIETER: [fn(&mut Noise); 4] = [
    |noise| noise.tail_per_mille = 0,
    |noise| noise.duplicate_per_mille = 0,
    |noise| noise.loss_per_mille = 0,
    |noise| noise.jitter = Duration::ZERO,
];
