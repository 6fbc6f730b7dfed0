use core::fmt;

use crate::{Deadline, Instant};

/// The contract of every machine: one door in, one drain out, one deadline with a reason.
///
/// | rule | promise |
/// |---|---|
/// | R1 | no I/O, clock, thread, global, or randomness but the seed: equal inputs give equal outputs |
/// | R2 | every output is safe to carry out as soon as it is seen, in any order; what must wait waits inside |
/// | R3 | `handle_input` fires no timer; after `handle_timeout(now)` and a drain the deadline is later than `now` |
/// | R4 | while outputs are queued, `poll_timeout` answers the latest `now` with reason `queued output` |
/// | R5 | a `now` smaller than before counts as the largest seen; no arithmetic panics |
/// | R6 | the work of one call and every queue are bounded by [`Limits`](crate::Limits) |
/// | R7 | nothing a peer or a disk sends gives `Err` or a panic; it is counted |
/// | R8 | a completion answers one request once; any other is refused and changes nothing |
/// | R9 | a storage fault ends the right that it backed, no more |
/// | R10 | rights are read with the clock |
///
/// Embedders use [`Machine::step`] and [`Machine::tick`]; the four plain methods are for parents that own
/// children, for bindings and for replay.
pub trait Machine {
    /// Everything that can happen.
    type Input;
    /// Everything the embedder is asked to do, or told.
    type Output;
    /// The caller's mistake. The state is then as it was before the call.
    type Rejected;

    /// Takes in one input at `now`.
    ///
    /// # Errors
    ///
    /// `Rejected` if the caller made a mistake; the machine is then unchanged.
    fn handle_input(&mut self, now: Instant, input: Self::Input) -> Result<(), Self::Rejected>;

    /// Does everything that is due at `now`; nothing otherwise.
    fn handle_timeout(&mut self, now: Instant);

    /// Takes the next output.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When to call [`Machine::handle_timeout`] next, and why; `None` if only an input can cause anything.
    fn poll_timeout(&self) -> Option<Deadline>;

    /// Takes in one input; the returned effects must be carried out before the next step.
    ///
    /// # Errors
    ///
    /// As [`Machine::handle_input`].
    fn step(&mut self, now: Instant, input: Self::Input) -> Result<Effects<'_, Self>, Self::Rejected>
    where
        Self: Sized,
    {
        self.handle_input(now, input)?;
        Ok(Effects { machine: self })
    }

    /// Lets time pass; the returned effects must be carried out before the next step.
    fn tick(&mut self, now: Instant) -> Effects<'_, Self>
    where
        Self: Sized,
    {
        self.handle_timeout(now);
        Effects { machine: self }
    }
}

/// The outputs of one step. It borrows the machine, so no second step can start before it is used up.
///
/// Dropping it early loses nothing: what was not taken comes out of the next step (rule R4).
#[must_use = "carry out the outputs, then sleep until the returned deadline"]
pub struct Effects<'m, M: Machine> {
    machine: &'m mut M,
}

impl<M: Machine> Effects<'_, M> {
    /// Hands every output to `perform`, then tells when to tick.
    pub fn run(mut self, mut perform: impl FnMut(M::Output)) -> Option<Deadline> {
        for output in &mut self {
            perform(output);
        }
        self.finish()
    }

    /// Tells when to tick. For loops that take the outputs one by one because they use `?` or `.await`.
    #[must_use]
    pub fn finish(self) -> Option<Deadline> {
        self.machine.poll_timeout()
    }
}

impl<M: Machine> Iterator for Effects<'_, M> {
    type Item = M::Output;

    fn next(&mut self) -> Option<M::Output> {
        self.machine.poll_output()
    }
}

impl<M: Machine> fmt::Debug for Effects<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effects").field("deadline", &self.machine.poll_timeout()).finish_non_exhaustive()
    }
}
