//! No I/O: the files of a VM high-availability cluster on shared storage, and the machines that write and read
//! them. (The feature `fs` adds [`fs`](#features): the same over real files. It alone does I/O.)
//!
//! A datastore is used for four things, each with its own files and its own machine; every machine keeps the
//! contract of [`ha_core::Machine`]: requests out, completions in, the time told with every call.
//!
//! | machine | files | what for |
//! |---|---|---|
//! | [`HeartbeatWriter`] | own `host-<n>-hb` | be seen to live, and prove that this datastore works for me |
//! | [`LivenessWatcher`] | others' `host-<n>-hb`, `host-<n>-poweron` | see whether others live; judges nobody |
//! | [`PoweronWriter`] | own `host-<n>-poweron` | tell which machines run here, and whether I am isolated |
//! | [`Ownership`] | `protectedlist`, `protectedlist.<n>` | own the datastore's list of protected machines and change it |
//! | [`MarkerWriter`] | `poweredoff/<vm uuid>` | tell that a stop in isolation was HA's own |
//! | [`ProbeHolder`], [`ProbeTaker`] | `host-<n>-probe` | learn, with another host, whether locks are shared at all |
//! | [`VmLock`] | a machine's lock file | start one machine at most once at each epoch |
//! | [`RecordChange`] | the same | a clean stop; begin a live migration, or take it back |
//! | [`Incoming`] | the same | let a machine that migrated to here run on |
//! | [`Relocation`] | the lock files of two homes | move a machine that is off |
//!
//! [`format`] holds the bytes; `FORMAT.md` says them in words. Beside these, each host keeps four files on its own disk
//! ([`format::local`]): cluster configuration, host list, compatibility of virtual machines, own options. They are
//! replaced as a whole, and their versions only rise. Which datastores carry the heartbeats of which host is no machine's
//! business: [`selection`] is a pure function for whoever manages the cluster.
//!
//! # Why the bytes can be trusted
//!
//! *Overwritten in place, never renamed, appended to or created while in use.* Every file has its full size from
//! the day the datastore was configured.
//!
//! *Two slots.* Generation g goes to slot g mod 2, each slot on its own 4096-byte boundary, so a write that is
//! cut short leaves the record before it. A reader accepts two records only if one follows the other; anything
//! else is [`Inconsistent`](ha_core::record::PairState::Inconsistent), never a choice.
//!
//! *A list has a log for each slot.* A group of changes is a few blocks after the snapshot, each written twice and
//! chained to what it follows; a lost record is known by any later one, and a lost snapshot by its log. See
//! [`ProtectedList`](format::ProtectedList).
//!
//! *In doubt means again.* After any fault the same generation goes to the same slot and is read back. The other
//! slot holds the only record that is surely there; it is not touched before. (A log in doubt is never continued:
//! the next snapshot goes to the other slot.)
//!
//! *Built upon only if durable.* Whoever writes a record's successor over the only other one reads it from storage
//! first ([`ReadFrom::Durable`](ha_core::ReadFrom)), never from a cache whose content a crash could take away.
//!
//! *Never written is not empty.* All zero has its own state everywhere. For a lock file it is a refusal.
//!
//! *One writer for each file* but for `protectedlist` and the lock files, which are written under their lock, and
//! the markers, which the host writes that runs the machine under its own. A late write of a dead owner can spoil nothing but its own file.
//!
//! *Damage blinds no more than it must.* A bad file blinds its host on this datastore; each way to be bad has
//! its own typed fault, and nothing that stands on a disk can make a machine panic or refuse an input.
//!
//! # Time
//!
//! All spans come from one [`TimingConfig`](ha_core::TimingConfig). An operation that is out for longer than the
//! I/O timeout is *overdue*: it suspends the right it backs, which comes back when that very operation ends
//! well. After `storage_stall_max` the right is lost. At most one write and one read of a file are out at a
//! time, however long they take, because a request that storage has not answered may still land.
//!
//! # What is not there yet
//!
//! * Zeros in place of the last records of a list's log look like its end. A host knows better of its own list for as
//!   long as it lives; of another's it cannot tell. One lost block hides nothing, because each record has two copies; a
//!   write that storage acknowledged and never made does. The owner record does not say which version of the list it
//!   goes with: it could show such a loss up to the last beat, at the price of a new format of that record.
//! * An own list without a whole slot, of which one was written in a newer format, is never overwritten: its host cannot
//!   own the datastore with this program. A newer slot beside a whole one counts as damaged.
//! * Numbers that a heartbeat advertises are fixed for the life of its writer.
//! * The storage migration of a running machine.
//!
//! # Features
//!
//! * `fs` - the driver of all storage requests over real files of Linux, the creation of the files, and the folder of a
//!   host's own files. One module in it maps one of these, `vmmetadata`, and has the only unsafe code of this crate.
//!
#![no_std]
#![cfg_attr(not(feature = "fs"), forbid(unsafe_code))]

extern crate alloc;
#[cfg(feature = "fs")]
extern crate std;

mod file_writer;
pub mod format;
#[cfg(feature = "fs")]
pub mod fs;
pub mod heartbeat_writer;
pub mod liveness_watcher;
pub mod lock_probe;
pub mod marker_writer;
pub mod ownership;
pub mod poweron_writer;
pub mod protected_list;
pub mod selection;
mod slot_file;
pub mod vm_lock;

pub use heartbeat_writer::HeartbeatWriter;
pub use liveness_watcher::LivenessWatcher;
pub use lock_probe::{ProbeHolder, ProbeTaker};
pub use marker_writer::MarkerWriter;
pub use ownership::Ownership;
pub use poweron_writer::PoweronWriter;
pub use protected_list::{ChangeId, ChangeRefused, ListChange, ProtectedListWriter};
pub use selection::HeartbeatSelection;
pub use vm_lock::{Incoming, RecordChange, Relocation, VmLock};
