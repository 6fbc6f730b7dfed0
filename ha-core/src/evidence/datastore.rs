use crate::{BootId, DatastoreId, HostId, Incarnation, Instant, StorageFault};

/// What the last look at a host's heartbeat file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentState {
    /// Nothing was ever written there.
    NeverWritten,
    /// A valid slot of that very host.
    Valid,
    /// Bytes from which no writer can be told: torn, damaged, foreign, or of a newer version.
    Unattributable,
    /// The content went back to an older one: no information, neither life nor death.
    Regressed,
    /// The read failed.
    Unreadable(StorageFault),
}

/// What one heartbeat datastore says of one host, on the observer's own clock (reliability section 4).
///
/// `LivenessWatcher` of `ha-datastore` makes it; `HostMonitor` of `ha-heartbeat` alone judges by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatastoreEvidence {
    /// The host that is looked at.
    pub host: HostId,
    /// The datastore that was read.
    pub datastore: DatastoreId,
    /// The boot that the content names, if a writer can be told.
    pub boot: Option<BootId>,
    /// The incarnation that the content names, if a writer can be told.
    pub incarnation: Option<Incarnation>,
    /// The start of the first read of this watch: nothing is known from before.
    pub first_look: Option<Instant>,
    /// The start of the last read that differed from the read before; `None` if none has differed yet.
    pub last_change: Option<Instant>,
    /// The start of the last read in whose round the observer's own write and read-back worked.
    pub last_good_round: Option<Instant>,
    /// What the last read found.
    pub state: ContentState,
    /// Whether the host's poweron file says that it is isolated; `None` if that is not known.
    pub isolated: Option<bool>,
}
