use alloc::collections::VecDeque;
use core::time::Duration;

use ha_core::Instant;
use ha_core::wire::FrameKind;

/// A window is looked at in so many parts; the busiest one is found to within one part.
const PARTS: u32 = 16;

/// The datagrams of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Candidacies.
    pub candidacies: u64,
    /// Claims; a master's heartbeats are claims too.
    pub claims: u64,
    /// Probes.
    pub probes: u64,
    /// Slaves' heartbeats.
    pub heartbeats: u64,
    /// The most datagrams of elections in any time as long as the election window.
    pub busiest_window: u64,
    start: Instant,
    part: Duration,
    latest: VecDeque<(u64, u64)>,
}

impl Counts {
    pub(super) fn new(start: Instant, window: Duration) -> Self {
        Self {
            candidacies: 0,
            claims: 0,
            probes: 0,
            heartbeats: 0,
            busiest_window: 0,
            start,
            part: (window / PARTS).max(Duration::from_nanos(1)),
            latest: VecDeque::new(),
        }
    }

    /// What elections cost: all but the heartbeats of slaves, which go on with or without one.
    #[must_use]
    pub const fn of_elections(&self) -> u64 {
        self.candidacies + self.claims + self.probes
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.candidacies + self.claims + self.probes + self.heartbeats
    }

    pub(super) fn count(&mut self, now: Instant, kind: FrameKind) {
        match kind {
            FrameKind::Candidacy => self.candidacies += 1,
            FrameKind::Claim => self.claims += 1,
            FrameKind::Probe => self.probes += 1,
            FrameKind::Heartbeat | FrameKind::Control => {
                self.heartbeats += 1;
                return;
            }
        }
        let part = u64::try_from(now.since(self.start).as_nanos() / self.part.as_nanos()).unwrap_or(u64::MAX);
        match self.latest.back_mut() {
            Some((latest, count)) if *latest == part => *count += 1,
            Some(_) | None => self.latest.push_back((part, 1)),
        }
        while self.latest.front().is_some_and(|(oldest, _)| oldest + u64::from(PARTS) <= part) {
            self.latest.pop_front();
        }
        let window = self.latest.iter().map(|(_, count)| count).sum();
        self.busiest_window = self.busiest_window.max(window);
    }
}
