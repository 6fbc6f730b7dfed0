use alloc::vec::Vec;

use ha_core::record::{Generation, Sealed, Slot};
use ha_core::{ClusterId, HostId, Identity, Term};

use super::list::Snapshot;
use super::{Geometry, ListPoint, ProtectedList};

/// All that can still be read of a list's file, whatever is wrong with it as a whole.
///
/// No piece is taken for the list. Together with the other hosts' lists ([`ListMerge`](super::ListMerge)) they say
/// what is still known: an older piece loses against a newer one for each virtual machine by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRemains {
    /// Whole snapshots, and every whole record of a log as a list that names only what it changed. A record of a
    /// write that was cut short is among them; it was never reported durable, nor known not to be.
    pub pieces: Vec<ProtectedList>,
    /// Under which terms the pieces were written, and by which life of the host.
    pub terms: Vec<(Term, Identity)>,
    /// Up to where everything that the host has written is known: the end of the log of the newest whole snapshot.
    pub known: Option<ListPoint>,
    /// The writer and generation of that snapshot. The next write must not touch its slot.
    pub newest: Option<(Identity, Generation)>,
    /// The highest generation that any whole piece names.
    pub highest: Option<Generation>,
    /// Whether all that was ever written is one first snapshot, cut short: slot A is damaged, and the rest of the file
    /// was never written. A first snapshot is a merge of other lists, and no change was made yet.
    pub first_was_torn: bool,
}

impl ProtectedList {
    /// What can still be read of the file of `host`. It holds at most [`max_allocated`](super::max_allocated) for the
    /// bytes it is given.
    #[must_use]
    pub fn salvage(file: &[u8], cluster: ClusterId, host: HostId, geometry: &Geometry) -> ListRemains {
        let Some((snapshots, logs)) = Self::parts(file, cluster, host, geometry) else {
            return ListRemains::default();
        };
        let newest = snapshots
            .iter()
            .map(|snapshot| (snapshot.writer, snapshot.generation))
            .max_by_key(|(writer, generation)| (writer.incarnation, *generation));
        let mut remains = ListRemains {
            newest,
            first_was_torn: snapshots.is_empty() && logs.is_untouched() && {
                let slot = |slot: Slot| file.get(slot.offset(geometry.list_area())..);
                let area = |bytes: &[u8]| bytes.iter().take(geometry.list_area()).any(|byte| *byte != 0);
                slot(Slot::A).is_some_and(area) && !slot(Slot::B).is_some_and(area)
            },
            ..ListRemains::default()
        };
        for piece in logs.records() {
            remains.take(piece);
        }
        for snapshot in snapshots {
            if newest == Some((snapshot.writer, snapshot.generation)) {
                remains.known = Some(logs.end_of(&snapshot));
            }
            let Sealed { writer, generation, content: Snapshot { list, .. } } = snapshot;
            remains.take(Sealed { writer, generation, content: list });
        }
        remains
    }
}

impl ListRemains {
    fn take(&mut self, piece: Sealed<ProtectedList>) {
        self.highest = self.highest.max(Some(piece.generation));
        let written = (piece.content.term, piece.writer);
        if self.terms.last() != Some(&written) {
            self.terms.push(written);
        }
        self.pieces.push(piece.content);
    }
}
