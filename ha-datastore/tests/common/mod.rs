//! A made-up datastore and the identities that the tests share.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

pub(crate) mod golden;
pub(crate) mod owner;
pub(crate) mod rig;
pub(crate) mod storage_subject;
pub(crate) mod vm_subject;

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use ha_core::operation::{LockOutcome, ReadReply};
use ha_core::record::PairState;
use ha_core::{
    BootId, ClusterId, DatastoreId, FileName, HostId, Identity, Incarnation, Instant, Limits, MachineId,
    Profile, Round, StorageCompletion, StorageFault, StorageRequest, Term, TimingConfig, VmId, VmUuid,
};
use ha_datastore::format::{Geometry, HomeSum, ListDamage, ListState, ProtectedList, VmLockState, file_size};

pub(crate) const CLUSTER: ClusterId = ClusterId::from_bytes([0xc1; 16]);
pub(crate) const HOME: DatastoreId = DatastoreId::new(1);
pub(crate) const TIMING: TimingConfig = TimingConfig::profile(Profile::Swift);
pub(crate) const GEOMETRY: Geometry =
    Geometry::new(Limits { hosts: 3, vms_per_list: 20, vms_per_host: 100, ..Limits::DEFAULT });
/// The same with longer lists: a slot has 32,768 bytes, and a log has room for 4 records. Lists of [`GEOMETRY`]
/// are too short to have logs.
pub(crate) const LOGGED: Geometry =
    Geometry::new(Limits { hosts: 3, vms_per_list: 170, vms_per_host: 100, ..Limits::DEFAULT });

pub(crate) fn host(number: u32) -> HostId {
    HostId::new(number)
}

pub(crate) fn identity(number: u32, incarnation: u64) -> Identity {
    Identity {
        cluster: CLUSTER,
        host: host(number),
        boot: BootId::from_bytes([0xb0; 16]),
        incarnation: Incarnation::new(incarnation),
    }
}

pub(crate) fn machine(number: u32, lane: u32) -> MachineId {
    MachineId { host: host(number), incarnation: Incarnation::new(1), lane }
}

pub(crate) fn term(round: u64, number: u32) -> Term {
    Term::new(Round::new(round), host(number))
}

pub(crate) fn vm(number: u8) -> VmId {
    VmId::new(uuid(number), HOME, &format!("vm-{number}/vm-{number}.vmx")).unwrap()
}

/// The same machine at another home.
pub(crate) fn new_home(number: u8) -> VmId {
    VmId::new(uuid(number), DatastoreId::new(2), &format!("vm-{number}/vm-{number}.vmx")).unwrap()
}

/// What the old home says of a machine that was moved.
pub(crate) fn moved_to(new: &VmId, cleanly_off: bool) -> VmLockState {
    VmLockState::Moved { home: new.home(), sum: HomeSum::of(new), cleanly_off }
}

pub(crate) fn uuid(number: u8) -> VmUuid {
    VmUuid::from_bytes([number; 16])
}

pub(crate) fn at(millis: u64) -> Instant {
    Instant::from_nanos(1_000_000_000_000 + millis * 1_000_000)
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What the two slots of a list without a log say.
pub(crate) fn pair_of(state: ListState) -> PairState<ProtectedList> {
    match state {
        ListState::NeverWritten => PairState::NeverWritten,
        ListState::Valid { record } => PairState::Valid { record },
        ListState::Degraded { record, damage: ListDamage { slot: Some(other), .. } } => {
            PairState::Degraded { record, other }
        }
        ListState::Inconsistent { a, b } => PairState::Inconsistent { a, b },
        ListState::Corrupt { a, b } => PairState::Corrupt { a, b },
        ListState::Degraded { .. } | ListState::Outdated { .. } | ListState::BrokenLog { .. } => {
            panic!("a list without a log: {state:?}")
        }
    }
}

/// Files, locks and faults. A file exists, all zero, as soon as it is named.
pub(crate) struct Disk {
    geometry: Geometry,
    files: BTreeMap<FileName, Vec<u8>>,
    locks: BTreeMap<FileName, MachineId>,
    /// Writes to this file fail; the bytes land if the flag says so.
    pub(crate) fail_write: Option<(FileName, StorageFault, bool)>,
    /// Reads of this file fail.
    pub(crate) fail_read: Option<(FileName, StorageFault)>,
    pub(crate) writes: usize,
}

impl Default for Disk {
    fn default() -> Self {
        Self::new(GEOMETRY)
    }
}

impl Disk {
    pub(crate) fn new(geometry: Geometry) -> Self {
        let (files, locks) = (BTreeMap::new(), BTreeMap::new());
        Self { geometry, files, locks, fail_write: None, fail_read: None, writes: 0 }
    }

    pub(crate) fn file(&mut self, name: &FileName) -> &mut Vec<u8> {
        let size = usize::try_from(file_size(&name.kind, &self.geometry)).unwrap();
        self.files.entry(name.clone()).or_insert_with(|| vec![0; size])
    }

    pub(crate) fn hold_lock(&mut self, name: &FileName, by: MachineId) {
        self.locks.insert(name.clone(), by);
    }

    pub(crate) fn free_lock(&mut self, name: &FileName) {
        self.locks.remove(name);
    }

    pub(crate) fn is_locked(&self, name: &FileName) -> bool {
        self.locks.contains_key(name)
    }

    /// Carries a request out at `now`; `None` for one that needs no answer.
    pub(crate) fn serve(&mut self, now: Instant, request: StorageRequest) -> Option<StorageCompletion> {
        Some(match request {
            StorageRequest::Write { token, file, offset, bytes, not_after } => {
                assert!(offset.is_multiple_of(4096) && bytes.len().is_multiple_of(4096), "aligned");
                let fault = self.fail_write.as_ref().filter(|(name, ..)| *name == file);
                let outcome = fault.map_or(Ok(()), |(_, fault, _)| Err(*fault));
                let outcome = if now > not_after { Err(StorageFault::Expired) } else { outcome };
                if outcome.is_ok() || fault.is_some_and(|(.., lands)| *lands) {
                    let offset = usize::try_from(offset).unwrap();
                    let place = &mut self.file(&file)[offset..offset + bytes.len()];
                    place.copy_from_slice(&bytes);
                    self.writes += 1;
                }
                StorageCompletion::Write(token.complete(outcome))
            }
            StorageRequest::Read { token, file, offset, length, .. } => {
                let fault = self.fail_read.as_ref().filter(|(name, _)| *name == file);
                let outcome = if let Some((_, fault)) = fault {
                    Err(*fault)
                } else {
                    let offset = usize::try_from(offset).unwrap();
                    let length = usize::try_from(length).unwrap();
                    let range = self.file(&file).get(offset..offset + length);
                    range
                        .map(|bytes| ReadReply { bytes: Bytes::copy_from_slice(bytes), started: now })
                        .ok_or(StorageFault::Short)
                };
                StorageCompletion::Read(token.complete(outcome))
            }
            StorageRequest::Lock { token, file, not_after } => {
                let me = machine(0, 0);
                let held = self.locks.get(&file).is_some_and(|by| *by != me);
                StorageCompletion::Lock(token.complete(if now > not_after {
                    LockOutcome::Expired
                } else if held {
                    LockOutcome::Held
                } else {
                    self.locks.insert(file, me);
                    LockOutcome::Granted
                }))
            }
            StorageRequest::Unlock { file } => {
                self.locks.remove(&file);
                return None;
            }
            StorageRequest::LookAtLock { .. } => panic!("nobody here looks at locks"),
        })
    }
}
