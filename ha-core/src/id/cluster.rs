use core::fmt;
use core::str::FromStr;

use uuid::Uuid;

use super::parse::{ParseError, number_after};

macro_rules! uuid_identity {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// From the 16 raw bytes that records and frames carry.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 raw bytes that records and frames carry.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                let expected = "a uuid such as `67e55044-10b1-426f-9247-bb680e5fe0c8`";
                // Only the hyphenated form: one identity, one spelling.
                if text.len() != 36 {
                    return Err(ParseError::new($what, expected, text));
                }
                Uuid::try_parse(text).map(Self).map_err(|_| ParseError::new($what, expected, text))
            }
        }
    };
}
pub(crate) use uuid_identity;

uuid_identity! {
    /// The cluster that a file or frame belongs to. Nothing of another cluster is ever acted upon.
    ClusterId, "cluster id"
}

uuid_identity! {
    /// One boot of one machine: the kernel's boot id, or a random one where the kernel has none.
    ///
    /// A new boot id of a host proves that every virtual machine of its earlier boots has stopped.
    BootId, "boot id"
}

/// Which life of an agent this is. Persisted and raised before the agent first speaks, so it never repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(u64);

impl Incarnation {
    /// The incarnation with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number that records and frames carry.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The incarnation after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "incarnation-{}", self.0)
    }
}

impl FromStr for Incarnation {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        number_after("incarnation-", text)
            .map(Self)
            .ok_or_else(|| ParseError::new("incarnation", "`incarnation-<number>`", text))
    }
}
