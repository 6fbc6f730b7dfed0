use core::fmt;

use alloc::string::String;

use ha_core::{DatastoreId, HostId, Incarnation, StorageFault, Term, Verdict, VmEpoch, VmId, VmUuid};
use ha_datastore::format::OwnerDamage;

/// Why a host did not start a virtual machine that it was ordered to start. None of these is a failed attempt,
/// save [`RefusedOrder::StartFailed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusedOrder {
    /// Somebody holds its lock. It may well run.
    LockHeld,
    /// The lock record has another epoch than the order expected.
    EpochMismatch {
        /// The recorded epoch.
        found: VmEpoch,
    },
    /// The lock record has a lower epoch than its instances have reached: the lock file was made anew or restored,
    /// and the virtual machine may run under the lock of the first.
    EpochTooLow {
        /// The recorded epoch.
        found: VmEpoch,
        /// The least that would do.
        least: VmEpoch,
    },
    /// The lock record was written to another file than the one at its path: the lock file was restored from a copy,
    /// and the virtual machine may run under the lock of the first.
    OtherFile,
    /// The record says that it was cleanly switched off.
    CleanlyOff,
    /// The record says that it moved to another datastore.
    Moved,
    /// The record is in a state in which nobody may start it, or cannot be trusted.
    NotStartable,
    /// The order's validity ended first.
    Expired,
    /// The order came under an older term than one already followed.
    OldTerm,
    /// As many starts as allowed are under way here.
    Busy,
    /// Storage or the hypervisor's driver failed before anything was started.
    Fault(StorageFault),
    /// The start itself failed after the epoch was raised.
    StartFailed {
        /// The raised epoch.
        epoch: VmEpoch,
    },
}

/// Something that happened, with a stable [`code`](Event::code) for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// This agent's role changed.
    RoleChanged {
        /// `uninitialized`, `startup`, `candidate`, `slave` or `master`.
        role: &'static str,
        /// Why.
        reason: &'static str,
        /// The master followed or the own host; `None` without a master.
        master: Option<HostId>,
        /// The term followed or held.
        term: Option<Term>,
    },
    /// A host fell silent; its files are watched from now on.
    Suspected {
        /// The host.
        host: HostId,
    },
    /// The verdict on a host changed.
    Judged(Verdict),
    /// This master owns a datastore: it holds its list's lock, has merged all lists and written its own.
    DatastoreOwned {
        /// The datastore.
        datastore: DatastoreId,
        /// Under which term.
        term: Term,
        /// How many virtual machines its list protects.
        protected: usize,
    },
    /// The right over a datastore ended.
    DatastoreLost {
        /// The datastore.
        datastore: DatastoreId,
        /// Why.
        reason: &'static str,
    },
    /// Another host holds the datastore's list; this master looks again until it comes free.
    DatastoreHeld {
        /// The datastore.
        datastore: DatastoreId,
    },
    /// Below F3: the datastore's owner may live, and trying its lock could do it harm. Confirm its end
    /// (`confirm-dead`), or wait until it releases the list.
    OwnerUnproven {
        /// The datastore.
        datastore: DatastoreId,
        /// The owner by its record.
        host: HostId,
    },
    /// Below F3: nothing in the datastore's owner record can be read, so each host that has ever owned it may own it
    /// still. Confirm the ends of those that [`Event::OwnerUnproven`] names (`confirm-dead`), or make sure that
    /// nobody owns the datastore and say so (`confirm-unowned`, [`Command::NobodyOwns`](crate::Command::NobodyOwns)).
    OwnerUnreadable {
        /// The datastore.
        datastore: DatastoreId,
        /// Names the damaged content, to which that word is bound.
        damage: OwnerDamage,
    },
    /// The datastore's list was put together without all that this host may have reported durable: protections and
    /// open restarts may be missing or old. Compare the manager's inventory with it.
    ChangesMayBeMissing {
        /// The datastore.
        datastore: DatastoreId,
        /// The host.
        host: HostId,
    },
    /// One host's copy of the list cannot be read; the others were merged without it.
    ListUnreadable {
        /// The datastore.
        datastore: DatastoreId,
        /// Whose copy.
        host: HostId,
    },
    /// All copies together protect more virtual machines than one list has room for: the datastore cannot be
    /// owned before some are removed or the limit is raised.
    ListFull {
        /// The datastore.
        datastore: DatastoreId,
    },
    /// The own datastore heartbeat works: its lock is held, a first write was read back.
    HeartbeatReady {
        /// The datastore.
        datastore: DatastoreId,
    },
    /// Storage failed. The machines go on trying.
    StorageTrouble {
        /// The datastore.
        datastore: DatastoreId,
        /// How it failed.
        fault: StorageFault,
    },
    /// The protection of a virtual machine is durable.
    Protected {
        /// The virtual machine.
        vm: VmUuid,
    },
    /// The removal of its protection is durable.
    Unprotected {
        /// The virtual machine.
        vm: VmUuid,
    },
    /// A command could not be carried out here.
    CommandRefused {
        /// The virtual machine it was about.
        vm: VmUuid,
        /// Why, and what would be accepted.
        reason: &'static str,
    },
    /// A confirmation of a host's end changes nothing here.
    ConfirmRefused {
        /// The host.
        host: HostId,
        /// Why.
        reason: &'static str,
    },
    /// The master ordered a start.
    OrderSent {
        /// The virtual machine.
        vm: VmId,
        /// The host that is to start it.
        target: HostId,
        /// The epoch its record must have.
        expected: VmEpoch,
        /// The host it ran on before; `None` if no record names one.
        failed_host: Option<HostId>,
        /// The verdict that led here, as a sentence.
        why: String,
    },
    /// An ordered host did not start it. The intent stays open.
    OrderRefused {
        /// The virtual machine.
        vm: VmId,
        /// The host that was ordered.
        target: HostId,
        /// Why not.
        refused: RefusedOrder,
    },
    /// A protected virtual machine runs again and its intent is closed.
    Restarted {
        /// The virtual machine.
        vm: VmId,
        /// Where it runs now.
        host: HostId,
        /// Its epoch there.
        epoch: VmEpoch,
    },
    /// This host won a virtual machine's lock and made its next epoch durable.
    LockTaken {
        /// The virtual machine.
        vm: VmId,
        /// The epoch that is now recorded.
        epoch: VmEpoch,
    },
    /// This host runs a virtual machine.
    Running {
        /// The virtual machine.
        vm: VmId,
        /// Its epoch.
        epoch: VmEpoch,
    },
    /// A virtual machine ended here.
    Ended {
        /// The virtual machine.
        vm: VmUuid,
        /// The epoch that ended.
        epoch: VmEpoch,
    },
    /// A start asked for by a person did not happen.
    PowerOnRefused {
        /// The virtual machine.
        vm: VmId,
        /// Why not.
        refused: RefusedOrder,
    },
    /// A virtual machine runs without its lock, or under an epoch that is not recorded: neither protected nor
    /// restarted.
    RunsOutsideHa {
        /// The virtual machine.
        vm: VmUuid,
        /// Where.
        host: HostId,
    },
    /// A protected virtual machine's lock record is below the epoch that its instances have reached: its lock file was
    /// made anew or restored, and the virtual machine may run under the lock of the first. It is not restarted before
    /// a lock file of at least that epoch is there; a person who knows that it runs nowhere makes one.
    LockFileReplaced {
        /// The virtual machine.
        vm: VmId,
        /// The recorded epoch.
        found: VmEpoch,
        /// The epoch that it has reached.
        least: VmEpoch,
    },
    /// The storage does not allow a restart without a person's word that the host's end is certain.
    OperatorNeeded {
        /// The virtual machine that waits.
        vm: VmId,
        /// The host whose end must be confirmed (`confirm-dead`).
        host: HostId,
    },
    /// This host is cut off: no peer and no isolation address answers.
    Isolated,
    /// It no longer is.
    IsolationEnded,
    /// A frame that no member could have sent. Raised once per claimed sender.
    InvalidMaster {
        /// Whom the frame claims to be from; `None` if not even that could be read.
        claimed: Option<HostId>,
        /// What was wrong with it.
        reason: &'static str,
    },
    /// A datastore was declared to be of one kernel, but another boot id writes there. It counts as F1 now.
    SameKernelRefused {
        /// The host with another boot id.
        host: HostId,
    },
    /// Files of an older life of this host with the same incarnation exist: this agent must not speak.
    IncarnationRepeated {
        /// The incarnation found.
        found: Incarnation,
    },
}

impl Event {
    /// A name that does not change between versions.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RoleChanged { .. } => "role-changed",
            Self::Suspected { .. } => "host-suspected",
            Self::Judged(_) => "host-judged",
            Self::DatastoreOwned { .. } => "datastore-owned",
            Self::DatastoreLost { .. } => "datastore-lost",
            Self::DatastoreHeld { .. } => "datastore-held",
            Self::OwnerUnproven { .. } => "owner-unproven",
            Self::OwnerUnreadable { .. } => "owner-unreadable",
            Self::ChangesMayBeMissing { .. } => "changes-may-be-missing",
            Self::ListUnreadable { .. } => "list-unreadable",
            Self::ListFull { .. } => "list-full",
            Self::HeartbeatReady { .. } => "heartbeat-ready",
            Self::StorageTrouble { .. } => "storage-trouble",
            Self::Protected { .. } => "vm-protected",
            Self::Unprotected { .. } => "vm-unprotected",
            Self::CommandRefused { .. } => "command-refused",
            Self::ConfirmRefused { .. } => "confirm-refused",
            Self::OrderSent { .. } => "order-sent",
            Self::OrderRefused { .. } => "order-refused",
            Self::Restarted { .. } => "vm-restarted",
            Self::LockTaken { .. } => "vm-lock-taken",
            Self::Running { .. } => "vm-running",
            Self::Ended { .. } => "vm-ended",
            Self::PowerOnRefused { .. } => "power-on-refused",
            Self::RunsOutsideHa { .. } => "vm-runs-outside-ha",
            Self::LockFileReplaced { .. } => "lock-file-replaced",
            Self::OperatorNeeded { .. } => "operator-needed",
            Self::Isolated => "host-isolated",
            Self::IsolationEnded => "isolation-ended",
            Self::InvalidMaster { .. } => "invalid-master",
            Self::SameKernelRefused { .. } => "same-kernel-refused",
            Self::IncarnationRepeated { .. } => "incarnation-repeated",
        }
    }
}

impl fmt::Display for RefusedOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LockHeld => f.write_str("its lock is held"),
            Self::EpochMismatch { found } => write!(f, "its record is at {found}"),
            Self::EpochTooLow { found, least } => {
                write!(f, "its record is at {found}, and it has reached {least}: its lock file was replaced")
            }
            Self::OtherFile => f.write_str("its record belongs to another file: its lock file was replaced"),
            Self::CleanlyOff => f.write_str("its record says cleanly off"),
            Self::Moved => f.write_str("its record says moved"),
            Self::NotStartable => f.write_str("its record does not allow a start"),
            Self::Expired => f.write_str("the order expired"),
            Self::OldTerm => f.write_str("the order is of an older term"),
            Self::Busy => f.write_str("too many starts are under way"),
            Self::Fault(fault) => write!(f, "{fault}"),
            Self::StartFailed { epoch } => write!(f, "the start failed at {epoch}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoleChanged { role, reason, master, term } => {
                write!(f, "{role}: {reason}")?;
                master.map_or(Ok(()), |master| write!(f, "; master {master}"))?;
                term.map_or(Ok(()), |term| write!(f, ", term {term}"))
            }
            Self::Suspected { host } => write!(f, "{host} is suspected"),
            Self::Judged(verdict) => f.write_str(&verdict.why()),
            Self::DatastoreOwned { datastore, term, protected } => {
                write!(f, "owns {datastore} under term {term}; {protected} VMs protected")
            }
            Self::DatastoreLost { datastore, reason } => write!(f, "no longer owns {datastore}: {reason}"),
            Self::DatastoreHeld { datastore } => write!(f, "the list of {datastore} is held by another host"),
            Self::OwnerUnproven { datastore, host } => {
                write!(f, "{datastore} is left alone: its owner {host} may live (confirm-dead)")
            }
            Self::OwnerUnreadable { datastore, damage } => {
                write!(f, "the owner record of {datastore} cannot be read (confirm-unowned {damage})")
            }
            Self::ChangesMayBeMissing { datastore, host } => {
                write!(f, "the list of {datastore} may lack changes that {host} made")
            }
            Self::ListUnreadable { datastore, host } => {
                write!(f, "the list of {datastore} as {host} wrote it cannot be read")
            }
            Self::ListFull { datastore } => write!(f, "the lists of {datastore} together have too many VMs"),
            Self::HeartbeatReady { datastore } => write!(f, "heartbeat on {datastore} works"),
            Self::StorageTrouble { datastore, fault } => write!(f, "trouble on {datastore}: {fault}"),
            Self::Protected { vm } => write!(f, "{vm} is protected"),
            Self::Unprotected { vm } => write!(f, "{vm} is no longer protected"),
            Self::CommandRefused { vm, reason } => write!(f, "command for {vm} refused: {reason}"),
            Self::ConfirmRefused { host, reason } => {
                write!(f, "the end of {host} was not confirmed: {reason}")
            }
            Self::OrderSent { vm, target, expected, why, .. } => {
                write!(f, "{target} is to start {vm}, expected at {expected}: {why}")
            }
            Self::OrderRefused { vm, target, refused } => write!(f, "{target} did not start {vm}: {refused}"),
            Self::Restarted { vm, host, epoch } => write!(f, "{vm} runs again on {host} at {epoch}"),
            Self::LockTaken { vm, epoch } => write!(f, "lock of {vm} taken, {epoch} recorded"),
            Self::Running { vm, epoch } => write!(f, "{vm} runs at {epoch}"),
            Self::Ended { vm, epoch } => write!(f, "{vm} ended at {epoch}"),
            Self::PowerOnRefused { vm, refused } => write!(f, "{vm} was not started: {refused}"),
            Self::RunsOutsideHa { vm, host } => write!(f, "{vm} runs on {host} outside HA"),
            Self::LockFileReplaced { vm, found, least } => {
                write!(
                    f,
                    "the lock file of {vm} was replaced: it is at {found}, and the VM has reached {least}"
                )
            }
            Self::OperatorNeeded { vm, host } => {
                write!(f, "{vm} waits: confirm the end of {host} (confirm-dead)")
            }
            Self::Isolated => f.write_str("this host is isolated"),
            Self::IsolationEnded => f.write_str("this host is no longer isolated"),
            Self::InvalidMaster { claimed, reason } => match claimed {
                Some(host) => write!(f, "invalid frame in the name of {host}: {reason}"),
                None => write!(f, "invalid frame of nobody known: {reason}"),
            },
            Self::SameKernelRefused { host } => write!(f, "{host} has another boot id: not one kernel"),
            Self::IncarnationRepeated { found } => write!(f, "{found} was used before by this host"),
        }
    }
}
