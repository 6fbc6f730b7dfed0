use core::fmt;
use core::time::Duration;

use ha_core::operation::Ping;
use ha_core::{Instant, Token};

/// Everything that a check asks for or tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Ping an isolation address, from the interface that the heartbeats use (fdm-facts 8.14).
    Ping {
        /// The right to answer, once.
        token: Token<Ping>,
        /// Which address, counted from 0.
        address: u32,
        /// Without an answer within this, the ping is unanswered.
        timeout: Duration,
    },
    /// Something that the agent or its operator wants to know.
    Event(Event),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An isolation address has answered: the host is not isolated.
    AddressAnswered {
        /// Which one.
        address: u32,
        /// When that ping was sent.
        asked: Instant,
    },
    /// The host is isolated.
    DeclaredIsolated {
        /// Since the last sign that it was not cut off.
        after: Duration,
    },
    /// The check has ended, or the isolation has.
    Cancelled {
        /// Why.
        reason: CancelReason,
        /// Whether the host had been declared isolated.
        was_isolated: bool,
    },
    /// The host is alone, or was asked to check, and no address is configured: it is never isolated.
    NoAddressConfigured,
    /// The host has been isolated for the policy delay: respond now, unless the response is to leave the virtual
    /// machines powered on.
    ResponseDue,
}

/// Why a check or an isolation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CancelReason {
    /// Another agent was heard, and has heard this host.
    Contact,
    /// An isolation address answered. The host may still be alone, and is pinging on.
    AddressAnswered,
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contact => "another agent was heard",
            Self::AddressAnswered => "an isolation address answered",
        })
    }
}
