use ha_core::operation::{Lock, LockOutcome, Read, ReadReply};
use ha_core::record::PairState;
use ha_core::{
    DatastoreId, Deadline, FileKind, FileName, HostId, Identity, Instant, Machine, MachineId, MonotonicNow,
    Outbox, ReadFrom, RequestId, StorageCompletion, StorageFault, StorageRequest, TimingConfig, TokenMint,
    UnknownRequest,
};

use super::spans::{Hearing, Spans};
use super::{Answer, Question, Refusal, Rejected};
use crate::format::{ProbeNonce, ProbeRecord};

/// What a taker is made of.
#[derive(Clone, Debug)]
pub struct ProbeTakerConfig {
    /// The own cluster, host, boot and life.
    pub identity: Identity,
    /// The machine's name; completions are routed by it.
    pub machine: MachineId,
    /// The datastore whose locks are probed.
    pub datastore: DatastoreId,
    /// The host whose probe file is tried.
    pub holder: HostId,
    /// The spans of time; used are `heartbeat_period` and `datastore_io_timeout`.
    pub timing: TimingConfig,
}

/// The holder's host is the taker's own. It would be granted its own lock and take that for another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} cannot probe locks against itself: expected another host")]
pub struct OwnFile {
    /// The host that was given.
    pub host: HostId,
}

/// Everything that can happen to a taker.
#[derive(Debug)]
pub enum TakerInput {
    /// The two hosts heard each other: a heartbeat of the holder's present life came that echoes an own one.
    Heard {
        /// When it came.
        at: Instant,
    },
    /// The holder asks.
    Asked {
        /// What.
        question: Question,
        /// When the last own frame was sent that the question's frame echoes.
        echoed: Instant,
    },
    /// The host was suspended, the holder has a new life, or nobody wants to know any more. A lock is let go.
    Cancel,
    /// Storage answered.
    Storage(StorageCompletion),
}

/// Everything a taker asks for or tells.
#[derive(Debug, PartialEq, Eq)]
pub enum TakerOutput {
    /// To storage.
    Storage(StorageRequest),
    /// To the holder.
    Answer(Answer),
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Idle,
    Reading { nonce: ProbeNonce, not_after: Instant },
    Locking { nonce: ProbeNonce, nonce_seen: bool },
    Holding { nonce: ProbeNonce, until: Instant },
}

/// The host that tries the other's lock. It serves any number of probes of one holder, one after the other. See the
/// [module](super).
///
/// Before it is dropped it must be given [`TakerInput::Cancel`], and what it then asks for be carried out.
#[derive(Debug)]
pub struct ProbeTaker {
    config: ProbeTakerConfig,
    spans: Spans,
    clock: MonotonicNow,
    outbox: Outbox<TakerOutput>,
    mint: TokenMint,
    hearing: Hearing,
    stage: Stage,
    /// Requests that are out, also of a round that was given up.
    reading: Option<RequestId<Read>>,
    locking: Option<RequestId<Lock>>,
    /// The last round that was begun or refused; a repeated question must not try again.
    last: Option<ProbeNonce>,
    ignored: u64,
}

impl ProbeTaker {
    /// A taker that waits for questions.
    ///
    /// # Errors
    ///
    /// [`OwnFile`] if the holder is the own host.
    pub fn new(config: ProbeTakerConfig, now: Instant) -> Result<Self, OwnFile> {
        if config.holder == config.identity.host {
            return Err(OwnFile { host: config.holder });
        }
        Ok(Self {
            spans: Spans::new(&config.timing),
            clock: MonotonicNow::new(now),
            outbox: Outbox::new(),
            mint: TokenMint::new(config.machine),
            hearing: Hearing::default(),
            stage: Stage::Idle,
            reading: None,
            locking: None,
            last: None,
            ignored: 0,
            config,
        })
    }

    /// How many questions were repeated, and so dropped.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    fn asked(&mut self, now: Instant, question: Question, echoed: Instant) {
        match question {
            Question::Try { nonce, .. } if self.last == Some(nonce) => {
                self.ignored = self.ignored.saturating_add(1);
            }
            Question::Try { nonce, valid_for } => {
                self.last = Some(nonce);
                let not_after = echoed.min(now).after(valid_for.min(self.spans.valid_for));
                self.begin(now, nonce, not_after);
            }
            Question::StillHeld { nonce } => self.asked_again(now, nonce),
        }
    }

    fn begin(&mut self, now: Instant, nonce: ProbeNonce, not_after: Instant) {
        if self.reading.is_some() || self.locking.is_some() {
            // What is out answers the older question first.
            return self.refuse(nonce, Refusal::Busy);
        }
        self.let_go();
        if !self.is_heard(now) {
            return self.refuse(nonce, Refusal::NotHeard);
        }
        if now > not_after {
            return self.refuse(nonce, Refusal::Expired);
        }
        let (token, request) = self.mint.issue();
        let (file, length) = (self.file(), ProbeRecord::FILE);
        self.request(StorageRequest::Read { token, file, offset: 0, length, from: ReadFrom::Storage });
        self.reading = Some(request);
        self.stage = Stage::Reading { nonce, not_after };
    }

    fn read(&mut self, now: Instant, outcome: Result<ReadReply, StorageFault>) {
        let Stage::Reading { nonce, not_after } = self.stage else { return };
        self.stage = Stage::Idle;
        let reply = match outcome {
            Ok(reply) => reply,
            Err(fault) => return self.refuse(nonce, Refusal::Fault(fault)),
        };
        if !self.is_heard(now) {
            return self.refuse(nonce, Refusal::NotHeard);
        }
        if now > not_after {
            return self.refuse(nonce, Refusal::Expired);
        }
        let found = ProbeRecord::read(&reply.bytes, self.config.identity.cluster, self.config.holder);
        let nonce_seen = match found {
            PairState::Valid { record } | PairState::Degraded { record, .. } => record.content.nonce == nonce,
            PairState::NeverWritten | PairState::Inconsistent { .. } | PairState::Corrupt { .. } => false,
        };
        let (token, request) = self.mint.issue();
        let file = self.file();
        self.request(StorageRequest::Lock { token, file, not_after });
        self.locking = Some(request);
        self.stage = Stage::Locking { nonce, nonce_seen };
    }

    fn locked(&mut self, now: Instant, outcome: LockOutcome) {
        let Stage::Locking { nonce, nonce_seen } = self.stage else { return };
        self.stage = Stage::Idle;
        let granted = outcome == LockOutcome::Granted;
        if !self.is_heard(now) {
            if granted {
                self.unlock();
            }
            return self.refuse(nonce, Refusal::NotHeard);
        }
        match outcome {
            LockOutcome::Granted => {
                self.stage = Stage::Holding { nonce, until: now.after(self.spans.hold_for()) };
                self.answer(Answer::Taken { nonce, nonce_seen });
            }
            LockOutcome::Held => self.answer(Answer::Held { nonce, nonce_seen }),
            LockOutcome::Expired => self.refuse(nonce, Refusal::Expired),
            LockOutcome::Fault(fault) => self.refuse(nonce, Refusal::Fault(fault)),
        }
    }

    fn asked_again(&mut self, now: Instant, nonce: ProbeNonce) {
        match self.stage {
            Stage::Holding { nonce: held, until } if held == nonce && now < until => {
                self.let_go();
                if self.is_heard(now) {
                    self.answer(Answer::StillHeld { nonce });
                } else {
                    self.refuse(nonce, Refusal::NotHeard);
                }
            }
            Stage::Holding { .. } | Stage::Idle | Stage::Reading { .. } | Stage::Locking { .. } => {
                self.refuse(nonce, Refusal::NotHeld);
            }
        }
    }

    /// Ends the round. A lock that is asked for is let go as well, since a driver keeps the order of the two.
    fn let_go(&mut self) {
        match self.stage {
            Stage::Locking { .. } | Stage::Holding { .. } => self.unlock(),
            Stage::Idle | Stage::Reading { .. } => {}
        }
        self.stage = Stage::Idle;
    }

    fn is_heard(&self, now: Instant) -> bool {
        self.hearing.is_fresh(now, &self.spans)
    }

    fn file(&self) -> FileName {
        FileName::new(self.config.datastore, FileKind::Probe(self.config.holder))
    }

    fn unlock(&mut self) {
        let file = self.file();
        self.request(StorageRequest::Unlock { file });
    }

    fn refuse(&mut self, nonce: ProbeNonce, why: Refusal) {
        self.answer(Answer::Refused { nonce, why });
    }

    fn answer(&mut self, answer: Answer) {
        self.outbox.push(TakerOutput::Answer(answer));
    }

    fn request(&mut self, request: StorageRequest) {
        self.outbox.push(TakerOutput::Storage(request));
    }

    fn storage(&mut self, now: Instant, done: StorageCompletion) -> Result<(), UnknownRequest> {
        match done {
            StorageCompletion::Read(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                self.reading.take_if(|open| *open == answered).ok_or(UnknownRequest)?;
                let now = self.clock.advance(now);
                self.read(now, outcome);
            }
            StorageCompletion::Lock(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                self.locking.take_if(|open| *open == answered).ok_or(UnknownRequest)?;
                let now = self.clock.advance(now);
                self.locked(now, outcome);
            }
            StorageCompletion::Write(_) | StorageCompletion::LookAtLock(_) => return Err(UnknownRequest),
        }
        Ok(())
    }
}

impl Machine for ProbeTaker {
    type Input = TakerInput;
    type Output = TakerOutput;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: TakerInput) -> Result<(), Rejected> {
        match input {
            TakerInput::Heard { at } => {
                let now = self.clock.advance(now);
                self.hearing.heard(now, at);
            }
            TakerInput::Asked { question, echoed } => {
                let now = self.clock.advance(now);
                self.asked(now, question, echoed);
            }
            TakerInput::Cancel => {
                self.clock.advance(now);
                self.let_go();
            }
            TakerInput::Storage(done) => self.storage(now, done)?,
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        if matches!(self.stage, Stage::Holding { until, .. } if until <= now) {
            self.let_go();
        }
    }

    fn poll_output(&mut self) -> Option<TakerOutput> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let own = match self.stage {
            Stage::Holding { until, .. } => {
                Some(Deadline::new(until, "lock of a probe that was not asked about"))
            }
            Stage::Idle | Stage::Reading { .. } | Stage::Locking { .. } => None,
        };
        self.outbox.deadline(self.clock.latest(), own)
    }
}
