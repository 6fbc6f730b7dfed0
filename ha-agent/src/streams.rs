//! The control streams: a slave dials its master; a master learns who dialled from the first authentic frame.

use alloc::collections::BTreeMap;
use core::time::Duration;

use ha_core::wire::StreamBuffer;
use ha_core::{HostId, Instant};

use crate::ConnectionId;

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Who is at the other end; for an accepted stream, once an authentic frame has told.
    pub(crate) peer: Option<HostId>,
    /// Whether bytes can be sent.
    pub(crate) open: bool,
    /// Whether a frame on it echoed a recent one of ours: from then on everything on it is the peer's own word.
    pub(crate) proven: bool,
    pub(crate) buffer: StreamBuffer,
    /// When an accepted stream was accepted.
    accepted: Option<Instant>,
}

/// All streams of this agent. Bounded: two for each host of the list, and some that have not spoken yet.
#[derive(Debug)]
pub(crate) struct Streams {
    streams: BTreeMap<ConnectionId, Stream>,
    next_dialled: u64,
    limit: usize,
    /// The stream to the master, on a slave.
    pub(crate) dialled: Option<(HostId, ConnectionId)>,
    /// When to dial again after a stream to the master broke or could not be opened.
    pub(crate) redial: Option<Instant>,
}

impl Streams {
    pub(crate) const fn new(hosts: usize) -> Self {
        let limit = 2 * hosts + 16;
        Self { streams: BTreeMap::new(), next_dialled: 0, limit, dialled: None, redial: None }
    }

    /// Names a new stream to the master.
    pub(crate) fn dial(&mut self, master: HostId) -> ConnectionId {
        self.next_dialled = self.next_dialled.saturating_add(1);
        let connection = ConnectionId::Dialled(self.next_dialled);
        self.streams.insert(connection, Stream::new(Some(master), None));
        self.dialled = Some((master, connection));
        self.redial = None;
        connection
    }

    /// Takes an accepted stream, unless there are too many.
    pub(crate) fn accept(&mut self, now: Instant, connection: ConnectionId) -> bool {
        let room = self.streams.len() < self.limit && !self.streams.contains_key(&connection);
        if room {
            self.streams.insert(connection, Stream::new(None, Some(now)));
        }
        room
    }

    pub(crate) fn get_mut(&mut self, connection: ConnectionId) -> Option<&mut Stream> {
        self.streams.get_mut(&connection)
    }

    pub(crate) fn remove(&mut self, connection: ConnectionId) -> Option<Stream> {
        if self.dialled.is_some_and(|(_, dialled)| dialled == connection) {
            self.dialled = None;
        }
        self.streams.remove(&connection)
    }

    /// The proven stream that a slave dialled to us.
    pub(crate) fn of_slave(&self, slave: HostId) -> Option<ConnectionId> {
        self.streams
            .iter()
            .filter(|(connection, _)| matches!(connection, ConnectionId::Accepted(_)))
            .find(|(_, stream)| stream.peer == Some(slave) && stream.proven)
            .map(|(connection, _)| *connection)
    }

    /// An accepted stream of this host other than `newer`.
    pub(crate) fn older_of(&self, host: HostId, newer: ConnectionId) -> Option<ConnectionId> {
        self.streams
            .iter()
            .filter(|(connection, _)| matches!(connection, ConnectionId::Accepted(_)))
            .find(|(connection, stream)| **connection != newer && stream.peer == Some(host))
            .map(|(connection, _)| *connection)
    }

    /// Every accepted stream.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = ConnectionId> {
        self.streams.keys().copied().filter(|connection| matches!(connection, ConnectionId::Accepted(_)))
    }

    /// Accepted streams that have been unproven for as long as `patience`.
    pub(crate) fn silent(&self, now: Instant, patience: Duration) -> impl Iterator<Item = ConnectionId> {
        self.streams
            .iter()
            .filter(move |(_, stream)| stream.gives_up_at(patience).is_some_and(|at| at <= now))
            .map(|(connection, _)| *connection)
    }

    /// When the first accepted stream has been unproven for as long as `patience`.
    pub(crate) fn next_silent(&self, patience: Duration) -> Option<Instant> {
        self.streams.values().filter_map(|stream| stream.gives_up_at(patience)).min()
    }

    /// The hosts that can be reached by a proven accepted stream.
    pub(crate) fn slaves(&self) -> impl Iterator<Item = HostId> {
        self.streams
            .iter()
            .filter(|(connection, stream)| matches!(connection, ConnectionId::Accepted(_)) && stream.proven)
            .filter_map(|(_, stream)| stream.peer)
    }
}

impl Stream {
    fn gives_up_at(&self, patience: Duration) -> Option<Instant> {
        self.accepted.filter(|_| !self.proven).map(|accepted| accepted.after(patience))
    }

    fn new(peer: Option<HostId>, accepted: Option<Instant>) -> Self {
        Self { peer, open: accepted.is_some(), proven: false, buffer: StreamBuffer::new(), accepted }
    }
}
