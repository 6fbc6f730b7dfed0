//! What this host runs, kept up to date on one datastore.
//!
//! [`PoweronWriter`] first reads its own `host-<n>-poweron`, to go on from the generation that stands there, then
//! writes the latest inventory whenever it is given a newer one. Inventories that come while a write is out are
//! not queued: only the latest goes out next. The slot is written first; the block of text for people follows
//! when the flag in it has changed. An inventory is durable when both are.

use ha_core::record::{Generation, PairState};
use ha_core::{
    DatastoreId, Deadline, FileKind, FileName, Identity, Incarnation, Instant, Machine, MachineId,
    StorageCompletion, StorageFault, StorageRequest, TimingConfig, UnknownRequest,
};

use crate::format::{Geometry, PoweronRecord, TooManyVms};
use crate::slot_file::{Answer, Area, News, Reasons, SlotFile, SlotOutput};

const REASONS: Reasons = Reasons {
    lock: None,
    read: "read the own poweron file again",
    in_doubt: "poweron file in doubt",
    stalled: "poweron file stalled",
};

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
    file: SlotFile<Output>,
    generation: Generation,
    latest: Option<PoweronRecord>,
    writing: Option<Writing>,
    /// The inventory in the newest durable slot.
    in_slot: Option<u64>,
    /// What the block of text is known to say.
    in_text: Option<bool>,
}

impl PoweronWriter {
    /// A writer that reads its own file at once.
    #[must_use]
    pub fn new(config: PoweronWriterConfig, now: Instant) -> Self {
        let PoweronWriterConfig { identity, machine, datastore, ref geometry, ref timing } = config;
        let name = FileName::new(datastore, FileKind::Poweron(identity.host));
        let length = u32::try_from(geometry.poweron_area().saturating_mul(2)).unwrap_or(u32::MAX);
        let area = Area { offset: PoweronRecord::SLOTS_AT, length };
        let mut file = SlotFile::new(machine, name, area, REASONS, timing, now);
        file.read(now);
        Self {
            file,
            generation: Generation::FIRST,
            latest: None,
            writing: None,
            in_slot: None,
            in_text: None,
            config,
        }
    }

    /// The number of the latest inventory that is durable here.
    #[must_use]
    pub const fn durable(&self) -> Option<u64> {
        self.in_slot
    }

    fn opened(&mut self, now: Instant, bytes: &[u8]) {
        let PoweronWriterConfig { identity, geometry, .. } = &self.config;
        let Identity { cluster, host, incarnation, .. } = *identity;
        let found = PoweronRecord::read(bytes, cluster, host, geometry);
        let highest = match &found {
            PairState::Valid { record } | PairState::Degraded { record, .. } => {
                Some(record.writer.incarnation)
            }
            PairState::Inconsistent { a, b } => Some(a.writer.incarnation.max(b.writer.incarnation)),
            PairState::NeverWritten | PairState::Corrupt { .. } => None,
        };
        if let Some(found) = highest.filter(|found| *found >= incarnation) {
            self.file.halt();
            return self.event(Event::IncarnationRepeated { found });
        }
        self.generation = found.next_generation();
        self.file.open();
        self.write(now);
    }

    /// Begins the next write, if there is something to write and nothing out.
    fn write(&mut self, now: Instant) {
        let Some(latest) = &self.latest else { return };
        if !self.file.is_ready() {
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
        self.file.begin(now, place, false);
    }

    fn settled(&mut self, now: Instant) {
        self.file.recovered();
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

    fn event(&mut self, event: Event) {
        self.file.tell(Output::Event(event));
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
        let now = self.file.advance(now);
        self.latest = Some(given);
        self.write(now);
        Ok(())
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

impl Machine for PoweronWriter {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        let (now, answer) = match input {
            Input::Inventory(given) => return self.take_in(now, given),
            Input::Storage(done) => self.file.answered(now, done)?,
        };
        match answer {
            Some(Answer::Found { bytes, .. }) => self.opened(now, &bytes),
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
