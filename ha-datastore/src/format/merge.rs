use alloc::collections::BTreeMap;

use ha_core::{Term, VmUuid};

use super::{ListEntry, ProtectedList, Protection, RestartIntent};

/// What all readable lists of a datastore say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergedList {
    /// The highest version among the lists.
    pub version: u64,
    /// Per virtual machine the entry that counts; tombstones included.
    pub entries: BTreeMap<VmUuid, ListEntry>,
}

/// A moment in the life of a datastore's list. The later one has seen the earlier one's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListPoint {
    /// The term under which the list was written.
    pub term: Term,
    /// Its version.
    pub version: u64,
}

/// Merges lists that come one by one, in any order, so that no more than one of them must be held at a time.
///
/// Per virtual machine the highest protection version counts, ties by the list's term, then by its version
/// (architecture 7); of two lists that are equal in both, the one that came later.
///
/// The open restart comes from the latest list that names the machine, whichever version it has of it: only
/// the latest owner knows what is still open. A machine that is no longer protected has none.
///
/// A list need not be whole: a group of changes is a list that names only what it changed.
#[derive(Clone, Debug, Default)]
pub struct ListMerge {
    version: u64,
    entries: BTreeMap<VmUuid, Candidate>,
}

#[derive(Clone, Debug)]
struct Candidate {
    entry: ListEntry,
    won_at: ListPoint,
    /// What the latest list that names the machine says of its restart.
    intent: Option<RestartIntent>,
    named_at: ListPoint,
}

impl ListMerge {
    /// A merge of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a list in.
    pub fn add(&mut self, list: ProtectedList) {
        let point = list.point();
        self.version = self.version.max(list.version);
        for (uuid, entry) in list.entries {
            let named = Candidate { intent: entry.intent, entry, won_at: point, named_at: point };
            self.entries.entry(uuid).and_modify(|known| known.meet(&named)).or_insert(named);
        }
    }

    /// How many virtual machines are named so far, tombstones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no virtual machine is named so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The highest version among the lists so far.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// What all lists that were taken in say together.
    #[must_use]
    pub fn finish(self) -> MergedList {
        let entries = self.entries.into_iter().map(|(uuid, candidate)| (uuid, candidate.settle()));
        MergedList { version: self.version, entries: entries.collect() }
    }
}

impl Candidate {
    fn meet(&mut self, other: &Self) {
        if other.named_at >= self.named_at {
            (self.intent, self.named_at) = (other.intent, other.named_at);
        }
        if (other.entry.version, other.won_at) >= (self.entry.version, self.won_at) {
            (self.entry, self.won_at) = (other.entry.clone(), other.won_at);
        }
    }

    fn settle(self) -> ListEntry {
        let intent = match self.entry.protection {
            Protection::Protected => self.intent,
            Protection::Removed => None,
        };
        ListEntry { intent, ..self.entry }
    }
}

/// Merges the lists of all hosts, as [`ListMerge`] does.
#[must_use]
pub fn merge(lists: impl IntoIterator<Item = ProtectedList>) -> MergedList {
    let mut merge = ListMerge::new();
    lists.into_iter().for_each(|list| merge.add(list));
    merge.finish()
}
