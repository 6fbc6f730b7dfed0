use core::fmt;

use crate::{Identity, Incarnation};

/// Counts the writes of one file. A rewrite after a fault keeps its generation, and so its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

impl Generation {
    /// The first write of a file; it goes to slot A.
    pub const FIRST: Self = Self(0);

    /// The generation with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number that records carry.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The generation of the next write. At one a nanosecond the last one is 500 years away.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The slot that it is written to.
    #[must_use]
    pub const fn slot(self) -> Slot {
        if self.0.is_multiple_of(2) { Slot::A } else { Slot::B }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the two places in a file where records lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Even generations.
    A,
    /// Odd generations.
    B,
}

impl Slot {
    /// The index that records carry.
    #[must_use]
    pub const fn index(self) -> u32 {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// Where the slot begins, in bytes after the first one, if each is `area` bytes long.
    #[must_use]
    pub const fn offset(self, area: usize) -> usize {
        match self {
            Self::A => 0,
            Self::B => area,
        }
    }
}

/// The newest record that a reader has seen of a file with one writer.
///
/// A storage that hands out an older content again tells nothing: neither life nor death (reliability 5.2).
/// A new life of the writer may start counting afresh, so its incarnation is compared first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HighWater(Option<(Incarnation, Generation)>);

impl HighWater {
    /// A reader that has seen nothing.
    pub const NOTHING: Self = Self(None);

    /// Whether any record was seen.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// Takes in a record that was read. The one last seen may be seen again.
    ///
    /// # Errors
    ///
    /// [`Regressed`] if a newer one was seen before; that one stays the mark.
    pub fn admit(&mut self, writer: &Identity, generation: Generation) -> Result<(), Regressed> {
        let found = (writer.incarnation, generation);
        match self.0 {
            Some(seen) if found < seen => Err(Regressed { seen: seen.1, found: generation }),
            Some(_) | None => {
                self.0 = Some(found);
                Ok(())
            }
        }
    }
}

/// A file showed an older record than it did before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("generation {found} was read after generation {seen}")]
pub struct Regressed {
    /// The newest that was seen.
    pub seen: Generation,
    /// What was read now.
    pub found: Generation,
}
