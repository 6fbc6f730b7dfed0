//! The trace of a stop in isolation: the power-off marker of one virtual machine.
//!
//! [`MarkerWriter`] first reads `poweredoff/<vm uuid>`, to go on from the generation and the state that stand there,
//! then writes what it is told. For one epoch a marker only goes forward: none, intended, and then done or
//! cancelled for good. A newer epoch starts anew; an older one is never written again. A mark that is given while
//! a write is out is not queued behind others: only the latest goes out next.
//!
//! The machine may run on another host in between, which then writes the same file, and this host need not notice,
//! least of all while it has lost the datastore. So one writer serves for the life of the agent: it reads the file
//! again before it writes a mark that begins an epoch, and before it writes or repeats anything when what it knows
//! is `storage_stall_max` old, which is how long a right outlasts the last answer of storage. What stands there then
//! decides: a mark that does not follow on it is dropped, even one whose write is in doubt.
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
    /// The file was read for the first time, or says something else than it did. It says this, or nothing that can be
    /// relied upon.
    Opened {
        /// What stands there.
        found: Option<Mark>,
    },
    /// The marker says this, durably. Marks that were given in between need not have been written.
    Durable(Mark),
    /// A mark does not follow on what a reading after it was given has shown. It is dropped.
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
    /// What was given and is not being written yet.
    wanted: Option<Wanted>,
    /// When the last good read was asked for. Own writes do not count: they do not show what others wrote.
    read_at: Option<Instant>,
}

/// The marks that wait to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    /// The one that was given first; the others follow on it.
    first: Mark,
    /// The one that goes out.
    latest: Mark,
    /// When the newest epoch among them was first given. What was read before does not count.
    begun: Option<Instant>,
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
            read_at: None,
            config,
        }
    }

    /// What the file says, as far as it is known to be durable.
    #[must_use]
    pub const fn durable(&self) -> Option<Mark> {
        self.durable
    }

    fn opened(&mut self, now: Instant, asked: Instant, bytes: &[u8]) {
        let MarkerWriterConfig { identity, vm, .. } = &self.config;
        let state = PowerOffMarker::read(bytes, identity.cluster);
        let stands = match &state {
            PairState::Valid { record } | PairState::Degraded { record, .. } => Some(record.content),
            // Which of two records counts, nobody knows; and a file without any tells nothing.
            PairState::NeverWritten | PairState::Inconsistent { .. } | PairState::Corrupt { .. } => None,
        };
        if let Some(other) = stands.filter(|marker| marker.vm != *vm) {
            self.file.halt();
            (self.writing, self.wanted) = (None, None);
            return self.event(Event::WrongVm { found: other.vm });
        }
        let found = stands.map(|PowerOffMarker { epoch, state, .. }| Mark { epoch, state });
        let next = state.next_generation();
        let is_first = self.read_at.replace(asked).is_none();
        self.file.open();
        if let Some(in_doubt) = self.writing {
            if self.may_repeat(in_doubt, found, next) {
                return self.repeat(now);
            }
            self.give_up(in_doubt);
        }
        // A file that tells nothing any more does not take back what stood in it.
        let last = found.or(self.durable);
        let has_changed = found != self.durable;
        (self.generation, self.durable) = (next, found);
        if is_first || has_changed {
            self.event(Event::Opened { found });
        }
        self.drop_unfit(last);
        self.write(now);
    }

    /// Whether nobody else has written since the write in doubt was begun: the file says what that one found, what
    /// it wrote, or nothing, and holds no later generation.
    fn may_repeat(&self, in_doubt: Mark, found: Option<Mark>, next: Generation) -> bool {
        let is_ours = found.is_none() || found == self.durable || found == Some(in_doubt);
        is_ours && next <= self.generation.next()
    }

    /// What is in doubt was written over; it waits again, before the others.
    fn give_up(&mut self, in_doubt: Mark) {
        self.file.forget();
        self.writing = None;
        let alone = Wanted { first: in_doubt, latest: in_doubt, begun: None };
        self.wanted = Some(self.wanted.map_or(alone, |wanted| Wanted { first: in_doubt, ..wanted }));
    }

    /// Drops what waits, unless it follows on what stood in the file last, by itself or by way of the marks that were
    /// given before it.
    fn drop_unfit(&mut self, last: Option<Mark>) {
        let Some(Wanted { first, latest, .. }) = self.wanted else { return };
        if forward::follows(last, first).is_err()
            && let Err(dropped) = forward::follows(last, latest)
        {
            self.wanted = None;
            self.event(Event::Dropped(dropped));
        }
    }

    fn mark(&mut self, now: Instant, given: Mark) -> Result<(), Rejected> {
        if self.file.is_halted() {
            return Err(Rejected::Halted);
        }
        let last = self.wanted.map(|wanted| wanted.latest).or(self.writing).or(self.durable);
        // Before the file was read, it is not known what the first mark follows on.
        if self.read_at.is_some() || last.is_some() {
            forward::follows(last, given)?;
        }
        let now = self.file.advance(now);
        let begun = last.is_none_or(|last| last.epoch < given.epoch).then_some(now);
        self.wanted = Some(match self.wanted {
            Some(Wanted { first, begun: before, .. }) => {
                Wanted { first, latest: given, begun: begun.or(before) }
            }
            None => Wanted { first: given, latest: given, begun },
        });
        self.write(now);
        Ok(())
    }

    /// Begins the next write, if there is something to write and nothing out.
    fn write(&mut self, now: Instant) {
        if !self.file.is_ready() {
            return;
        }
        let Some(Wanted { latest: mark, begun, .. }) = self.wanted else { return };
        if self.is_outdated(now) || begun > self.read_at {
            return self.file.read(now);
        }
        self.wanted = None;
        if self.durable == Some(mark) {
            return self.event(Event::Durable(mark));
        }
        let marker = PowerOffMarker { vm: self.config.vm, epoch: mark.epoch, state: mark.state };
        let bytes = marker.seal(&self.config.identity, self.generation);
        let offset = PowerOffMarker::offset(self.generation);
        self.writing = Some(mark);
        self.file.begin(now, (offset, bytes), false);
    }

    /// Writes what is in doubt again, but not by what an old reading showed.
    fn repeat(&mut self, now: Instant) {
        if self.is_outdated(now) { self.file.read(now) } else { self.file.repeat(now) }
    }

    /// Whether the last reading is too old to build upon: another host may have written since.
    fn is_outdated(&self, now: Instant) -> bool {
        self.read_at.is_none_or(|read_at| now.since(read_at) >= self.config.timing.storage_stall_max)
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
            Some(Answer::Found { asked, bytes }) => self.opened(now, asked, &bytes),
            Some(Answer::Durable { .. }) => self.settled(now),
            // No lock is asked for.
            Some(Answer::LockHeld) | None => {}
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.file.on_time(now);
        if self.file.must_repeat(now) {
            self.repeat(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.file.poll_output()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.file.poll_timeout(None)
    }
}
