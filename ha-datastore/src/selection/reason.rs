use core::fmt;

use ha_core::DatastoreId;

/// Why a datastore can serve no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unfit {
    /// It is vSAN (fdm-facts 3.5).
    Vsan,
    /// It is rated F0: its locks are not shared between hosts.
    LocksNotShared,
    /// Fewer than two hosts mount it (fdm-facts 3.4).
    TooFewHosts {
        /// How many do.
        hosts: u32,
    },
    /// The policy allows only the user's list, and it is not on it.
    NotListed,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vsan => f.write_str("vSAN cannot serve"),
            Self::LocksNotShared => f.write_str("its locks are not shared between hosts (F0)"),
            Self::TooFewHosts { hosts } => write!(f, "mounted by {hosts} hosts, and two must share it"),
            Self::NotListed => f.write_str("not on the user's list, and only that may be used"),
        }
    }
}

/// In what the datastore that was taken is better than the one that was not. The first difference, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Better {
    /// Only the one taken is on the user's list.
    UserPreference,
    /// Only the one taken stands on a backing of its own among the host's choices.
    OwnBacking,
    /// The file system of the one taken is preferred.
    FileSystem,
    /// Only the one taken was in use already.
    InUse,
    /// More hosts can use the one taken.
    Reach {
        /// How many can use the one taken.
        taken: u32,
        /// How many can use the other.
        other: u32,
    },
    /// They are equal in everything else; the lower number decides, the same on every host.
    Number,
}

impl fmt::Display for Better {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserPreference => f.write_str("which the user prefers"),
            Self::OwnBacking => f.write_str("which shares its backing with no other choice"),
            Self::FileSystem => f.write_str("whose file system is preferred"),
            Self::InUse => f.write_str("which is in use already"),
            Self::Reach { taken, other } => write!(f, "which {taken} hosts can use, against {other}"),
            Self::Number => f.write_str("which is equal and has the lower number"),
        }
    }
}

/// Why a host does not get a datastore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhyNot {
    /// It is not in the inventory.
    Gone,
    /// The host does not mount it.
    NotMounted,
    /// The host lost it for now.
    Lost,
    /// The host can only read it.
    ReadOnly,
    /// The host is about to unmount it.
    Leaving,
    /// It can serve no host.
    Unfit(Unfit),
    /// It could serve; the last place it stood for went to a better one.
    Outranked {
        /// The one that was taken.
        by: DatastoreId,
        /// In what that is better.
        better: Better,
    },
    /// It could serve; the shares of the sites left no place that it could stand for.
    SharesFirst,
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("not in the inventory"),
            Self::NotMounted => f.write_str("not mounted here"),
            Self::Lost => f.write_str("lost for now"),
            Self::ReadOnly => f.write_str("mounted read-only"),
            Self::Leaving => f.write_str("about to be unmounted"),
            Self::Unfit(why) => why.fmt(f),
            Self::Outranked { by, better } => write!(f, "passed over for {by}, {better}"),
            Self::SharesFirst => f.write_str("all places belong to the sites' shares"),
        }
    }
}
