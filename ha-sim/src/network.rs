use alloc::collections::BTreeMap;
use core::time::Duration;

use ha_agent::ConnectionId;
use ha_core::{HostId, Random};

use crate::Options;

/// One end of a stream.
pub(crate) type End = (HostId, ConnectionId);

/// Delays, losses and streams. Every random number is drawn from a stream named by the link and a counter, so
/// that one event more or less elsewhere shifts nothing.
#[derive(Debug)]
pub(crate) struct Network {
    random: Random,
    sent: BTreeMap<(HostId, HostId), u64>,
    streams: BTreeMap<End, End>,
    next_accepted: u64,
    loss_per_mille: u16,
    delay: Duration,
    jitter: Duration,
}

impl Network {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            random: Random::from_seed(options.seed).fork(1),
            sent: BTreeMap::new(),
            streams: BTreeMap::new(),
            next_accepted: 0,
            loss_per_mille: options.loss_per_mille,
            delay: options.delay,
            jitter: options.jitter,
        }
    }

    /// How long a datagram travels; `None` if it is lost.
    pub(crate) fn datagram(&mut self, from: HostId, to: HostId) -> Option<Duration> {
        let mut random = self.draw(from, to);
        let lost = random.below(1_000) < u64::from(self.loss_per_mille);
        (!lost).then(|| self.delay + random.span_below(self.jitter))
    }

    /// How long bytes of a stream travel: always the same, so that they stay in order.
    pub(crate) fn stream_delay(&self) -> Duration {
        self.delay + self.jitter
    }

    fn draw(&mut self, from: HostId, to: HostId) -> Random {
        let count = self.sent.entry((from, to)).or_default();
        *count += 1;
        let link = u64::from(from.number()) << 32 | u64::from(to.number());
        self.random.fork(link).fork(*count)
    }

    /// Joins a dialled stream to a new accepted one.
    pub(crate) fn connect(&mut self, from: End, to: HostId) -> End {
        self.next_accepted += 1;
        let accepted = (to, ConnectionId::Accepted(self.next_accepted));
        self.streams.insert(from, accepted);
        self.streams.insert(accepted, from);
        accepted
    }

    pub(crate) fn other_end(&self, end: End) -> Option<End> {
        self.streams.get(&end).copied()
    }

    /// Ends a stream; tells who was at the other end.
    pub(crate) fn close(&mut self, end: End) -> Option<End> {
        let other = self.streams.remove(&end)?;
        self.streams.remove(&other);
        Some(other)
    }

    /// Every stream of a host that dies, by its own ends.
    pub(crate) fn ends_of(&self, host: HostId) -> alloc::vec::Vec<End> {
        self.streams.keys().filter(|(owner, _)| *owner == host).copied().collect()
    }
}
