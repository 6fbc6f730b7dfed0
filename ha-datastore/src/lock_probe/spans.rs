use core::time::Duration;

use ha_core::{Instant, TimingConfig};

/// The spans of one round. Both hosts reckon them from their own configuration; if those differ, a round may show
/// nothing, but never something wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    pub(super) heartbeat: Duration,
    pub(super) io_timeout: Duration,
    pub(super) stall_max: Duration,
    /// How long a try may begin after the frame that its question echoes, which may be a heartbeat old.
    pub(super) valid_for: Duration,
}

impl Spans {
    pub(super) const fn new(timing: &TimingConfig) -> Self {
        let (heartbeat, io_timeout) = (timing.heartbeat_period, timing.datastore_io_timeout);
        let valid_for = heartbeat.saturating_add(io_timeout);
        Self { heartbeat, io_timeout, stall_max: timing.storage_stall_max, valid_for }
    }

    /// For the question's way, the try, and the answer's way.
    pub(super) const fn answer_within(&self) -> Duration {
        self.valid_for.saturating_mul(2)
    }

    /// For the answer's way, the holder's fresh lock, and the ways of the second question. A holder waits as long
    /// after a round that showed nothing, so that it does not meet what is left of that.
    pub(super) const fn hold_for(&self) -> Duration {
        self.valid_for.saturating_mul(4)
    }
}

/// When the two hosts last heard each other, by the parent's word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hearing(Option<Instant>);

impl Hearing {
    /// A word about the future counts for the present.
    pub(super) fn heard(&mut self, now: Instant, at: Instant) {
        self.0 = self.0.max(Some(at.min(now)));
    }

    pub(super) fn is_fresh(self, now: Instant, spans: &Spans) -> bool {
        self.0.is_some_and(|at| now.since(at) <= spans.heartbeat)
    }
}
