use core::fmt;
use core::str::FromStr;

use super::parse::{ParseError, number_after};

/// A datastore, by the number the cluster's configuration gives it. The embedder knows where it is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatastoreId(u32);

impl DatastoreId {
    /// The datastore with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number in the configuration.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for DatastoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "datastore-{}", self.0)
    }
}

impl FromStr for DatastoreId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        number_after("datastore-", text).map(Self).ok_or_else(|| {
            ParseError::new("datastore", "`datastore-<number>`, the number at most 4294967295", text)
        })
    }
}
