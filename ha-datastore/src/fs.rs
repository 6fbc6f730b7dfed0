//! The files of [`crate`] on real Linux file systems: std, threads, `flock`, the boot clock.
//!
//! [`FsStorage`] carries out [`StorageRequest`](ha_core::StorageRequest)s. It decides nothing: which file, which
//! bytes, until when, and what an outcome means are the machines' business. What it promises:
//!
//! * **Nothing waits for a stalled mount but the requests to it.** Each datastore has worker threads of its own:
//!   one renews leases (`host-<n>-hb`), one writes everything else, one reads, one locks. So a long sync of a list
//!   delays neither the lease nor the polls, and a hung datastore delays no other. [`FsStorage::submit`] itself
//!   never touches a file.
//! * **Durable means synced.** A write is one `pwrite` into a file that exists and is long enough, then
//!   `fdatasync`; it never creates, never extends, never appends. A failed sync is reported, never retried here:
//!   after a failure the kernel may call lost pages clean (reliability 5.1).
//! * **Not even the kernel's cache, where that is wanted.** With [`Caching::Direct`] a datastore is read and written by
//!   `O_DIRECT | O_SYNC`; a file system that refuses that is refused at the start.
//! * **Fresh reads.** Every read opens, reads and closes, because only `open` asks the server again
//!   (reliability 4). The answer is as old as the moment before that `open`.
//! * **What is built upon is read from storage.** A read that asks for it ([`ReadFrom`](ha_core::ReadFrom)) first syncs
//!   what this host has pending in the file and drops what it has cached of it, so that no record is relied upon that
//!   a crash could take away.
//! * **Locks are `flock` on one descriptor, exclusive from the start, never upgraded.** A file that is locked here
//!   is written through the locked descriptor, since on F2 only that one is refused once the lock is lost. A lock
//!   stays until `Unlock` *and* until every write that was submitted under it has ended. A descriptor that had an
//!   error keeps its lock, but the next `Lock` lets it go and acquires afresh.
//! * **`not_after` is compared with [`boot_clock`] right before the call**, after the file has been opened.
//!
//! What it does not promise: a request on a stalled mount ends when the mount answers, perhaps never. The machines
//! count that as overdue; there is no way to take back a call that the kernel has begun.
//!
//! The process that owns an [`FsStorage`] must not spawn children: between `fork` and `exec` a child holds copies
//! of all descriptors, so a spawn can hang on a stalled mount and keep a lock a moment too long (real-parts 3).
//! Virtual machines are started by a launcher that holds none; its holder takes the lock with [`VmLockFile`].

mod buffers;
mod caching;
mod clock;
mod fault;
mod file_system;
mod flock;
mod held;
mod lane;
pub mod layout;
pub mod local;
mod locker;
mod mount;
mod paths;
mod reader;
mod storage;
mod vm_lock_file;
mod writer;

pub use caching::{CachedMount, Caching};
pub use clock::{boot_clock, boot_id};
pub use fault::fault_of;
pub use file_system::FileSystem;
pub use mount::{Mount, OpenError};
pub use paths::path_of;
pub use storage::FsStorage;
pub use vm_lock_file::{InodeNumbers, LockTry, VmLockFile, keep_across_exec};
