use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::io;

use ha_core::operation::{LockOutcome, LookOutcome};
use ha_core::{DatastoreId, FileKind, StorageCompletion, StorageFault, StorageRequest};

use super::buffers::Buffers;
use super::caching::{CachedMount, Caching};
use super::held::HeldLocks;
use super::lane::{Deliver, Lane, in_batches, one_by_one};
use super::locker::{LockJob, Locker};
use super::mount::{Mount, OpenError};
use super::reader::ReadJob;
use super::writer::WriteJob;

/// The driver of all datastores of one host. See the [module](super) for what it promises.
///
/// Dropping it lets the workers finish what was submitted; then the locks come free. Completions may arrive until
/// then.
pub struct FsStorage {
    datastores: BTreeMap<DatastoreId, Datastore>,
    deliver: Deliver,
}

impl FsStorage {
    /// Checks the mounts and starts the workers of each. A plain [`Mount`] is read and written through the kernel's
    /// cache; [`Mount::cached`] says otherwise.
    ///
    /// Waits if a mount is stalled now; a caller that cannot wait starts one `FsStorage` per datastore, each on a
    /// thread of its own. `deliver` is called from worker threads, and from within [`FsStorage::submit`] for a
    /// request that no worker takes. It must neither block nor panic.
    ///
    /// # Errors
    ///
    /// [`OpenError`] names the datastore and what would have been accepted.
    pub fn start(
        mounts: Vec<impl Into<CachedMount>>,
        deliver: impl Fn(StorageCompletion) + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        Self::start_in_batches(mounts, move |completions| {
            completions.into_iter().for_each(&deliver);
        })
    }

    /// The same; `deliver` is called once for reads that came back within a millisecond while more were waiting, so
    /// that whoever polls thousands of files is woken once for many.
    ///
    /// # Errors
    ///
    /// As [`FsStorage::start`].
    pub fn start_in_batches(
        mounts: Vec<impl Into<CachedMount>>,
        deliver: impl Fn(Vec<StorageCompletion>) + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let deliver = Deliver::new(deliver);
        let mut datastores = BTreeMap::new();
        for mount in mounts {
            let CachedMount { mount, caching } = mount.into();
            let datastore = mount.id;
            mount.check(caching)?;
            match datastores.entry(datastore) {
                Entry::Occupied(_) => return Err(OpenError::Duplicate { datastore }),
                Entry::Vacant(place) => {
                    let started = Datastore::start(mount, caching, &deliver);
                    place.insert(started.map_err(|source| OpenError::Thread { datastore, source })?);
                }
            }
        }
        Ok(Self { datastores, deliver })
    }

    /// Hands a request to its worker. Never blocks. Requests of one type for one file are carried out in the
    /// order of submission; a request for a datastore that was not given ends in [`StorageFault::Unsupported`].
    pub fn submit(&self, request: StorageRequest) {
        let undone = match self.datastores.get(&request.file().datastore) {
            Some(datastore) => datastore.submit(request),
            None => unsupported(request),
        };
        if let Some(completion) = undone {
            self.deliver.one(completion);
        }
    }
}

impl fmt::Debug for FsStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsStorage").field("datastores", &self.datastores.keys()).finish_non_exhaustive()
    }
}

/// The workers of one datastore.
struct Datastore {
    leases: Lane<WriteJob>,
    writes: Lane<WriteJob>,
    reads: Lane<ReadJob>,
    locks: Lane<LockJob>,
    held: Arc<HeldLocks>,
}

impl Datastore {
    fn start(mount: Mount, caching: Caching, deliver: &Deliver) -> io::Result<Self> {
        let mount = Arc::new(mount);
        let held = Arc::new(HeldLocks::default());
        // The kernel keeps 15 characters of a thread's name.
        let name = |role: &str| format!("ds{} {role}", mount.id.number());
        let writer = |role| {
            let mount = Arc::clone(&mount);
            let work = one_by_one(deliver.clone(), move |job: WriteJob| job.perform(&mount, caching));
            Lane::start(name(role), work)
        };
        let reader = {
            let mount = Arc::clone(&mount);
            let mut buffers = Buffers::default();
            in_batches(deliver.clone(), move |job: ReadJob| job.perform(&mount, caching, &mut buffers))
        };
        let locker = Locker::new(Arc::clone(&mount), caching, Arc::clone(&held), deliver.clone());
        Ok(Self {
            leases: writer("lease")?,
            writes: writer("write")?,
            reads: Lane::start(name("read"), reader)?,
            locks: Lane::start(name("lock"), move |inbox| locker.run(inbox))?,
            held,
        })
    }

    /// Gives the answer back if no worker takes the request.
    fn submit(&self, request: StorageRequest) -> Option<StorageCompletion> {
        match request {
            StorageRequest::Write { token, file, offset, bytes, not_after } => {
                let lock = self.held.get(&file.kind);
                let lane = self.writes_of(&file.kind);
                lane.submit(WriteJob { token, kind: file.kind, offset, bytes, not_after, lock })
            }
            StorageRequest::Read { token, file, offset, length, from } => {
                self.reads.submit(ReadJob { token, kind: file.kind, offset, length, from })
            }
            StorageRequest::Lock { token, file, not_after } => {
                self.locks.submit(LockJob::Lock { token, kind: file.kind, not_after })
            }
            StorageRequest::Unlock { file } => self.locks.submit(LockJob::Unlock { kind: file.kind }),
            StorageRequest::LookAtLock { token, file } => {
                self.locks.submit(LockJob::Look { token, kind: file.kind })
            }
        }
    }

    fn writes_of(&self, kind: &FileKind) -> &Lane<WriteJob> {
        match kind {
            FileKind::Heartbeat(_) => &self.leases,
            FileKind::Poweron(_)
            | FileKind::ProtectedList
            | FileKind::ProtectedListOf(_)
            | FileKind::PoweredOff(_)
            | FileKind::Probe(_)
            | FileKind::VmLock(_) => &self.writes,
        }
    }
}

/// The answer to a request for a datastore that nobody gave.
fn unsupported(request: StorageRequest) -> Option<StorageCompletion> {
    let fault = StorageFault::Unsupported;
    Some(match request {
        StorageRequest::Write { token, .. } => StorageCompletion::Write(token.complete(Err(fault))),
        StorageRequest::Read { token, .. } => StorageCompletion::Read(token.complete(Err(fault))),
        StorageRequest::Lock { token, .. } => {
            StorageCompletion::Lock(token.complete(LockOutcome::Fault(fault)))
        }
        StorageRequest::LookAtLock { token, .. } => {
            StorageCompletion::LookAtLock(token.complete(LookOutcome::Fault(fault)))
        }
        StorageRequest::Unlock { .. } => return None,
    })
}
