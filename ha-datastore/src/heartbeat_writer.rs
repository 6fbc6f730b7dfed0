//! The host's own heartbeat on one datastore: written, read back, and so proven.
//!
//! [`HeartbeatWriter`] takes the exclusive lock of its own `host-<n>-hb` and keeps it; while it is found held, an
//! older agent of the same host is still ending. It reads the file to go on from the generation that
//! stands there, then writes one slot each period. A write counts once it is durable *and* the same bytes were
//! read back; [`HeartbeatWriter::proven`] is the **start** of the last one that counts, which is the only moment
//! a lease may be reckoned from (reliability 6).
//!
//! Promised: no byte is written without the lock, nor over a record of an equal or later life of this host. After
//! a fault the same bytes go to the same slot until they are read back; the other slot, which holds the last
//! proven beat, is not touched before. Each such try asks for the lock and reads the file again, since the fault
//! may have been the loss of the lock (architecture 3, R9), and another life may have written meanwhile.
//!
//! Not promised: that a lock once taken is still held. On a datastore that takes locks away silently, the
//! content alone speaks.

use core::cmp::Ordering;
use core::time::Duration;

use alloc::vec::Vec;

use ha_core::record::{Generation, PairState, Sealed};
use ha_core::{
    DatastoreId, Deadline, FileKind, FileName, Identity, Incarnation, Instant, Machine, MachineId,
    StorageCompletion, StorageFault, StorageRequest, TimingConfig, UnknownRequest,
};

use crate::format::HeartbeatRecord;
use crate::slot_file::{Answer, Area, News, Reasons, SlotFile, SlotOutput};

const REASONS: Reasons = Reasons {
    lock: Some("look again at the own heartbeat lock"),
    read: "read the own heartbeat file again",
    in_doubt: "datastore heartbeat in doubt",
    stalled: "datastore heartbeat stalled",
};

/// What a writer is made of.
#[derive(Clone, Debug)]
pub struct HeartbeatWriterConfig {
    /// The own cluster, host, boot and life.
    pub identity: Identity,
    /// The machine's name; completions are routed by it.
    pub machine: MachineId,
    /// The datastore to write on.
    pub datastore: DatastoreId,
    /// The spans of time; used are `datastore_write_period`, `datastore_io_timeout`, `storage_stall_max` and
    /// `look_again`.
    pub timing: TimingConfig,
    /// The time to live that is advertised.
    pub ttl: Duration,
    /// The watchdog time that is advertised; zero without a watchdog.
    pub watchdog: Duration,
}

/// Everything that can happen to a writer.
#[derive(Debug)]
pub enum Input {
    /// Storage answered.
    Storage(StorageCompletion),
}

/// Everything a writer asks for or tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// To storage.
    Storage(StorageRequest),
    /// To the parent.
    Event(Event),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The own file's lock is held by somebody: an older agent of this host, which may be ending. Told once until
    /// it is granted.
    LockHeld,
    /// A record of an earlier life of this host stood in the file.
    OlderLife {
        /// The highest incarnation that was found.
        incarnation: Incarnation,
    },
    /// A record of this life or a later one, not written here, stood in the file: the own incarnation is not new.
    /// Nothing more will be written; the agent must take a higher one.
    IncarnationRepeated {
        /// The highest incarnation that was found.
        found: Incarnation,
    },
    /// The first beat is proven.
    Ready,
    /// A beat is proven.
    Proven {
        /// When its write was asked for.
        started: Instant,
    },
    /// A request failed; it is repeated.
    Trouble {
        /// How.
        fault: StorageFault,
    },
    /// A request has been out for `storage_stall_max`.
    Stalled,
    /// A beat is proven again after trouble or a stall.
    Recovered,
}

/// A mistake of the parent. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The completion answers no open request of this machine.
    #[error(transparent)]
    UnknownRequest(#[from] UnknownRequest),
}

/// The machine. See the [module](self).
#[derive(Debug)]
pub struct HeartbeatWriter {
    config: HeartbeatWriterConfig,
    file: SlotFile<Output>,
    next_beat: Instant,
    generation: Generation,
    counter: u64,
    proven: Option<Instant>,
    ready: bool,
}

impl HeartbeatWriter {
    /// A writer that asks for its file's lock at once.
    #[must_use]
    pub fn new(config: HeartbeatWriterConfig, now: Instant) -> Self {
        let HeartbeatWriterConfig { identity, machine, datastore, ref timing, .. } = config;
        let name = FileName::new(datastore, FileKind::Heartbeat(identity.host));
        let area = Area { offset: 0, length: HeartbeatRecord::FILE };
        let mut file = SlotFile::new(machine, name, area, REASONS, timing, now);
        file.lock(now);
        Self {
            file,
            next_beat: now,
            generation: Generation::FIRST,
            counter: 0,
            proven: None,
            ready: false,
            config,
        }
    }

    /// The start of the last write, not after `now`, that was durable and read back identically.
    #[must_use]
    pub fn proven(&self, now: Instant) -> Option<Instant> {
        self.proven.filter(|started| *started <= now)
    }

    /// Whether a beat has been out for longer than the I/O timeout.
    #[must_use]
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.file.is_overdue(now)
    }

    /// Whether the writer gave up for good, because its incarnation is not new.
    #[must_use]
    pub const fn is_halted(&self) -> bool {
        self.file.is_halted()
    }

    fn beat(&mut self, now: Instant) {
        let HeartbeatWriterConfig { identity, timing, ttl, watchdog, .. } = self.config;
        let record = HeartbeatRecord {
            counter: self.counter,
            write_period: timing.datastore_write_period,
            io_timeout: timing.datastore_io_timeout,
            ttl,
            watchdog,
            written_at: now,
        };
        let slot = (HeartbeatRecord::offset(self.generation), record.seal(&identity, self.generation));
        self.file.begin(now, slot, true);
        self.next_beat = now.after(timing.datastore_write_period);
    }

    fn opened(&mut self, now: Instant, bytes: &[u8]) {
        let Identity { cluster, host, incarnation, .. } = self.config.identity;
        let found = HeartbeatRecord::read(bytes, cluster, host);
        let records = match &found {
            PairState::Valid { record } | PairState::Degraded { record, .. } => Vec::from([*record]),
            PairState::Inconsistent { a, b } => Vec::from([*a, *b]),
            PairState::NeverWritten | PairState::Corrupt { .. } => Vec::new(),
        };
        // While bytes are in doubt, this life has written before; its records end at the one in doubt.
        let in_doubt = self.file.has_unsettled();
        let of_others = |record: &&Sealed<HeartbeatRecord>| match record.writer.incarnation.cmp(&incarnation)
        {
            Ordering::Less => false,
            Ordering::Equal => !in_doubt || record.generation > self.generation,
            Ordering::Greater => true,
        };
        let incarnations = |record: &Sealed<HeartbeatRecord>| record.writer.incarnation;
        if let Some(found) = records.iter().filter(of_others).map(incarnations).max() {
            self.event(Event::IncarnationRepeated { found });
            self.file.unlock();
            return self.file.halt();
        }
        self.file.open();
        if in_doubt {
            return self.file.repeat(now);
        }
        if let Some(incarnation) = records.iter().map(incarnations).max() {
            self.event(Event::OlderLife { incarnation });
        }
        self.counter =
            records.iter().map(|record| record.content.counter.saturating_add(1)).max().unwrap_or(0);
        self.generation = found.next_generation();
        self.beat(now);
    }

    fn prove(&mut self, started: Instant) {
        self.proven = Some(started);
        self.generation = self.generation.next();
        self.counter = self.counter.saturating_add(1);
        if !self.ready {
            self.ready = true;
            self.event(Event::Ready);
        }
        self.file.recovered();
        self.event(Event::Proven { started });
    }

    fn event(&mut self, event: Event) {
        self.file.tell(Output::Event(event));
    }
}

impl SlotOutput for Output {
    fn storage(request: StorageRequest) -> Self {
        Self::Storage(request)
    }

    fn told(news: News) -> Self {
        Self::Event(match news {
            News::Trouble { fault } => Event::Trouble { fault },
            News::Stalled => Event::Stalled,
            News::Recovered => Event::Recovered,
        })
    }
}

impl Machine for HeartbeatWriter {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        let Input::Storage(done) = input;
        let (now, answer) = self.file.answered(now, done)?;
        match answer {
            Some(Answer::LockHeld) => self.event(Event::LockHeld),
            Some(Answer::Found { bytes, .. }) => self.opened(now, &bytes),
            Some(Answer::Durable { started }) => self.prove(started),
            None => {}
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.file.on_time(now);
        if self.file.is_ready() && self.next_beat <= now {
            self.beat(now);
        } else if self.file.must_repeat(now) {
            self.file.lock(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.file.poll_output()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let beat = || Deadline::new(self.next_beat, "datastore heartbeat");
        self.file.poll_timeout(self.file.is_ready().then(beat))
    }
}
