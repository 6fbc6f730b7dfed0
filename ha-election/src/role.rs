use core::fmt;

use ha_core::{HostId, Term};

/// What this host is in its cluster (fdm-facts 1.14, 1.16).
///
/// FDM passes through `Startup` on its way from `Slave` to `Candidate`; here that moment has no length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Takes no part: not eligible, no datastore, or not told yet.
    Uninitialized,
    /// Looks for a master, or to become it.
    Candidate,
    /// Follows a master.
    Slave {
        /// The master.
        master: HostId,
        /// Its term, as it was last claimed.
        term: Term,
    },
    /// Is master. Whether it may act as one is [`Election::may_act`](crate::Election::may_act).
    Master {
        /// The own term.
        term: Term,
    },
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uninitialized => f.write_str("uninitialized"),
            Self::Candidate => f.write_str("candidate"),
            Self::Slave { master, term } => write!(f, "slave of {master} in term {term}"),
            Self::Master { term } => write!(f, "master in term {term}"),
        }
    }
}
