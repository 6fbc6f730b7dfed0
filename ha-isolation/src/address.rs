use ha_core::operation::Ping;
use ha_core::{Instant, RequestId};

/// What is known of one isolation address.
#[derive(Debug)]
pub(crate) struct Address {
    /// The ping under way; at most one.
    pub(crate) open: Option<Open>,
    /// When the last ping was sent.
    pub(crate) last_sent: Option<Instant>,
    /// When the last ping that went unanswered was sent.
    pub(crate) unanswered: Option<Instant>,
}

/// A ping under way.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) id: RequestId<Ping>,
    pub(crate) sent: Instant,
}

impl Address {
    pub(crate) const NEW: Self = Self { open: None, last_sent: None, unanswered: None };

    /// Whether a ping sent at or after `since` went unanswered.
    pub(crate) fn silent_since(&self, since: Instant) -> bool {
        self.unanswered.is_some_and(|sent| sent >= since)
    }
}
