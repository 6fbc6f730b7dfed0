//! The rules of [`Machine`] as tests, written once and run by every machine crate.
//!
//! A crate describes its machine by a [`Subject`]: how to make it, what may happen to it, how the world around
//! it carries out an output, which rights it holds. Each rule is a function over that; it plays histories from
//! seeds and answers the first [`Violation`], with the seed and the step at which it was seen. A panic of the
//! machine is a violation too, and fails the test by itself.
//!
//! Most rules compare *twins*: two machines of one seed that live through the same history, of which one is
//! treated as the rule says makes no difference (outputs carried out in another order, effects dropped, a clock
//! that goes back, completions that it never asked for). If a twin differs although the plain history does not
//! even repeat itself, R1 is blamed, so that each violation names the rule that is really broken.
//!
//! [`Hostile`] makes the bytes for the decoders of peers' frames and of files (R7): they are total, and allocate no
//! more than they say.
//!
//! What the histories cannot show is not promised by passing: they know nothing of what the machine is for.

mod history;
mod hostile;
mod rights;
mod rules;
mod stray;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::{Instant, Machine, Random};

pub use hostile::Hostile;
pub use rights::{r9_a_storage_fault_ends_only_the_right_it_backed, r10_rights_need_the_clock};
pub use rules::{
    not_after_is_ahead, r1_deterministic, r2_any_order, r3_no_hot_loop, r4_nothing_lost_by_dropping_effects,
    r5_clock_back, r5_clock_back_and_extreme, r5_extreme, r6_bounded_work,
    r7_junk_is_never_rejected_or_panics, r8_unknown_completions_are_refused_and_change_nothing,
};
pub use stray::stray;

/// A machine and the made-up world around it.
///
/// Everything must follow from the arguments and from the calls so far; a subject with a memory of its own, such
/// as files, keeps it in `self`.
pub trait Subject: Sized {
    /// The machine under test.
    type Machine: Machine<Input: fmt::Debug, Output: fmt::Debug, Rejected: fmt::Debug>;

    /// How many rights [`Subject::rights`] tells of.
    const RIGHTS: usize = 0;
    /// How many of these, counted from the first, are backed by storage.
    const BACKED_RIGHTS: usize = Self::RIGHTS;
    /// About how much time passes from one call to the next. A history also has leaps of fifty times this.
    const PACE: Duration = Duration::from_millis(40);
    /// The most outputs that one call may cause.
    const MAX_OUTPUTS: usize = 64;
    /// The most requests that may be out at once, however long storage does not answer.
    const MAX_OPEN: usize = 16;
    /// Within this a steady history gains all rights, also again after a fault.
    const GAINED_WITHIN: Duration = Duration::from_secs(10);
    /// When an operation that backs a right has been out for longer than this, the right is suspended.
    const OVERDUE_AFTER: Duration = Duration::from_millis(100);

    /// The world before anything has happened.
    fn world(seed: u64) -> Self;

    /// A fresh machine; the same for the same seed.
    fn make(seed: u64, now: Instant) -> Self::Machine;

    /// Something that the embedder may say, senseless things included. `None` if it only answers.
    fn sample(&mut self, random: &mut Random, now: Instant) -> Option<Input<Self>>;

    /// Something that a peer may say: genuine, forged or garbled. `None` if no peer speaks to the machine.
    fn hostile(&mut self, random: &mut Random, now: Instant) -> Option<Input<Self>> {
        let _ = (random, now);
        None
    }

    /// What an embedder says in a good run, to gain the rights and to keep them; asked at every step.
    fn steady(&mut self, now: Instant) -> Option<Input<Self>> {
        let _ = now;
        None
    }

    /// An input that tells nothing new, and so causes nothing.
    fn nothing_new(&mut self) -> Option<Input<Self>> {
        None
    }

    /// Carries out an output at `now` as `ending` says; `None` if no answer belongs to it.
    fn answer(
        &mut self,
        random: &mut Random,
        now: Instant,
        output: Output<Self>,
        ending: Ending,
    ) -> Option<Input<Self>>;

    /// A completion that the machine never asked for; see [`stray`]. `None` if it asks for nothing.
    fn stray(&mut self, random: &mut Random) -> Option<Input<Self>> {
        let _ = random;
        None
    }

    /// Whether a refusal says that a completion answers no open request.
    fn is_unknown_request(rejected: &Rejected<Self>) -> bool;

    /// What the rules must know of an output.
    fn facts(output: &Output<Self>) -> Facts;

    /// Which rights the machine holds at `now`; [`Subject::RIGHTS`] of them.
    fn rights(machine: &Self::Machine, now: Instant) -> Vec<bool> {
        let _ = (machine, now);
        Vec::new()
    }

    /// An output in words; equal outputs, and only they, have equal words.
    fn show(output: &Output<Self>) -> String {
        alloc::format!("{output:?}")
    }
}

/// What a subject's machine takes in.
pub type Input<S> = <<S as Subject>::Machine as Machine>::Input;
/// What a subject's machine puts out.
pub type Output<S> = <<S as Subject>::Machine as Machine>::Output;
/// How a subject's machine refuses.
pub type Rejected<S> = <<S as Subject>::Machine as Machine>::Rejected;

/// How an output is to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As asked.
    Well,
    /// It fails, or its outcome is unknown; it may have happened all the same.
    Fault,
    /// With an answer that makes no sense.
    Junk,
}

/// What the rules must know of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether an answer is expected, and until then a request is open.
    pub awaits_answer: bool,
    /// What may be asked for only once at a time, such as the write of one file.
    pub slot: Option<String>,
    /// The right, by its number, that ends when this fails.
    pub backs: Option<usize>,
    /// Until when it may be carried out.
    pub validity: Validity,
}

impl Facts {
    /// Of something told, to which no answer belongs.
    pub const TOLD: Self =
        Self { awaits_answer: false, slot: None, backs: None, validity: Validity::Revocable };
    /// Of a question, which may be asked many times and changes nothing.
    pub const ASKED: Self = Self { awaits_answer: true, ..Self::TOLD };
}

/// Until when an output may be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// At any time: it does nothing that cannot be taken back.
    Revocable,
    /// It is irrevocable, and carries this `not_after`.
    Until(Instant),
    /// It is irrevocable, and carries no `not_after`.
    Missing,
}

/// A rule of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Equal inputs give equal outputs.
    R1,
    /// Outputs may be carried out in any order.
    R2,
    /// Inputs fire no timer; after a tick the deadline is later.
    R3,
    /// Outputs that wait are announced and not lost.
    R4,
    /// A clock that goes back counts as the latest reading.
    R5,
    /// The work of one call and every queue are bounded.
    R6,
    /// What a peer or a disk sends is never refused.
    R7,
    /// A completion that was not asked for is refused and changes nothing.
    R8,
    /// A storage fault ends the right that it backed, no more.
    R9,
    /// Rights are read with the clock.
    R10,
    /// Irrevocable outputs carry a `not_after` that lies ahead.
    NotAfter,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::R1 => "R1 (equal inputs give equal outputs)",
            Self::R2 => "R2 (outputs may be carried out in any order)",
            Self::R3 => "R3 (inputs fire no timer, and ticks leave nothing due)",
            Self::R4 => "R4 (outputs that wait are announced and not lost)",
            Self::R5 => "R5 (a clock that goes back stands still)",
            Self::R6 => "R6 (work and queues are bounded)",
            Self::R7 => "R7 (what a peer or a disk sends is never refused)",
            Self::R8 => "R8 (unknown completions are refused and change nothing)",
            Self::R9 => "R9 (a storage fault ends the right that it backed, no more)",
            Self::R10 => "R10 (rights are read with the clock)",
            Self::NotAfter => "not_after (irrevocable outputs carry one that lies ahead)",
        })
    }
}

/// A broken rule, with what is needed to see it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule} is broken under seed {seed} at step {step}: {what}")]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The history's seed.
    pub seed: u64,
    /// The step of the history at which it was seen.
    pub step: u64,
    /// What was seen.
    pub what: String,
}

/// Every rule, one after the other, each under the seeds below `seeds`.
///
/// # Errors
///
/// The first violation.
pub fn all<S: Subject>(seeds: u64) -> Result<(), Violation> {
    rules::<S>().into_iter().try_for_each(|rule| rule(seeds))
}

/// The first violation of each rule function, so that a test of the rules can see which ones a machine breaks.
#[must_use]
pub fn violations<S: Subject>(seeds: u64) -> Vec<Violation> {
    rules::<S>().into_iter().filter_map(|rule| rule(seeds).err()).collect()
}

type RuleFunction = fn(u64) -> Result<(), Violation>;

fn rules<S: Subject>() -> [RuleFunction; 11] {
    [
        r1_deterministic::<S>,
        r2_any_order::<S>,
        r3_no_hot_loop::<S>,
        r4_nothing_lost_by_dropping_effects::<S>,
        r5_clock_back_and_extreme::<S>,
        r6_bounded_work::<S>,
        r7_junk_is_never_rejected_or_panics::<S>,
        r8_unknown_completions_are_refused_and_change_nothing::<S>,
        r9_a_storage_fault_ends_only_the_right_it_backed::<S>,
        r10_rights_need_the_clock::<S>,
        not_after_is_ahead::<S>,
    ]
}
