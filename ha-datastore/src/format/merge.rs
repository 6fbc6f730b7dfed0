use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use ha_core::VmUuid;

use super::{ListEntry, ProtectedList, Protection};

/// What all readable lists of a datastore say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergedList {
    /// The highest version among the lists.
    pub version: u64,
    /// Per virtual machine the entry that counts; tombstones included.
    pub entries: BTreeMap<VmUuid, ListEntry>,
}

/// Merges the lists of all hosts (architecture 7): per virtual machine the highest protection version, ties by
/// the list's term, then by its version.
///
/// The open restart comes from the latest list that names the machine, whichever version it has of it: only
/// the latest owner knows what is still open. A machine that is no longer protected has none.
#[must_use]
pub fn merge(lists: impl IntoIterator<Item = ProtectedList>) -> MergedList {
    let mut lists: Vec<ProtectedList> = lists.into_iter().collect();
    lists.sort_by_key(|list| (list.term, list.version));
    let mut merged = MergedList::default();
    for list in lists {
        merged.version = merged.version.max(list.version);
        for (uuid, entry) in list.entries {
            let entry = match merged.entries.remove(&uuid) {
                Some(older) if older.version > entry.version => with_intent_of(older, &entry),
                Some(_) | None => entry,
            };
            merged.entries.insert(uuid, entry);
        }
    }
    merged
}

fn with_intent_of(winner: ListEntry, latest: &ListEntry) -> ListEntry {
    let intent = match winner.protection {
        Protection::Protected => latest.intent,
        Protection::Removed => None,
    };
    ListEntry { intent, ..winner }
}
