use alloc::vec::Vec;

use ha_core::operation::{LookAtLock, Ping};
use ha_core::{BootId, Capability, Completion, DatastoreEvidence, DatastoreId, HostId, Incarnation, Instant};

/// Everything that can happen to a [`HostMonitor`](crate::HostMonitor).
#[derive(Debug)]
pub enum Input {
    /// Begin to judge a host. For a host that is judged already, only its datastores are replaced.
    Watch {
        /// The host.
        host: HostId,
        /// The datastores that carry its heartbeat files, with what their locks promise.
        datastores: Vec<(DatastoreId, Capability)>,
        /// When it was last heard, if the caller knows; silence counts from then, else from now.
        heard: Option<Instant>,
    },
    /// Judge a host no longer.
    Unwatch {
        /// The host.
        host: HostId,
    },
    /// A frame of the host arrived: authentic, and with a fresh echo of this agent.
    Heard {
        /// The host.
        host: HostId,
        /// The boot that the frame names.
        boot: BootId,
        /// The incarnation that the frame names.
        incarnation: Incarnation,
    },
    /// The host's control stream was opened.
    StreamOpened {
        /// The host.
        host: HostId,
    },
    /// The host's control stream broke. Weak evidence: it starts suspicion, no more.
    StreamBroken {
        /// The host.
        host: HostId,
    },
    /// One more look at a heartbeat file.
    Datastore(DatastoreEvidence),
    /// The answer to [`Output::Ping`](crate::Output::Ping).
    Pinged(Completion<Ping>),
    /// The answer to the look that [`Output::Storage`](crate::Output::Storage) asked for.
    Looked(Completion<LookAtLock>),
    /// The host announced, in an authentic notice, that it ends and that its virtual machines have stopped.
    CleanShutdown {
        /// The host.
        host: HostId,
    },
    /// An operator or a fence device confirmed the end of one life of a host.
    Confirmed {
        /// The host.
        host: HostId,
        /// The boot whose end was confirmed.
        boot: BootId,
        /// The incarnation whose end was confirmed.
        incarnation: Incarnation,
    },
}
