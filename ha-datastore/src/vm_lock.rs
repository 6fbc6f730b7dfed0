//! The lock and record of one virtual machine: start it, change what the record says, let it migrate, move it.
//!
//! | machine | what for | record before | record after |
//! |---|---|---|---|
//! | [`VmLock`] | one attempt to start | free, running, cleanly off, a lapsed hand-over | running, epoch raised |
//! | [`RecordChange`] | stopped on purpose | running here | cleanly off |
//! | | live migration, at the source: begin | running here | handing over |
//! | | the same: take it back | handing over from here | running here |
//! | | moved or restored by hand: adopt it | free, cleanly off, of another home or file | the same, of this one |
//! | [`Incoming`] | live migration, at the target | handing over to here | running, epoch raised |
//! | [`Relocation`] | move to another home while off | free, cleanly off | moved; the new home: the same as before |
//!
//! # Who may write
//!
//! Nobody without the lock. A holder has *won* it after the machine's end, or *shares* it with the machine while
//! that runs ([`ha_core::VmRequest::ShareLock`]); then it has the very open file description that the running
//! machine holds. So between the check of a record and the write that follows from it the lock cannot change
//! hands, and the machine's end in between changes nothing. Each write goes to the slot that does not hold the
//! record just read: cut short, it leaves that record standing.
//!
//! # Live migration: why never twice
//!
//! The source writes *handing over* at epoch e under the lock that its machine holds. The target waits for that
//! lock, wins it, checks that the record hands over to it at exactly e, makes e + 1 durable, and only then lets
//! its paused copy run. Where winning the lock proves that the old copy can no longer write (F3, same kernel):
//!
//! * The target runs only as the lock's winner, so never beside the source, nor beside anybody else.
//! * The source goes on only under the lock that it never let go. It takes the hand-over back (*running* at the
//!   same e) through a share, so with the lock held all along: the target has then not won it, and once it does it
//!   finds no hand-over to it and ends its copy.
//! * A third host that wins the lock has the same proof about both: the source has ended or is fenced, the target
//!   has not run on. It raises e to e + 1; a late target finds e + 1, and ends its copy. So a third start is safe
//!   at any moment, and no clock is compared for that.
//! * But it would throw a good copy away. So it also needs a [`LapsedHandOver`]: this very record (epoch and
//!   generation) was seen to stand for as long as it says, on the observer's own clock, counted from the end of
//!   one read to the beginning of another. The span starts at the source's write, which is earlier.
//! * Whoever fails in the middle leaves one of: *running* at e, *handing over* at e, *running* at e + 1, and each
//!   of them is startable by whoever wins the lock and expects exactly that.
//!
//! Below F3 winning a lock proves nothing of a host that lost it without noticing. Then [`Incoming`] does not try
//! the lock before the source's own word that its machine has stopped, and a third host needs, besides the lapsed
//! hand-over, a proof of the stop or the takeover wait for source *and* target: [`LapsedHandOver::hosts`] names
//! them. What is left is what is left for each start there: a holder that is frozen between its look at the clock
//! and its write for longer than the wait.
//!
//! # Storage migration: why never at both homes
//!
//! The new home's lock file is created as zeros, which is never startable. [`Relocation`] holds both locks, writes
//! *moved* into both slots of the old record, and only then the first record of the new one, at e + 1. Before the
//! first *moved* is durable only the old home is startable, after it neither, and after the last write only the
//! new one. A move that was cut short is repeated and goes on where it stopped; *moved* at the old home is what
//! says that it may, and it names the one new home to which ([`HomeSum`](crate::format::HomeSum)): any other folder is
//! refused, also on the same datastore. A home once left never starts the machine again: to move back, take another
//! folder.
//!
//! # Copied folders
//!
//! A copy of a lock file has another lock than the first, so winning it proves nothing of an instance that runs under
//! the first. Each record names its own home, and what was copied names that of the first: nothing starts from it
//! and nothing but [`Change::Adopt`] is written to it.
//!
//! # Lock files that were unlinked
//!
//! A lock file that is unlinked while the machine runs, and made anew or restored at the very same path, is another
//! file with another lock, so winning it proves nothing either. Two numbers tell:
//!
//! * **Which file.** Whoever writes a record names in it the file whose lock it has ([`FileIdentity`]), and every job
//!   compares that with the file whose lock it got. Bytes that were put back name the first file: refused
//!   ([`RefusedStart::OtherFile`]), for a restart, for a person's start, for a migration's target and for a move.
//!   While the machine runs it keeps the first file open, so the file system gives that number to no other.
//! * **Which epoch.** A file made anew names no file yet, but is at epoch zero. A restart names its epoch exactly, and
//!   a person's start the highest that is known where it is asked for ([`RefusedStart::EpochTooLow`]).
//!
//! A host that cannot tell which file it has, because its file system's inode numbers may differ from those of another
//! host, writes *unknown*, and unknown is compared with nothing. So no restart is refused only because hosts know
//! different things; what such a record does not prevent is listed below.
//!
//! A person's restore from a backup goes on like a folder moved by hand: [`Change::Adopt`] binds a record that says
//! *free* or *cleanly off* to the file that it lies in now. In the place of one that says anything else, or of one that
//! is too old, the lock file is made anew, at the epoch that the record says or the refusal names, whichever is higher
//! ([`VmLockRecord::renewed`]).
//!
//! [`FileIdentity`]: ha_core::FileIdentity
//! [`VmLockRecord::renewed`]: crate::format::VmLockRecord::renewed
//!
//! # Not covered
//!
//! * The decay of the newest slot long after it was written. The older record then stands for it, and its epoch
//!   may be one lower; an order that names the epoch of the instance it replaces is refused by that.
//! * The storage migration of a running machine.
//! * Of lock files that were unlinked while the machine runs: one restored from bytes that name no file, because their
//!   writer could not tell; one whose number the file system gave out again although the first is still open, as an
//!   NFS server may that does not keep a client's open files, or one of another file system that was mounted in its
//!   place with the same number, such as a snapshot; and one made anew, where nobody who is asked for a start has heard
//!   of the epoch: a person's start then takes any, and a restart expects the one that its master read. The host that
//!   runs the machine sees that the path names another file than it has locked, and then the machine runs outside HA;
//!   but a start may come before it looks.
//! * A person's word that is not true: a folder copied while the machine was off and *adopted*
//!   ([`Change::Adopt`]) although the first one is still there, a lock file restored or made anew, and adopted or given
//!   a high epoch, although the machine runs, or a new lock file made for the same machine in a second folder.
//!   Whoever registers a copy with a hypervisor gives it a uuid of its own.

mod change;
mod desk;
mod examine;
mod homes;
mod incoming;
mod judge;
mod lapse;
mod record_change;
mod relocation;
mod start;

pub use change::{Change, RefusedChange};
pub use desk::JobOutput;
pub use examine::Unfit;
pub use homes::{RefusedMove, Side};
pub use incoming::{Incoming, IncomingConfig, IncomingInput};
pub use judge::{RefusedStart, StartExpectation};
pub use lapse::{HandOverWatch, LapsedHandOver};
pub use record_change::{ChangeEnded, RecordChange, RecordChangeConfig};
pub use relocation::{MoveEnded, Relocation, RelocationConfig};
pub use start::{Ended, Event, Input, Output, Rejected, VmLock, VmLockConfig};
