use core::fmt;
use core::str::FromStr;

use super::parse::{ParseError, number_after};

/// A host, by the number in its file names: host 7 writes `host-7-hb` (fdm-facts 4.8).
///
/// Ordered by number. Elections do not use this order; they use [`Moid`](super::Moid)'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(u32);

impl HostId {
    /// The host with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number in the host's file names.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host-{}", self.0)
    }
}

impl FromStr for HostId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        number_after("host-", text)
            .map(Self)
            .ok_or_else(|| ParseError::new("host", "`host-<number>`, the number at most 4294967295", text))
    }
}
