use alloc::vec::Vec;

use bytes::Bytes;
use ha_core::record::Generation;
use ha_core::{Identity, Term};

use super::list_sum::ListSum;
use super::log_record::{LogBase, LogIndex, LogRecord};
use super::{Geometry, ListEntry, ProtectedList};

/// The end of the log that continues a snapshot: where the next record goes, and what it chains to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListLog {
    base: LogBase,
    next: LogIndex,
    chain: ListSum,
}

/// One write to a log.
#[derive(Debug)]
pub(crate) struct LogWrite {
    /// Where in the file it goes, in bytes.
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
    /// The log as it is once the bytes are durable.
    pub(crate) log: ListLog,
}

impl ListLog {
    /// The log of a snapshot, empty. It must be durable before the first write to its log begins.
    pub(crate) const fn new(generation: Generation, sum: ListSum) -> Self {
        Self { base: LogBase { generation, sum }, next: LogIndex::FIRST, chain: sum }
    }

    /// The write that carries `entries`, in ascending order, and brings the list to `version` under `term`.
    ///
    /// `None` if a snapshot is the better write: the log has no room, or the records would be no shorter.
    pub(crate) fn append<'a>(
        &self,
        writer: &Identity,
        geometry: &Geometry,
        (term, version): (Term, u64),
        entries: impl IntoIterator<Item = &'a ListEntry>,
    ) -> Option<LogWrite> {
        let groups = pack(entries, self.most(geometry))?;
        let count = u32::try_from(groups.len()).ok()?;
        let (mut bytes, mut chain) = (Vec::with_capacity(groups.len() * LogRecord::TWINS), self.chain);
        for (index, entries) in (0..count).zip(groups) {
            let (index, first) = (self.next.after(index), self.next);
            let record = LogRecord { base: self.base, index, first, count, term, version, entries };
            chain = record.seal(writer, chain, &mut bytes)?;
        }
        let log = Self { base: self.base, next: self.next.after(count), chain };
        Some(LogWrite { offset: self.offset(geometry), bytes: Bytes::from(bytes), log })
    }

    /// How many records the next write may have: as many as have room, and fewer than a snapshot has bytes.
    fn most(&self, geometry: &Geometry) -> usize {
        let left = geometry.list_log_records().saturating_sub(self.next.number());
        let shorter = geometry.list_area().saturating_sub(1) / LogRecord::TWINS;
        usize::try_from(left).unwrap_or(usize::MAX).min(shorter)
    }

    fn offset(&self, geometry: &Geometry) -> u64 {
        let records = u64::from(self.next.number()).saturating_mul(LogRecord::TWINS as u64);
        ProtectedList::log_offset(self.base.generation.slot(), geometry).saturating_add(records)
    }
}

/// Shares entries out to records, one at least and `most` at most.
fn pack<'a>(entries: impl IntoIterator<Item = &'a ListEntry>, most: usize) -> Option<Vec<Vec<ListEntry>>> {
    let mut groups = Vec::new();
    let (mut group, mut left) = (Vec::new(), LogRecord::ROOM);
    for entry in entries {
        let needed = entry.encoded_len();
        if needed > left {
            groups.push(core::mem::take(&mut group));
            left = LogRecord::ROOM;
            if groups.len() >= most {
                return None;
            }
        }
        left = left.checked_sub(needed)?;
        group.push(entry.clone());
    }
    groups.push(group);
    (groups.len() <= most).then_some(groups)
}
