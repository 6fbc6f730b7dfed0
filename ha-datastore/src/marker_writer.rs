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

use ha_core::record::{Generation, PairState};
use ha_core::{
    DatastoreId, Deadline, FileKind, FileName, Identity, Instant, Machine, MachineId, StorageCompletion,
    StorageFault, StorageRequest, TimingConfig, UnknownRequest, VmUuid,
};

use crate::format::PowerOffMarker;
use crate::slot_file::{Answer, Area, News, Reasons, SlotFile, SlotOutput};

pub use forward::{Mark, NotForward};

const REASONS: Reasons = Reasons {
    lock: None,
    read: "read a power-off marker again",
    in_doubt: "power-off marker in doubt",
    stalled: "power-off marker stalled",
};

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

/// The machine. See the [module](self).
#[derive(Debug)]
pub struct MarkerWriter {
    config: MarkerWriterConfig,
    file: SlotFile<Output>,
    generation: Generation,
    /// What stands in the newest durable slot.
    durable: Option<Mark>,
    /// What is being written.
    writing: Option<Mark>,
    /// What was given last and is not written yet.
    wanted: Option<Mark>,
    /// What was given first, before the file was read; the marks after it follow on it.
    unread_first: Option<Mark>,
}

impl MarkerWriter {
    /// A writer that reads its file at once.
    #[must_use]
    pub fn new(config: MarkerWriterConfig, now: Instant) -> Self {
        let MarkerWriterConfig { machine, datastore, vm, ref timing, .. } = config;
        let name = FileName::new(datastore, FileKind::PoweredOff(vm));
        let area = Area { offset: 0, length: PowerOffMarker::FILE };
        let mut file = SlotFile::new(machine, name, area, REASONS, timing, now);
        file.read(now);
        Self {
            file,
            generation: Generation::FIRST,
            durable: None,
            writing: None,
            wanted: None,
            unread_first: None,
            config,
        }
    }

    /// What the file says, as far as it is known to be durable.
    #[must_use]
    pub const fn durable(&self) -> Option<Mark> {
        self.durable
    }

    fn opened(&mut self, now: Instant, bytes: &[u8]) {
        let MarkerWriterConfig { identity, vm, .. } = &self.config;
        let found = PowerOffMarker::read(bytes, identity.cluster);
        let stands = match &found {
            PairState::Valid { record } | PairState::Degraded { record, .. } => Some(record.content),
            // Which of two records counts, nobody knows; and a file without any tells nothing.
            PairState::NeverWritten | PairState::Inconsistent { .. } | PairState::Corrupt { .. } => None,
        };
        if let Some(other) = stands.filter(|marker| marker.vm != *vm) {
            self.file.halt();
            self.wanted = None;
            return self.event(Event::WrongVm { found: other.vm });
        }
        self.generation = found.next_generation();
        self.durable = stands.map(|PowerOffMarker { epoch, state, .. }| Mark { epoch, state });
        self.file.open();
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
        if self.file.is_halted() {
            return Err(Rejected::Halted);
        }
        // Before the file was read, it is not known what the first mark follows on.
        if self.file.is_open() || last.is_some() {
            forward::follows(last, given)?;
        }
        let now = self.file.advance(now);
        if !self.file.is_open() {
            self.unread_first.get_or_insert(given);
        }
        self.wanted = Some(given);
        self.write(now);
        Ok(())
    }

    /// Begins the next write, if there is something to write and nothing out.
    fn write(&mut self, now: Instant) {
        if !self.file.is_ready() {
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
        self.file.begin(now, (offset, bytes), false);
    }

    fn settled(&mut self, now: Instant) {
        self.file.recovered();
        if let Some(mark) = self.writing.take() {
            self.generation = self.generation.next();
            self.durable = Some(mark);
            self.event(Event::Durable(mark));
        }
        self.write(now);
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

impl Machine for MarkerWriter {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        let (now, answer) = match input {
            Input::Mark(given) => return self.mark(now, given),
            Input::Storage(done) => self.file.answered(now, done)?,
        };
        match answer {
            Some(Answer::Found { bytes }) => self.opened(now, &bytes),
            Some(Answer::Durable { .. }) => self.settled(now),
            // No lock is asked for.
            Some(Answer::LockHeld) | None => {}
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.file.on_time(now);
        self.file.repeat(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.file.poll_output()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.file.poll_timeout(None)
    }
}
