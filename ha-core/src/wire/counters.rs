use super::{Opened, RefusalReason};
use crate::Counter;

/// What became of all frames opened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireCounters {
    accepted: Counter,
    ignored: Counter,
    probes: Counter,
    refused: [Counter; RefusalReason::ALL.len()],
}

impl WireCounters {
    /// Frames accepted, whatever their echo.
    #[must_use]
    pub const fn accepted(&self) -> Counter {
        self.accepted
    }

    /// Authentic frames that were not understood.
    #[must_use]
    pub const fn ignored(&self) -> Counter {
        self.ignored
    }

    /// Accepted frames that asked for a probe.
    #[must_use]
    pub const fn probes(&self) -> Counter {
        self.probes
    }

    /// Frames refused for this reason.
    #[must_use]
    pub const fn refused(&self, reason: RefusalReason) -> Counter {
        self.refused[reason as usize]
    }

    /// Frames refused for any reason.
    #[must_use]
    pub fn refused_in_all(&self) -> u64 {
        self.refused.iter().fold(0, |sum, counter| sum.saturating_add(counter.get()))
    }

    #[inline]
    pub(super) fn note(&mut self, opened: &Opened<'_>) {
        match opened {
            Opened::Accepted(received) => {
                self.accepted.count();
                if received.probe {
                    self.probes.count();
                }
            }
            Opened::Ignored(_) => self.ignored.count(),
            Opened::Refused(refusal) => self.refused[refusal.reason as usize].count(),
        }
    }
}
