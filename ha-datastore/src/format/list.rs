use alloc::collections::BTreeMap;

use bytes::Bytes;
use ha_core::record::{
    Generation, HEADER, PairExpectation, PairState, RecordFault, RecordKind, read_pair, seal,
};
use ha_core::{ClusterId, HostId, Identity, Term, VmUuid};
use xxhash_rust::xxh3::xxh3_64;

use super::cursor::{Reader, Writer, check};
use super::geometry::slot_offset;
use super::{Geometry, ListEntry};

/// The virtual machines that live on a datastore, as one host last wrote them into its `protectedlist.<n>`.
///
/// Each slot holds the whole list. (A chained log of changes after the snapshot, so that one change is one
/// small write however long the list is, is later work.) Lists are longer than CRC-32 is good for, so the
/// payload begins with the XXH3 sum of the rest, 64 bits wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedList {
    /// The term under which it was written.
    pub term: Term,
    /// One more with each write, over all owners; a merged list continues from the highest.
    pub version: u64,
    /// The entries, each under its own uuid.
    pub entries: BTreeMap<VmUuid, ListEntry>,
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

    /// The bytes of the generation's slot.
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
        let full = ListFull { entries: self.entries.len(), bytes: self.encoded_len() };
        Self::check_room(full.entries, full.bytes, geometry)?;
        let mut body = Writer::default();
        body.raw(&[0; Self::SUM]).term(self.term).u64(self.version);
        body.u32(u32::try_from(full.entries).map_err(|_| full)?);
        for entry in self.entries.values() {
            entry.write(&mut body);
        }
        let mut payload = body.into_bytes();
        if let Some((sum, rest)) = payload.split_first_chunk_mut::<{ Self::SUM }>() {
            *sum = xxh3_64(rest).to_le_bytes();
        }
        seal(RecordKind::List, writer, generation, &payload, geometry.list_area()).map_err(|_| full)
    }

    /// What the whole file of `host` says.
    #[must_use]
    pub fn read(file: &[u8], cluster: ClusterId, host: HostId, geometry: &Geometry) -> PairState<Self> {
        let expected = PairExpectation { kind: RecordKind::List, cluster, writer: Some(host) };
        read_pair(file, geometry.list_area(), &expected, Self::decode)
    }

    fn decode(payload: &[u8]) -> Result<Self, RecordFault> {
        let mut reader = Reader::new(payload);
        let sum = reader.u64("list sum")?;
        if sum != xxh3_64(reader.rest()) {
            return Err(RecordFault::BadPayload);
        }
        let mut list =
            Self { term: reader.term("term")?, version: reader.u64("version")?, entries: BTreeMap::new() };
        for _ in 0..reader.u32("count")? {
            let entry = ListEntry::read(&mut reader)?;
            let uuid = entry.vm.uuid();
            let ascending = list.entries.last_key_value().is_none_or(|(last, _)| *last < uuid);
            check(ascending, "order of entries")?;
            list.entries.insert(uuid, entry);
        }
        reader.end()?;
        Ok(list)
    }
}
