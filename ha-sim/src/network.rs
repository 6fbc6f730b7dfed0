use alloc::collections::BTreeMap;
use core::time::Duration;

use ha_agent::ConnectionId;
use ha_core::HostId;

use crate::Options;
use crate::links::Links;
use crate::noise::{Arrivals, Noise};

/// One end of a stream.
pub(crate) type End = (HostId, ConnectionId);

/// Datagrams and streams between hosts.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) links: Links,
    streams: BTreeMap<End, End>,
    next_accepted: u64,
    noise: Noise,
}

impl Network {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            links: Links::new(options.seed, options.hosts),
            streams: BTreeMap::new(),
            next_accepted: 0,
            noise: options.noise(),
        }
    }

    /// When a datagram arrives, and when its copy does.
    pub(crate) fn datagram(&mut self, from: HostId, to: HostId) -> Arrivals {
        self.links.datagram(from, to, &self.noise).1
    }

    /// How long bytes of a stream travel: always the same, so that they stay in order.
    pub(crate) fn stream_delay(&self) -> Duration {
        self.noise.max_delay()
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
