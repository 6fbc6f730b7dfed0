//! What a slave and its master say to each other on the control stream.

use alloc::vec::Vec;
use core::time::Duration;

use ha_core::codec::bincode::{Decode, Encode};
use ha_core::codec::{self, DecodeError, TooLong};
use ha_core::{Incarnation, RunningVm, StorageFault, Term, VmEpoch, VmId, VmUuid};
use ha_datastore::format::OrderId;

use crate::RefusedOrder;

/// The longest payload of a control frame: the inventory of a full host with the longest paths.
pub(crate) const MAX_CONTROL: usize = 1_000_000;

/// One message on the control stream. Both sides trust a stream only after a frame on it echoed a recent one of
/// their own; until then only `Hello` and `Welcome` are understood.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[bincode(crate = "ha_core::codec::bincode")]
pub(crate) enum ControlMessage {
    /// The slave's first words.
    Hello {
        /// The term it follows.
        following: Term,
    },
    /// The master's answer.
    Welcome {
        /// The term it reigns under.
        term: Term,
    },
    /// Every virtual machine that runs on the slave, whenever that changes.
    Inventory(InventoryReport),
    /// Start a virtual machine.
    Order(Order),
    /// What became of an order.
    OrderResult(OrderResult),
}

/// A host's inventory.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[bincode(crate = "ha_core::codec::bincode")]
pub(crate) struct InventoryReport {
    /// Grows with each change within one incarnation.
    pub(crate) generation: u64,
    /// Whether these are all; without it, absence proves nothing.
    pub(crate) complete: bool,
    /// What runs.
    pub(crate) vms: Vec<InventoryEntry>,
    /// What is being started: neither listed nor absent.
    pub(crate) starting: Vec<VmUuid>,
}

/// One running virtual machine.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[bincode(crate = "ha_core::codec::bincode")]
pub(crate) struct InventoryEntry {
    pub(crate) vm: VmId,
    pub(crate) epoch: VmEpoch,
    pub(crate) holds_lock: bool,
}

impl From<&RunningVm> for InventoryEntry {
    fn from(running: &RunningVm) -> Self {
        Self { vm: running.vm.clone(), epoch: running.epoch, holds_lock: running.holds_lock }
    }
}

/// An order to start a virtual machine (architecture 12).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[bincode(crate = "ha_core::codec::bincode")]
pub(crate) struct Order {
    /// The term it is given under.
    pub(crate) term: Term,
    /// Its number, the same when it is sent again.
    pub(crate) number: u64,
    /// The term of the intent that it belongs to.
    pub(crate) intent_term: Term,
    /// The virtual machine.
    pub(crate) vm: VmId,
    /// The epoch that its record must have.
    pub(crate) expected: VmEpoch,
    /// How long it is valid, in nanoseconds, counted from when the target sent the datagram named below.
    pub(crate) validity_nanos: u64,
    /// The target's life that sent that datagram.
    pub(crate) anchor_incarnation: Incarnation,
    /// The datagram's sequence.
    pub(crate) anchor_sequence: u64,
}

impl Order {
    pub(crate) const fn id(&self) -> OrderId {
        OrderId { term: self.intent_term, number: self.number }
    }

    pub(crate) const fn validity(&self) -> Duration {
        Duration::from_nanos(self.validity_nanos)
    }
}

/// The target's answer to an order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[bincode(crate = "ha_core::codec::bincode")]
pub(crate) struct OrderResult {
    pub(crate) intent_term: Term,
    pub(crate) number: u64,
    pub(crate) vm: VmId,
    pub(crate) outcome: OrderOutcome,
}

impl OrderResult {
    pub(crate) const fn order(&self) -> OrderId {
        OrderId { term: self.intent_term, number: self.number }
    }
}

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[bincode(crate = "ha_core::codec::bincode")]
pub(crate) enum OrderOutcome {
    Started { epoch: VmEpoch },
    LockHeld,
    EpochMismatch { found: VmEpoch },
    CleanlyOff,
    Moved,
    NotStartable,
    Expired,
    OldTerm,
    Busy,
    Fault,
    StartFailed { epoch: VmEpoch },
    EpochTooLow { found: VmEpoch, least: VmEpoch },
    OtherFile,
}

impl OrderOutcome {
    /// The refusal, unless it started.
    pub(crate) const fn refused(self) -> Result<VmEpoch, RefusedOrder> {
        Err(match self {
            Self::Started { epoch } => return Ok(epoch),
            Self::LockHeld => RefusedOrder::LockHeld,
            Self::EpochMismatch { found } => RefusedOrder::EpochMismatch { found },
            Self::CleanlyOff => RefusedOrder::CleanlyOff,
            Self::Moved => RefusedOrder::Moved,
            Self::NotStartable => RefusedOrder::NotStartable,
            Self::Expired => RefusedOrder::Expired,
            Self::OldTerm => RefusedOrder::OldTerm,
            Self::Busy => RefusedOrder::Busy,
            Self::Fault => RefusedOrder::Fault(StorageFault::Unknown),
            Self::StartFailed { epoch } => RefusedOrder::StartFailed { epoch },
            Self::EpochTooLow { found, least } => RefusedOrder::EpochTooLow { found, least },
            Self::OtherFile => RefusedOrder::OtherFile,
        })
    }
}

impl From<RefusedOrder> for OrderOutcome {
    fn from(refused: RefusedOrder) -> Self {
        match refused {
            RefusedOrder::LockHeld => Self::LockHeld,
            RefusedOrder::EpochMismatch { found } => Self::EpochMismatch { found },
            RefusedOrder::CleanlyOff => Self::CleanlyOff,
            RefusedOrder::Moved => Self::Moved,
            RefusedOrder::NotStartable => Self::NotStartable,
            RefusedOrder::Expired => Self::Expired,
            RefusedOrder::OldTerm => Self::OldTerm,
            RefusedOrder::Busy => Self::Busy,
            RefusedOrder::Fault(_) => Self::Fault,
            RefusedOrder::StartFailed { epoch } => Self::StartFailed { epoch },
            RefusedOrder::EpochTooLow { found, least } => Self::EpochTooLow { found, least },
            RefusedOrder::OtherFile => Self::OtherFile,
        }
    }
}

/// The message as the payload of a control frame.
pub(crate) fn encode(message: &ControlMessage) -> Result<Vec<u8>, TooLong> {
    codec::encode(message, MAX_CONTROL)
}

/// The message of a control frame's payload. Allocates at most [`codec::max_allocated`] for it.
pub(crate) fn decode(payload: &[u8]) -> Result<ControlMessage, DecodeError> {
    codec::decode(payload, MAX_CONTROL)
}

/// The payload of a slave's heartbeat: the generation of its inventory, little endian. A newer minor version of the
/// protocol may append to it.
pub(crate) fn heartbeat_payload(inventory_generation: u64) -> [u8; 8] {
    inventory_generation.to_le_bytes()
}

/// What the payload of a heartbeat says; `None` if it is none. Allocates nothing.
pub(crate) fn heartbeat_generation(payload: &[u8]) -> Option<u64> {
    payload.first_chunk().copied().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests;
