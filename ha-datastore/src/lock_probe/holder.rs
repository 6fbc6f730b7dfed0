use ha_core::operation::{Lock, LockOutcome, Read, ReadReply};
use ha_core::{
    DatastoreId, Deadline, FileKind, FileName, Identity, Instant, Machine, MachineId, MonotonicNow, Outbox,
    Random, ReadFrom, RequestId, StorageCompletion, StorageFault, StorageRequest, TimingConfig, TokenMint,
    UnknownRequest,
};

use super::spans::{Hearing, Spans};
use super::{AGREEING_ROUNDS, Answer, Inconclusive, MAX_ROUNDS, Question, Rejected, Verdict};
use crate::file_writer::{FileWriter, Settled, Step};
use crate::format::{ProbeNonce, ProbeRecord};

/// What a holder is made of.
#[derive(Clone, Debug)]
pub struct ProbeHolderConfig {
    /// The own cluster, host, boot and life.
    pub identity: Identity,
    /// The machine's name; completions are routed by it.
    pub machine: MachineId,
    /// The datastore whose locks are probed.
    pub datastore: DatastoreId,
    /// The spans of time; used are `heartbeat_period`, `datastore_io_timeout` and `storage_stall_max`.
    pub timing: TimingConfig,
    /// What the nonces are drawn from; never the same for two probes.
    pub seed: u64,
}

/// Everything that can happen to a holder.
#[derive(Debug)]
pub enum HolderInput {
    /// The two hosts heard each other: a heartbeat of the taker's present life came that echoes an own one.
    Heard {
        /// When it came.
        at: Instant,
    },
    /// The taker answered.
    Answered(Answer),
    /// The host was suspended, the taker has a new life, or nobody wants to know any more. Ends the probe.
    Cancel,
    /// Storage answered.
    Storage(StorageCompletion),
}

/// Everything a holder asks for or tells.
#[derive(Debug, PartialEq, Eq)]
pub enum HolderOutput {
    /// To storage.
    Storage(StorageRequest),
    /// To the taker.
    Ask(Question),
    /// To the parent: the end. Nothing is asked after it but to let the lock go.
    Verdict(Verdict),
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The next round begins at `at`.
    Resting {
        at: Instant,
    },
    Locking {
        asked: Instant,
    },
    Reading {
        asked: Instant,
    },
    Writing,
    /// The taker is to try.
    Asking {
        sent: Instant,
        until: Instant,
    },
    /// The taker was granted the lock; so it was let go, and is asked for again.
    LockingAgain {
        sent: Instant,
        asked: Instant,
        until: Instant,
        nonce_seen: bool,
    },
    /// The taker is to say that it still holds it.
    Confirming {
        sent: Instant,
        until: Instant,
        nonce_seen: bool,
    },
    Over,
}

/// What one round showed.
#[derive(Clone, Copy, Debug)]
enum Shown {
    Shared { sent: Instant },
    NotShared { sent: Instant, nonce_seen: bool },
    Nothing(Inconclusive),
}

/// The host that holds its own lock, asks the other to try it, and judges. One probe: it ends in one [`Verdict`]. See
/// the [module](super).
///
/// One probe of a datastore at a time: the file is the same for all.
#[derive(Debug)]
pub struct ProbeHolder {
    config: ProbeHolderConfig,
    spans: Spans,
    clock: MonotonicNow,
    outbox: Outbox<HolderOutput>,
    mint: TokenMint,
    random: Random,
    hearing: Hearing,
    stage: Stage,
    nonce: ProbeNonce,
    file: FileWriter,
    /// Requests that are out, also after the end.
    locking: Option<RequestId<Lock>>,
    reading: Option<RequestId<Read>>,
    rounds: u8,
    shared: u8,
    not_shared: u8,
    same_file: bool,
    ignored: u64,
}

impl ProbeHolder {
    /// A holder that begins its first round at once.
    #[must_use]
    pub fn new(config: ProbeHolderConfig, now: Instant) -> Self {
        let file = FileName::new(config.datastore, FileKind::Probe(config.identity.host));
        let mut holder = Self {
            spans: Spans::new(&config.timing),
            clock: MonotonicNow::new(now),
            outbox: Outbox::new(),
            mint: TokenMint::new(config.machine),
            random: Random::from_seed(config.seed),
            hearing: Hearing::default(),
            stage: Stage::Resting { at: now },
            nonce: ProbeNonce::new(0),
            file: FileWriter::new(file, &config.timing),
            locking: None,
            reading: None,
            rounds: 0,
            shared: 0,
            not_shared: 0,
            same_file: true,
            ignored: 0,
            config,
        };
        holder.begin(now);
        holder
    }

    /// Whether the verdict was told.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// How many answers belonged to no open question, and so were dropped.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    fn begin(&mut self, now: Instant) {
        self.nonce = ProbeNonce::new(self.random.next_u64());
        self.lock(now.after(self.spans.stall_max));
        self.stage = Stage::Locking { asked: now };
    }

    fn locked(&mut self, now: Instant, outcome: LockOutcome) {
        match self.stage {
            Stage::Locking { .. } => match outcome {
                LockOutcome::Granted => self.read(now),
                LockOutcome::Held => self.end_round(now, Shown::Nothing(Inconclusive::FileHeld)),
                LockOutcome::Expired => self.end_round(now, fault(StorageFault::Expired)),
                // The next round would find the same: the file was never created, or the driver has no such place.
                LockOutcome::Fault(found @ (StorageFault::Missing | StorageFault::Unsupported)) => {
                    self.end(Verdict::Inconclusive { why: Inconclusive::Fault(found) });
                }
                LockOutcome::Fault(found) => self.end_round(now, fault(found)),
            },
            Stage::LockingAgain { sent, until, nonce_seen, .. } => match outcome {
                LockOutcome::Granted if now > until => {
                    self.end_round(now, Shown::Nothing(Inconclusive::Slow));
                }
                LockOutcome::Granted if !self.is_heard(now) => {
                    self.end_round(now, Shown::Nothing(Inconclusive::NotHeard));
                }
                LockOutcome::Granted => {
                    self.outbox.push(HolderOutput::Ask(Question::StillHeld { nonce: self.nonce }));
                    let until = now.after(self.spans.answer_within());
                    self.stage = Stage::Confirming { sent, until, nonce_seen };
                }
                LockOutcome::Held => self.end_round(now, Shown::Nothing(Inconclusive::HolderLostLock)),
                LockOutcome::Expired => self.end_round(now, Shown::Nothing(Inconclusive::Slow)),
                LockOutcome::Fault(found) => self.end_round(now, fault(found)),
            },
            Stage::Resting { .. }
            | Stage::Reading { .. }
            | Stage::Writing
            | Stage::Asking { .. }
            | Stage::Confirming { .. }
            | Stage::Over => {}
        }
    }

    fn read(&mut self, now: Instant) {
        let (token, request) = self.mint.issue();
        let (file, length) = (self.file.file().clone(), ProbeRecord::FILE);
        self.request(StorageRequest::Read { token, file, offset: 0, length, from: ReadFrom::Durable });
        self.reading = Some(request);
        self.stage = Stage::Reading { asked: now };
    }

    fn opened(&mut self, now: Instant, outcome: Result<ReadReply, StorageFault>) {
        if !matches!(self.stage, Stage::Reading { .. }) {
            return;
        }
        let reply = match outcome {
            Ok(reply) => reply,
            Err(found) => return self.end_round(now, fault(found)),
        };
        let Identity { cluster, host, .. } = self.config.identity;
        let generation = ProbeRecord::read(&reply.bytes, cluster, host).next_generation();
        let bytes = ProbeRecord { nonce: self.nonce }.seal(&self.config.identity, generation);
        let slot = (ProbeRecord::offset(generation), bytes);
        let request = self.file.begin(now, &mut self.mint, slot, true);
        self.request(request);
        self.stage = Stage::Writing;
    }

    fn stepped(&mut self, now: Instant, step: Step) {
        if let Some(request) = step.request {
            self.request(request);
        }
        match step.settled {
            Some(Settled::Durable { started }) => self.written(now, started),
            Some(Settled::InDoubt { fault: found }) => {
                // The next round reads the file again and so knows what stands there.
                self.file.forget();
                self.end_round(now, fault(found));
            }
            None => {}
        }
    }

    fn written(&mut self, now: Instant, started: Instant) {
        if now.since(started) > self.spans.io_timeout {
            self.end_round(now, Shown::Nothing(Inconclusive::Slow));
        } else if self.is_heard(now) {
            let valid_for = self.spans.valid_for;
            self.outbox.push(HolderOutput::Ask(Question::Try { nonce: self.nonce, valid_for }));
            self.stage = Stage::Asking { sent: now, until: now.after(self.spans.answer_within()) };
        } else {
            self.end_round(now, Shown::Nothing(Inconclusive::NotHeard));
        }
    }

    fn answered(&mut self, now: Instant, answer: Answer) {
        match self.stage {
            Stage::Asking { sent, until } if answer.nonce() == self.nonce => {
                self.tried(now, sent, until, answer);
            }
            Stage::Confirming { sent, until, nonce_seen } if answer.nonce() == self.nonce => {
                self.confirmed(now, until, answer, Shown::NotShared { sent, nonce_seen });
            }
            Stage::Resting { .. }
            | Stage::Locking { .. }
            | Stage::Reading { .. }
            | Stage::Writing
            | Stage::Asking { .. }
            | Stage::LockingAgain { .. }
            | Stage::Confirming { .. }
            | Stage::Over => self.ignore(),
        }
    }

    fn tried(&mut self, now: Instant, sent: Instant, until: Instant, answer: Answer) {
        match answer {
            Answer::Held { nonce_seen: true, .. } => self.settle(now, until, Shown::Shared { sent }),
            Answer::Held { nonce_seen: false, .. } => {
                self.settle(now, until, Shown::Nothing(Inconclusive::HeldByAnother));
            }
            Answer::Taken { nonce_seen, .. } => match self.why_not_believed(now, until) {
                Some(why) => self.end_round(now, Shown::Nothing(why)),
                None => {
                    self.unlock();
                    let until = now.after(self.spans.valid_for);
                    self.lock(until);
                    self.stage = Stage::LockingAgain { sent, asked: now, until, nonce_seen };
                }
            },
            Answer::Refused { why, .. } => {
                self.settle(now, until, Shown::Nothing(Inconclusive::Refused(why)));
            }
            Answer::StillHeld { .. } => self.ignore(),
        }
    }

    fn confirmed(&mut self, now: Instant, until: Instant, answer: Answer, shown: Shown) {
        match answer {
            Answer::StillHeld { .. } => self.settle(now, until, shown),
            Answer::Refused { why, .. } => {
                self.settle(now, until, Shown::Nothing(Inconclusive::Refused(why)));
            }
            // The answer to the first question, once more.
            Answer::Held { .. } | Answer::Taken { .. } => self.ignore(),
        }
    }

    /// Ends the round by an answer, if that still counts.
    fn settle(&mut self, now: Instant, until: Instant, shown: Shown) {
        let why = self.why_not_believed(now, until);
        self.end_round(now, why.map_or(shown, Shown::Nothing));
    }

    /// What keeps an answer that comes now from being believed.
    fn why_not_believed(&self, now: Instant, until: Instant) -> Option<Inconclusive> {
        if now >= until {
            Some(Inconclusive::NoAnswer)
        } else if self.is_heard(now) {
            None
        } else {
            Some(Inconclusive::NotHeard)
        }
    }

    fn ignore(&mut self) {
        self.ignored = self.ignored.saturating_add(1);
    }

    fn end_round(&mut self, now: Instant, shown: Shown) {
        self.rounds = self.rounds.saturating_add(1);
        let rest = match shown {
            Shown::Nothing(_) => self.spans.hold_for(),
            Shown::Shared { .. } => {
                self.shared = self.shared.saturating_add(1);
                self.spans.heartbeat
            }
            Shown::NotShared { nonce_seen, .. } => {
                self.not_shared = self.not_shared.saturating_add(1);
                self.same_file &= nonce_seen;
                self.spans.heartbeat
            }
        };
        let verdict = match shown {
            _ if self.shared > 0 && self.not_shared > 0 => {
                Some(Verdict::Inconclusive { why: Inconclusive::Contradictory })
            }
            Shown::Shared { sent } if self.shared >= AGREEING_ROUNDS => {
                Some(Verdict::LocksShared { at: sent })
            }
            Shown::NotShared { sent, .. } if self.not_shared >= AGREEING_ROUNDS => {
                Some(Verdict::LocksNotShared { at: sent, same_file: self.same_file })
            }
            Shown::Nothing(why) if !self.can_agree() => Some(Verdict::Inconclusive { why }),
            Shown::Shared { .. } | Shown::NotShared { .. } | Shown::Nothing(_) => None,
        };
        match verdict {
            Some(verdict) => self.end(verdict),
            None => {
                self.unlock();
                self.stage = Stage::Resting { at: now.after(rest) };
            }
        }
    }

    /// Whether enough rounds are left to agree.
    fn can_agree(&self) -> bool {
        let best = self.shared.max(self.not_shared);
        MAX_ROUNDS.saturating_sub(self.rounds) >= AGREEING_ROUNDS.saturating_sub(best)
    }

    fn end(&mut self, verdict: Verdict) {
        self.unlock();
        self.file.forget();
        self.stage = Stage::Over;
        self.outbox.push(HolderOutput::Verdict(verdict));
    }

    fn is_heard(&self, now: Instant) -> bool {
        self.hearing.is_fresh(now, &self.spans)
    }

    fn lock(&mut self, not_after: Instant) {
        let (token, request) = self.mint.issue();
        let file = self.file.file().clone();
        self.request(StorageRequest::Lock { token, file, not_after });
        self.locking = Some(request);
    }

    /// Lets the lock go, also one that is asked for: a driver keeps the order of the two.
    fn unlock(&mut self) {
        let file = self.file.file().clone();
        self.request(StorageRequest::Unlock { file });
    }

    fn request(&mut self, request: StorageRequest) {
        self.outbox.push(HolderOutput::Storage(request));
    }

    fn storage(&mut self, now: Instant, done: StorageCompletion) -> Result<(), UnknownRequest> {
        match done {
            StorageCompletion::Lock(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                self.locking.take_if(|open| *open == answered).ok_or(UnknownRequest)?;
                let now = self.clock.advance(now);
                self.locked(now, outcome);
            }
            StorageCompletion::Read(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                let latest = self.clock.latest().max(now);
                if self.reading.take_if(|open| *open == answered).is_some() {
                    self.opened(latest, outcome);
                } else {
                    let step = self.file.on_read(latest, answered, outcome).ok_or(UnknownRequest)?;
                    self.stepped(latest, step);
                }
                self.clock.advance(now);
            }
            StorageCompletion::Write(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                let latest = self.clock.latest().max(now);
                let step = self.file.on_written(latest, &mut self.mint, answered, outcome);
                self.stepped(latest, step.ok_or(UnknownRequest)?);
                self.clock.advance(now);
            }
            StorageCompletion::LookAtLock(_) => return Err(UnknownRequest),
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Deadline> {
        let stalled = |asked: Instant| asked.after(self.spans.stall_max);
        match self.stage {
            Stage::Resting { at } => Some(Deadline::new(at, "next round of a lock probe")),
            Stage::Locking { asked } | Stage::Reading { asked } | Stage::LockingAgain { asked, .. } => {
                Some(Deadline::new(stalled(asked), "lock probe stalled"))
            }
            Stage::Writing => self.file.stalls_at().map(|at| Deadline::new(at, "lock probe stalled")),
            Stage::Asking { until, .. } | Stage::Confirming { until, .. } => {
                Some(Deadline::new(until, "answer to a lock probe"))
            }
            Stage::Over => None,
        }
    }
}

impl Machine for ProbeHolder {
    type Input = HolderInput;
    type Output = HolderOutput;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: HolderInput) -> Result<(), Rejected> {
        match input {
            HolderInput::Heard { at } => {
                let now = self.clock.advance(now);
                self.hearing.heard(now, at);
            }
            HolderInput::Answered(answer) => {
                let now = self.clock.advance(now);
                self.answered(now, answer);
            }
            HolderInput::Cancel => {
                self.clock.advance(now);
                if !self.is_over() {
                    self.end(Verdict::Inconclusive { why: Inconclusive::Cancelled });
                }
            }
            HolderInput::Storage(done) => self.storage(now, done)?,
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        if self.deadline().is_none_or(|deadline| deadline.at > now) {
            return;
        }
        match self.stage {
            Stage::Resting { .. } => self.begin(now),
            Stage::Asking { .. } | Stage::Confirming { .. } => {
                self.end_round(now, Shown::Nothing(Inconclusive::NoAnswer));
            }
            Stage::Locking { .. } | Stage::Reading { .. } | Stage::Writing | Stage::LockingAgain { .. } => {
                self.end(Verdict::Inconclusive { why: Inconclusive::Stalled });
            }
            Stage::Over => {}
        }
    }

    fn poll_output(&mut self) -> Option<HolderOutput> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.outbox.deadline(self.clock.latest(), self.deadline())
    }
}

const fn fault(found: StorageFault) -> Shown {
    Shown::Nothing(Inconclusive::Fault(found))
}
