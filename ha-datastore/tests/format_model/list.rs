//! The section "The logs of a list": the file of host 7 with two slots of 32,768 bytes and two logs of four records.

use std::collections::BTreeMap;

use ha_core::record::{Generation, RecordFault};
use ha_datastore::format::{Geometry, ListDamage, ListState, LogIndex};
use xxhash_rust::xxh3::xxh3_64;

use super::told::Told;
use super::{BLOCK, HEADER, Rules, field, is_zero, pair, payload, restamp, slot, u32_at, u64_at};

pub(crate) const LIST: u16 = 4;
pub(crate) const LIST_LOG: u16 = 7;
pub(crate) const AREA: usize = 32_768;
pub(crate) const RECORDS: u32 = 4;
pub(crate) const LOG: usize = 4 * 2 * BLOCK;

const SLOTS: Rules = Rules { kind: LIST, host: Some(7), area: AREA };
const BLOCKS: Rules = Rules { kind: LIST_LOG, host: Some(7), area: BLOCK };
/// What a list's payload has before its entries, and a record's of a log.
const LIST_FIXED: usize = 32;
const RECORD_FIXED: usize = 60;

/// A reader's answer; a list by the bytes of the snapshot that would say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToldList {
    Slots(Told),
    Degraded(Vec<u8>, ListDamage),
    Outdated(Vec<u8>, Generation),
    Broken { base: Generation, lost: LogIndex, found: LogIndex },
}

impl ToldList {
    /// What the crate's reader says.
    pub(crate) fn of(state: ListState, geometry: &Geometry) -> Self {
        let bytes = |record: ha_core::record::Sealed<ha_datastore::format::ProtectedList>| {
            record.content.seal(&record.writer, record.generation, geometry).unwrap().to_vec()
        };
        match state {
            ListState::NeverWritten => Self::Slots(Told::NeverWritten),
            ListState::Valid { record } => Self::Slots(Told::Valid(bytes(record))),
            ListState::Degraded { record, damage } => Self::Degraded(bytes(record), damage),
            ListState::Outdated { record, lost } => Self::Outdated(bytes(record), lost),
            ListState::BrokenLog { base, lost, found } => Self::Broken { base, lost, found },
            ListState::Inconsistent { a, b } => Self::Slots(Told::Inconsistent(bytes(a), bytes(b))),
            ListState::Corrupt { a, b } => Self::Slots(Told::Corrupt(a, b)),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Slots(told) => told.name(),
            Self::Degraded(..) => "degraded",
            Self::Outdated(..) => "outdated",
            Self::Broken { .. } => "broken",
        }
    }
}

/// "Reading the file".
pub(crate) fn read(file: &[u8]) -> ToldList {
    if file.len() != 2 * AREA + 2 * LOG {
        let fault = RecordFault::WrongSize { found: file.len() };
        return ToldList::Slots(Told::Corrupt(fault, fault));
    }
    let (slots, logs) = file.split_at(2 * AREA);
    let (snapshot, other) = match pair(slots, &SLOTS) {
        Told::NeverWritten if !is_zero(logs) => {
            return ToldList::Slots(Told::Corrupt(RecordFault::NeverWritten, RecordFault::NeverWritten));
        }
        Told::Valid(snapshot) => (snapshot, None),
        Told::Degraded(snapshot, fault) => (snapshot, Some(fault)),
        told @ (Told::NeverWritten | Told::Inconsistent(..) | Told::Corrupt(..)) => {
            return ToldList::Slots(told);
        }
    };
    let (a, b) = logs.split_at(LOG);
    let (own, across) = if u64_at(&snapshot, field::GENERATION).is_multiple_of(2) { (a, b) } else { (b, a) };
    Reading::new(&snapshot, own).judge(across, other)
}

/// A whole record.
#[derive(Clone, Copy)]
struct Record<'a> {
    block: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// The copy in that block of a log.
    fn open(log: &'a [u8], number: u32) -> Result<Self, RecordFault> {
        let at = number as usize * BLOCK;
        let block = &log[at..at + BLOCK];
        slot(block, &BLOCKS, number % 2)?;
        let generation = u64_at(block, field::GENERATION);
        if generation != u64::from(number) {
            return Err(RecordFault::WrongSlot {
                found: number % 2,
                generation: Generation::new(generation),
            });
        }
        let record = Self { block, payload: payload(block) };
        let (index, first, count) = (record.index(), record.first(), record.count());
        if index != number / 2 || first > index || index - first >= count {
            return Err(RecordFault::BadContent { field: "index" });
        }
        Ok(record)
    }

    fn base(&self) -> u64 {
        u64_at(self.payload, 8)
    }

    fn index(&self) -> u32 {
        u32_at(self.payload, 24)
    }

    fn first(&self) -> u32 {
        u32_at(self.payload, 28)
    }

    fn count(&self) -> u32 {
        u32_at(self.payload, 32)
    }

    fn chain(&self) -> u64 {
        u64_at(self.payload, 0)
    }

    fn chains_to(&self, before: u64) -> bool {
        xxh3_64(&[&before.to_le_bytes(), &self.payload[8..]].concat()) == self.chain()
    }

    /// By incarnation, then generation of the base.
    fn age(&self) -> (u64, u64) {
        (u64_at(self.block, field::INCARNATION), self.base())
    }

    fn continues(&self, snapshot: &[u8]) -> bool {
        let writer = field::HOST..field::SLOT;
        let life = field::BOOT..field::GENERATION;
        self.block[writer.clone()] == snapshot[writer]
            && self.block[life.clone()] == snapshot[life]
            && self.base() == u64_at(snapshot, field::GENERATION)
            && u64_at(self.payload, 16) == u64_at(payload(snapshot), 0)
    }
}

/// A list on the way to its log's end.
struct Reading<'a> {
    snapshot: &'a [u8],
    own: &'a [u8],
    /// The list sum, then the chain after each record taken in.
    chains: Vec<u64>,
    /// Term and version, as they lie.
    head: Vec<u8>,
    entries: BTreeMap<[u8; 16], Vec<u8>>,
}

impl<'a> Reading<'a> {
    fn new(snapshot: &'a [u8], own: &'a [u8]) -> Self {
        let list = payload(snapshot);
        let (chains, head) = (vec![u64_at(list, 0)], list[8..28].to_vec());
        let mut reading = Self { snapshot, own, chains, head, entries: BTreeMap::new() };
        reading.take_entries(&list[LIST_FIXED..]);
        while reading.take_write() {}
        reading
    }

    fn end(&self) -> u32 {
        u32::try_from(self.chains.len()).unwrap() - 1
    }

    fn last_chain(&self) -> u64 {
        *self.chains.last().unwrap()
    }

    fn copies(&self, index: u32) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let own = self.own;
        (2 * index..2 * index + 2).filter_map(move |number| Record::open(own, number).ok())
    }

    /// Rules 1 and 2.
    fn take_write(&mut self) -> bool {
        let (start, mut chain, mut taken) = (self.end(), self.last_chain(), Vec::new());
        let mut count = None;
        while count.is_none_or(|count| taken.len() < count as usize) {
            let index = start + u32::try_from(taken.len()).unwrap();
            if index >= RECORDS {
                return false;
            }
            let fits = |copy: &Record<'_>| {
                copy.continues(self.snapshot)
                    && copy.chains_to(chain)
                    && copy.first() == start
                    && count.is_none_or(|count| copy.count() == count)
            };
            let Some(record) = self.copies(index).find(fits) else { return false };
            (chain, count) = (record.chain(), Some(record.count()));
            taken.push(record);
        }
        for record in taken {
            self.chains.push(record.chain());
            self.head = record.payload[36..56].to_vec();
            self.take_entries(&record.payload[RECORD_FIXED..]);
        }
        true
    }

    fn take_entries(&mut self, mut entries: &[u8]) {
        while !entries.is_empty() {
            let path = usize::from(u16::from_le_bytes([entries[39], entries[40]]));
            let (entry, rest) = entries.split_at(41 + path + if entries[22] == 1 { 37 } else { 0 });
            self.entries.insert(entry[..16].try_into().unwrap(), entry.to_vec());
            entries = rest;
        }
    }

    /// Rules 3 and 4, and the table below them.
    fn judge(&self, across: &[u8], other: Option<RecordFault>) -> ToldList {
        let mut damage = ListDamage { slot: other, ..ListDamage::default() };
        let (mut strays, mut lost) = (Vec::new(), None);
        let snapshot_age =
            (u64_at(self.snapshot, field::INCARNATION), u64_at(self.snapshot, field::GENERATION));
        for (log, number) in
            [self.own, across].into_iter().flat_map(|log| (0..2 * RECORDS).map(move |n| (log, n)))
        {
            let (index, in_own) = (number / 2, core::ptr::eq(log, self.own));
            let copy = Record::open(log, number);
            if let Ok(record) = copy
                && !record.continues(self.snapshot)
                && record.age() >= snapshot_age
            {
                lost = lost.max(Some(record.age()));
            }
            let ours = copy.ok().filter(|record| record.continues(self.snapshot));
            if in_own && index < self.end() {
                let whole = ours.is_some_and(|record| record.chain() == self.chains[index as usize + 1]);
                damage.twins += u32::from(!whole);
            } else if let Some(record) = ours {
                let of_this_write = in_own && record.first() == self.end();
                if of_this_write && (index > self.end() || record.chains_to(self.last_chain())) {
                    damage.torn_end = true;
                } else {
                    strays.push(index);
                }
            } else if in_own && index == self.end() {
                damage.torn_end |= copy.is_err_and(|fault| fault != RecordFault::NeverWritten);
            }
        }
        let generation = u64_at(self.snapshot, field::GENERATION);
        match (strays.first(), lost) {
            (Some(found), _) => ToldList::Broken {
                base: Generation::new(generation),
                lost: LogIndex::new(self.end()),
                found: LogIndex::new(*found),
            },
            (None, Some((_, lost))) => ToldList::Outdated(self.list(), Generation::new(lost)),
            (None, None) if damage.is_none() => ToldList::Slots(Told::Valid(self.list())),
            (None, None) => ToldList::Degraded(self.list(), damage),
        }
    }

    /// The snapshot that says what the list says at the log's end.
    fn list(&self) -> Vec<u8> {
        let count = u32::try_from(self.entries.len()).unwrap();
        let entries: Vec<u8> = self.entries.values().flatten().copied().collect();
        let rest = [&self.head[..], &count.to_le_bytes(), &entries].concat();
        let list = [&xxh3_64(&rest).to_le_bytes()[..], &rest].concat();
        restamp(self.snapshot, |slot| {
            slot[field::LENGTH..field::PAYLOAD_SUM]
                .copy_from_slice(&u32::try_from(list.len()).unwrap().to_le_bytes());
            slot[HEADER..].fill(0);
            slot[HEADER..HEADER + list.len()].copy_from_slice(&list);
        })
    }
}
