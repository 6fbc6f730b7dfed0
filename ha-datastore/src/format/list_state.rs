use ha_core::record::{Generation, RecordFault, Sealed};

use super::{LogIndex, ProtectedList};

/// What a whole `protectedlist.<n>` says: its two snapshots together, and the log of the one that counts.
///
/// The generation and writer of a list are those of its snapshot; term, version and entries are those at the end
/// of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListState {
    /// Every byte is zero. Not an empty list.
    NeverWritten,
    /// The newest list.
    Valid {
        /// The list.
        record: Sealed<ProtectedList>,
    },
    /// The newest list of which anything is known; something else in the file is damaged.
    Degraded {
        /// The list.
        record: Sealed<ProtectedList>,
        /// What is damaged.
        damage: ListDamage,
    },
    /// A whole list that is known to be old: a log continues a snapshot that is lost.
    Outdated {
        /// The list as it was some time ago.
        record: Sealed<ProtectedList>,
        /// The lost snapshot; the newest, if there are several.
        lost: Generation,
    },
    /// A record of the log is lost, and a later one is not: what the list says at its end is not known.
    BrokenLog {
        /// The snapshot, whole.
        base: Generation,
        /// The record that is lost.
        lost: LogIndex,
        /// One that is there although the log has ended before it, perhaps in the other log.
        found: LogIndex,
    },
    /// Two whole snapshots of which none follows the other.
    Inconsistent {
        /// In slot A.
        a: Sealed<ProtectedList>,
        /// In slot B.
        b: Sealed<ProtectedList>,
    },
    /// No whole snapshot, and not for want of writing.
    Corrupt {
        /// What is wrong with slot A. "Never written" if a log shows that it was.
        a: RecordFault,
        /// What is wrong with slot B.
        b: RecordFault,
    },
}

/// What is damaged in a file whose list can be read nevertheless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListDamage {
    /// What is wrong with the other snapshot's slot: torn by a write that was cut short, or damaged later.
    pub slot: Option<RecordFault>,
    /// How many blocks of the log are damaged whose twins are whole.
    pub twins: u32,
    /// Whether something else than zeros or an old record follows the log's end: a write that was cut short and so
    /// never was durable, or a last one that is lost.
    pub torn_end: bool,
}

impl ListDamage {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl ListState {
    /// The newest list that can be read, if it is not known to be old.
    #[must_use]
    pub const fn record(&self) -> Option<&Sealed<ProtectedList>> {
        match self {
            Self::Valid { record } | Self::Degraded { record, .. } => Some(record),
            Self::NeverWritten
            | Self::Outdated { .. }
            | Self::BrokenLog { .. }
            | Self::Inconsistent { .. }
            | Self::Corrupt { .. } => None,
        }
    }

    /// The generation of the file's next snapshot. It never goes to the slot of the list to go by, nor do records
    /// that continue it go to that list's log.
    #[must_use]
    pub fn next_generation(&self) -> Generation {
        match self {
            Self::Valid { record } | Self::Degraded { record, .. } | Self::Outdated { record, .. } => {
                record.generation.next()
            }
            Self::BrokenLog { base, .. } => base.next(),
            Self::Inconsistent { a, b } => a.generation.max(b.generation).next(),
            Self::NeverWritten | Self::Corrupt { .. } => Generation::FIRST,
        }
    }
}
