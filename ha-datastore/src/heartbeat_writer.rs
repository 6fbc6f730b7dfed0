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

use ha_core::operation::{Lock, LockOutcome, Read, ReadReply};
use ha_core::record::{Generation, PairState, Sealed};
use ha_core::{
    DatastoreId, Deadline, FileKind, FileName, Identity, Incarnation, Instant, Machine, MachineId,
    MonotonicNow, Outbox, ReadFrom, RequestId, StorageCompletion, StorageFault, StorageRequest, TimingConfig,
    TokenMint, UnknownRequest,
};

use crate::file_writer::{FileWriter, Settled, Step};
use crate::format::HeartbeatRecord;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    LockAgain { at: Instant },
    Locking { request: RequestId<Lock>, asked: Instant },
    ReadAgain { at: Instant },
    Reading { request: RequestId<Read>, asked: Instant },
    Beating,
    Halted,
}

/// The machine. See the [module](self).
#[derive(Debug)]
pub struct HeartbeatWriter {
    config: HeartbeatWriterConfig,
    clock: MonotonicNow,
    outbox: Outbox<Output>,
    mint: TokenMint,
    stage: Stage,
    file: FileWriter,
    next_beat: Instant,
    generation: Generation,
    counter: u64,
    proven: Option<Instant>,
    held_told: bool,
    ready: bool,
    troubled: bool,
    stalled: bool,
}

impl HeartbeatWriter {
    /// A writer that asks for its file's lock at once.
    #[must_use]
    pub fn new(config: HeartbeatWriterConfig, now: Instant) -> Self {
        let name = FileName::new(config.datastore, FileKind::Heartbeat(config.identity.host));
        let mut writer = Self {
            clock: MonotonicNow::new(now),
            outbox: Outbox::new(),
            mint: TokenMint::new(config.machine),
            stage: Stage::LockAgain { at: now },
            file: FileWriter::new(name, &config.timing),
            next_beat: now,
            generation: Generation::FIRST,
            counter: 0,
            proven: None,
            held_told: false,
            ready: false,
            troubled: false,
            stalled: false,
            config,
        };
        writer.lock(now);
        writer
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
        matches!(self.stage, Stage::Halted)
    }

    fn lock(&mut self, now: Instant) {
        let (token, request) = self.mint.issue();
        let not_after = now.after(self.config.timing.storage_stall_max);
        self.request(StorageRequest::Lock { token, file: self.file.file().clone(), not_after });
        self.stage = Stage::Locking { request, asked: now };
    }

    fn read(&mut self, now: Instant) {
        let (token, request) = self.mint.issue();
        let (file, length) = (self.file.file().clone(), HeartbeatRecord::FILE);
        self.request(StorageRequest::Read { token, file, offset: 0, length, from: ReadFrom::Durable });
        self.stage = Stage::Reading { request, asked: now };
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
        let request = self.file.begin(now, &mut self.mint, slot, true);
        self.request(request);
        self.next_beat = now.after(timing.datastore_write_period);
        self.stage = Stage::Beating;
    }

    fn locked(&mut self, now: Instant, outcome: LockOutcome) {
        match outcome {
            LockOutcome::Granted => {
                self.held_told = false;
                return self.read(now);
            }
            LockOutcome::Held if !self.held_told => {
                self.held_told = true;
                self.event(Event::LockHeld);
            }
            LockOutcome::Held => {}
            LockOutcome::Expired => self.trouble(StorageFault::Expired),
            LockOutcome::Fault(fault) => self.trouble(fault),
        }
        self.stage = Stage::LockAgain { at: now.after(self.config.timing.look_again) };
    }

    fn opened(&mut self, now: Instant, outcome: Result<ReadReply, StorageFault>) {
        let reply = match outcome {
            Ok(reply) => reply,
            Err(fault) => {
                self.trouble(fault);
                self.stage = Stage::ReadAgain { at: now.after(self.config.timing.look_again) };
                return;
            }
        };
        let Identity { cluster, host, incarnation, .. } = self.config.identity;
        let found = HeartbeatRecord::read(&reply.bytes, cluster, host);
        let records = match &found {
            PairState::Valid { record } | PairState::Degraded { record, .. } => Vec::from([*record]),
            PairState::Inconsistent { a, b } => Vec::from([*a, *b]),
            PairState::NeverWritten | PairState::Corrupt { .. } => Vec::new(),
        };
        // While bytes are in doubt, this life has written before; its records end at the one in doubt.
        let in_doubt = !self.file.is_idle();
        let of_others = |record: &&Sealed<HeartbeatRecord>| match record.writer.incarnation.cmp(&incarnation)
        {
            Ordering::Less => false,
            Ordering::Equal => !in_doubt || record.generation > self.generation,
            Ordering::Greater => true,
        };
        let incarnations = |record: &Sealed<HeartbeatRecord>| record.writer.incarnation;
        if let Some(found) = records.iter().filter(of_others).map(incarnations).max() {
            self.event(Event::IncarnationRepeated { found });
            self.request(StorageRequest::Unlock { file: self.file.file().clone() });
            self.file.forget();
            self.stage = Stage::Halted;
            return;
        }
        if in_doubt {
            self.stage = Stage::Beating;
            if let Some(request) = self.file.retry(now, &mut self.mint) {
                self.request(request);
            }
            return;
        }
        if let Some(incarnation) = records.iter().map(incarnations).max() {
            self.event(Event::OlderLife { incarnation });
        }
        self.counter =
            records.iter().map(|record| record.content.counter.saturating_add(1)).max().unwrap_or(0);
        self.generation = found.next_generation();
        self.beat(now);
    }

    fn stepped(&mut self, step: Step) {
        if let Some(request) = step.request {
            self.request(request);
        }
        match step.settled {
            Some(Settled::Durable { started }) => self.prove(started),
            Some(Settled::InDoubt { fault }) => self.trouble(fault),
            None => {}
        }
    }

    fn prove(&mut self, started: Instant) {
        self.proven = Some(started);
        self.generation = self.generation.next();
        self.counter = self.counter.saturating_add(1);
        if !self.ready {
            self.ready = true;
            self.event(Event::Ready);
        }
        if self.troubled || self.stalled {
            (self.troubled, self.stalled) = (false, false);
            self.event(Event::Recovered);
        }
        self.event(Event::Proven { started });
    }

    fn trouble(&mut self, fault: StorageFault) {
        self.troubled = true;
        self.event(Event::Trouble { fault });
    }

    fn event(&mut self, event: Event) {
        self.outbox.push(Output::Event(event));
    }

    fn request(&mut self, request: StorageRequest) {
        self.outbox.push(Output::Storage(request));
    }

    /// When the request that is out counts as stalled.
    fn stalls_at(&self) -> Option<Instant> {
        match self.stage {
            Stage::Locking { asked, .. } | Stage::Reading { asked, .. } => {
                Some(asked.after(self.config.timing.storage_stall_max))
            }
            Stage::Beating => self.file.stalls_at(),
            Stage::LockAgain { .. } | Stage::ReadAgain { .. } | Stage::Halted => None,
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        let work = match self.stage {
            Stage::LockAgain { at } => Some(Deadline::new(at, "look again at the own heartbeat lock")),
            Stage::ReadAgain { at } => Some(Deadline::new(at, "read the own heartbeat file again")),
            Stage::Beating if self.file.is_idle() => {
                Some(Deadline::new(self.next_beat, "datastore heartbeat"))
            }
            Stage::Beating => {
                self.file.retries_at().map(|at| Deadline::new(at, "datastore heartbeat in doubt"))
            }
            Stage::Locking { .. } | Stage::Reading { .. } | Stage::Halted => None,
        };
        let stall = self.stalls_at().filter(|_| !self.stalled);
        Deadline::soonest([work, stall.map(|at| Deadline::new(at, "datastore heartbeat stalled"))])
    }
}

impl Machine for HeartbeatWriter {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        let Input::Storage(done) = input;
        match done {
            StorageCompletion::Lock(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                match self.stage {
                    Stage::Locking { request, .. } if request == answered => {
                        let now = self.clock.advance(now);
                        self.locked(now, outcome);
                    }
                    Stage::LockAgain { .. }
                    | Stage::Locking { .. }
                    | Stage::ReadAgain { .. }
                    | Stage::Reading { .. }
                    | Stage::Beating
                    | Stage::Halted => return Err(UnknownRequest.into()),
                }
            }
            StorageCompletion::Read(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                let latest = self.clock.latest().max(now);
                if matches!(self.stage, Stage::Reading { request, .. } if request == answered) {
                    self.opened(latest, outcome);
                } else {
                    let step = self.file.on_read(latest, answered, outcome).ok_or(UnknownRequest)?;
                    self.stepped(step);
                }
                self.clock.advance(now);
            }
            StorageCompletion::Write(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                let latest = self.clock.latest().max(now);
                let step = self.file.on_written(latest, &mut self.mint, answered, outcome);
                self.stepped(step.ok_or(UnknownRequest)?);
                self.clock.advance(now);
            }
            StorageCompletion::LookAtLock(_) => return Err(UnknownRequest.into()),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        if !self.stalled && self.stalls_at().is_some_and(|at| at <= now) {
            self.stalled = true;
            self.event(Event::Stalled);
        }
        match self.stage {
            Stage::LockAgain { at } if at <= now => self.lock(now),
            Stage::ReadAgain { at } if at <= now => self.read(now),
            Stage::Beating if self.file.is_idle() && self.next_beat <= now => self.beat(now),
            Stage::Beating if self.file.retries_at().is_some_and(|at| at <= now) => self.lock(now),
            Stage::Beating
            | Stage::LockAgain { .. }
            | Stage::Locking { .. }
            | Stage::ReadAgain { .. }
            | Stage::Reading { .. }
            | Stage::Halted => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.outbox.deadline(self.clock.latest(), self.deadline())
    }
}
