use ha_core::record::{BLOCK, Expectation, Generation, RecordFault, RecordKind, Slot, is_zero, open_head};
use ha_core::{ClusterId, HostId, Incarnation};

use super::log_record::LogRecord;
use super::{Geometry, ProtectedList};

/// What a few blocks of `protectedlist.<n>` tell of the whole file: whether its host has ever written it, and in
/// which life last. An owner writes its list before it owns, so no later life than that has owned the datastore.
///
/// The blocks are the first of each slot and those of the first record of log A. A file that was written shows it in
/// at least two of them, or has nothing in it but a merged list that was the first ever written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListHead {
    /// Never written.
    NeverWritten,
    /// Written by this life last, or by an earlier one.
    Written {
        /// The life.
        life: Incarnation,
    },
    /// Written and damaged: which life was the last is not known.
    Damaged,
}

/// Which of the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HeadPart {
    Slot(Slot),
    Log,
}

/// The blocks as they come in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeadParts {
    a: Option<SlotHead>,
    b: Option<SlotHead>,
    /// Whether something stands in log A.
    logged: bool,
}

#[derive(Clone, Copy, Debug)]
enum SlotHead {
    Zero,
    Whole(Generation, Incarnation),
    Damaged,
}

impl HeadPart {
    pub(crate) const ALL: [Self; 3] = [Self::Slot(Slot::A), Self::Slot(Slot::B), Self::Log];

    /// Where it lies in the file and how long it is, in bytes; `None` if the file has no such part.
    pub(crate) fn place(self, geometry: &Geometry) -> Option<(u64, u32)> {
        let blocks = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        match self {
            Self::Slot(slot) => Some((slot.offset(geometry.list_area()) as u64, blocks(BLOCK))),
            Self::Log => (geometry.list_log_records() > 0)
                .then(|| (ProtectedList::log_offset(Slot::A, geometry), blocks(LogRecord::TWINS))),
        }
    }
}

impl HeadParts {
    /// Takes a part in.
    pub(crate) fn take(&mut self, part: HeadPart, bytes: &[u8], cluster: ClusterId, host: HostId) {
        match part {
            HeadPart::Log => self.logged = !is_zero(bytes),
            HeadPart::Slot(slot) => {
                let expected = Expectation { kind: RecordKind::List, cluster, writer: Some(host), slot };
                let head = match open_head(bytes, &expected) {
                    Ok(head) => SlotHead::Whole(head.generation, head.writer.incarnation),
                    Err(RecordFault::NeverWritten) => SlotHead::Zero,
                    Err(_) => SlotHead::Damaged,
                };
                match slot {
                    Slot::A => self.a = Some(head),
                    Slot::B => self.b = Some(head),
                }
            }
        }
    }

    /// What all parts say together. One that did not come counts as damaged.
    pub(crate) fn judge(self) -> ListHead {
        match (self.a.unwrap_or(SlotHead::Damaged), self.b.unwrap_or(SlotHead::Damaged)) {
            (SlotHead::Zero, SlotHead::Zero) if !self.logged => ListHead::NeverWritten,
            (SlotHead::Whole(Generation::FIRST, life), SlotHead::Zero) => ListHead::Written { life },
            (SlotHead::Whole(_, a), SlotHead::Whole(_, b)) => ListHead::Written { life: a.max(b) },
            (SlotHead::Zero | SlotHead::Whole(..) | SlotHead::Damaged, _) => ListHead::Damaged,
        }
    }
}
