use core::fmt;
use core::time::Duration;

use super::spec::seconds;

/// What an operator should know about an option that is set and accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding<'o> {
    /// It will never do anything here.
    WithoutEffect {
        /// The option's canonical name.
        name: &'o str,
        /// Why.
        reason: &'static str,
    },
    /// It does nothing yet.
    Planned {
        /// The option's canonical name.
        name: &'o str,
    },
    /// It counts as another value.
    CountsAs {
        /// The option's canonical name.
        name: &'o str,
        /// What was set.
        given: Duration,
        /// What it counts as.
        counts_as: Duration,
    },
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithoutEffect { name, reason } => write!(f, "`{name}` has no effect: {reason}"),
            Self::Planned { name } => {
                write!(f, "`{name}` has no effect yet: it is accepted and checked only")
            }
            Self::CountsAs { name, given, counts_as } => {
                let (given, counts_as) = (seconds(*given), seconds(*counts_as));
                write!(f, "`{name}` = {given} s counts as {counts_as} s")
            }
        }
    }
}
