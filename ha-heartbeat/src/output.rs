use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use ha_core::operation::Ping;
use ha_core::{BootId, DatastoreId, HostId, Incarnation, Instant, StorageRequest, Token, Verdict};

/// Everything a [`HostMonitor`](crate::HostMonitor) asks for, or tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send one ping to the host's management address, and answer by the end of `timeout`.
    Ping {
        /// Answers the request.
        token: Token<Ping>,
        /// The host.
        host: HostId,
        /// How long to wait for the answer.
        timeout: Duration,
    },
    /// Carry out a request to shared storage; only [`StorageRequest::LookAtLock`] is ever asked.
    Storage(StorageRequest),
    /// Read these heartbeat files of the host every poll period, and give back what was seen as
    /// [`Input::Datastore`](crate::Input::Datastore). Replaces an earlier list for the same host.
    WatchDatastores {
        /// The host.
        host: HostId,
        /// Where to read; never empty.
        datastores: Vec<DatastoreId>,
    },
    /// The host's heartbeat files need not be read for this monitor any more.
    UnwatchDatastores {
        /// The host.
        host: HostId,
    },
    /// Something the embedder should know.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Suspicion began. The verdict is what it was until there is another.
    Suspected {
        /// The host.
        host: HostId,
        /// When.
        at: Instant,
        /// Why.
        reason: SuspicionReason,
    },
    /// A host's state, or the strength of the verdict on it, changed.
    Judged(Verdict),
    /// The host stayed `AgentDown` or `Unknown` for the plan's bound, and has storage that fences: each of its
    /// virtual machines there may be restarted if its lock can be won. Once per suspicion.
    LockDecides {
        /// The host.
        host: HostId,
    },
    /// The same, for storage that does not fence: only an operator can decide. Once per suspicion.
    OperatorDecides {
        /// The host.
        host: HostId,
    },
    /// The host runs under a newer boot, so every virtual machine of its earlier boots has stopped. Acting on
    /// that is the caller's business; the verdict says only whether the host is alive now.
    NewBoot {
        /// The host.
        host: HostId,
        /// The boot that has ended.
        ended: BootId,
        /// The boot it runs under.
        boot: BootId,
        /// The agent's life in that boot.
        incarnation: Incarnation,
        /// When this was learned.
        at: Instant,
    },
}

impl Event {
    /// The event's stable code, for logs and alarms.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Suspected { .. } => "host.suspected",
            Self::Judged(_) => "host.judged",
            Self::LockDecides { .. } => "host.lock-decides",
            Self::OperatorDecides { .. } => "host.operator-decides",
            Self::NewBoot { .. } => "host.new-boot",
        }
    }
}

/// What made a host suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SuspicionReason {
    /// No network heartbeat for the plan's time.
    Silence,
    /// Its control stream broke.
    StreamBroken,
    /// A verdict that rested on proof was contradicted: its heartbeat files still move.
    StillMoves,
}

impl fmt::Display for SuspicionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silence => "silence",
            Self::StreamBroken => "broken stream",
            Self::StillMoves => "heartbeat files still move",
        })
    }
}
