use alloc::collections::BinaryHeap;
use core::cmp::Ordering;

use ha_core::Instant;

/// What comes first of two things at one moment. It names the thing itself, not when it was planned, so that one
/// thing less changes no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tie {
    /// The kind of thing.
    pub(crate) class: u8,
    /// Whom it is about.
    pub(crate) ids: u64,
    /// Which of them.
    pub(crate) counter: u64,
}

/// Everything that is planned, in the order in which it happens.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Planned<T>>,
}

#[derive(Debug)]
struct Planned<T> {
    at: Instant,
    tie: Tie,
    what: T,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    pub(crate) fn plan(&mut self, at: Instant, tie: Tie, what: T) {
        self.heap.push(Planned { at, tie, what });
    }

    /// Takes the next thing, if it happens at `end` or before.
    pub(crate) fn next_until(&mut self, end: Instant) -> Option<(Instant, T)> {
        if self.heap.peek()?.at > end {
            return None;
        }
        self.heap.pop().map(|planned| (planned.at, planned.what))
    }
}

impl<T> Ord for Planned<T> {
    /// The earliest is the greatest: a heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.tie).cmp(&(self.at, self.tie))
    }
}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.tie) == (other.at, other.tie)
    }
}

impl<T> Eq for Planned<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_do_not_depend_on_the_order_of_planning() {
        let tie = |class, ids, counter| Tie { class, ids, counter };
        let mut things =
            [(5, tie(0, 0, 0), 'c'), (4, tie(1, 2, 9), 'b'), (4, tie(1, 2, 8), 'a'), (5, tie(1, 0, 0), 'd')];
        for _ in 0..4 {
            things.rotate_left(1);
            let mut queue = Queue::new();
            for (at, tie, what) in things {
                queue.plan(Instant::from_nanos(at), tie, what);
            }
            let end = Instant::from_nanos(5);
            let taken: alloc::string::String =
                core::iter::from_fn(|| queue.next_until(end)).map(|(_, what)| what).collect();
            assert_eq!(taken, "abcd");
            queue.plan(Instant::from_nanos(6), tie(0, 0, 0), 'e');
            assert_eq!(queue.next_until(end), None);
        }
    }
}
