use alloc::collections::VecDeque;

use crate::{Deadline, Instant};

/// The queue between a machine and its drain, with rule R4 built in.
#[derive(Clone, Debug)]
pub struct Outbox<O> {
    queue: VecDeque<O>,
}

impl<O> Outbox<O> {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { queue: VecDeque::new() }
    }

    /// Adds an output at the end.
    pub fn push(&mut self, output: O) {
        self.queue.push_back(output);
    }

    /// Takes the oldest output.
    pub fn pop(&mut self) -> Option<O> {
        self.queue.pop_front()
    }

    /// How many outputs wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The deadline to answer: the machine's own, or `latest` at once while outputs wait.
    #[must_use]
    pub fn deadline(&self, latest: Instant, own: Option<Deadline>) -> Option<Deadline> {
        if self.queue.is_empty() { own } else { Some(Deadline::new(latest, "queued output")) }
    }
}

impl<O> Default for Outbox<O> {
    fn default() -> Self {
        Self::new()
    }
}
