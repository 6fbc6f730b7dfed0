//! What this host runs, kept up to date on one datastore.
//!
//! [`PoweronWriter`] first reads its own `host-<n>-poweron`, to go on from the generation that stands there, then
//! writes the latest inventory whenever it is given a newer one. Inventories that come while a write is out are
//! not queued: only the latest goes out next. The slot is written first; the block of text for people follows
//! when the flag in it has changed. An inventory is durable when both are.

use ha_core::operation::{Read, ReadReply};
use ha_core::record::{Generation, PairState};
use ha_core::{
    DatastoreId, Deadline, FileKind, FileName, Identity, Incarnation, Instant, Machine, MachineId,
    MonotonicNow, Outbox, ReadFrom, RequestId, StorageCompletion, StorageFault, StorageRequest, TimingConfig,
    TokenMint, UnknownRequest,
};

use crate::file_writer::{FileWriter, Settled, Step};
use crate::format::{Geometry, PoweronRecord, TooManyVms};

/// What a writer is made of.
#[derive(Clone, Debug)]
pub struct PoweronWriterConfig {
    /// The own cluster, host, boot and life.
    pub identity: Identity,
    /// The machine's name; completions are routed by it.
    pub machine: MachineId,
    /// The datastore to write on.
    pub datastore: DatastoreId,
    /// The sizes of the files.
    pub geometry: Geometry,
    /// The spans of time; used are `datastore_io_timeout`, `storage_stall_max` and `look_again`.
    pub timing: TimingConfig,
}

/// Everything that can happen to a writer.
#[derive(Debug)]
pub enum Input {
    /// This is what runs here now. Its number grows with each change, over the whole life of the agent.
    Inventory(PoweronRecord),
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
    /// The inventory with this number is durable here. Older ones need not have been.
    Durable {
        /// The number.
        inventory: u64,
    },
    /// A record of this life or a later one stood in the file. Nothing will be written.
    IncarnationRepeated {
        /// The highest incarnation that was found.
        found: Incarnation,
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
    /// An inventory with this number or a later one was given before, and says something else.
    #[error("inventory {given} was given after inventory {latest}")]
    OldInventory {
        /// Its number.
        given: u64,
        /// The latest one.
        latest: u64,
    },
    /// More machines than the file was made for.
    #[error(transparent)]
    TooManyVms(#[from] TooManyVms),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    ReadAgain { at: Instant },
    Reading { request: RequestId<Read>, asked: Instant },
    Open,
    Halted,
}

/// What the write that is out will have achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Slot { inventory: u64, isolated: bool },
    Text { inventory: u64, isolated: bool },
}

/// The machine. See the [module](self).
#[derive(Debug)]
pub struct PoweronWriter {
    config: PoweronWriterConfig,
    clock: MonotonicNow,
    outbox: Outbox<Output>,
    mint: TokenMint,
    stage: Stage,
    file: FileWriter,
    generation: Generation,
    latest: Option<PoweronRecord>,
    writing: Option<Writing>,
    /// The inventory in the newest durable slot.
    in_slot: Option<u64>,
    /// What the block of text is known to say.
    in_text: Option<bool>,
    troubled: bool,
    stalled: bool,
}

impl PoweronWriter {
    /// A writer that reads its own file at once.
    #[must_use]
    pub fn new(config: PoweronWriterConfig, now: Instant) -> Self {
        let name = FileName::new(config.datastore, FileKind::Poweron(config.identity.host));
        let mut writer = Self {
            clock: MonotonicNow::new(now),
            outbox: Outbox::new(),
            mint: TokenMint::new(config.machine),
            stage: Stage::ReadAgain { at: now },
            file: FileWriter::new(name, &config.timing),
            generation: Generation::FIRST,
            latest: None,
            writing: None,
            in_slot: None,
            in_text: None,
            troubled: false,
            stalled: false,
            config,
        };
        writer.read(now);
        writer
    }

    /// The number of the latest inventory that is durable here.
    #[must_use]
    pub const fn durable(&self) -> Option<u64> {
        self.in_slot
    }

    fn read(&mut self, now: Instant) {
        let (token, request) = self.mint.issue();
        let file = self.file.file().clone();
        let length = u32::try_from(self.config.geometry.poweron_area().saturating_mul(2)).unwrap_or(u32::MAX);
        let offset = PoweronRecord::SLOTS_AT;
        self.request(StorageRequest::Read { token, file, offset, length, from: ReadFrom::Durable });
        self.stage = Stage::Reading { request, asked: now };
    }

    fn opened(&mut self, now: Instant, outcome: Result<ReadReply, StorageFault>) {
        let PoweronWriterConfig { identity, geometry, timing, .. } = &self.config;
        let Identity { cluster, host, incarnation, .. } = *identity;
        let reply = match outcome {
            Ok(reply) => reply,
            Err(fault) => {
                self.stage = Stage::ReadAgain { at: now.after(timing.look_again) };
                return self.trouble(fault);
            }
        };
        let found = PoweronRecord::read(&reply.bytes, cluster, host, geometry);
        let highest = match &found {
            PairState::Valid { record } | PairState::Degraded { record, .. } => {
                Some(record.writer.incarnation)
            }
            PairState::Inconsistent { a, b } => Some(a.writer.incarnation.max(b.writer.incarnation)),
            PairState::NeverWritten | PairState::Corrupt { .. } => None,
        };
        if let Some(found) = highest.filter(|found| *found >= incarnation) {
            self.stage = Stage::Halted;
            return self.event(Event::IncarnationRepeated { found });
        }
        self.generation = found.next_generation();
        self.stage = Stage::Open;
        self.write(now);
    }

    /// Begins the next write, if there is something to write and nothing out.
    fn write(&mut self, now: Instant) {
        let Some(latest) = &self.latest else { return };
        if self.stage != Stage::Open || !self.file.is_idle() {
            return;
        }
        let (inventory, isolated) = (latest.inventory, latest.isolated);
        let PoweronWriterConfig { identity, geometry, .. } = &self.config;
        let (writing, place) = if self.in_slot != Some(inventory) {
            // The room was checked when the inventory was taken in.
            let Ok(bytes) = latest.seal(identity, self.generation, geometry) else { return };
            let offset = PoweronRecord::offset(self.generation, geometry);
            (Writing::Slot { inventory, isolated }, (offset, bytes))
        } else if self.in_text != Some(isolated) {
            (Writing::Text { inventory, isolated }, (0, latest.text()))
        } else {
            return;
        };
        self.writing = Some(writing);
        let request = self.file.begin(now, &mut self.mint, place, false);
        self.request(request);
    }

    fn stepped(&mut self, now: Instant, step: Step) {
        if let Some(request) = step.request {
            self.request(request);
        }
        match step.settled {
            Some(Settled::Durable { .. }) => self.durable_at(now),
            Some(Settled::InDoubt { fault }) => self.trouble(fault),
            None => {}
        }
    }

    fn durable_at(&mut self, now: Instant) {
        if self.troubled || self.stalled {
            (self.troubled, self.stalled) = (false, false);
            self.event(Event::Recovered);
        }
        match self.writing.take() {
            Some(Writing::Slot { inventory, isolated }) => {
                self.generation = self.generation.next();
                self.in_slot = Some(inventory);
                if self.in_text == Some(isolated) {
                    self.event(Event::Durable { inventory });
                }
            }
            Some(Writing::Text { inventory, isolated }) => {
                self.in_text = Some(isolated);
                self.event(Event::Durable { inventory });
            }
            None => {}
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

    fn take_in(&mut self, now: Instant, given: PoweronRecord) -> Result<(), Rejected> {
        let limit = self.config.geometry.limits.vms_per_host;
        if u32::try_from(given.vms.len()).map_or(true, |found| found > limit) {
            return Err(TooManyVms { found: given.vms.len(), limit }.into());
        }
        if let Some(latest) = &self.latest
            && *latest != given
            && given.inventory <= latest.inventory
        {
            return Err(Rejected::OldInventory { given: given.inventory, latest: latest.inventory });
        }
        let now = self.clock.advance(now);
        self.latest = Some(given);
        self.write(now);
        Ok(())
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
            Stage::ReadAgain { at } => Some(Deadline::new(at, "read the own poweron file again")),
            Stage::Reading { .. } | Stage::Open | Stage::Halted => None,
        };
        let retry = self.file.retries_at().map(|at| Deadline::new(at, "poweron file in doubt"));
        let stall = self.stalls_at().filter(|_| !self.stalled);
        Deadline::soonest([read, retry, stall.map(|at| Deadline::new(at, "poweron file stalled"))])
    }
}

impl Machine for PoweronWriter {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        let latest = self.clock.latest().max(now);
        match input {
            Input::Inventory(given) => return self.take_in(now, given),
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
