use super::{Expectation, Generation, Record, RecordFault, RecordKind, Sealed, Slot, open};
use crate::{ClusterId, HostId};

/// What a reader knows beforehand of a file of two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairExpectation {
    /// The kind of the file.
    pub kind: RecordKind,
    /// The own cluster.
    pub cluster: ClusterId,
    /// The only host that writes the file; `None` if every host does, under a lock.
    pub writer: Option<HostId>,
}

/// What the two slots of a file say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairState<T> {
    /// Both slots are all zero.
    NeverWritten,
    /// The newest record; the other slot holds the one before it, or was not written yet.
    Valid {
        /// The newest record.
        record: Sealed<T>,
    },
    /// One whole record. It may be the older one: the other slot is torn, damaged or lost.
    Degraded {
        /// The whole record.
        record: Sealed<T>,
        /// What is wrong with the other slot.
        other: RecordFault,
    },
    /// Two whole records of which none follows the other. No reader may choose between them.
    Inconsistent {
        /// In slot A.
        a: Sealed<T>,
        /// In slot B.
        b: Sealed<T>,
    },
    /// No whole record, and not for want of writing.
    Corrupt {
        /// What is wrong with slot A.
        a: RecordFault,
        /// What is wrong with slot B.
        b: RecordFault,
    },
}

impl<T> PairState<T> {
    /// The record to go by, if there is one.
    #[must_use]
    pub const fn record(&self) -> Option<&Sealed<T>> {
        match self {
            Self::Valid { record } | Self::Degraded { record, .. } => Some(record),
            Self::NeverWritten | Self::Inconsistent { .. } | Self::Corrupt { .. } => None,
        }
    }

    /// The generation that the file's next write takes. It never goes to the slot of the record to go by.
    #[must_use]
    pub fn next_generation(&self) -> Generation {
        match self {
            Self::Valid { record } | Self::Degraded { record, .. } => record.generation.next(),
            Self::Inconsistent { a, b } => a.generation.max(b.generation).next(),
            Self::NeverWritten | Self::Corrupt { .. } => Generation::FIRST,
        }
    }
}

/// Reads a file of two slots of `area` bytes each.
///
/// `decode` turns a payload into its content; a slot whose payload it refuses counts as damaged. Both whole:
/// the higher generation is the newer one, and must be the other's successor. In a file with one writer an
/// older life's slot may also hold any generation, because a new life may have to count afresh.
#[must_use]
pub fn read_pair<'a, T>(
    bytes: &'a [u8],
    area: usize,
    expected: &PairExpectation,
    decode: impl Fn(&'a [u8]) -> Result<T, RecordFault>,
) -> PairState<T> {
    read_pair_choosing(bytes, area, expected, |payload, _| decode(payload))
}

/// Which of two slots [`read_pair_choosing`] expects to go by, before their contents are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairRole {
    /// This one, if its content is whole.
    Chosen,
    /// The other one, unless its content is damaged.
    Other,
}

/// [`read_pair`] for large contents: `decode` also learns whether its record is the one that will be gone by, if
/// both contents are whole, so that it may take the other one out only later.
#[must_use]
pub fn read_pair_choosing<'a, T>(
    bytes: &'a [u8],
    area: usize,
    expected: &PairExpectation,
    decode: impl Fn(&'a [u8], PairRole) -> Result<T, RecordFault>,
) -> PairState<T> {
    let halves = (bytes.len() == area.saturating_mul(2)).then(|| bytes.split_at(area));
    let Some((a, b)) = halves else {
        let fault = RecordFault::WrongSize { found: bytes.len() };
        return PairState::Corrupt { a: fault, b: fault };
    };
    let slot = |bytes: &'a [u8], slot| {
        let PairExpectation { kind, cluster, writer } = *expected;
        open(bytes, &Expectation { kind, cluster, writer, slot })
    };
    let (a, b) = (slot(a, Slot::A), slot(b, Slot::B));
    let age = |slot: &Result<Record<'_>, _>| {
        let life = |record: &Record<'_>| expected.writer.map(|_| record.writer.incarnation);
        slot.as_ref().ok().map(|record| (life(record), record.generation))
    };
    let (of_a, of_b) = if age(&a) > age(&b) {
        (PairRole::Chosen, PairRole::Other)
    } else {
        (PairRole::Other, PairRole::Chosen)
    };
    let content = |slot: Result<Record<'a>, _>, expected| {
        let Sealed { writer, generation, content } = slot?;
        decode(content, expected).map(|content| Sealed { writer, generation, content })
    };
    match (content(a, of_a), content(b, of_b)) {
        (Ok(a), Ok(b)) => both(a, b, expected.writer.is_some()),
        (Ok(record), Err(other)) | (Err(other), Ok(record)) => one(record, other),
        (Err(RecordFault::NeverWritten), Err(RecordFault::NeverWritten)) => PairState::NeverWritten,
        (Err(a), Err(b)) => PairState::Corrupt { a, b },
    }
}

fn both<T>(a: Sealed<T>, b: Sealed<T>, one_writer: bool) -> PairState<T> {
    let (lives, boots) = ((a.writer.incarnation, b.writer.incarnation), (a.writer.boot, b.writer.boot));
    if one_writer && lives.0 != lives.1 {
        return PairState::Valid { record: if lives.0 > lives.1 { a } else { b } };
    }
    let one_life = !one_writer || boots.0 == boots.1;
    if one_life && follows(&a, &b) {
        PairState::Valid { record: a }
    } else if one_life && follows(&b, &a) {
        PairState::Valid { record: b }
    } else {
        PairState::Inconsistent { a, b }
    }
}

fn one<T>(record: Sealed<T>, other: RecordFault) -> PairState<T> {
    if record.generation == Generation::FIRST && other == RecordFault::NeverWritten {
        PairState::Valid { record }
    } else {
        PairState::Degraded { record, other }
    }
}

fn follows<T>(newer: &Sealed<T>, older: &Sealed<T>) -> bool {
    newer.generation > older.generation && newer.generation == older.generation.next()
}
