use core::time::Duration;

use bytes::Bytes;
use ha_core::operation::{Read, ReadReply, Write};
use ha_core::record::{Generation, Slot};
use ha_core::{
    FileName, Instant, ReadFrom, RequestId, StorageFault, StorageRequest, TimingConfig, TokenMint,
};

/// The writing side of one file: one request at a time, and no other bytes until these are durable.
///
/// After a fault nothing is known of the bytes on disk, and a second sync could succeed without storing them
/// (reliability 5.1). So the same bytes go to the same place again and are read back; only then are they durable.
#[derive(Debug)]
pub(crate) struct FileWriter {
    file: FileName,
    io_timeout: Duration,
    stall_max: Duration,
    state: State,
}

/// What an answer led to.
#[derive(Debug)]
pub(crate) struct Step {
    /// The next request.
    pub(crate) request: Option<StorageRequest>,
    /// What is known of the bytes now.
    pub(crate) settled: Option<Settled>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// They are durable, and were read back if that was asked for. Their write was asked for at `started`.
    Durable { started: Instant },
    /// They may be there, in part, or not at all; they are written again later.
    InDoubt { fault: StorageFault },
}

#[derive(Clone, Debug)]
struct Job {
    offset: u64,
    bytes: Bytes,
    /// Whether they must be read back before they count as durable.
    verify: bool,
    /// Nobody waits for them any more; only the answer is awaited.
    forgotten: bool,
}

#[derive(Debug)]
enum State {
    Idle,
    Writing { request: RequestId<Write>, asked: Instant, job: Job },
    ReadingBack { request: RequestId<Read>, asked: Instant, started: Instant, job: Job },
    InDoubt { retry_at: Instant, job: Job },
}

impl FileWriter {
    pub(crate) const fn new(file: FileName, timing: &TimingConfig) -> Self {
        let (io_timeout, stall_max) = (timing.datastore_io_timeout, timing.storage_stall_max);
        Self { file, io_timeout, stall_max, state: State::Idle }
    }

    pub(crate) const fn file(&self) -> &FileName {
        &self.file
    }

    /// Whether the next bytes can be written.
    pub(crate) const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Begins to write; the parent made sure that the writer is idle.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        mint: &mut TokenMint,
        (offset, bytes): (u64, Bytes),
        verify: bool,
    ) -> StorageRequest {
        debug_assert!(self.is_idle(), "one write per file at a time");
        self.write(now, mint, Job { offset, bytes, verify, forgotten: false })
    }

    /// Takes the answer to a write; `None` if it was not asked for.
    pub(crate) fn on_written(
        &mut self,
        now: Instant,
        mint: &mut TokenMint,
        answered: RequestId<Write>,
        outcome: Result<(), StorageFault>,
    ) -> Option<Step> {
        let State::Writing { request, asked, ref job } = self.state else { return None };
        if request != answered {
            return None;
        }
        let job = job.clone();
        Some(match outcome {
            Ok(()) if job.verify && !job.forgotten => self.read_back(now, mint, asked, job),
            Ok(()) => self.settle(job, Settled::Durable { started: asked }),
            Err(fault) => self.doubt(now, job, fault),
        })
    }

    /// Takes the answer to a read; `None` if it was not asked for.
    pub(crate) fn on_read(
        &mut self,
        now: Instant,
        answered: RequestId<Read>,
        outcome: Result<ReadReply, StorageFault>,
    ) -> Option<Step> {
        let State::ReadingBack { request, started, ref job, .. } = self.state else { return None };
        if request != answered {
            return None;
        }
        let job = job.clone();
        Some(match outcome {
            Ok(reply) if reply.bytes == job.bytes => self.settle(job, Settled::Durable { started }),
            Ok(_) => self.doubt(now, job, StorageFault::ReadBackDiffers),
            Err(fault) => self.doubt(now, job, fault),
        })
    }

    /// Writes bytes in doubt again, if it is time.
    pub(crate) fn retry(&mut self, now: Instant, mint: &mut TokenMint) -> Option<StorageRequest> {
        match &self.state {
            State::InDoubt { retry_at, job } if *retry_at <= now => {
                let job = job.clone();
                Some(self.write(now, mint, job))
            }
            State::Idle | State::Writing { .. } | State::ReadingBack { .. } | State::InDoubt { .. } => None,
        }
    }

    /// Gives the bytes up. A request that is out is still awaited: it may land at any time until then.
    pub(crate) fn forget(&mut self) {
        match &mut self.state {
            State::Writing { job, .. } | State::ReadingBack { job, .. } => job.forgotten = true,
            State::Idle | State::InDoubt { .. } => self.state = State::Idle,
        }
    }

    /// Whether a request has been out for longer than the I/O timeout: its right is suspended.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.asked().is_some_and(|asked| now.since(asked) > self.io_timeout)
    }

    /// When the request that is out counts as stalled.
    pub(crate) fn stalls_at(&self) -> Option<Instant> {
        self.asked().map(|asked| asked.after(self.stall_max))
    }

    /// When bytes in doubt are written again.
    pub(crate) const fn retries_at(&self) -> Option<Instant> {
        match self.state {
            State::InDoubt { retry_at, .. } => Some(retry_at),
            State::Idle | State::Writing { .. } | State::ReadingBack { .. } => None,
        }
    }

    const fn asked(&self) -> Option<Instant> {
        match self.state {
            State::Writing { asked, .. } | State::ReadingBack { asked, .. } => Some(asked),
            State::Idle | State::InDoubt { .. } => None,
        }
    }

    fn write(&mut self, now: Instant, mint: &mut TokenMint, job: Job) -> StorageRequest {
        let (token, request) = mint.issue();
        let (file, offset, bytes) = (self.file.clone(), job.offset, job.bytes.clone());
        self.state = State::Writing { request, asked: now, job };
        StorageRequest::Write { token, file, offset, bytes, not_after: now.after(self.stall_max) }
    }

    fn read_back(&mut self, now: Instant, mint: &mut TokenMint, started: Instant, job: Job) -> Step {
        let (token, request) = mint.issue();
        let length = u32::try_from(job.bytes.len()).unwrap_or(u32::MAX);
        let read = StorageRequest::Read {
            token,
            file: self.file.clone(),
            offset: job.offset,
            length,
            from: ReadFrom::Storage,
        };
        self.state = State::ReadingBack { request, asked: now, started, job };
        Step { request: Some(read), settled: None }
    }

    fn settle(&mut self, job: Job, settled: Settled) -> Step {
        self.state = State::Idle;
        Step { request: None, settled: (!job.forgotten).then_some(settled) }
    }

    fn doubt(&mut self, now: Instant, job: Job, fault: StorageFault) -> Step {
        if job.forgotten {
            self.state = State::Idle;
            return Step { request: None, settled: None };
        }
        let retry_at = now.after(self.io_timeout);
        self.state = State::InDoubt { retry_at, job: Job { verify: true, ..job } };
        Step { request: None, settled: Some(Settled::InDoubt { fault }) }
    }
}

/// Which generation a file's next write takes, over faults and over losses of the right to write.
///
/// A generation is used up only when its bytes are known to be durable. While they are in doubt the other slot
/// holds the only record that is surely there, so it must not be touched, even if a read shows the doubtful
/// record: it may come from a cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NextGeneration {
    next: Generation,
    in_doubt: bool,
}

impl NextGeneration {
    pub(crate) const fn new() -> Self {
        Self { next: Generation::FIRST, in_doubt: false }
    }

    pub(crate) const fn get(self) -> Generation {
        self.next
    }

    /// Whether a write of this generation was begun and never seen durable.
    pub(crate) const fn is_in_doubt(self) -> bool {
        self.in_doubt
    }

    /// Takes in what the file itself says must come next. `by_me` says whether this host wrote the newest record
    /// there: another's of the generation in doubt is no doubtful record, but the one that must stay.
    pub(crate) fn adopt(&mut self, found: Generation, by_me: bool) {
        let has_landed = by_me && found == self.next.next();
        if !(self.in_doubt && (has_landed || found == self.next)) {
            *self = Self { next: found, in_doubt: false };
        }
    }

    /// Goes on with a generation above every one that may stand in a damaged file: `highest` does, and all that it
    /// may be built upon lies in the slot `keep`.
    pub(crate) fn rebuild(&mut self, highest: Option<Generation>, keep: Option<Slot>) {
        let slot_in_doubt = self.in_doubt.then(|| self.next.slot());
        let mut next = highest.map_or(self.next, |highest| self.next.max(highest.next()));
        let is_barred = |next: Generation| match slot_in_doubt {
            // The other slot holds the only record that is surely there.
            Some(slot) => next.slot() != slot,
            None => keep == Some(next.slot()),
        };
        if is_barred(next) {
            next = next.next();
        }
        *self = Self { next, in_doubt: true };
    }

    /// A write of it was begun.
    pub(crate) const fn begun(&mut self) {
        self.in_doubt = true;
    }

    /// Its bytes are durable.
    pub(crate) const fn durable(&mut self) {
        *self = Self { next: self.next.next(), in_doubt: false };
    }
}
