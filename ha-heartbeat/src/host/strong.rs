//! Strong evidence: pings unanswered, and then the lock of every heartbeat file seen free, where a free lock
//! proves that its holder has ended (architecture 5 and 6).

use ha_core::Instant;
use ha_core::evidence::PingEvidence;

use super::Host;
use crate::desk::Desk;
use crate::pinger::Pinger;

impl Host {
    /// Makes or drops the pinger for strong evidence, as plan and datastores allow.
    pub(super) fn set_strong(&mut self, desk: &Desk) {
        let spans = desk.plan.config.strong_evidence;
        let allowed = desk.plan.declared_strong_by_silence.is_some()
            && self.files.values().any(super::HeartbeatFile::can_prove);
        match spans.filter(|_| allowed) {
            None => self.strong = None,
            Some(_) if self.strong.is_some() => {}
            Some(spans) => {
                let mut pinger = Pinger::new(spans.ping_spacing, spans.ping_round);
                pinger.restart(Some(self.silent_since.after(spans.ping_after_silence)));
                self.strong = Some(pinger);
            }
        }
    }

    pub(super) fn strong_round_showed(&mut self, now: Instant, shown: PingEvidence, desk: &mut Desk) {
        let Some(strong) = &mut self.strong else { return };
        match shown {
            PingEvidence::Answered { at } => {
                strong.again_at(at.after(desk.plan.config.dead_ping_interval));
                self.weak.overrule(at);
            }
            PingEvidence::Unanswered { .. } => self.look_if_unanswered(now, desk),
        }
    }

    /// Looks at the locks if the host is suspected, its pings went unanswered and nothing else is to be waited
    /// for. The next ping round is timed so that the next look follows one look-again period after this one.
    pub(super) fn look_if_unanswered(&mut self, now: Instant, desk: &mut Desk) {
        let Some(strong) = self.strong.as_mut().filter(|strong| strong.is_spent()) else { return };
        match unanswered_lately(strong, now, desk) {
            Some(true) if self.suspicion.is_some() => {}
            Some(false) if self.suspicion.is_some() => return strong.again_at(now),
            Some(_) | None => return,
        }
        for (datastore, file) in &self.files {
            if file.can_prove() {
                desk.look(self.id, *datastore);
            }
        }
        let config = &desk.plan.config;
        let first = *self.first_look.get_or_insert(now);
        let fast = now.since(first) < config.look_again_fast_for;
        let period = if fast { config.look_again } else { config.look_again_slow };
        let round = config.strong_evidence.map_or(period, |spans| spans.ping_round);
        strong.again_at(now.after(period.saturating_sub(round)));
    }

    /// Whether the host's end is proven: its last pings unanswered a short while ago, after them every lock that
    /// can prove something seen free, and no file changed after that.
    pub(super) fn locks_are_free(&self, now: Instant, desk: &Desk) -> bool {
        let Some(strong) = &self.strong else { return false };
        let Some(PingEvidence::Unanswered { ended, .. }) = strong.result() else { return false };
        let proven = |file: &super::HeartbeatFile| {
            file.seen_free().is_some_and(|started| {
                started >= ended && file.last_change().is_none_or(|change| change <= started)
            })
        };
        let mut looked_at = self.files.values().filter(|file| file.can_prove()).peekable();
        unanswered_lately(strong, now, desk) == Some(true)
            && looked_at.peek().is_some()
            && looked_at.all(proven)
    }
}

/// Whether the last round went unanswered so lately that it still says something; `None` without such a round.
fn unanswered_lately(pinger: &Pinger, now: Instant, desk: &Desk) -> Option<bool> {
    let config = &desk.plan.config;
    match pinger.result()? {
        PingEvidence::Answered { .. } => None,
        PingEvidence::Unanswered { ended, .. } => {
            Some(now.since(ended) <= config.look_again.max(config.suspicion_after))
        }
    }
}
