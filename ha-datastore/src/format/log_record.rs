use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use ha_core::record::{BLOCK, Expectation, Generation, HEADER, RecordFault, RecordKind, Sealed, open, seal};
use ha_core::{ClusterId, HostId, Identity, Term};
use xxhash_rust::xxh3::Xxh3;

use super::ListEntry;
use super::cursor::{Reader, Writer, check};
use super::list_sum::ListSum;

/// Where in a log a record lies, counted in records from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(u32);

impl LogIndex {
    /// The first record of a log.
    pub const FIRST: Self = Self(0);

    /// The index with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number that records carry.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The index `count` records further on.
    pub(super) const fn after(self, count: u32) -> Self {
        Self(self.0.saturating_add(count))
    }
}

/// The snapshot that a log continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogBase {
    pub(super) generation: Generation,
    pub(super) sum: ListSum,
}

/// One of the two places of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twin {
    First,
    Second,
}

impl Twin {
    pub(super) const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// In a log the envelope's generation is the number of the block, so its slot tells the copies apart, and a
    /// block that lies anywhere else than it was written to is noticed.
    fn block(self, index: LogIndex) -> Generation {
        let first = u64::from(index.0) * 2;
        Generation::new(match self {
            Self::First => first,
            Self::Second => first + 1,
        })
    }
}

/// One record of a log: some entries of one group of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogRecord {
    pub(super) base: LogBase,
    pub(super) index: LogIndex,
    /// The first record of the same write.
    pub(super) first: LogIndex,
    /// How many records the write has. It counts whole or not at all.
    pub(super) count: u32,
    pub(super) term: Term,
    /// The list's version after the write.
    pub(super) version: u64,
    /// By uuid, strictly ascending.
    pub(super) entries: Vec<ListEntry>,
}

impl LogRecord {
    /// What a record takes up, in bytes: two blocks, twins but for the number of the block.
    pub(super) const TWINS: usize = 2 * BLOCK;
    /// How many bytes of entries one record has room for.
    pub(super) const ROOM: usize = BLOCK - HEADER - Self::FIXED;

    const FIXED: usize = 60;
    const CHAIN: usize = 8;

    /// Appends both copies to `file`. Gives the chain that the next record continues; `None` if the entries do
    /// not fit, and then nothing was appended.
    pub(super) fn seal(&self, writer: &Identity, before: ListSum, file: &mut Vec<u8>) -> Option<ListSum> {
        let mut payload = Writer::default();
        payload.raw(&[0; Self::CHAIN]).u64(self.base.generation.number()).u64(self.base.sum.number());
        payload.u32(self.index.0).u32(self.first.0).u32(self.count);
        payload.term(self.term).u64(self.version).u32(u32::try_from(self.entries.len()).ok()?);
        for entry in &self.entries {
            entry.write(&mut payload);
        }
        let mut payload = payload.into_bytes();
        let (place, rest) = payload.split_first_chunk_mut::<{ Self::CHAIN }>()?;
        let chain = chain(before, rest);
        *place = chain.number().to_le_bytes();
        let block = |copy: Twin| -> Option<Bytes> {
            seal(RecordKind::ListLog, writer, copy.block(self.index), &payload, BLOCK).ok()
        };
        let [first, second] = Twin::BOTH.map(block);
        let (first, second) = (first?, second?);
        file.extend_from_slice(&first);
        file.extend_from_slice(&second);
        Some(chain)
    }

    fn decode(payload: &[u8]) -> Result<Self, RecordFault> {
        let mut reader = Reader::new(payload);
        let generation = Generation::new(reader.u64("base")?);
        let base = LogBase { generation, sum: ListSum::new(reader.u64("base sum")?) };
        let index = reader.u32("index")?;
        let (first, count) = (reader.u32("first of the write")?, reader.u32("records of the write")?);
        let place = index.checked_sub(first);
        check(place.is_some_and(|place| place < count), "records of the write")?;
        let (index, first) = (LogIndex(index), LogIndex(first));
        let (term, version) = (reader.term("term")?, reader.u64("version")?);
        let mut entries: Vec<ListEntry> = Vec::new();
        for _ in 0..reader.u32("count")? {
            let entry = ListEntry::read(&mut reader)?;
            let ascending = entries.last().is_none_or(|last| last.vm.uuid() < entry.vm.uuid());
            check(ascending, "order of entries")?;
            entries.push(entry);
        }
        reader.end()?;
        Ok(Self { base, index, first, count, term, version, entries })
    }
}

/// A record as it lies in a log, with what ties it to the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogBlock<'a> {
    pub(super) record: LogRecord,
    pub(super) chain: ListSum,
    chained: &'a [u8],
}

impl<'a> LogBlock<'a> {
    /// Opens one copy of the record at `index` of `log`, which host `host` writes.
    pub(super) fn open(
        log: &'a [u8],
        (index, copy): (LogIndex, Twin),
        cluster: ClusterId,
        host: HostId,
    ) -> Result<Sealed<Self>, RecordFault> {
        let block = copy.block(index);
        let place = place(block).ok_or(RecordFault::WrongSize { found: log.len() })?;
        let bytes = log.get(place).ok_or(RecordFault::WrongSize { found: log.len() })?;
        let kind = RecordKind::ListLog;
        let Sealed { writer, generation, content } =
            open(bytes, &Expectation { kind, cluster, writer: Some(host), slot: block.slot() })?;
        if generation != block {
            return Err(RecordFault::WrongSlot { found: block.slot().index(), generation });
        }
        let bad = RecordFault::BadContent { field: "chain" };
        let (chain, chained) = content.split_first_chunk().ok_or(bad)?;
        let record = LogRecord::decode(chained)?;
        check(record.index == index, "index")?;
        let chain = ListSum::new(u64::from_le_bytes(*chain));
        Ok(Sealed { writer, generation, content: Self { record, chain, chained } })
    }

    /// Whether it was written right after the record, or the snapshot, whose chain is `before`.
    pub(super) fn follows(&self, before: ListSum) -> bool {
        chain(before, self.chained) == self.chain
    }
}

/// The bytes of a block within its log.
fn place(block: Generation) -> Option<Range<usize>> {
    let start = usize::try_from(block.number()).ok()?.checked_mul(BLOCK)?;
    Some(start..start.checked_add(BLOCK)?)
}

fn chain(before: ListSum, payload: &[u8]) -> ListSum {
    let mut sum = Xxh3::new();
    sum.update(&before.number().to_le_bytes());
    sum.update(payload);
    ListSum::new(sum.digest())
}
