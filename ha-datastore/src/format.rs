//! What stands in each file on a datastore, byte by byte: `FORMAT.md` in words, golden files in the tests.
//!
//! Every file is pre-created at its [`file_size`], all zeros, which means *never written*; only a virtual
//! machine's lock file is created with a record in it ([`VmLockRecord::initial`]), because zeros there could
//! also be the trace of a lost disk and must never count as free. After that every file is overwritten in
//! place, slot by slot, in the envelope of [`ha_core::record`].
//!
//! Reading is total and bounded. The fixed records (heartbeat, list owner, marker, probe, lock) allocate nothing, whatever
//! the bytes are; [`PoweronRecord::read`] and [`ProtectedList::read`] at most [`max_allocated`] for the bytes they are
//! given, whatever their counts claim.
//!
//! | file | slots | written by |
//! |---|---|---|
//! | `host-<n>-hb` | [`HeartbeatRecord`] | host n |
//! | `host-<n>-poweron` | one block of text, then [`PoweronRecord`] | host n |
//! | `protectedlist` | [`ListOwnerRecord`] | whoever holds its lock |
//! | `protectedlist.<n>` | [`ProtectedList`], then two logs of changes | host n |
//! | `poweredoff/<vm uuid>` | [`PowerOffMarker`] | whoever stops the machine |
//! | `host-<n>-probe` | [`ProbeRecord`] | host n |
//! | `.<config file name>.ha-lock` | [`VmLockRecord`] | whoever holds its lock |
//!
//! [`local`] has the files that lie on a host's own disk, which have other rules.

mod cursor;
mod directory;
mod geometry;
mod heartbeat;
mod home_sum;
mod list;
mod list_entry;
mod list_head;
mod list_log;
mod list_owner;
mod list_remains;
mod list_state;
mod list_sum;
pub mod local;
mod log_reader;
mod log_record;
mod marker;
mod merge;
mod poweron;
mod probe;
mod vm_lock;

pub use directory::ClusterDirectory;
pub use geometry::{Geometry, file_size, max_allocated};
pub use heartbeat::HeartbeatRecord;
pub use home_sum::HomeSum;
pub use list::{ListFull, ProtectedList};
pub use list_entry::{ListEntry, OrderId, Protection, RestartIntent};
pub use list_head::ListHead;
pub(crate) use list_head::{HeadPart, HeadParts};
pub(crate) use list_log::ListLog;
pub use list_owner::{ListOwnerRecord, OwnerDamage, OwnerState};
pub use list_remains::ListRemains;
pub use list_state::{ListDamage, ListState};
pub use log_record::LogIndex;
pub use marker::{MarkerState, PowerOffMarker};
pub use merge::{ListMerge, ListPoint, MergedList, merge};
pub use poweron::{PoweronRecord, TooManyVms};
pub use probe::{ProbeNonce, ProbeRecord};
pub use vm_lock::{LockRecordFault, VmLockRecord, VmLockState};
