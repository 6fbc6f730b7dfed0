//! One life of one machine in its made-up world.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::time::Duration;

use super::{Ending, Facts, Input, Output, Rule, Subject, Validity, Violation};
use crate::{Deadline, Instant, Machine, Random};

/// When every history begins.
const BEGIN: Instant = Instant::from_nanos(1_000_000_000_000);
/// A drain is cut off here, so that a machine without end fails instead of hanging the test.
const DRAIN_LIMIT: usize = 65_536;
const QUEUED: &str = "queued output";

/// How the machine is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// As an embedder should.
    Tidy,
    /// With ticks that are early or repeated, and inputs between a deadline and its tick.
    Restless,
    /// Every input is followed by a drain, a tick and another drain.
    TicksAfterInput,
    /// The same without the first drain: the effects of every input are dropped.
    DropsEffects,
    /// Every input comes after a tick at the same instant, and after another such tick.
    ClockStands,
    /// The same, but that other tick and the input come at an earlier instant.
    ClockGoesBack,
    /// Outputs are carried out at once, answered later.
    InOrder,
    /// The same, but each drain's last output is carried out first.
    Reversed,
    /// With completions that were never asked for.
    Fooled,
}

/// How outputs end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fates {
    /// Well, badly, late, never.
    Mixed,
    /// Well and soon.
    Good,
    /// Never.
    Never,
    /// With junk, mostly.
    Junk,
    /// What backs this right fails; all else is good.
    FaultsOf(usize),
    /// What backs this right is not answered until it is let go; all else is good.
    HoldsOf(usize),
}

/// Who gave an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Embedder,
    Peer,
    /// An answer, of something that backed this right, with this ending.
    World {
        backs: Option<usize>,
        ending: Ending,
    },
}

/// An output that is under way.
#[derive(Debug)]
struct Errand<S: Subject> {
    work: Work<S>,
    ending: Ending,
    facts: Facts,
    random: Random,
    asked: Instant,
}

#[derive(Debug)]
enum Work<S: Subject> {
    CarryOut(Output<S>),
    Deliver(Option<Input<S>>),
}

/// What happened at the delivery of a fault to what backs a right.
#[derive(Clone, Debug)]
pub(super) struct Blow {
    pub(super) right: usize,
    pub(super) before: Vec<bool>,
    pub(super) after: Vec<bool>,
}

pub(super) struct History<S: Subject> {
    pub(super) seed: u64,
    pub(super) step: u64,
    pub(super) now: Instant,
    pub(super) machine: S::Machine,
    pub(super) fates: Fates,
    /// Each output and refusal, with its step.
    pub(super) trace: Vec<(u64, String)>,
    /// Outputs of all kinds so far.
    pub(super) outputs: u64,
    pub(super) blows: Vec<Blow>,
    world: S,
    habit: Habit,
    script: Random,
    fates_random: Random,
    strays_random: Random,
    errands: BTreeMap<(Instant, u64), Errand<S>>,
    held: Vec<Errand<S>>,
    numbered: u64,
    slots: BTreeSet<String>,
    open: usize,
    /// The latest instant the machine has been told.
    latest: Instant,
    findings: Vec<Violation>,
}

impl<S: Subject> History<S> {
    pub(super) fn new(seed: u64, habit: Habit, fates: Fates) -> Self {
        let random = Random::from_seed(seed);
        let mut history = Self {
            seed,
            step: 0,
            now: BEGIN,
            machine: S::make(seed, BEGIN),
            fates,
            trace: Vec::new(),
            outputs: 0,
            blows: Vec::new(),
            world: S::world(seed),
            habit,
            script: random.fork(1),
            fates_random: random.fork(2),
            strays_random: random.fork(3),
            errands: BTreeMap::new(),
            held: Vec::new(),
            numbered: 0,
            slots: BTreeSet::new(),
            open: 0,
            latest: BEGIN,
            findings: Vec::new(),
        };
        history.drain();
        history
    }

    /// A history of so many steps, in which anything happens.
    pub(super) fn lived(seed: u64, habit: Habit, fates: Fates, steps: u64) -> Self {
        let mut history = Self::new(seed, habit, fates);
        for _ in 0..steps {
            history.wander();
        }
        history
    }

    pub(super) fn violation(&self, rule: Rule, what: String) -> Violation {
        Violation { rule, seed: self.seed, step: self.step, what }
    }

    /// The first thing seen in this history that breaks `rule`.
    pub(super) fn check(&self, rule: Rule) -> Result<(), Violation> {
        self.findings.iter().find(|found| found.rule == rule).map_or(Ok(()), |found| Err(found.clone()))
    }

    pub(super) fn rights(&self) -> Vec<bool> {
        S::rights(&self.machine, self.now)
    }

    /// One step in which anything may happen.
    fn wander(&mut self) {
        self.step += 1;
        let pace = S::PACE;
        let span = match self.script.below(24) {
            0 => Duration::ZERO,
            1 => Duration::from_nanos(1),
            2 => self.script.span_below(pace.saturating_mul(50)),
            3.. => self.script.span_below(pace.saturating_mul(2)),
        };
        let halfway = self.now.after(span / 2);
        match self.habit {
            Habit::Restless => self.tick_early(halfway),
            Habit::Fooled => self.give_strays(halfway),
            Habit::Tidy
            | Habit::TicksAfterInput
            | Habit::DropsEffects
            | Habit::ClockStands
            | Habit::ClockGoesBack
            | Habit::InOrder
            | Habit::Reversed => {}
        }
        self.now = self.now.after(span);
        if self.habit == Habit::Restless {
            self.give_nothing_new();
        }
        self.deliver_due();
        match self.script.below(4) {
            0 => {
                let input = self.world.sample(&mut self.script, self.now);
                self.give_some(Origin::Embedder, input);
            }
            1 => {
                let input = self.world.hostile(&mut self.script, self.now);
                self.give_some(Origin::Peer, input);
            }
            2.. => {}
        }
        self.tick_if_due();
    }

    /// One step of a good run: to whatever comes next.
    pub(super) fn proceed(&mut self) {
        self.step += 1;
        // A deadline that does not move on must not hold up the history; it is R3's to judge.
        let due = self.machine.poll_timeout().map(|deadline| deadline.at).filter(|at| *at > self.now);
        let errand = self.errands.keys().next().map(|(at, _)| *at);
        let pace = self.now.after(S::PACE);
        let next = [due, errand, Some(pace)].into_iter().flatten().min().unwrap_or(pace);
        self.now = self.now.max(next);
        self.deliver_due();
        let input = self.world.steady(self.now);
        self.give_some(Origin::Embedder, input);
        self.tick_if_due();
    }

    /// Lets go what was held back, each at once.
    pub(super) fn let_go(&mut self) {
        for errand in core::mem::take(&mut self.held) {
            self.send_off(self.now, errand);
        }
    }

    /// When the oldest of the outputs that are held back was asked for.
    pub(super) fn held_since(&self) -> Option<Instant> {
        self.held.iter().map(|errand| errand.asked).min()
    }

    /// Treats the machine to an instant that never comes.
    pub(super) fn jump_to(&mut self, now: Instant) {
        self.step += 1;
        self.now = now;
        self.tick();
        self.deliver_due();
        for _ in 0..4 {
            let input = self.world.sample(&mut self.script, now);
            self.give_some(Origin::Embedder, input);
            let input = self.world.hostile(&mut self.script, now);
            self.give_some(Origin::Peer, input);
        }
        let _rights = S::rights(&self.machine, now);
        self.tick();
    }

    fn find(&mut self, rule: Rule, what: String) {
        let violation = self.violation(rule, what);
        self.findings.push(violation);
    }

    fn deliver_due(&mut self) {
        let due: Vec<_> = self.errands.range(..=(self.now, u64::MAX)).map(|(key, _)| *key).collect();
        for key in due {
            if let Some(errand) = self.errands.remove(&key) {
                self.run_errand(errand);
            }
        }
    }

    fn run_errand(&mut self, errand: Errand<S>) {
        let Errand { work, ending, facts, mut random, .. } = errand;
        let answer = match work {
            Work::CarryOut(output) => self.world.answer(&mut random, self.now, output, ending),
            Work::Deliver(answer) => answer,
        };
        if let Some(slot) = &facts.slot {
            self.slots.remove(slot);
        }
        self.open -= usize::from(facts.awaits_answer);
        self.give_some(Origin::World { backs: facts.backs, ending }, answer);
    }

    fn give_some(&mut self, origin: Origin, input: Option<Input<S>>) {
        if let Some(input) = input {
            self.give(origin, input);
        }
    }

    fn give(&mut self, origin: Origin, input: Input<S>) {
        let before = self.rights();
        let at = self.instant_of_input();
        let result = if self.habit == Habit::DropsEffects {
            // Dropped at once, as by an early return.
            self.machine.step(at, input).map(drop)
        } else {
            self.machine.handle_input(at, input)
        };
        match result {
            Ok(()) => self.latest = self.latest.max(at),
            Err(rejected) => {
                let refused = format!("refused: {rejected:?}");
                let expected = match origin {
                    Origin::Embedder => true,
                    Origin::Peer => false,
                    // An answer may come when nobody waits for it any more.
                    Origin::World { .. } => S::is_unknown_request(&rejected),
                };
                if !expected {
                    self.find(Rule::R7, format!("{origin:?} was {refused}"));
                }
                self.trace.push((self.step, refused));
            }
        }
        if let Origin::World { backs: Some(right), ending: Ending::Fault | Ending::Junk } = origin {
            self.blows.push(Blow { right, before, after: self.rights() });
        }
        if self.habit != Habit::DropsEffects {
            self.drain();
        }
        if matches!(self.habit, Habit::TicksAfterInput | Habit::DropsEffects) {
            self.tick();
        } else {
            self.tick_if_due();
        }
    }

    /// The instant to tell with an input; it may lie back.
    fn instant_of_input(&mut self) -> Instant {
        match self.habit {
            Habit::Tidy
            | Habit::Restless
            | Habit::TicksAfterInput
            | Habit::DropsEffects
            | Habit::InOrder
            | Habit::Reversed
            | Habit::Fooled => self.now,
            Habit::ClockStands | Habit::ClockGoesBack => {
                self.tick();
                let back = self.script.span_below(S::PACE.saturating_mul(100));
                let at = if self.habit == Habit::ClockStands { self.now } else { self.now.before(back) };
                self.machine.handle_timeout(at);
                self.drain();
                at
            }
        }
    }

    fn tick_if_due(&mut self) {
        if self.machine.poll_timeout().is_some_and(|deadline| deadline.at <= self.now) {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.machine.handle_timeout(self.now);
        self.latest = self.latest.max(self.now);
        self.drain();
        if let Some(deadline) = self.machine.poll_timeout().filter(|deadline| deadline.at <= self.now) {
            self.find(Rule::R3, format!("after a tick at {} and a drain, {deadline:?} is due", self.now));
        }
        if self.habit == Habit::Restless {
            self.machine.handle_timeout(self.now);
            let more = self.drain();
            if more > 0 {
                self.find(Rule::R3, format!("a second tick at {} caused {more} outputs", self.now));
            }
        }
    }

    fn tick_early(&mut self, at: Instant) {
        let due = self.machine.poll_timeout();
        if due.is_some_and(|deadline| deadline.at <= at) {
            return;
        }
        self.now = at;
        self.machine.handle_timeout(at);
        self.latest = self.latest.max(at);
        let outputs = self.drain();
        if outputs > 0 {
            self.find(Rule::R3, format!("a tick at {at} caused {outputs} outputs before {due:?}"));
        }
    }

    fn give_nothing_new(&mut self) {
        // A machine may well see that it was not called for long, and say so.
        let on_time = |deadline: &Deadline| {
            deadline.reason != QUEUED && deadline.at <= self.now && self.now.since(deadline.at) < S::PACE
        };
        let Some(due) = self.machine.poll_timeout().filter(on_time) else { return };
        let Some(input) = self.world.nothing_new() else { return };
        if self.machine.handle_input(self.now, input).is_ok() {
            self.latest = self.latest.max(self.now);
            let outputs = self.drain();
            if outputs > 0 {
                let what =
                    format!("an input that tells nothing new caused {outputs} outputs, with {due:?} due");
                self.find(Rule::R3, what);
            }
        }
    }

    fn give_strays(&mut self, at: Instant) {
        for _ in 0..2 {
            let Some(input) = self.world.stray(&mut self.strays_random) else { return };
            let said = format!("{input:?}");
            let state = |machine: &S::Machine| (machine.poll_timeout(), S::rights(machine, at));
            let before = state(&self.machine);
            match self.machine.handle_input(at, input) {
                Err(rejected) if S::is_unknown_request(&rejected) => {}
                other => self.find(Rule::R8, format!("`{said}` was answered by {other:?}")),
            }
            let after = state(&self.machine);
            if before != after {
                self.find(Rule::R8, format!("`{said}` changed {before:?} into {after:?}"));
            }
            if let Some(output) = self.machine.poll_output() {
                self.find(Rule::R8, format!("`{said}` caused {}", S::show(&output)));
            }
        }
    }

    /// Takes all outputs and sends them on their way; how many there were.
    fn drain(&mut self) -> usize {
        let mut batch = vec![];
        while batch.len() < DRAIN_LIMIT {
            let announced = self.machine.poll_timeout();
            let Some(output) = self.machine.poll_output() else { break };
            let expected = Deadline::new(self.latest, QUEUED);
            if announced != Some(expected) {
                self.find(
                    Rule::R4,
                    format!("an output waits, and not {expected:?} but {announced:?} is announced"),
                );
            }
            self.trace.push((self.step, format!("{}: {}", self.now, S::show(&output))));
            let facts = S::facts(&output);
            self.look_at(&facts, &output);
            batch.push((output, facts));
        }
        let count = batch.len();
        if count > S::MAX_OUTPUTS {
            self.find(
                Rule::R6,
                format!("{count} outputs of one call; at most {} are allowed", S::MAX_OUTPUTS),
            );
        }
        self.outputs = self.outputs.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        self.send_out(batch);
        count
    }

    fn look_at(&mut self, facts: &Facts, output: &Output<S>) {
        match facts.validity {
            Validity::Revocable => {}
            Validity::Until(end) if end > self.now => {}
            Validity::Until(end) => {
                let what = format!("at {} `{}` is valid until {end}", self.now, S::show(output));
                self.find(Rule::NotAfter, what);
            }
            Validity::Missing => self.find(Rule::NotAfter, format!("`{}` carries none", S::show(output))),
        }
        if let Some(slot) = &facts.slot
            && !self.slots.insert(slot.clone())
        {
            self.find(Rule::R2, format!("{slot} is asked for while an earlier request for it is out"));
        }
        self.open += usize::from(facts.awaits_answer);
        if self.open > S::MAX_OPEN {
            let (open, most) = (self.open, S::MAX_OPEN);
            self.find(Rule::R6, format!("{open} requests are out; at most {most} are allowed"));
        }
    }

    fn send_out(&mut self, batch: Vec<(Output<S>, Facts)>) {
        let first = self.numbered;
        self.numbered = self.numbered.saturating_add(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        let mut errands: Vec<_> = (first..)
            .zip(batch)
            .map(|(number, (output, facts))| {
                let random = self.fates_random.fork(number);
                let work = Work::CarryOut(output);
                (number, Errand { work, ending: Ending::Well, facts, random, asked: self.now })
            })
            .collect();
        if self.habit == Habit::Reversed {
            errands.reverse();
        }
        for (number, mut errand) in errands {
            if matches!(self.fates, Fates::HoldsOf(right) if errand.facts.backs == Some(right)) {
                self.held.push(errand);
                continue;
            }
            let Some((ending, delay)) = self.fate(&mut errand) else { continue };
            errand.ending = ending;
            if matches!(self.habit, Habit::InOrder | Habit::Reversed)
                && let Work::CarryOut(output) = errand.work
            {
                let answer = self.world.answer(&mut errand.random, self.now, output, ending);
                errand.work = Work::Deliver(answer);
            }
            self.errands.insert((self.now.after(delay), number), errand);
        }
    }

    /// How an output ends and after how long, if it ever does.
    fn fate(&self, errand: &mut Errand<S>) -> Option<(Ending, Duration)> {
        let random = &mut errand.random;
        let soon = Duration::from_micros(1).saturating_add(random.span_below(S::PACE / 8));
        let late = soon.saturating_add(random.span_below(S::PACE.saturating_mul(12)));
        let (drawn, delay) = (random.below(20), if random.below(6) == 0 { late } else { soon });
        match self.fates {
            Fates::Good => Some((Ending::Well, soon)),
            Fates::Never => None,
            Fates::FaultsOf(right) if errand.facts.backs == Some(right) => Some((Ending::Fault, soon)),
            Fates::FaultsOf(_) | Fates::HoldsOf(_) => Some((Ending::Well, soon)),
            Fates::Mixed => match drawn {
                0 => None,
                1 | 2 => Some((Ending::Fault, delay)),
                3 => Some((Ending::Junk, delay)),
                4.. => Some((Ending::Well, delay)),
            },
            Fates::Junk => Some((if drawn < 10 { Ending::Junk } else { Ending::Well }, delay)),
        }
    }

    fn send_off(&mut self, at: Instant, errand: Errand<S>) {
        self.numbered = self.numbered.saturating_add(1);
        self.errands.insert((at, self.numbered), errand);
    }
}
