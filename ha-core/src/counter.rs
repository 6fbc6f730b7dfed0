use core::fmt;

/// A count of something that happened; it stops at its maximum instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter(u64);

impl Counter {
    /// Counts one more.
    pub const fn count(&mut self) {
        self.0 = self.0.saturating_add(1);
    }

    /// How many so far.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
