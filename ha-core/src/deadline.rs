use crate::Instant;

/// The next moment a machine wants `handle_timeout`, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// When.
    pub at: Instant,
    /// What will be due then, in a few words.
    pub reason: &'static str,
}

impl Deadline {
    /// A deadline at `at` because of `reason`.
    #[must_use]
    pub const fn new(at: Instant, reason: &'static str) -> Self {
        Self { at, reason }
    }

    /// The earliest of those that are set.
    ///
    /// (`Option`'s own `min` would answer `None` as soon as one is not set.)
    #[must_use]
    pub fn soonest(all: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        all.into_iter().flatten().min()
    }
}
