use alloc::collections::BTreeSet;

use ha_core::DatastoreId;

/// Which datastores may be chosen, and which of them first: `hBDatastoreCandidatePolicy` (fdm-facts 3.8).
///
/// A user's list may be of any length, has no order, and may name what does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidatePolicy {
    /// `userSelectedDs`: only these. An empty list disables datastore heartbeats.
    UserSelected(BTreeSet<DatastoreId>),
    /// `allFeasibleDs`: all that can serve.
    AllFeasible,
    /// `allFeasibleDsWithUserPreference`, the default: all that can serve, these first.
    AllFeasibleWithUserPreference(BTreeSet<DatastoreId>),
}

impl CandidatePolicy {
    /// The user's list; empty where the policy has none.
    #[must_use]
    pub const fn listed(&self) -> &BTreeSet<DatastoreId> {
        const NONE: &BTreeSet<DatastoreId> = &BTreeSet::new();
        match self {
            Self::UserSelected(listed) | Self::AllFeasibleWithUserPreference(listed) => listed,
            Self::AllFeasible => NONE,
        }
    }

    /// Whether datastore heartbeats are switched off.
    #[must_use]
    pub fn disables(&self) -> bool {
        match self {
            Self::UserSelected(listed) => listed.is_empty(),
            Self::AllFeasible | Self::AllFeasibleWithUserPreference(_) => false,
        }
    }

    /// Whether a datastore may be chosen at all.
    pub(super) fn admits(&self, datastore: DatastoreId) -> bool {
        match self {
            Self::UserSelected(listed) => listed.contains(&datastore),
            Self::AllFeasible | Self::AllFeasibleWithUserPreference(_) => true,
        }
    }
}

impl Default for CandidatePolicy {
    fn default() -> Self {
        Self::AllFeasibleWithUserPreference(BTreeSet::new())
    }
}
