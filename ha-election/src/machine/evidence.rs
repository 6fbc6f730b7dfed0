use core::time::Duration;

use ha_core::Instant;

/// What shows that this host is not cut off. A master without it has no rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Contact {
    /// `None` if it was expired: when others were heard stays known, but counts no more.
    sent: Option<Instant>,
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
        // What has come in by now is older, even if the clock has not moved since.
        self.asked = None;
        if let Some(contact) = &mut self.contact {
            contact.sent = None;
        }
    }

    /// An election begins: an isolation address must answer anew (architecture 10).
    pub(super) const fn election_began(&mut self, now: Instant) {
        self.answers_after = now;
        self.asked = None;
    }

    pub(super) fn heard_echo(&mut self, sent: Instant, arrived: Instant) {
        let sent = self.contact.and_then(|contact| contact.sent).max(Some(sent));
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
            .filter(|contact| contact.sent.is_some_and(|sent| sent >= self.echoes_after))
            .is_some_and(|contact| now.since(contact.arrived) <= fresh)
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

#[cfg(feature = "model")]
impl ContactEvidence {
    /// Keeps what can still count, with every instant as if `latest` were `now`. No echo and no answer is handed in
    /// whose frame or ping is older than `oldest`, which is at least `fresh`.
    pub(super) fn make_canonical(
        &mut self,
        latest: Instant,
        fresh: Duration,
        oldest: Duration,
        now: Instant,
    ) {
        let aged = |at: Instant, limit: Duration| now.before(latest.since(at).min(limit));
        // Later echoes only move the arrival; of the frame it matters that it counts, and that outlives its age.
        let counts = |contact: &Contact| contact.sent.is_some_and(|sent| sent >= self.echoes_after);
        let contact = self.contact.filter(counts);
        let answered = self.answer_counts();
        let too_old = Duration::from_nanos(1);
        self.echoes_after = aged(self.echoes_after, oldest + too_old);
        self.answers_after = aged(self.answers_after, oldest + too_old);
        self.asked = answered.then_some(self.answers_after);
        self.contact = contact.map(|contact| Contact {
            sent: Some(self.echoes_after),
            arrived: aged(contact.arrived, fresh + too_old),
        });
    }
}
