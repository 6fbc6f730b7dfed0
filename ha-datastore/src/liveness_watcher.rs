//! Do the heartbeat files of other hosts move? One watcher per datastore; it finds out and judges nobody.
//!
//! [`LivenessWatcher`] reads the whole `host-<n>-hb` of every watched host at the poll period and compares its
//! bytes with those of its own read before: life is *change*, seen twice by the same reader on its own clock.
//! Nothing that the bytes say counts as life, and no clock but the own is ever looked at (reliability 4).
//!
//! * Identical bytes are unchanged even if a slot of them is torn; torn bytes that differ are a change of which
//!   nobody knows the author.
//! * A content that went back to an older one is no information at all: neither life nor stillness.
//! * "Unchanged" counts only in a *good round*: the own heartbeat on the same datastore was written and read back
//!   within its period and I/O timeout of this read, on either side. A read that hung through an outage and then
//!   came back does not show that the peer could have written meanwhile.
//! * A read that does not come back holds up no other request of this machine, and is not repeated while it is out.
//!   (A driver may still carry out the reads of one datastore one after the other.)
//!
//! The isolation flag in `host-<n>-poweron` is read along, once per write period, and counts only if it is of
//! the life that the heartbeat file names.

mod due;
mod watch;

use alloc::collections::{BTreeMap, BTreeSet};

use ha_core::operation::{Read, ReadReply};
use ha_core::{
    ClusterId, DatastoreEvidence, DatastoreId, Deadline, FileKind, FileName, HostId, Instant, Machine,
    MachineId, MonotonicNow, Outbox, ReadFrom, RequestId, StorageCompletion, StorageFault, StorageRequest,
    TimingConfig, TokenMint, UnknownRequest,
};

use crate::format::{Geometry, HeartbeatRecord, PoweronRecord};
use due::Due;
use watch::Watch;

/// What a watcher is made of.
#[derive(Clone, Debug)]
pub struct LivenessWatcherConfig {
    /// The own cluster.
    pub cluster: ClusterId,
    /// The machine's name; completions are routed by it.
    pub machine: MachineId,
    /// The datastore to read.
    pub datastore: DatastoreId,
    /// The sizes of the files; at most `limits.hosts` hosts are watched.
    pub geometry: Geometry,
    /// The spans of time; used are `datastore_poll`, `datastore_write_period` and `datastore_io_timeout`.
    pub timing: TimingConfig,
}

/// Everything that can happen to a watcher.
#[derive(Debug)]
pub enum Input {
    /// Watch a host from now on. Watching it already changes nothing.
    Watch {
        /// The host.
        host: HostId,
    },
    /// Watch it no longer, and forget what was seen.
    Unwatch {
        /// The host.
        host: HostId,
    },
    /// The own heartbeat on this datastore was durable and read back.
    Proven {
        /// When its write was asked for.
        at: Instant,
    },
    /// Storage answered.
    Storage(StorageCompletion),
}

/// Everything a watcher asks for or tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// To storage.
    Storage(StorageRequest),
    /// What is known of a host after a read has ended. None before the first look at its heartbeat file.
    Evidence(DatastoreEvidence),
}

/// A mistake of the parent. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The completion answers no open request of this machine.
    #[error(transparent)]
    UnknownRequest(#[from] UnknownRequest),
    /// As many hosts are watched as there may be.
    #[error("{limit} hosts are watched, which is the limit")]
    TooManyHosts {
        /// How many there may be.
        limit: u32,
    },
}

/// Which of a host's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Heartbeat,
    Poweron,
}

/// A read that is out.
#[derive(Clone, Copy, Debug)]
struct Reading {
    host: HostId,
    part: Part,
    /// The watch that asked. A later watch of the same host does not count what an earlier one has read.
    watch: u64,
    /// When the next read of the file is due.
    next: Instant,
}

/// The machine. See the [module](self).
#[derive(Debug)]
pub struct LivenessWatcher {
    config: LivenessWatcherConfig,
    clock: MonotonicNow,
    outbox: Outbox<Output>,
    mint: TokenMint,
    watches: BTreeMap<HostId, Watch>,
    watches_made: u64,
    reads: BTreeMap<RequestId<Read>, Reading>,
    /// Files of watched hosts that are not being read, by the moment when they are to be.
    due: Due,
    /// Files that are still being read for a watch that is over: one read at a time for each.
    orphans: BTreeSet<(HostId, Part)>,
    proven: Option<Instant>,
}

impl LivenessWatcher {
    /// A watcher that watches nobody yet.
    #[must_use]
    pub const fn new(config: LivenessWatcherConfig, now: Instant) -> Self {
        Self {
            clock: MonotonicNow::new(now),
            outbox: Outbox::new(),
            mint: TokenMint::new(config.machine),
            watches: BTreeMap::new(),
            watches_made: 0,
            reads: BTreeMap::new(),
            due: Due::new(),
            orphans: BTreeSet::new(),
            proven: None,
            config,
        }
    }

    /// What is known of a host; `None` before the first look at it has ended.
    #[must_use]
    pub fn evidence(&self, host: HostId) -> Option<DatastoreEvidence> {
        self.watches.get(&host)?.evidence()
    }

    fn watch(&mut self, now: Instant, host: HostId) -> Result<(), Rejected> {
        if self.watches.contains_key(&host) {
            self.clock.advance(now);
            return Ok(());
        }
        let limit = self.config.geometry.limits.hosts;
        if u32::try_from(self.watches.len()).map_or(true, |watched| watched >= limit) {
            return Err(Rejected::TooManyHosts { limit });
        }
        let now = self.clock.advance(now);
        self.watches_made = self.watches_made.saturating_add(1);
        self.watches.insert(host, Watch::new(host, self.config.datastore, self.watches_made));
        for part in [Part::Heartbeat, Part::Poweron] {
            if !self.orphans.contains(&(host, part)) {
                self.read(now, host, part);
            }
        }
        Ok(())
    }

    fn unwatch(&mut self, host: HostId) {
        let Some(mut watch) = self.watches.remove(&host) else { return };
        for part in [Part::Heartbeat, Part::Poweron] {
            if !self.due.remove(&mut watch, part) {
                self.orphans.insert((host, part));
            }
        }
    }

    fn read(&mut self, now: Instant, host: HostId, part: Part) {
        let Some(watch) = self.watches.get_mut(&host) else { return };
        *watch.due(part) = None;
        let timing = &self.config.timing;
        let next = now.after(match part {
            Part::Heartbeat => timing.datastore_poll,
            Part::Poweron => timing.datastore_write_period,
        });
        let (token, request) = self.mint.issue();
        self.reads.insert(request, Reading { host, part, watch: watch.number(), next });
        self.outbox.push(Output::Storage(self.read_request(token, host, part)));
    }

    fn read_request(&self, token: ha_core::Token<Read>, host: HostId, part: Part) -> StorageRequest {
        let (kind, offset, length) = match part {
            Part::Heartbeat => (FileKind::Heartbeat(host), 0, HeartbeatRecord::POLLED),
            Part::Poweron => {
                let slots = self.config.geometry.poweron_area().saturating_mul(2);
                let length = u32::try_from(slots).unwrap_or(u32::MAX);
                (FileKind::Poweron(host), PoweronRecord::SLOTS_AT, length)
            }
        };
        StorageRequest::Read {
            token,
            file: FileName::new(self.config.datastore, kind),
            offset,
            length,
            from: ReadFrom::Anywhere,
        }
    }

    fn answered(&mut self, reading: Reading, outcome: Result<ReadReply, StorageFault>) {
        let Reading { host, part, watch: number, next } = reading;
        let LivenessWatcherConfig { cluster, geometry, .. } = &self.config;
        let good = outcome.as_ref().is_ok_and(|reply| self.is_good_round(reply.started));
        let Some(watch) = self.watches.get_mut(&host) else {
            self.orphans.remove(&(host, part));
            return;
        };
        if watch.number() != number {
            self.orphans.remove(&(host, part));
            self.due.insert(self.clock.latest(), watch, part);
            return;
        }
        self.due.insert(next, watch, part);
        match part {
            Part::Heartbeat => watch.on_heartbeat(*cluster, outcome, good),
            Part::Poweron => watch.on_poweron(*cluster, geometry, outcome),
        }
        if let Some(evidence) = watch.evidence() {
            self.outbox.push(Output::Evidence(evidence));
        }
    }

    fn is_good_round(&self, read: Instant) -> bool {
        let timing = &self.config.timing;
        let apart = timing.datastore_write_period.saturating_add(timing.datastore_io_timeout);
        self.proven.is_some_and(|proven| read.since(proven) <= apart && proven.since(read) <= apart)
    }

    fn deadline(&self) -> Option<Deadline> {
        self.due.next().map(|at| Deadline::new(at, "read a watched heartbeat file"))
    }
}

impl Machine for LivenessWatcher {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        match input {
            Input::Watch { host } => return self.watch(now, host),
            Input::Unwatch { host } => self.unwatch(host),
            Input::Proven { at } => self.proven = self.proven.max(Some(at)),
            Input::Storage(StorageCompletion::Read(done)) => {
                let (answered, outcome) = done.open(&self.mint)?;
                let reading = self.reads.remove(&answered).ok_or(UnknownRequest)?;
                self.answered(reading, outcome);
            }
            Input::Storage(
                StorageCompletion::Write(_) | StorageCompletion::Lock(_) | StorageCompletion::LookAtLock(_),
            ) => return Err(UnknownRequest.into()),
        }
        self.clock.advance(now);
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        while let Some((host, part)) = self.due.pop(now) {
            self.read(now, host, part);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.outbox.deadline(self.clock.latest(), self.deadline())
    }
}
