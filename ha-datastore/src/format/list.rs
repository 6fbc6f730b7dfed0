use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use ha_core::record::{
    Expectation, Generation, HEADER, PairExpectation, PairRole, PairState, RecordFault, RecordKind, Sealed,
    Slot, open, read_pair_choosing, seal,
};
use ha_core::{ClusterId, HostId, Identity, Term, VmUuid};

use super::cursor::{Reader, Writer, check};
use super::geometry::slot_offset;
use super::list_entry::EntryView;
use super::list_sum::ListSum;
use super::log_reader::Logs;
use super::{Geometry, ListEntry, ListPoint, ListState};

/// The virtual machines that live on a datastore, as one host last wrote them into its `protectedlist.<n>`.
///
/// The file has two slots, each with room for a snapshot, the whole list; and for each slot a log of the changes
/// since then, so that one change is one small write however long the list is. Generation g of the snapshot is in
/// slot g mod 2 and its log in log g mod 2, so writing the next generation touches neither.
///
/// Lists are longer than CRC-32 is good for, so a snapshot begins with the XXH3 sum of the rest, 64 bits wide.
/// Each record of the log carries the same sum continued over itself, so records count in the order in which they
/// were written, right after their own snapshot, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedList {
    /// The term under which it was written.
    pub term: Term,
    /// One more with each write of a snapshot or of a group of changes, over all owners; a merged list continues
    /// from the highest.
    pub version: u64,
    /// The entries, each under its own uuid.
    pub entries: BTreeMap<VmUuid, ListEntry>,
}

/// A whole list as a slot holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) list: ProtectedList,
    pub(super) sum: ListSum,
}

/// A list that the file was not made for. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a list of {entries} entries in {bytes} bytes, which the file has no room for")]
pub struct ListFull {
    /// How many entries, tombstones included, there would be.
    pub entries: usize,
    /// How many bytes they would take.
    pub bytes: usize,
}

impl ProtectedList {
    pub(super) const FIXED: usize = 32;
    const SUM: usize = 8;

    /// An empty list.
    #[must_use]
    pub const fn new(term: Term) -> Self {
        Self { term, version: 0, entries: BTreeMap::new() }
    }

    /// Whether `entries` entries in `bytes` bytes have room in a slot.
    ///
    /// # Errors
    ///
    /// [`ListFull`] if they have not.
    pub fn check_room(entries: usize, bytes: usize, geometry: &Geometry) -> Result<(), ListFull> {
        let limit = usize::try_from(geometry.limits.vms_per_list).unwrap_or(usize::MAX);
        let room = geometry.list_area().saturating_sub(HEADER + Self::FIXED);
        if entries > limit || bytes > room { Err(ListFull { entries, bytes }) } else { Ok(()) }
    }

    /// The length of all entries' bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.entries.values().map(ListEntry::encoded_len).sum()
    }

    /// Where in the file the generation's slot begins, in bytes.
    #[must_use]
    pub fn offset(generation: Generation, geometry: &Geometry) -> u64 {
        slot_offset(generation, geometry.list_area())
    }

    /// Where in the file the log of that slot's snapshot begins, in bytes.
    pub(super) fn log_offset(slot: Slot, geometry: &Geometry) -> u64 {
        let logs_at = geometry.list_area().saturating_mul(2);
        // Areas fit into memory, so they fit into 64 bits.
        logs_at.saturating_add(slot.offset(geometry.list_log_area())) as u64
    }

    /// The bytes of the generation's slot: a snapshot.
    ///
    /// # Errors
    ///
    /// [`ListFull`] if `geometry` has no room for it.
    pub fn seal(
        &self,
        writer: &Identity,
        generation: Generation,
        geometry: &Geometry,
    ) -> Result<Bytes, ListFull> {
        self.seal_snapshot(writer, generation, geometry).map(|(bytes, _)| bytes)
    }

    /// The bytes of the generation's slot, and the sum that its log continues.
    pub(crate) fn seal_snapshot(
        &self,
        writer: &Identity,
        generation: Generation,
        geometry: &Geometry,
    ) -> Result<(Bytes, ListSum), ListFull> {
        let full = ListFull { entries: self.entries.len(), bytes: self.encoded_len() };
        Self::check_room(full.entries, full.bytes, geometry)?;
        let mut body = Writer::default();
        body.raw(&[0; Self::SUM]).term(self.term).u64(self.version);
        body.u32(u32::try_from(full.entries).map_err(|_| full)?);
        for entry in self.entries.values() {
            entry.write(&mut body);
        }
        let mut payload = body.into_bytes();
        let Some((place, rest)) = payload.split_first_chunk_mut::<{ Self::SUM }>() else { return Err(full) };
        let sum = ListSum::of(rest);
        *place = sum.number().to_le_bytes();
        let area = geometry.list_area();
        let bytes = seal(RecordKind::List, writer, generation, &payload, area).map_err(|_| full)?;
        Ok((bytes, sum))
    }

    /// What the whole file of `host` says.
    #[must_use]
    pub fn read(file: &[u8], cluster: ClusterId, host: HostId, geometry: &Geometry) -> ListState {
        let Some((slots, logs)) = split(file, cluster, host, geometry) else {
            let fault = RecordFault::WrongSize { found: file.len() };
            return ListState::Corrupt { a: fault, b: fault };
        };
        let expected = PairExpectation { kind: RecordKind::List, cluster, writer: Some(host) };
        let area = geometry.list_area();
        let state = match read_pair_choosing(slots, area, &expected, Content::read) {
            PairState::NeverWritten if logs.is_untouched() => Ok(ListState::NeverWritten),
            PairState::NeverWritten => Err(RecordFault::NeverWritten),
            PairState::Valid { record } => snapshot_of(record).map(|record| logs.continue_from(record, None)),
            PairState::Degraded { record, other } => {
                snapshot_of(record).map(|record| logs.continue_from(record, Some(other)))
            }
            PairState::Inconsistent { a, b } => {
                list_of(a).and_then(|a| list_of(b).map(|b| ListState::Inconsistent { a, b }))
            }
            PairState::Corrupt { a, b } => Ok(ListState::Corrupt { a, b }),
        };
        state.unwrap_or_else(|fault| ListState::Corrupt { a: fault, b: fault })
    }

    /// The moment in the life of the datastore's list that this one tells of.
    #[must_use]
    pub const fn point(&self) -> ListPoint {
        ListPoint { term: self.term, version: self.version }
    }

    /// Every whole snapshot of a file, each by itself, and its logs; `None` if the file has another size.
    pub(super) fn parts<'a>(
        file: &'a [u8],
        cluster: ClusterId,
        host: HostId,
        geometry: &Geometry,
    ) -> Option<(Vec<Sealed<Snapshot>>, Logs<'a>)> {
        let (slots, logs) = split(file, cluster, host, geometry)?;
        let (a, b) = slots.split_at_checked(geometry.list_area())?;
        let snapshot = |(area, slot)| {
            let expected = Expectation { kind: RecordKind::List, cluster, writer: Some(host), slot };
            let Sealed { writer, generation, content } = open(area, &expected).ok()?;
            let content = SnapshotView::open(content).and_then(|view| view.take_out()).ok()?;
            Some(Sealed { writer, generation, content })
        };
        Some(([(a, Slot::A), (b, Slot::B)].into_iter().filter_map(snapshot).collect(), logs))
    }
}

/// One slot's snapshot: the one that will count is taken out as it is checked, the other one only checked.
enum Content<'a> {
    TakenOut(Snapshot),
    Lying(SnapshotView<'a>),
}

impl<'a> Content<'a> {
    fn read(payload: &'a [u8], expected: PairRole) -> Result<Self, RecordFault> {
        let view = SnapshotView::open(payload)?;
        match expected {
            PairRole::Chosen => view.take_out().map(Self::TakenOut),
            PairRole::Other => view.check().map(|()| Self::Lying(view)),
        }
    }

    fn into_snapshot(self) -> Result<Snapshot, RecordFault> {
        match self {
            Self::TakenOut(snapshot) => Ok(snapshot),
            Self::Lying(view) => view.take_out(),
        }
    }
}

/// The two slots of a file, and its logs; `None` if it has another size.
fn split<'a>(
    file: &'a [u8],
    cluster: ClusterId,
    host: HostId,
    geometry: &Geometry,
) -> Option<(&'a [u8], Logs<'a>)> {
    let (slots, bytes) = file.split_at_checked(geometry.list_area().saturating_mul(2))?;
    let is_whole = bytes.len() == geometry.list_log_area().saturating_mul(2);
    is_whole.then_some((slots, Logs { bytes, records: geometry.list_log_records(), cluster, host }))
}

/// A snapshot where it lies, its sum checked.
struct SnapshotView<'a> {
    term: Term,
    version: u64,
    count: u32,
    entries: Reader<'a>,
    sum: ListSum,
}

impl<'a> SnapshotView<'a> {
    fn open(payload: &'a [u8]) -> Result<Self, RecordFault> {
        let mut reader = Reader::new(payload);
        let sum = ListSum::new(reader.u64("list sum")?);
        if sum != ListSum::of(reader.rest()) {
            return Err(RecordFault::BadPayload);
        }
        let (term, version) = (reader.term("term")?, reader.u64("version")?);
        let count = reader.u32("count")?;
        Ok(Self { term, version, count, entries: reader, sum })
    }

    /// Whether every entry is one, and they are in order.
    fn check(&self) -> Result<(), RecordFault> {
        self.for_each(|_| ())
    }

    fn take_out(&self) -> Result<Snapshot, RecordFault> {
        // No more than the bytes can hold, whatever the count says.
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let room = self.entries.rest().len() / ListEntry::FIXED;
        let mut entries = Vec::with_capacity(count.min(room));
        self.for_each(|entry| entries.push((entry.uuid, entry.entry())))?;
        // In order, as was checked: built from a row, not entry by entry.
        let entries = entries.into_iter().collect();
        Ok(Snapshot {
            list: ProtectedList { term: self.term, version: self.version, entries },
            sum: self.sum,
        })
    }

    fn for_each(&self, mut visit: impl FnMut(EntryView<'a>)) -> Result<(), RecordFault> {
        let mut reader = self.entries;
        let mut last = None;
        for _ in 0..self.count {
            let entry = EntryView::read(&mut reader)?;
            check(last.is_none_or(|last| last < entry.uuid), "order of entries")?;
            last = Some(entry.uuid);
            visit(entry);
        }
        reader.end()
    }
}

fn snapshot_of(record: Sealed<Content<'_>>) -> Result<Sealed<Snapshot>, RecordFault> {
    let Sealed { writer, generation, content } = record;
    content.into_snapshot().map(|content| Sealed { writer, generation, content })
}

fn list_of(record: Sealed<Content<'_>>) -> Result<Sealed<ProtectedList>, RecordFault> {
    let Sealed { writer, generation, content: Snapshot { list, .. } } = snapshot_of(record)?;
    Ok(Sealed { writer, generation, content: list })
}
