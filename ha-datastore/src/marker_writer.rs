//! The trace of a stop in isolation: the power-off marker of one virtual machine.
//!
//! [`MarkerWriter`] first reads `poweredoff/<vm uuid>`, to go on from the generation and the state that stand there,
//! then writes what it is told. For one epoch a marker only goes forward: none, intended, and then done or
//! cancelled for good. A newer epoch starts anew; an older one is never written again. A mark that is given while
//! a write is out is not queued behind others: only the latest goes out next.
//!
//! A marker tells the master that the stop was HA's own (fdm-facts 9.14), so *done* must not be told before it is
//! durable, and *intended* must be durable before the stop is sent: wait for [`Event::Durable`].

mod forward;

use ha_core::operation::{Read, ReadReply};
use ha_core::record::{Generation, PairState};
use ha_core::{
    DatastoreId, Deadline, FileKind, FileName, Identity, Instant, Machine, MachineId, MonotonicNow, Outbox,
    ReadFrom, RequestId, StorageCompletion, StorageFault, StorageRequest, TimingConfig, TokenMint,
    UnknownRequest, VmUuid,
};

use crate::file_writer::{FileWriter, Settled, Step};
use crate::format::PowerOffMarker;

pub use forward::{Mark, NotForward};

/// What a writer is made of.
#[derive(Clone, Debug)]
pub struct MarkerWriterConfig {
    /// The own cluster, host, boot and life.
    pub identity: Identity,
    /// The machine's name; completions are routed by it.
    pub machine: MachineId,
    /// The home datastore of the virtual machine.
    pub datastore: DatastoreId,
    /// The virtual machine.
    pub vm: VmUuid,
    /// The spans of time; used are `datastore_io_timeout`, `storage_stall_max` and `look_again`.
    pub timing: TimingConfig,
}

/// Everything that can happen to a writer.
#[derive(Debug)]
pub enum Input {
    /// The marker is to say this.
    Mark(Mark),
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
    /// The file was read. It says this, or nothing that can be relied upon.
    Opened {
        /// What stands there.
        found: Option<Mark>,
    },
    /// The marker says this, durably. Marks that were given in between need not have been written.
    Durable(Mark),
    /// A mark that was given before the file was read does not follow on what stands there. It is dropped.
    Dropped(NotForward),
    /// The file holds the marker of another machine. Nothing will be written.
    WrongVm {
        /// The machine that it names.
        found: VmUuid,
    },
    /// A request failed; it is repeated.
    Trouble {
        /// How.
        fault: StorageFault,
    },
    /// A request has been out for `storage_stall_max`.
    Stalled,
    /// A write is durable again after trouble or a stall.
    Recovered,
}

/// A mistake of the parent. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The completion answers no open request of this machine.
    #[error(transparent)]
    UnknownRequest(#[from] UnknownRequest),
    /// The mark does not follow on the one before it.
    #[error(transparent)]
    NotForward(#[from] NotForward),
    /// The file is another machine's; nothing is written to it.
    #[error("the marker file is that of another virtual machine")]
    Halted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    ReadAgain { at: Instant },
    Reading { request: RequestId<Read>, asked: Instant },
    Open,
    Halted,
}

/// The machine. See the [module](self).
#[derive(Debug)]
pub struct MarkerWriter {
    config: MarkerWriterConfig,
    clock: MonotonicNow,
    outbox: Outbox<Output>,
    mint: TokenMint,
    stage: Stage,
    file: FileWriter,
    generation: Generation,
    /// What stands in the newest durable slot.
    durable: Option<Mark>,
    /// What is being written.
    writing: Option<Mark>,
    /// What was given last and is not written yet.
    wanted: Option<Mark>,
    /// What was given first, before the file was read; the marks after it follow on it.
    unread_first: Option<Mark>,
    troubled: bool,
    stalled: bool,
}

impl MarkerWriter {
    /// A writer that reads its file at once.
    #[must_use]
    pub fn new(config: MarkerWriterConfig, now: Instant) -> Self {
        let name = FileName::new(config.datastore, FileKind::PoweredOff(config.vm));
        let mut writer = Self {
            clock: MonotonicNow::new(now),
            outbox: Outbox::new(),
            mint: TokenMint::new(config.machine),
            stage: Stage::ReadAgain { at: now },
            file: FileWriter::new(name, &config.timing),
            generation: Generation::FIRST,
            durable: None,
            writing: None,
            wanted: None,
            unread_first: None,
            troubled: false,
            stalled: false,
            config,
        };
        writer.read(now);
        writer
    }

    /// What the file says, as far as it is known to be durable.
    #[must_use]
    pub const fn durable(&self) -> Option<Mark> {
        self.durable
    }

    fn read(&mut self, now: Instant) {
        let (token, request) = self.mint.issue();
        let file = self.file.file().clone();
        self.request(StorageRequest::Read {
            token,
            file,
            offset: 0,
            length: PowerOffMarker::FILE,
            from: ReadFrom::Durable,
        });
        self.stage = Stage::Reading { request, asked: now };
    }

    fn opened(&mut self, now: Instant, outcome: Result<ReadReply, StorageFault>) {
        let MarkerWriterConfig { identity, vm, timing, .. } = &self.config;
        let reply = match outcome {
            Ok(reply) => reply,
            Err(fault) => {
                self.stage = Stage::ReadAgain { at: now.after(timing.look_again) };
                return self.trouble(fault);
            }
        };
        let found = PowerOffMarker::read(&reply.bytes, identity.cluster);
        let stands = match &found {
            PairState::Valid { record } | PairState::Degraded { record, .. } => Some(record.content),
            // Which of two records counts, nobody knows; and a file without any tells nothing.
            PairState::NeverWritten | PairState::Inconsistent { .. } | PairState::Corrupt { .. } => None,
        };
        if let Some(other) = stands.filter(|marker| marker.vm != *vm) {
            self.stage = Stage::Halted;
            self.wanted = None;
            return self.event(Event::WrongVm { found: other.vm });
        }
        self.generation = found.next_generation();
        self.durable = stands.map(|PowerOffMarker { epoch, state, .. }| Mark { epoch, state });
        self.stage = Stage::Open;
        self.event(Event::Opened { found: self.durable });
        self.drop_unfit();
        self.write(now);
    }

    /// Drops what was given before the file was read, unless it follows on what stands there, by itself or by way of
    /// the marks that were given before it.
    fn drop_unfit(&mut self) {
        let first = self.unread_first.take();
        let Some(wanted) = self.wanted else { return };
        let by_first = first.is_some_and(|first| forward::follows(self.durable, first).is_ok());
        if let Err(dropped) = forward::follows(self.durable, wanted)
            && !by_first
        {
            self.wanted = None;
            self.event(Event::Dropped(dropped));
        }
    }

    fn mark(&mut self, now: Instant, given: Mark) -> Result<(), Rejected> {
        let last = self.wanted.or(self.writing).or(self.durable);
        match self.stage {
            Stage::Halted => return Err(Rejected::Halted),
            // What it follows on is not known yet.
            Stage::ReadAgain { .. } | Stage::Reading { .. } if last.is_none() => {}
            Stage::ReadAgain { .. } | Stage::Reading { .. } | Stage::Open => forward::follows(last, given)?,
        }
        let now = self.clock.advance(now);
        match self.stage {
            Stage::ReadAgain { .. } | Stage::Reading { .. } => {
                self.unread_first.get_or_insert(given);
            }
            Stage::Open | Stage::Halted => {}
        }
        self.wanted = Some(given);
        self.write(now);
        Ok(())
    }

    /// Begins the next write, if there is something to write and nothing out.
    fn write(&mut self, now: Instant) {
        if self.stage != Stage::Open || !self.file.is_idle() {
            return;
        }
        let Some(mark) = self.wanted.take() else { return };
        if self.durable == Some(mark) {
            return self.event(Event::Durable(mark));
        }
        let marker = PowerOffMarker { vm: self.config.vm, epoch: mark.epoch, state: mark.state };
        let bytes = marker.seal(&self.config.identity, self.generation);
        let offset = PowerOffMarker::offset(self.generation);
        self.writing = Some(mark);
        let request = self.file.begin(now, &mut self.mint, (offset, bytes), false);
        self.request(request);
    }

    fn stepped(&mut self, now: Instant, step: Step) {
        if let Some(request) = step.request {
            self.request(request);
        }
        match step.settled {
            Some(Settled::Durable { .. }) => self.settled(now),
            Some(Settled::InDoubt { fault }) => self.trouble(fault),
            None => {}
        }
    }

    fn settled(&mut self, now: Instant) {
        if self.troubled || self.stalled {
            (self.troubled, self.stalled) = (false, false);
            self.event(Event::Recovered);
        }
        if let Some(mark) = self.writing.take() {
            self.generation = self.generation.next();
            self.durable = Some(mark);
            self.event(Event::Durable(mark));
        }
        self.write(now);
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

    fn stalls_at(&self) -> Option<Instant> {
        match self.stage {
            Stage::Reading { asked, .. } => Some(asked.after(self.config.timing.storage_stall_max)),
            Stage::Open => self.file.stalls_at(),
            Stage::ReadAgain { .. } | Stage::Halted => None,
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        let read = match self.stage {
            Stage::ReadAgain { at } => Some(Deadline::new(at, "read a power-off marker again")),
            Stage::Reading { .. } | Stage::Open | Stage::Halted => None,
        };
        let retry = self.file.retries_at().map(|at| Deadline::new(at, "power-off marker in doubt"));
        let stall = self.stalls_at().filter(|_| !self.stalled);
        Deadline::soonest([read, retry, stall.map(|at| Deadline::new(at, "power-off marker stalled"))])
    }
}

impl Machine for MarkerWriter {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        let latest = self.clock.latest().max(now);
        match input {
            Input::Mark(given) => return self.mark(now, given),
            Input::Storage(StorageCompletion::Read(done)) => {
                let (answered, outcome) = done.open(&self.mint)?;
                if matches!(self.stage, Stage::Reading { request, .. } if request == answered) {
                    self.opened(latest, outcome);
                } else {
                    let step = self.file.on_read(latest, answered, outcome).ok_or(UnknownRequest)?;
                    self.stepped(latest, step);
                }
            }
            Input::Storage(StorageCompletion::Write(done)) => {
                let (answered, outcome) = done.open(&self.mint)?;
                let step = self.file.on_written(latest, &mut self.mint, answered, outcome);
                self.stepped(latest, step.ok_or(UnknownRequest)?);
            }
            Input::Storage(StorageCompletion::Lock(_) | StorageCompletion::LookAtLock(_)) => {
                return Err(UnknownRequest.into());
            }
        }
        self.clock.advance(now);
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        if !self.stalled && self.stalls_at().is_some_and(|at| at <= now) {
            self.stalled = true;
            self.event(Event::Stalled);
        }
        match self.stage {
            Stage::ReadAgain { at } if at <= now => self.read(now),
            Stage::ReadAgain { .. } | Stage::Reading { .. } | Stage::Open | Stage::Halted => {}
        }
        if let Some(request) = self.file.retry(now, &mut self.mint) {
            self.request(request);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.outbox.deadline(self.clock.latest(), self.deadline())
    }
}
