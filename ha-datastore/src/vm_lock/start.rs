use ha_core::operation::{StartOutcome, StartVm, TakeOutcome, TakeVmLock, WriteVmRecord};
use ha_core::record::{Generation, Sealed};
use ha_core::{
    Deadline, FileIdentity, HolderId, Identity, Instant, Machine, MachineId, MonotonicNow, Outbox, RequestId,
    StorageFault, TokenMint, UnknownRequest, VmCompletion, VmEpoch, VmId, VmRequest,
};

use crate::format::{VmLockRecord, VmLockState};

use super::examine::LockedFile;
use super::judge::{RefusedStart, StartExpectation, judge};

/// What one attempt is made of.
#[derive(Clone, Debug)]
pub struct VmLockConfig {
    /// The own cluster, host, boot and life.
    pub identity: Identity,
    /// The machine's name; completions are routed by it.
    pub machine: MachineId,
    /// The holder process of this attempt; unique within one life of the agent.
    pub holder: HolderId,
    /// The virtual machine.
    pub vm: VmId,
    /// What the record must say.
    pub expect: StartExpectation,
    /// Nothing is begun from this moment on.
    pub not_after: Instant,
}

/// Everything that can happen to an attempt.
#[derive(Debug)]
pub enum Input {
    /// The driver answered.
    Vm(VmCompletion),
}

/// Everything an attempt asks for or tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// To the driver.
    Vm(VmRequest),
    /// To the parent.
    Event(Event),
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The lock is held and the raised epoch is durable.
    LockTaken {
        /// The raised epoch.
        epoch: VmEpoch,
    },
    /// The attempt is over; nothing follows.
    Ended(Ended),
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The machine runs.
    Started {
        /// Its epoch.
        epoch: VmEpoch,
    },
    /// Somebody else holds the lock. A normal outcome, and no failed start.
    LockHeld,
    /// The lock was won, but the record does not allow the start. Nothing was written.
    Refused(RefusedStart),
    /// `not_after` came first. The epoch may have been raised; the machine was not started.
    Expired,
    /// Storage or the driver failed before the start. The epoch may have been raised.
    Fault(StorageFault),
    /// The epoch was raised and the start failed.
    StartFailed {
        /// The raised epoch.
        epoch: VmEpoch,
    },
    /// The epoch was raised and the holder ended before it became the machine.
    HolderGone {
        /// The raised epoch.
        epoch: VmEpoch,
    },
}

/// A mistake of the parent. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The completion answers no open request of this attempt.
    #[error(transparent)]
    UnknownRequest(#[from] UnknownRequest),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Taking(RequestId<TakeVmLock>),
    Raising {
        request: RequestId<WriteVmRecord>,
        raised: Sealed<VmLockRecord>,
    },
    Starting {
        request: RequestId<StartVm>,
        raised: Sealed<VmLockRecord>,
    },
    /// The start failed; the record is set back to free before the lock is let go.
    Freeing {
        request: RequestId<WriteVmRecord>,
        epoch: VmEpoch,
    },
    Ended,
}

/// One attempt to start one virtual machine: win its lock, make the next epoch durable, start.
///
/// Drives a holder process through the sequence of architecture 8 and reads the record that stands in the lock
/// file. Winning the lock proves that nobody else runs the machine (as far as the datastore's rating goes); the
/// record says whether it may be started and at which epoch. Every start raises the epoch before it, so no two
/// instances ever share one.
///
/// Promised: nothing is started unless the lock was won on the very file at the path, the record named this
/// machine, this home and this file, and its epoch and state were as expected; `Start` leaves only after the raised
/// epoch is durable and before `not_after`. Nobody but the winner writes the record.
///
/// Once `Start` was sent there is no time limit here: only the driver knows whether the machine runs, and it
/// answers when the holder has become the machine or has ended.
#[derive(Debug)]
pub struct VmLock {
    config: VmLockConfig,
    clock: MonotonicNow,
    outbox: Outbox<Output>,
    mint: TokenMint,
    stage: Stage,
}

impl VmLock {
    /// An attempt that asks for the lock at once, or ends at once if `not_after` has come.
    #[must_use]
    pub fn new(config: VmLockConfig, now: Instant) -> Self {
        let (clock, mint) = (MonotonicNow::new(now), TokenMint::new(config.machine));
        let mut lock = Self { config, clock, outbox: Outbox::new(), mint, stage: Stage::Ended };
        lock.take(now);
        lock
    }

    /// Begins anew, with another holder, an attempt that is over. Its requests go on being counted.
    pub(super) fn again(&mut self, now: Instant, holder: HolderId) {
        debug_assert!(self.is_over(), "one try at a time");
        let now = self.clock.advance(now);
        self.config.holder = holder;
        self.take(now);
    }

    /// Whether the attempt is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    fn take(&mut self, now: Instant) {
        if now >= self.config.not_after {
            return self.end(Ended::Expired);
        }
        let (token, request) = self.mint.issue();
        let VmLockConfig { holder, ref vm, not_after, .. } = self.config;
        self.outbox.push(Output::Vm(VmRequest::TakeLock { token, holder, vm: vm.clone(), not_after }));
        self.stage = Stage::Taking(request);
    }

    fn taken(&mut self, now: Instant, outcome: TakeOutcome) {
        match outcome {
            TakeOutcome::Locked { record, same_file, file } => {
                let VmLockConfig { identity, ref vm, expect, .. } = self.config;
                let found = LockedFile { record: &record, same_file, file }
                    .examine(identity.cluster, vm)
                    .map_err(RefusedStart::from)
                    .and_then(|found| judge(&found, identity.host, expect).map(|()| found));
                match found {
                    Ok(found) => self.raise(now, &found, file),
                    Err(refused) => self.abandon(Ended::Refused(refused)),
                }
            }
            TakeOutcome::Held => self.end(Ended::LockHeld),
            TakeOutcome::Expired => self.end(Ended::Expired),
            TakeOutcome::Fault(fault) => self.end(Ended::Fault(fault)),
        }
    }

    fn raise(&mut self, now: Instant, found: &Sealed<VmLockRecord>, file: Option<FileIdentity>) {
        if now >= self.config.not_after {
            return self.abandon(Ended::Expired);
        }
        let Identity { host, incarnation, .. } = self.config.identity;
        let state = VmLockState::Running { host, incarnation };
        let epoch = found.content.epoch.next();
        if epoch == found.content.epoch {
            // The last epoch there is: a next one could not be told from it.
            return self.abandon(Ended::Refused(RefusedStart::NotStartable));
        }
        let content = VmLockRecord { file, epoch, state, ..found.content };
        let generation = found.generation.next();
        let raised = Sealed { writer: self.config.identity, generation, content };
        let request = self.write(&content, generation, self.config.not_after);
        self.stage = Stage::Raising { request, raised };
    }

    fn raised(&mut self, now: Instant, raised: Sealed<VmLockRecord>, outcome: Result<(), StorageFault>) {
        match outcome {
            Ok(()) => {
                let epoch = raised.content.epoch;
                self.event(Event::LockTaken { epoch });
                if now >= self.config.not_after {
                    return self.abandon(Ended::Expired);
                }
                let (token, request) = self.mint.issue();
                let VmLockConfig { holder, expect, not_after, .. } = self.config;
                self.outbox.push(Output::Vm(match expect {
                    StartExpectation::HandedOver(_) => VmRequest::Resume { token, holder, epoch, not_after },
                    StartExpectation::Exactly(_)
                    | StartExpectation::PowerOn { .. }
                    | StartExpectation::AfterHandOver(_) => {
                        VmRequest::Start { token, holder, epoch, not_after }
                    }
                }));
                self.stage = Stage::Starting { request, raised };
            }
            Err(StorageFault::Expired) => self.abandon(Ended::Expired),
            Err(fault) => self.abandon(Ended::Fault(fault)),
        }
    }

    fn started(&mut self, now: Instant, raised: Sealed<VmLockRecord>, outcome: StartOutcome) {
        let epoch = raised.content.epoch;
        match outcome {
            StartOutcome::Running => self.end(Ended::Started { epoch }),
            StartOutcome::Expired => self.end(Ended::Expired),
            StartOutcome::HolderGone => self.end(Ended::HolderGone { epoch }),
            // The record says `running` here and nobody can change that once the lock is let go. It is startable
            // either way; `free` spares the next master the question whether this host still lives.
            StartOutcome::Failed if now < self.config.not_after => {
                let content = VmLockRecord { state: VmLockState::Free, ..raised.content };
                let request = self.write(&content, raised.generation.next(), self.config.not_after);
                self.stage = Stage::Freeing { request, epoch };
            }
            StartOutcome::Failed => self.abandon(Ended::StartFailed { epoch }),
        }
    }

    fn write(
        &mut self,
        record: &VmLockRecord,
        generation: Generation,
        not_after: Instant,
    ) -> RequestId<WriteVmRecord> {
        let (token, request) = self.mint.issue();
        let bytes = record.seal(&self.config.identity, generation);
        let offset = VmLockRecord::offset(generation);
        let holder = self.config.holder;
        self.outbox.push(Output::Vm(VmRequest::WriteRecord { token, holder, offset, bytes, not_after }));
        request
    }

    fn abandon(&mut self, ended: Ended) {
        self.outbox.push(Output::Vm(VmRequest::Abandon { holder: self.config.holder }));
        self.end(ended);
    }

    fn end(&mut self, ended: Ended) {
        self.stage = Stage::Ended;
        self.event(Event::Ended(ended));
    }

    fn event(&mut self, event: Event) {
        self.outbox.push(Output::Event(event));
    }

    fn deadline(&self) -> Option<Deadline> {
        match self.stage {
            Stage::Taking(_) | Stage::Raising { .. } | Stage::Freeing { .. } => {
                Some(Deadline::new(self.config.not_after, "end of an attempt to start a VM"))
            }
            Stage::Starting { .. } | Stage::Ended => None,
        }
    }
}

impl Machine for VmLock {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        let Input::Vm(done) = input;
        match done {
            VmCompletion::TakeLock(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                let Stage::Taking(request) = self.stage else { return Err(UnknownRequest.into()) };
                expect_open(request == answered)?;
                let now = self.clock.advance(now);
                self.taken(now, outcome);
            }
            VmCompletion::WriteRecord(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                match self.stage {
                    Stage::Raising { request, raised } if request == answered => {
                        let now = self.clock.advance(now);
                        self.raised(now, raised, outcome);
                    }
                    // Freed or not, the record is startable at the raised epoch.
                    Stage::Freeing { request, epoch } if request == answered => {
                        self.clock.advance(now);
                        self.abandon(Ended::StartFailed { epoch });
                    }
                    Stage::Taking(_)
                    | Stage::Raising { .. }
                    | Stage::Starting { .. }
                    | Stage::Freeing { .. }
                    | Stage::Ended => return Err(UnknownRequest.into()),
                }
            }
            VmCompletion::Start(done) => {
                let (answered, outcome) = done.open(&self.mint)?;
                let Stage::Starting { request, raised } = self.stage else {
                    return Err(UnknownRequest.into());
                };
                expect_open(request == answered)?;
                let now = self.clock.advance(now);
                self.started(now, raised, outcome);
            }
            VmCompletion::ShareLock(_) | VmCompletion::Stop(_) => return Err(UnknownRequest.into()),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        if now < self.config.not_after {
            return;
        }
        match self.stage {
            Stage::Taking(_) | Stage::Raising { .. } => self.abandon(Ended::Expired),
            Stage::Freeing { epoch, .. } => self.abandon(Ended::StartFailed { epoch }),
            Stage::Starting { .. } | Stage::Ended => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.outbox.deadline(self.clock.latest(), self.deadline())
    }
}

pub(super) const fn expect_open(is_open: bool) -> Result<(), UnknownRequest> {
    if is_open { Ok(()) } else { Err(UnknownRequest) }
}
