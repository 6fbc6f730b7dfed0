use bytes::Bytes;
use core::time::Duration;

use ha_core::operation::Ping;
use ha_core::{
    Acknowledged, BootId, Completion, DatastoreId, HostId, Incarnation, StorageCompletion, VmCompletion,
    VmDriverReport, VmId,
};
use ha_datastore::format::OwnerDamage;

use crate::output::ConnectionId;

/// Everything that can happen to an agent.
#[derive(Debug)]
pub enum Input {
    /// A datagram arrived. Who sent it stands, authenticated, in the frame.
    Datagram(Bytes),
    /// A dialled stream is open, or a peer's stream was accepted under an id that the embedder chose.
    StreamOpened(ConnectionId),
    /// Bytes of a stream arrived, cut anywhere.
    StreamReceived(ConnectionId, Bytes),
    /// A stream ended, broke, or could not be opened.
    StreamClosed(ConnectionId),
    /// Shared storage answered.
    Storage(StorageCompletion),
    /// A ping was answered or not.
    Ping(Completion<Ping>),
    /// What the last [`Output::StoreTerm`](crate::Output::StoreTerm) asked for is durable.
    TermStored {
        /// As it was asked for.
        acknowledged: Acknowledged,
    },
    /// The driver of virtual machines answered.
    Vm(VmCompletion),
    /// The driver of virtual machines reports.
    Driver(VmDriverReport),
    /// The manager or an operator asks for something.
    Command(Command),
    /// The host was suspended or the clock jumped by this much: every right is void.
    Resumed {
        /// How long nothing ran.
        gap: Duration,
    },
}

/// What a manager or an operator can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a virtual machine here, as a person would: its record must be `free` or `cleanly off`, or `running`
    /// where winning its lock proves that no old copy can write any more.
    PowerOn {
        /// The virtual machine.
        vm: VmId,
    },
    /// Protect a virtual machine: restart it whenever it is down. Only the owner of its datastore's list can.
    Protect {
        /// The virtual machine.
        vm: VmId,
        /// The manager's version of this decision; a later one wins over an earlier one.
        version: u64,
        /// Restart priority, 1 (highest) to 5 (lowest).
        priority: u8,
        /// CPU reservation in MHz.
        cpu_reservation_mhz: u32,
        /// Memory overhead in MB.
        memory_overhead_mb: u32,
    },
    /// Protect it no longer.
    Unprotect {
        /// The virtual machine.
        vm: VmId,
        /// As in [`Command::Protect`].
        version: u64,
    },
    /// An operator or a fence device confirms that this very life of a host has ended.
    ConfirmDead {
        /// The host.
        host: HostId,
        /// Its boot that ended.
        boot: BootId,
        /// Its incarnation that ended; a newer one seen makes this lapse.
        incarnation: Incarnation,
    },
    /// An operator's word that nobody owns a datastore whose owner record cannot be read
    /// ([`Event::OwnerUnreadable`](crate::Event::OwnerUnreadable)), and that nobody who may have owned it still runs.
    NobodyOwns {
        /// The datastore.
        datastore: DatastoreId,
        /// The content that was told; for any other the word is none.
        damage: OwnerDamage,
    },
}
