use core::fmt;
use core::str::FromStr;

use super::HostId;
use super::parse::{ParseError, number_after};

/// The counting part of a [`Term`]. A new master takes one greater than every round it has heard, stored, or
/// read in any readable list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round(u64);

impl Round {
    /// The round before any master.
    pub const ZERO: Self = Self(0);

    /// The round with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number that records and frames carry.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The round after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One reign of one master: the round, then the host, compared in that order.
///
/// Because the host is part of it, two hosts can never hold the same term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// Compared first.
    pub round: Round,
    /// The master of this term; compared second.
    pub host: HostId,
}

impl Term {
    /// The term of `host` in `round`.
    #[must_use]
    pub const fn new(round: Round, host: HostId) -> Self {
        Self { round, host }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.round, self.host)
    }
}

impl FromStr for Term {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || ParseError::new("term", "`<round>@host-<number>`", text);
        let (round, host) = text.split_once('@').ok_or_else(bad)?;
        let round = number_after("", round).map(Round).ok_or_else(bad)?;
        Ok(Self { round, host: host.parse().map_err(|_| bad())? })
    }
}
