use ha_core::operation::Ping;
use ha_core::{Completion, Instant, UnknownRequest};

/// Everything that can happen to a check.
#[derive(Debug)]
pub enum Input {
    /// Contact with all other agents is lost: by a slave or candidate whose master fell silent, or by a master
    /// that lost all its slaves. While the host is alone already this changes nothing; a slave that has lost its
    /// master and then elects itself stays a slave here.
    Alone {
        /// Whether the host was master when it lost contact.
        as_master: bool,
        /// When contact was lost: the last frame that proved it.
        since: Instant,
    },
    /// Election traffic or a heartbeat that echoes us: the host is not cut off (fdm-facts 8.3).
    Contact,
    /// Ping every address once, now, whatever the situation: an election wants to know.
    Check,
    /// A ping has ended.
    Pinged(Completion<Ping>),
}

/// The caller's mistake. The machine is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The completion answers no open ping of this machine.
    #[error(transparent)]
    UnknownRequest(#[from] UnknownRequest),
}
