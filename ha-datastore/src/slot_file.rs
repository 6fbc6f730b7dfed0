use core::time::Duration;

use bytes::Bytes;
use ha_core::operation::{Lock, LockOutcome, Read, ReadReply};
use ha_core::{
    Deadline, FileName, Instant, MachineId, MonotonicNow, Outbox, ReadFrom, RequestId, StorageCompletion,
    StorageFault, StorageRequest, TimingConfig, TokenMint, UnknownRequest,
};

use crate::file_writer::{FileWriter, Settled, Step};

/// What every machine that keeps one file of slots works with: its time, its requests, its outputs, and how far
/// it has come with the file.
///
/// The file may be locked, is read before anything is written, and is then written one place at a time. What fails
/// is told and repeated: a lock or a read after `look_again`, a write by the owner, when
/// [`must_repeat`](Self::must_repeat) says so. What is out for `storage_stall_max` is told once.
#[derive(Debug)]
pub(crate) struct SlotFile<O> {
    area: Area,
    reasons: Reasons,
    look_again: Duration,
    stall_max: Duration,
    clock: MonotonicNow,
    outbox: Outbox<O>,
    mint: TokenMint,
    stage: Stage,
    writer: FileWriter,
    held_told: bool,
    troubled: bool,
    stalled: bool,
}

/// The part of a file that its slots take up, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Area {
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

/// The names of a file's deadlines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reasons {
    /// The lock is asked for again; none for a file without a lock.
    pub(crate) lock: Option<&'static str>,
    /// The file is read again.
    pub(crate) read: &'static str,
    /// Bytes in doubt are written again.
    pub(crate) in_doubt: &'static str,
    /// A request stalls.
    pub(crate) stalled: &'static str,
}

/// What an owner's outputs are made from.
pub(crate) trait SlotOutput {
    fn storage(request: StorageRequest) -> Self;
    fn told(news: News) -> Self;
}

/// What every owner tells of its file, in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A request failed; it is repeated.
    Trouble { fault: StorageFault },
    /// A request has been out for `storage_stall_max`.
    Stalled,
    /// A write is durable again after trouble or a stall.
    Recovered,
}

/// What an answer of storage means to the owner.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The lock is somebody else's. Given once until it is granted.
    LockHeld,
    /// The file says this; it was asked for at `asked`. The owner now opens the file or halts.
    Found { asked: Instant, bytes: Bytes },
    /// The bytes given last are durable. Their write was asked for at `started`.
    Durable { started: Instant },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    LockAgain { at: Instant },
    Locking { request: RequestId<Lock>, asked: Instant },
    ReadAgain { at: Instant },
    Reading { request: RequestId<Read>, asked: Instant },
    Open,
    Halted,
}

impl<O: SlotOutput> SlotFile<O> {
    /// A file of which nothing is known; the owner asks for its lock or reads it.
    pub(crate) const fn new(
        machine: MachineId,
        name: FileName,
        area: Area,
        reasons: Reasons,
        timing: &TimingConfig,
        now: Instant,
    ) -> Self {
        Self {
            area,
            reasons,
            look_again: timing.look_again,
            stall_max: timing.storage_stall_max,
            clock: MonotonicNow::new(now),
            outbox: Outbox::new(),
            mint: TokenMint::new(machine),
            stage: Stage::ReadAgain { at: now },
            writer: FileWriter::new(name, timing),
            held_told: false,
            troubled: false,
            stalled: false,
        }
    }

    /// Asks for the lock; once it is granted, the file is read.
    pub(crate) fn lock(&mut self, now: Instant) {
        let (token, request) = self.mint.issue();
        let (file, not_after) = (self.writer.file().clone(), now.after(self.stall_max));
        self.request(StorageRequest::Lock { token, file, not_after });
        self.stage = Stage::Locking { request, asked: now };
    }

    /// Reads what is durable in the file.
    pub(crate) fn read(&mut self, now: Instant) {
        let (token, request) = self.mint.issue();
        let (file, Area { offset, length }) = (self.writer.file().clone(), self.area);
        self.request(StorageRequest::Read { token, file, offset, length, from: ReadFrom::Durable });
        self.stage = Stage::Reading { request, asked: now };
    }

    /// The file was read and may be written.
    pub(crate) const fn open(&mut self) {
        self.stage = Stage::Open;
    }

    /// Gives the bytes in doubt up; others may follow.
    pub(crate) fn forget(&mut self) {
        self.writer.forget();
    }

    /// Gives the file and the bytes in doubt up for good.
    pub(crate) fn halt(&mut self) {
        self.writer.forget();
        self.stage = Stage::Halted;
    }

    /// Lets the lock go.
    pub(crate) fn unlock(&mut self) {
        self.request(StorageRequest::Unlock { file: self.writer.file().clone() });
    }

    /// Begins to write; the owner made sure that the file is [ready](Self::is_ready).
    pub(crate) fn begin(&mut self, now: Instant, place: (u64, Bytes), verify: bool) {
        let request = self.writer.begin(now, &mut self.mint, place, verify);
        self.request(request);
    }

    /// Writes bytes in doubt again, if it is time.
    pub(crate) fn repeat(&mut self, now: Instant) {
        if let Some(request) = self.writer.retry(now, &mut self.mint) {
            self.request(request);
        }
    }

    pub(crate) const fn is_halted(&self) -> bool {
        matches!(self.stage, Stage::Halted)
    }

    /// Whether the file was read, and is not being locked or read again.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Whether the next bytes can be written.
    pub(crate) const fn is_ready(&self) -> bool {
        self.is_open() && self.writer.is_idle()
    }

    /// Whether bytes were given that are not known to be durable.
    pub(crate) const fn has_unsettled(&self) -> bool {
        !self.writer.is_idle()
    }

    /// Whether it is time to write bytes in doubt again.
    pub(crate) fn must_repeat(&self, now: Instant) -> bool {
        self.is_open() && self.writer.retries_at().is_some_and(|at| at <= now)
    }

    /// Whether a write has been out for longer than the I/O timeout.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.writer.is_overdue(now)
    }

    /// Takes the time of an input that storage has no part in.
    pub(crate) fn advance(&mut self, now: Instant) -> Instant {
        self.clock.advance(now)
    }

    /// Takes an answer of storage: the time that it came, and what it means to the owner, if anything.
    ///
    /// # Errors
    ///
    /// It answers no open request. Nothing has changed.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        done: StorageCompletion,
    ) -> Result<(Instant, Option<Answer>), UnknownRequest> {
        let latest = self.clock.latest().max(now);
        let answer = match done {
            StorageCompletion::Lock(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                if !matches!(self.stage, Stage::Locking { request, .. } if request == answered) {
                    return Err(UnknownRequest);
                }
                self.locked(latest, outcome)
            }
            StorageCompletion::Read(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                match self.stage {
                    Stage::Reading { request, asked } if request == answered => {
                        self.found(latest, asked, outcome)
                    }
                    Stage::LockAgain { .. }
                    | Stage::Locking { .. }
                    | Stage::ReadAgain { .. }
                    | Stage::Reading { .. }
                    | Stage::Open
                    | Stage::Halted => {
                        let step = self.writer.on_read(latest, answered, outcome).ok_or(UnknownRequest)?;
                        self.stepped(step)
                    }
                }
            }
            StorageCompletion::Write(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                let step = self.writer.on_written(latest, &mut self.mint, answered, outcome);
                self.stepped(step.ok_or(UnknownRequest)?)
            }
            StorageCompletion::LookAtLock(_) => return Err(UnknownRequest),
        };
        self.clock.advance(now);
        Ok((latest, answer))
    }

    /// Tells a stall, and asks again for what failed while the file was not open. The owner does the rest.
    pub(crate) fn on_time(&mut self, now: Instant) -> Instant {
        let now = self.clock.advance(now);
        if !self.stalled && self.stalls_at().is_some_and(|at| at <= now) {
            self.stalled = true;
            self.tell(O::told(News::Stalled));
        }
        match self.stage {
            Stage::LockAgain { at } if at <= now => self.lock(now),
            Stage::ReadAgain { at } if at <= now => self.read(now),
            Stage::LockAgain { .. }
            | Stage::Locking { .. }
            | Stage::ReadAgain { .. }
            | Stage::Reading { .. }
            | Stage::Open
            | Stage::Halted => {}
        }
        now
    }

    /// Tells that trouble or a stall is over, if there was any.
    pub(crate) fn recovered(&mut self) {
        if self.troubled || self.stalled {
            (self.troubled, self.stalled) = (false, false);
            self.tell(O::told(News::Recovered));
        }
    }

    pub(crate) fn tell(&mut self, output: O) {
        self.outbox.push(output);
    }

    pub(crate) fn poll_output(&mut self) -> Option<O> {
        self.outbox.pop()
    }

    /// The deadline to answer; `own` is what the owner itself waits for.
    pub(crate) fn poll_timeout(&self, own: Option<Deadline>) -> Option<Deadline> {
        let Reasons { lock, read, in_doubt, stalled } = self.reasons;
        let work = match self.stage {
            Stage::LockAgain { at } => Some(Deadline::new(at, lock.unwrap_or(read))),
            Stage::ReadAgain { at } => Some(Deadline::new(at, read)),
            Stage::Open => self.writer.retries_at().map(|at| Deadline::new(at, in_doubt)),
            Stage::Locking { .. } | Stage::Reading { .. } | Stage::Halted => None,
        };
        let stall = self.stalls_at().filter(|_| !self.stalled).map(|at| Deadline::new(at, stalled));
        self.outbox.deadline(self.clock.latest(), Deadline::soonest([own, work, stall]))
    }

    fn locked(&mut self, now: Instant, outcome: LockOutcome) -> Option<Answer> {
        let is_news = !self.held_told;
        match outcome {
            LockOutcome::Granted => {
                self.held_told = false;
                self.read(now);
                return None;
            }
            LockOutcome::Held => self.held_told = true,
            LockOutcome::Expired => self.trouble(StorageFault::Expired),
            LockOutcome::Fault(fault) => self.trouble(fault),
        }
        self.stage = Stage::LockAgain { at: now.after(self.look_again) };
        (outcome == LockOutcome::Held && is_news).then_some(Answer::LockHeld)
    }

    fn found(
        &mut self,
        now: Instant,
        asked: Instant,
        outcome: Result<ReadReply, StorageFault>,
    ) -> Option<Answer> {
        match outcome {
            Ok(ReadReply { bytes, .. }) => Some(Answer::Found { asked, bytes }),
            Err(fault) => {
                self.stage = Stage::ReadAgain { at: now.after(self.look_again) };
                self.trouble(fault);
                None
            }
        }
    }

    fn stepped(&mut self, step: Step) -> Option<Answer> {
        if let Some(request) = step.request {
            self.request(request);
        }
        match step.settled? {
            Settled::Durable { started } => Some(Answer::Durable { started }),
            Settled::InDoubt { fault } => {
                self.trouble(fault);
                None
            }
        }
    }

    /// When the request that is out counts as stalled.
    fn stalls_at(&self) -> Option<Instant> {
        match self.stage {
            Stage::Locking { asked, .. } | Stage::Reading { asked, .. } => Some(asked.after(self.stall_max)),
            Stage::Open => self.writer.stalls_at(),
            Stage::LockAgain { .. } | Stage::ReadAgain { .. } | Stage::Halted => None,
        }
    }

    fn trouble(&mut self, fault: StorageFault) {
        self.troubled = true;
        self.tell(O::told(News::Trouble { fault }));
    }

    fn request(&mut self, request: StorageRequest) {
        self.tell(O::storage(request));
    }
}
