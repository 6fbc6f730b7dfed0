//! The rules that are seen from outside, by histories and their twins.

use alloc::format;
use alloc::string::String;

use super::history::{Fates, Habit, History};
use super::{Rule, Subject, Violation};
use crate::Instant;

/// How many steps a history has.
const STEPS: u64 = 240;

/// R1: the same seed and the same history give the same outputs and refusals.
///
/// # Errors
///
/// The first violation; also if the subject's histories cause no output at all, as nothing is tested then.
pub fn r1_deterministic<S: Subject>(seeds: u64) -> Result<(), Violation> {
    let mut outputs = 0_u64;
    for seed in 0..seeds {
        let history = plain::<S>(seed);
        outputs = outputs.saturating_add(history.outputs);
        history.check(Rule::R1)?;
        compare(Rule::R1, &history, &plain::<S>(seed))?;
    }
    if outputs == 0 {
        let what = String::from("no history causes any output: the subject tests nothing");
        return Err(Violation { rule: Rule::R1, seed: 0, step: 0, what });
    }
    Ok(())
}

/// R2: no slot is asked for twice at a time, and the outputs of a drain may be carried out in reverse.
///
/// # Errors
///
/// The first violation.
pub fn r2_any_order<S: Subject>(seeds: u64) -> Result<(), Violation> {
    for seed in 0..seeds {
        plain::<S>(seed).check(Rule::R2)?;
        twins::<S>(Rule::R2, seed, Habit::InOrder, Habit::Reversed)?;
    }
    Ok(())
}

/// R3: after a tick and a drain nothing is due, an early or repeated tick does nothing, an input fires no timer.
///
/// # Errors
///
/// The first violation.
pub fn r3_no_hot_loop<S: Subject>(seeds: u64) -> Result<(), Violation> {
    for seed in 0..seeds {
        for fates in [Fates::Mixed, Fates::Never] {
            History::<S>::lived(seed, Habit::Restless, fates, STEPS).check(Rule::R3)?;
        }
    }
    Ok(())
}

/// R4: waiting outputs are announced, and come out of the next drain if their effects were dropped.
///
/// # Errors
///
/// The first violation.
pub fn r4_nothing_lost_by_dropping_effects<S: Subject>(seeds: u64) -> Result<(), Violation> {
    for seed in 0..seeds {
        plain::<S>(seed).check(Rule::R4)?;
        twins::<S>(Rule::R4, seed, Habit::TicksAfterInput, Habit::DropsEffects)?;
    }
    Ok(())
}

/// R5: an instant before the latest counts as the latest, and no instant panics.
///
/// # Errors
///
/// The first violation. A panic is the machine's own.
pub fn r5_clock_back_and_extreme<S: Subject>(seeds: u64) -> Result<(), Violation> {
    r5_clock_back::<S>(seeds)?;
    r5_extreme::<S>(seeds);
    Ok(())
}

/// The first half of [`r5_clock_back_and_extreme`]: a clock that goes back makes no difference.
///
/// # Errors
///
/// The first violation.
pub fn r5_clock_back<S: Subject>(seeds: u64) -> Result<(), Violation> {
    (0..seeds).try_for_each(|seed| twins::<S>(Rule::R5, seed, Habit::ClockStands, Habit::ClockGoesBack))
}

/// The other half of [`r5_clock_back_and_extreme`]: neither the origin nor the end of time panics.
pub fn r5_extreme<S: Subject>(seeds: u64) {
    let (origin, end) = (Instant::ORIGIN, Instant::from_nanos(u64::MAX));
    for seed in 0..seeds {
        let mut history = History::<S>::lived(seed, Habit::Tidy, Fates::Mixed, seed % STEPS);
        for now in [origin, end, Instant::from_nanos(1), end, origin] {
            history.jump_to(now);
        }
    }
}

/// R6: each call has at most [`Subject::MAX_OUTPUTS`] outputs, and at most [`Subject::MAX_OPEN`] requests are
/// out, whether they are answered or not.
///
/// # Errors
///
/// The first violation.
pub fn r6_bounded_work<S: Subject>(seeds: u64) -> Result<(), Violation> {
    for seed in 0..seeds {
        for fates in [Fates::Never, Fates::Mixed, Fates::Good] {
            History::<S>::lived(seed, Habit::Tidy, fates, 2 * STEPS).check(Rule::R6)?;
        }
    }
    Ok(())
}

/// R7: nothing that a peer says is refused, and no answer is, however little sense it makes, but as unknown.
///
/// # Errors
///
/// The first violation. A panic is the machine's own.
pub fn r7_junk_is_never_rejected_or_panics<S: Subject>(seeds: u64) -> Result<(), Violation> {
    for seed in 0..seeds {
        for fates in [Fates::Junk, Fates::Mixed] {
            History::<S>::lived(seed, Habit::Tidy, fates, 2 * STEPS).check(Rule::R7)?;
        }
    }
    Ok(())
}

/// R8: a completion that was not asked for is refused as unknown, and the machine goes on as its twin.
///
/// # Errors
///
/// The first violation.
pub fn r8_unknown_completions_are_refused_and_change_nothing<S: Subject>(
    seeds: u64,
) -> Result<(), Violation> {
    for seed in 0..seeds {
        History::<S>::lived(seed, Habit::Fooled, Fates::Mixed, STEPS).check(Rule::R8)?;
        twins::<S>(Rule::R8, seed, Habit::Tidy, Habit::Fooled)?;
    }
    Ok(())
}

/// Every irrevocable output carries a `not_after` that lies ahead (architecture 3).
///
/// # Errors
///
/// The first violation.
pub fn not_after_is_ahead<S: Subject>(seeds: u64) -> Result<(), Violation> {
    for seed in 0..seeds {
        for fates in [Fates::Mixed, Fates::Good] {
            History::<S>::lived(seed, Habit::Tidy, fates, STEPS).check(Rule::NotAfter)?;
        }
    }
    Ok(())
}

fn plain<S: Subject>(seed: u64) -> History<S> {
    History::lived(seed, Habit::Tidy, Fates::Mixed, STEPS)
}

/// Lets two machines of one seed live under two habits that should make no difference.
fn twins<S: Subject>(rule: Rule, seed: u64, one: Habit, other: Habit) -> Result<(), Violation> {
    let live = |habit| History::<S>::lived(seed, habit, Fates::Mixed, STEPS);
    let first = live(one);
    compare(rule, &first, &live(other)).map_err(|violation| {
        // A history that does not repeat itself says nothing about the habit.
        compare(Rule::R1, &first, &live(one)).err().unwrap_or(violation)
    })
}

fn compare<S: Subject>(rule: Rule, one: &History<S>, other: &History<S>) -> Result<(), Violation> {
    let lines = one.trace.len().max(other.trace.len());
    let Some(first) = (0..lines).find(|line| one.trace.get(*line) != other.trace.get(*line)) else {
        return Ok(());
    };
    let text = |history: &History<S>| {
        history
            .trace
            .get(first)
            .map_or_else(|| String::from("nothing more"), |(step, line)| format!("`{line}` at step {step}"))
    };
    let step =
        [one, other].iter().filter_map(|history| history.trace.get(first)).map(|(step, _)| *step).min();
    let what = format!("one twin has {}, the other {}", text(one), text(other));
    Err(Violation { rule, seed: one.seed, step: step.unwrap_or(one.step), what })
}
