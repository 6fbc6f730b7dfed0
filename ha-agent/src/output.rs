use bytes::Bytes;
use core::time::Duration;

use ha_core::operation::Ping;
use ha_core::{Acknowledged, HostId, StorageRequest, Token, VmRequest};

use crate::Event;

/// A stream between a slave and its master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionId {
    /// Dialled by this agent, under a number of its choice.
    Dialled(u64),
    /// Accepted by the embedder, under a number of its choice, never used twice.
    Accepted(u64),
}

/// Whom to ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PingTarget {
    /// A host, at its management addresses.
    Host(HostId),
    /// The isolation address with this index.
    IsolationAddress(u32),
}

/// Everything the embedder is asked to do, or told. Each is safe to carry out at once, in any order.
#[derive(Debug)]
pub enum Output {
    /// Send a datagram. Loss is allowed.
    Transmit {
        /// To the agent of this host.
        to: HostId,
        /// The sealed frame.
        bytes: Bytes,
    },
    /// Open a stream to the agent of a host; answer with `StreamOpened` or `StreamClosed`.
    Connect {
        /// The host.
        to: HostId,
        /// The stream's name from now on.
        connection: ConnectionId,
    },
    /// Send bytes on a stream, after all that went before.
    Send {
        /// The stream.
        connection: ConnectionId,
        /// One sealed frame.
        bytes: Bytes,
    },
    /// Close a stream. No `StreamClosed` needs to follow.
    Close(ConnectionId),
    /// Ask shared storage.
    Storage(StorageRequest),
    /// Ping a host or an address; any answer but one within `timeout` is `Unanswered`, given at its end.
    Ping {
        /// Answers the request.
        token: Token<Ping>,
        /// Whom.
        target: PingTarget,
        /// How long to wait.
        timeout: Duration,
    },
    /// Make this durable on the host's own disk, and answer `TermStored` once it is. Every later life of this agent must
    /// get it, or a higher one, as [`AgentConfig::acknowledged`](crate::AgentConfig::acknowledged). One
    /// is asked for at a time. A store that fails is tried again; until it is well this host takes no new term.
    StoreTerm {
        /// The term, or the round that this host may soon claim a term of.
        acknowledged: Acknowledged,
    },
    /// Ask the driver of virtual machines.
    Vm(VmRequest),
    /// Something happened that people or programs may want to know.
    Event(Event),
}
