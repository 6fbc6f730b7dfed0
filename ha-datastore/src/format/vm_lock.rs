use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use ha_core::record::{
    BLOCK, Generation, PairExpectation, PairState, RecordFault, RecordKind, Sealed, read_pair, seal_block,
};
use ha_core::{ClusterId, DatastoreId, FileIdentity, HostId, Identity, Incarnation, VmEpoch, VmId, VmUuid};

use super::cursor::{Reader, check, nanos};
use super::geometry::slot_offset;
use super::home_sum::HomeSum;

/// What a virtual machine's lock record says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VmLockState {
    /// Nobody runs it; anybody may start it.
    Free,
    /// It was started there. Whether it still runs, the lock says, not the record.
    Running {
        /// On this host,
        host: HostId,
        /// by this life of its agent.
        incarnation: Incarnation,
    },
    /// A live migration is under way.
    HandingOver {
        /// To this host,
        target: HostId,
        /// which is left alone for this long. A span, not a moment: nobody can read the writer's clock.
        within: Duration,
    },
    /// A storage migration has moved it; it never starts here again. Its mover seals this twice, so that no
    /// damage to one slot can bring the old home back.
    Moved {
        /// On which datastore it lives now,
        home: DatastoreId,
        /// and in which folder there. Only to that very home may a move that was cut short go on.
        sum: HomeSum,
        /// Whether it was cleanly off when it moved, and is so at its new home.
        cleanly_off: bool,
    },
    /// It was stopped on purpose. Only a person starts it again.
    CleanlyOff,
}

/// The record in a virtual machine's lock file: two slots of one block, written only under the lock.
///
/// It is the only truth about epochs. It does not prove that the machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmLockRecord {
    /// The virtual machine.
    pub vm: VmUuid,
    /// Where the file is. A copy of it elsewhere still names the home that it was copied from.
    pub home: HomeSum,
    /// Which file it was written to, as its writer saw that under the lock; `None` if it could not tell. A copy of
    /// its bytes, or a file restored from them, still names the first one.
    pub file: Option<FileIdentity>,
    /// Raised by each start, before it.
    pub epoch: VmEpoch,
    /// What is known of it.
    pub state: VmLockState,
}

/// Why a lock file tells nothing of the machine whose it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockRecordFault {
    /// All zero, although a lock file is created with a record in it.
    #[error("the lock file was never written")]
    NeverWritten,
    /// Two records of which none follows the other.
    #[error("the lock file holds two records of which none follows the other")]
    Inconsistent,
    /// No whole record.
    #[error("the lock file holds no whole record: slot A: {a}; slot B: {b}")]
    Corrupt {
        /// What is wrong with slot A.
        a: RecordFault,
        /// What is wrong with slot B.
        b: RecordFault,
    },
    /// The record of another machine.
    #[error("the lock file is that of virtual machine {found}")]
    WrongVm {
        /// The machine that it names.
        found: VmUuid,
    },
    /// The record of another home of this machine: the file was copied, or its folder renamed.
    #[error("the lock file was copied or moved here by hand from another home of the virtual machine")]
    OtherHome,
}

impl VmLockRecord {
    /// The slot area, in bytes.
    pub const AREA: usize = BLOCK;
    /// The file, in bytes: both slots.
    pub const FILE: u32 = 2 * 4096;

    const PAYLOAD: usize = 56;

    /// What a file at the home of `vm` says, whichever file that is.
    #[must_use]
    pub fn of(vm: &VmId, epoch: VmEpoch, state: VmLockState) -> Self {
        Self { vm: vm.uuid(), home: HomeSum::of(vm), file: None, epoch, state }
    }

    /// Where in the file the generation's slot begins, in bytes.
    #[must_use]
    pub const fn offset(generation: Generation) -> u64 {
        slot_offset(generation, Self::AREA)
    }

    /// The whole file of a machine that is made known to HA: free, at epoch zero.
    #[must_use]
    pub fn initial(writer: &Identity, vm: &VmId) -> Bytes {
        Self::renewed(writer, vm, VmEpoch::ZERO)
    }

    /// The whole file made anew, by a person, for a machine that runs nowhere and whose lock file was lost: free, at
    /// this epoch. Hosts that know of a higher one refuse it, and name that one
    /// ([`RefusedStart::EpochTooLow`](crate::vm_lock::RefusedStart::EpochTooLow)).
    #[must_use]
    pub fn renewed(writer: &Identity, vm: &VmId, epoch: VmEpoch) -> Bytes {
        let record = Self::of(vm, epoch, VmLockState::Free);
        let mut file = Vec::from(record.seal(writer, Generation::FIRST));
        file.resize(2 * Self::AREA, 0);
        Bytes::from(file)
    }

    /// The bytes of the generation's slot.
    #[must_use]
    pub fn seal(&self, writer: &Identity, generation: Generation) -> Bytes {
        let (state, who, what): (u32, u32, u64) = match self.state {
            VmLockState::Free => (1, 0, 0),
            VmLockState::Running { host, incarnation } => (2, host.number(), incarnation.number()),
            VmLockState::HandingOver { target, within } => (3, target.number(), nanos(within)),
            VmLockState::Moved { home, sum, cleanly_off } => (4, home.number(), sum.with_flag(cleanly_off)),
            VmLockState::CleanlyOff => (5, 0, 0),
        };
        let mut payload = [0; Self::PAYLOAD];
        payload[..16].copy_from_slice(self.vm.as_bytes());
        payload[16..24].copy_from_slice(&self.epoch.number().to_le_bytes());
        payload[24..28].copy_from_slice(&state.to_le_bytes());
        payload[28..32].copy_from_slice(&who.to_le_bytes());
        payload[32..40].copy_from_slice(&what.to_le_bytes());
        payload[40..48].copy_from_slice(&self.home.with_flag(false).to_le_bytes());
        payload[48..].copy_from_slice(&self.file.map_or(0, FileIdentity::inode).to_le_bytes());
        seal_block(RecordKind::VmLock, writer, generation, &payload)
    }

    /// What the whole file says.
    #[must_use]
    pub fn read(file: &[u8], cluster: ClusterId) -> PairState<Self> {
        let expected = PairExpectation { kind: RecordKind::VmLock, cluster, writer: None };
        read_pair(file, Self::AREA, &expected, Self::decode)
    }

    /// The record in the lock file of `vm`, if it can be relied upon.
    ///
    /// One slot may be damaged: a raise of the epoch that a crash cut short leaves that behind, and the machine
    /// was not started by it. Zeros are not *free*.
    ///
    /// # Errors
    ///
    /// [`LockRecordFault`] if the file tells nothing, or speaks of another machine or another home of it.
    pub fn read_of(file: &[u8], cluster: ClusterId, vm: &VmId) -> Result<Sealed<Self>, LockRecordFault> {
        match Self::read(file, cluster) {
            PairState::NeverWritten => Err(LockRecordFault::NeverWritten),
            PairState::Inconsistent { .. } => Err(LockRecordFault::Inconsistent),
            PairState::Corrupt { a, b } => Err(LockRecordFault::Corrupt { a, b }),
            PairState::Valid { record } | PairState::Degraded { record, .. } => {
                let Self { vm: found, home, .. } = record.content;
                if found != vm.uuid() {
                    Err(LockRecordFault::WrongVm { found })
                } else if home != HomeSum::of(vm) {
                    Err(LockRecordFault::OtherHome)
                } else {
                    Ok(record)
                }
            }
        }
    }

    fn decode(payload: &[u8]) -> Result<Self, RecordFault> {
        let mut reader = Reader::new(payload);
        let vm = reader.uuid("virtual machine")?;
        let epoch = reader.epoch("epoch")?;
        let (state, who, what) = (reader.u32("state")?, reader.u32("who")?, reader.u64("what")?);
        let (home, file) = (reader.u64("home")?, FileIdentity::new(reader.u64("file")?));
        reader.end()?;
        check(!HomeSum::flag(home), "home")?;
        let unused = |unused: bool| check(unused, "unused field");
        let state = match state {
            1 => unused(who == 0 && what == 0).map(|()| VmLockState::Free)?,
            2 => VmLockState::Running { host: HostId::new(who), incarnation: Incarnation::new(what) },
            3 => VmLockState::HandingOver { target: HostId::new(who), within: Duration::from_nanos(what) },
            4 => VmLockState::Moved {
                home: DatastoreId::new(who),
                sum: HomeSum::from_field(what),
                cleanly_off: HomeSum::flag(what),
            },
            5 => unused(who == 0 && what == 0).map(|()| VmLockState::CleanlyOff)?,
            0 | 6.. => return Err(RecordFault::BadContent { field: "state" }),
        };
        Ok(Self { vm, home: HomeSum::from_field(home), file, epoch, state })
    }
}
