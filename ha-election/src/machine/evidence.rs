use core::time::Duration;

use ha_core::Instant;

/// What shows that this host is not cut off. A master without it has no rights.
#[derive(Clone, Copy, Debug)]
pub(super) struct ContactEvidence {
    /// An echo of a frame that was sent before this counts for nothing.
    echoes_after: Instant,
    /// An answer to a ping that was sent before this counts for nothing.
    answers_after: Instant,
    /// The latest contact: when our echoed frame was sent, and when its echo arrived.
    contact: Option<Contact>,
    /// When the latest answered ping was sent.
    asked: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Contact {
    sent: Instant,
    arrived: Instant,
}

impl ContactEvidence {
    /// Nothing, and nothing counts that began before `now`.
    pub(super) const fn none_before(now: Instant) -> Self {
        Self { echoes_after: now, answers_after: now, contact: None, asked: None }
    }

    /// From now on only newer evidence counts; when others were heard last stays known.
    pub(super) const fn expire(&mut self, now: Instant) {
        self.echoes_after = now;
        self.answers_after = now;
    }

    /// An election begins: an isolation address must answer anew (architecture 10).
    pub(super) const fn election_began(&mut self, now: Instant) {
        self.answers_after = now;
    }

    pub(super) fn heard_echo(&mut self, sent: Instant, arrived: Instant) {
        let sent = self.contact.map_or(sent, |contact| contact.sent.max(sent));
        self.contact = Some(Contact { sent, arrived });
    }

    pub(super) fn address_answered(&mut self, asked: Instant) {
        self.asked = self.asked.max(Some(asked));
    }

    pub(super) const fn last_contact(&self) -> Option<Instant> {
        match self.contact {
            Some(contact) => Some(contact.arrived),
            None => None,
        }
    }

    /// Whether somebody has heard this host lately.
    pub(super) fn contact_counts(&self, now: Instant, fresh: Duration) -> bool {
        self.contact
            .is_some_and(|contact| contact.sent >= self.echoes_after && now.since(contact.arrived) <= fresh)
    }

    /// Whether an isolation address has answered.
    pub(super) fn answer_counts(&self) -> bool {
        self.asked.is_some_and(|asked| asked >= self.answers_after)
    }

    /// Whether `pause` has passed since older evidence stopped counting.
    pub(super) fn settled(&self, now: Instant, pause: Duration) -> bool {
        now.since(self.answers_after) >= pause
    }
}
