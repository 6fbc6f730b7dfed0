//! What a datastore can promise about its locks, and what may therefore be done when a host falls silent.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use alloc::string::String;

/// How a datastore treats an old owner after its lock was granted elsewhere (architecture 8).
///
/// Ordered from the least to the most that may be relied upon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rating {
    /// Locks are not shared between hosts. Refused.
    F0,
    /// The holder may not notice that it lost its lock.
    #[default]
    F1,
    /// Only input and output through the descriptor that held the lock is refused.
    F2,
    /// Every write of the old client instance to this datastore is refused.
    F3,
    /// All hosts share one kernel, which frees a lock only with its last holder.
    SameKernel,
}

impl Rating {
    /// Whether winning a lock proves that the old owner can no longer write.
    #[must_use]
    pub const fn fences(self) -> bool {
        match self {
            Self::F0 | Self::F1 | Self::F2 => false,
            Self::F3 | Self::SameKernel => true,
        }
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F0 => "F0",
            Self::F1 => "F1",
            Self::F2 => "F2",
            Self::F3 => "F3",
            Self::SameKernel => "SameKernel",
        })
    }
}

impl FromStr for Rating {
    type Err = UnknownRating;

    fn from_str(text: &str) -> Result<Self, UnknownRating> {
        Ok(match text {
            "F0" => Self::F0,
            "F1" => Self::F1,
            "F2" => Self::F2,
            "F3" => Self::F3,
            "SameKernel" => Self::SameKernel,
            other => return Err(UnknownRating { found: other.chars().take(64).collect() }),
        })
    }
}

/// A text that names no rating.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a rating: expected F0, F1, F2, F3 or SameKernel")]
pub struct UnknownRating {
    /// The text that was given, cut to 64 characters.
    pub found: String,
}

/// What the operator declares of one datastore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// How it treats an old owner.
    pub rating: Rating,
    /// Bound from a host's silent death to a grantable lock.
    pub lock_free_after: Duration,
    /// Q: bound for the queued writes of a reset host to land.
    pub queued_writes: Duration,
    /// Whether looking at somebody's lock can do it no harm.
    pub looking_is_safe: bool,
}

impl Capability {
    /// A local file system shared by agents on one kernel.
    pub const SAME_KERNEL: Self = Self {
        rating: Rating::SameKernel,
        lock_free_after: Duration::ZERO,
        queued_writes: Duration::ZERO,
        looking_is_safe: true,
    };

    /// What is assumed of a datastore about which nothing was declared.
    pub const UNDECLARED: Self = Self {
        rating: Rating::F1,
        lock_free_after: Duration::from_secs(24 * 3600),
        queued_writes: Duration::from_secs(120),
        looking_is_safe: false,
    };

    /// The capability of a virtual machine whose writable disks lie on all of `datastores`: the lowest rating,
    /// the longest times. Without any datastore, [`Capability::UNDECLARED`].
    #[must_use]
    pub fn weakest(datastores: impl IntoIterator<Item = Self>) -> Self {
        let lower = |a: Self, b: Self| Self {
            rating: a.rating.min(b.rating),
            lock_free_after: a.lock_free_after.max(b.lock_free_after),
            queued_writes: a.queued_writes.max(b.queued_writes),
            looking_is_safe: a.looking_is_safe && b.looking_is_safe,
        };
        datastores.into_iter().reduce(lower).unwrap_or(Self::UNDECLARED)
    }
}
