use alloc::vec::Vec;

use ha_core::record::{Generation, RecordFault, Sealed, Slot, is_zero};
use ha_core::{ClusterId, HostId, Identity, Incarnation};

use super::list::Snapshot;
use super::list_sum::ListSum;
use super::log_record::{LogBase, LogBlock, LogIndex, LogRecord, Twin};
use super::{ListDamage, ListPoint, ListState, ProtectedList};

/// Both copies of one record.
type Twins<'a> = [Result<Sealed<LogBlock<'a>>, RecordFault>; 2];

/// The two logs of a file, and how its blocks are opened.
pub(super) struct Logs<'a> {
    pub(super) bytes: &'a [u8],
    /// How many records each has.
    pub(super) records: u32,
    pub(super) cluster: ClusterId,
    pub(super) host: HostId,
}

impl<'a> Logs<'a> {
    fn twins(&self, log: Slot) -> Vec<Twins<'a>> {
        let bytes = self.bytes.split_at_checked(self.bytes.len() / 2);
        let bytes = match (log, bytes) {
            (Slot::A, Some((log, _))) | (Slot::B, Some((_, log))) => log,
            (Slot::A | Slot::B, None) => &[],
        };
        let twins = |index| {
            Twin::BOTH
                .map(|copy| LogBlock::open(bytes, (LogIndex::new(index), copy), self.cluster, self.host))
        };
        (0..self.records).map(twins).collect()
    }

    /// Whether nothing was ever written to either log.
    pub(super) fn is_untouched(&self) -> bool {
        is_zero(self.bytes)
    }

    /// Every whole record of both logs as a list that names only what it changed. The generation is that of the snapshot
    /// that it continues.
    pub(super) fn records(&self) -> impl Iterator<Item = Sealed<ProtectedList>> {
        let twins = [Slot::A, Slot::B].into_iter().flat_map(|log| self.twins(log));
        twins.flat_map(|[first, second]| {
            let record = |copy: Sealed<LogBlock<'_>>| (copy.writer, copy.content.record);
            let first = first.ok().map(record);
            let second = second.ok().map(record).filter(|copy| Some(copy) != first.as_ref());
            first.into_iter().chain(second).map(|(writer, record)| {
                let LogRecord { base, term, version, entries, .. } = record;
                let entries = entries.into_iter().map(|entry| (entry.vm.uuid(), entry)).collect();
                let content = ProtectedList { term, version, entries };
                Sealed { writer, generation: base.generation, content }
            })
        })
    }

    /// The moment up to which a snapshot and its log tell everything.
    pub(super) fn end_of(&self, snapshot: &Sealed<Snapshot>) -> ListPoint {
        let Sealed { writer, generation, content: Snapshot { list, sum } } = snapshot;
        let base = LogBase { generation: *generation, sum: *sum };
        let list = ProtectedList { version: list.version, ..ProtectedList::new(list.term) };
        let mut walk = Walk { writer: *writer, base, list, chains: Vec::new() };
        let log = self.twins(generation.slot());
        while walk.take_write(&log) {}
        walk.list.point()
    }

    /// What the file says, given the snapshot that counts and what is wrong with the other one's slot.
    pub(super) fn continue_from(&self, snapshot: Sealed<Snapshot>, other: Option<RecordFault>) -> ListState {
        let Sealed { writer, generation, content: Snapshot { list, sum } } = snapshot;
        let base = LogBase { generation, sum };
        let mut walk = Walk { writer, base, list, chains: Vec::new() };
        let (own, across) = match generation.slot() {
            Slot::A => (Slot::A, Slot::B),
            Slot::B => (Slot::B, Slot::A),
        };
        let own = self.twins(own);
        while walk.take_write(&own) {}
        let mut survey =
            Survey { damage: ListDamage { slot: other, ..ListDamage::default() }, ..Survey::default() };
        survey.own_log(&walk, &own);
        survey.other_log(&walk, &self.twins(across));
        survey.judge(walk)
    }
}

/// A list on its way from its snapshot to the end of its log.
struct Walk {
    writer: Identity,
    base: LogBase,
    list: ProtectedList,
    /// The chain after each record that was taken in.
    chains: Vec<ListSum>,
}

/// Which snapshot a whole record continues.
enum Continues {
    This,
    Older,
    /// A newer one, or another one of the same generation: it was durable once, and is not here.
    Lost(Incarnation, Generation),
}

impl Walk {
    fn end(&self) -> LogIndex {
        LogIndex::new(u32::try_from(self.chains.len()).unwrap_or(u32::MAX))
    }

    /// The chain after `records` records.
    fn chain(&self, records: usize) -> ListSum {
        let last = records.checked_sub(1).and_then(|last| self.chains.get(last));
        last.copied().unwrap_or(self.base.sum)
    }

    /// Takes in the next write, if every record of it is there, and tells whether it did.
    fn take_write(&mut self, log: &[Twins<'_>]) -> bool {
        let (start, mut chain) = (self.end(), self.chain(self.chains.len()));
        let mut write: Vec<(&LogRecord, ListSum)> = Vec::new();
        for twins in log.iter().skip(self.chains.len()) {
            let next = twins.iter().flatten().find(|copy| self.is_next(copy, start, chain));
            let Some(block) = next.map(|copy| &copy.content) else { return false };
            chain = block.chain;
            write.push((&block.record, chain));
            if start.after(block.record.count) == block.record.index.after(1) {
                break;
            }
        }
        // A write that would go on beyond the log has no end.
        let whole = write.last().is_some_and(|(last, _)| {
            start.after(last.count) == last.index.after(1)
                && write.iter().all(|(one, _)| one.count == last.count)
        });
        if whole {
            for (record, chain) in write {
                self.apply(record);
                self.chains.push(chain);
            }
        }
        whole
    }

    fn is_next(&self, copy: &Sealed<LogBlock<'_>>, start: LogIndex, chain: ListSum) -> bool {
        let block = &copy.content;
        self.is_ours(copy) && block.record.first == start && block.follows(chain)
    }

    fn apply(&mut self, record: &LogRecord) {
        (self.list.term, self.list.version) = (record.term, record.version);
        for entry in &record.entries {
            self.list.entries.insert(entry.vm.uuid(), entry.clone());
        }
    }

    fn is_ours(&self, copy: &Sealed<LogBlock<'_>>) -> bool {
        copy.writer == self.writer && copy.content.record.base == self.base
    }

    fn continues(&self, copy: &Sealed<LogBlock<'_>>) -> Continues {
        let (life, base) = (copy.writer.incarnation, copy.content.record.base.generation);
        // An older life may have counted further; see `read_pair`.
        if self.is_ours(copy) {
            Continues::This
        } else if (life, base) < (self.writer.incarnation, self.base.generation) {
            Continues::Older
        } else {
            Continues::Lost(life, base)
        }
    }
}

/// What else than the list stands in the logs.
#[derive(Default)]
struct Survey {
    damage: ListDamage,
    /// A record of this log that lies where the log has ended.
    stray: Option<LogIndex>,
    lost: Option<(Incarnation, Generation)>,
}

impl Survey {
    fn own_log(&mut self, walk: &Walk, log: &[Twins<'_>]) {
        let end = walk.end();
        for (index, twins) in (0..).map(LogIndex::new).zip(log) {
            for copy in twins {
                if index < end {
                    self.taken(walk, index, copy);
                } else {
                    self.after_end(walk, index, copy);
                }
            }
        }
    }

    /// A copy of a record that was taken in, from it or from its twin.
    fn taken(&mut self, walk: &Walk, index: LogIndex, copy: &Result<Sealed<LogBlock<'_>>, RecordFault>) {
        let records = usize::try_from(index.after(1).number()).unwrap_or(usize::MAX);
        let is_whole = match copy {
            Ok(copy) => {
                self.note_lost(walk.continues(copy));
                walk.is_ours(copy) && copy.content.chain == walk.chain(records)
            }
            Err(_) => false,
        };
        self.damage.twins += u32::from(!is_whole);
    }

    /// A place where no record was taken in.
    fn after_end(&mut self, walk: &Walk, index: LogIndex, copy: &Result<Sealed<LogBlock<'_>>, RecordFault>) {
        let end = walk.end();
        match copy {
            Ok(copy) => match walk.continues(copy) {
                Continues::This => {
                    // Records of one write land in any order. One of a later write proves that this one was durable.
                    let of_this_write = copy.content.record.first == end;
                    let unchained = index == end && !copy.content.follows(walk.chain(walk.chains.len()));
                    if of_this_write && !unchained {
                        self.damage.torn_end = true;
                    } else {
                        self.stray.get_or_insert(index);
                    }
                }
                other @ (Continues::Older | Continues::Lost(..)) => self.note_lost(other),
            },
            Err(RecordFault::NeverWritten) => {}
            Err(_) => self.damage.torn_end |= index == end,
        }
    }

    fn other_log(&mut self, walk: &Walk, log: &[Twins<'_>]) {
        for copy in log.iter().flatten().flatten() {
            match walk.continues(copy) {
                Continues::This => {
                    self.stray.get_or_insert(copy.content.record.index);
                }
                other @ (Continues::Older | Continues::Lost(..)) => self.note_lost(other),
            }
        }
    }

    fn note_lost(&mut self, continues: Continues) {
        match continues {
            Continues::Lost(life, base) => self.lost = self.lost.max(Some((life, base))),
            Continues::This | Continues::Older => {}
        }
    }

    fn judge(self, walk: Walk) -> ListState {
        let (base, end) = (walk.base.generation, walk.end());
        if let Some(found) = self.stray {
            return ListState::BrokenLog { base, lost: end, found };
        }
        let record = Sealed { writer: walk.writer, generation: base, content: walk.list };
        if let Some((_, lost)) = self.lost {
            ListState::Outdated { record, lost }
        } else if self.damage.is_none() {
            ListState::Valid { record }
        } else {
            ListState::Degraded { record, damage: self.damage }
        }
    }
}
