//! The rules of rights: R9 and R10.

use alloc::format;
use core::time::Duration;

use super::history::{Fates, Habit, History};
use super::{Rule, Subject, Violation};
use crate::Instant;

/// So far ahead no right reaches without another step.
const FAR: Duration = Duration::from_secs(24 * 3600);
/// How many steps a fault lasts.
const FAULTY_STEPS: u64 = 40;

/// R9: a fault of what backs a right ends that right at once and no other; while it lasts the right stays away;
/// after it the right is gained again. What is only overdue suspends the right until it is answered.
///
/// # Errors
///
/// The first violation; also if the rights are never gained, as nothing is tested then.
pub fn r9_a_storage_fault_ends_only_the_right_it_backed<S: Subject>(seeds: u64) -> Result<(), Violation> {
    for seed in 0..seeds {
        let mut history = History::<S>::new(seed, Habit::Tidy, Fates::Good);
        for right in 0..S::BACKED_RIGHTS {
            gain_all(&mut history, Rule::R9)?;
            // Let the fault meet another moment under each seed.
            for _ in 0..seed % 16 {
                history.proceed();
            }
            a_fault_ends_it(&mut history, right)?;
            gain_all(&mut history, Rule::R9)?;
            overdue_suspends_it(&mut history, right)?;
            gain_all(&mut history, Rule::R9)?;
        }
    }
    Ok(())
}

/// R10: no right that is held now is held a day later, read without any step in between.
///
/// # Errors
///
/// The first violation; also if the rights are never gained, as nothing is tested then.
pub fn r10_rights_need_the_clock<S: Subject>(seeds: u64) -> Result<(), Violation> {
    if S::RIGHTS == 0 {
        return Ok(());
    }
    for seed in 0..seeds {
        let mut history = History::<S>::new(seed, Habit::Tidy, Fates::Good);
        gain_all(&mut history, Rule::R10)?;
        for _ in 0..FAULTY_STEPS {
            for later in [history.now.after(FAR), Instant::from_nanos(u64::MAX)] {
                let rights = S::rights(&history.machine, later);
                if rights.contains(&true) {
                    let what = format!("the rights at {}, read at {later}, are {rights:?}", history.now);
                    return Err(history.violation(Rule::R10, what));
                }
            }
            history.proceed();
        }
    }
    Ok(())
}

fn gain_all<S: Subject>(history: &mut History<S>, rule: Rule) -> Result<(), Violation> {
    history.fates = Fates::Good;
    history.let_go();
    let end = history.now.after(S::GAINED_WITHIN);
    loop {
        let rights = history.rights();
        if rights.len() == S::RIGHTS && !rights.contains(&false) {
            return Ok(());
        }
        if history.now > end {
            let what = format!("after {:?} of a good run the rights are {rights:?}", S::GAINED_WITHIN);
            return Err(history.violation(rule, what));
        }
        history.proceed();
    }
}

fn a_fault_ends_it<S: Subject>(history: &mut History<S>, right: usize) -> Result<(), Violation> {
    history.fates = Fates::FaultsOf(right);
    history.blows.clear();
    let end = history.now.after(S::GAINED_WITHIN);
    while history.blows.is_empty() {
        if history.now > end {
            let what = format!("nothing that backs right {right} was asked for in {:?}", S::GAINED_WITHIN);
            return Err(history.violation(Rule::R9, what));
        }
        history.proceed();
    }
    let mut faulty_steps = 0;
    while faulty_steps < FAULTY_STEPS {
        for blow in core::mem::take(&mut history.blows) {
            let ended = blow.after.get(blow.right) == Some(&false);
            let spared = (0..S::RIGHTS)
                .filter(|other| *other != blow.right)
                .all(|other| blow.before.get(other) == blow.after.get(other));
            if !ended || !spared {
                let what = format!(
                    "a fault of what backs right {right} turned the rights {:?} into {:?}",
                    blow.before, blow.after
                );
                return Err(history.violation(Rule::R9, what));
            }
        }
        if history.rights().get(right) != Some(&false) {
            let what = format!("right {right} came back while everything that backs it fails");
            return Err(history.violation(Rule::R9, what));
        }
        faulty_steps += 1;
        history.proceed();
    }
    Ok(())
}

fn overdue_suspends_it<S: Subject>(history: &mut History<S>, right: usize) -> Result<(), Violation> {
    history.fates = Fates::HoldsOf(right);
    let end = history.now.after(S::GAINED_WITHIN);
    loop {
        let since = history.held_since();
        if since.is_some_and(|asked| history.now.since(asked) > S::OVERDUE_AFTER) {
            break;
        }
        if history.now > end {
            let what = format!("nothing that backs right {right} was asked for in {:?}", S::GAINED_WITHIN);
            return Err(history.violation(Rule::R9, what));
        }
        history.proceed();
    }
    let rights = history.rights();
    let as_expected = (0..).zip(&rights).all(|(number, held)| *held != (number == right));
    if rights.len() != S::RIGHTS || !as_expected {
        let what = format!(
            "with what backs right {right} out for more than {:?}, the rights are {rights:?}",
            S::OVERDUE_AFTER
        );
        return Err(history.violation(Rule::R9, what));
    }
    Ok(())
}
