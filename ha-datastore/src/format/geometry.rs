use ha_core::record::{BLOCK, Generation, HEADER};
use ha_core::{FileKind, Limits};

use super::log_record::LogRecord;
use super::{
    HeartbeatRecord, ListOwnerRecord, PowerOffMarker, PoweronRecord, ProbeRecord, ProtectedList, VmLockRecord,
};

/// How large the slots of the files are whose content grows with the cluster.
///
/// It follows from the cluster's [`Limits`] and is the same on every host: a file is pre-sized once, when the
/// datastore is configured, and a reader asks for exactly that size. Raising a limit means new files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The maxima of the cluster.
    pub limits: Limits,
}

impl Geometry {
    /// The bytes that a list has room for per virtual machine, on average: 41 of fixed fields, 37 of an open
    /// intent, and a config path of 114. A list that needs more is refused before it is written.
    pub const LIST_ENTRY: usize = 192;

    /// The geometry that follows from `limits`.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// The slot area of `host-<n>-poweron`, in bytes.
    #[must_use]
    pub fn poweron_area(&self) -> usize {
        area(PoweronRecord::FIXED, PoweronRecord::PER_VM, self.limits.vms_per_host)
    }

    /// The slot area of `protectedlist.<n>`, in bytes: the room for one snapshot.
    #[must_use]
    pub fn list_area(&self) -> usize {
        area(ProtectedList::FIXED, Self::LIST_ENTRY, self.limits.vms_per_list)
    }

    /// How many records each of the two logs of `protectedlist.<n>` has room for.
    ///
    /// A log is as long as a snapshot, or as short as the limit says. So a file is at most twice as long as its
    /// snapshots are, and over time a change costs no more than two records where the limit does not bind. Where a
    /// snapshot is no longer than a record there is no log.
    #[must_use]
    pub fn list_log_records(&self) -> u32 {
        let area = self.list_area();
        let records = if area > LogRecord::TWINS { area / LogRecord::TWINS } else { 0 };
        u32::try_from(records).unwrap_or(u32::MAX).min(self.limits.list_log_records)
    }

    /// One log of `protectedlist.<n>`, in bytes.
    #[must_use]
    pub fn list_log_area(&self) -> usize {
        usize::try_from(self.list_log_records()).unwrap_or(usize::MAX).saturating_mul(LogRecord::TWINS)
    }
}

/// The size at which a file is created, and keeps.
#[must_use]
pub fn file_size(kind: &FileKind, geometry: &Geometry) -> u64 {
    let two = |area: usize| u64::try_from(area).unwrap_or(u64::MAX).saturating_mul(2);
    match kind {
        FileKind::Heartbeat(_) => HeartbeatRecord::FILE.into(),
        FileKind::Poweron(_) => two(geometry.poweron_area()).saturating_add(PoweronRecord::SLOTS_AT),
        FileKind::ProtectedList => ListOwnerRecord::FILE.into(),
        FileKind::ProtectedListOf(_) => {
            two(geometry.list_area()).saturating_add(two(geometry.list_log_area()))
        }
        FileKind::PoweredOff(_) => PowerOffMarker::FILE.into(),
        FileKind::Probe(_) => ProbeRecord::FILE.into(),
        FileKind::VmLock(_) => VmLockRecord::FILE.into(),
    }
}

/// The most memory, in bytes, that reading `length` bytes of a file of records holds at once, both slots together.
///
/// A list is what takes most for its bytes: an entry of 44 bytes in a file can be a machine of 250 in a tree.
#[must_use]
pub const fn max_allocated(length: usize) -> usize {
    length.saturating_mul(8)
}

/// Where a generation's slot begins, in bytes after the first slot.
pub(super) const fn slot_offset(generation: Generation, area: usize) -> u64 {
    // Areas fit into memory, so they fit into 64 bits.
    generation.slot().offset(area) as u64
}

/// Header, fixed part and `count` items, rounded up to whole blocks.
fn area(fixed: usize, each: usize, count: u32) -> usize {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let needed = each.saturating_mul(count).saturating_add(HEADER + fixed);
    needed.div_ceil(BLOCK).saturating_mul(BLOCK)
}
