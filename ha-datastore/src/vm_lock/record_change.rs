use ha_core::operation::{ShareOutcome, ShareVmLock, TakeOutcome, TakeVmLock, WriteVmRecord};
use ha_core::{
    Deadline, HolderId, Identity, Instant, Machine, MachineId, RequestId, StorageFault, UnknownRequest,
    VmCompletion, VmEpoch, VmId,
};

use super::change::{Change, RefusedChange};
use super::desk::{Desk, JobOutput};
use super::examine::LockedFile;
use super::start::{Input, Rejected, expect_open};
use crate::format::HomeSum;

/// What one change is made of.
#[derive(Clone, Debug)]
pub struct RecordChangeConfig {
    /// The own cluster, host, boot and life.
    pub identity: Identity,
    /// The machine's name; completions are routed by it.
    pub machine: MachineId,
    /// The holder process of this change; unique within one life of the agent.
    pub holder: HolderId,
    /// The virtual machine.
    pub vm: VmId,
    /// The epoch of the instance that the change is about.
    pub epoch: VmEpoch,
    /// What to change.
    pub change: Change,
    /// Nothing is begun from this moment on.
    pub not_after: Instant,
}

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeEnded {
    /// The record says it, durably.
    Changed,
    /// The record said so before. Nothing was written.
    AlreadySo,
    /// Somebody else holds the lock. Nothing was written.
    LockHeld,
    /// The machine does not run here at that epoch under its lock. Nothing was written.
    NotRunning,
    /// The record is not the one to change. Nothing was written.
    Refused(RefusedChange),
    /// `not_after` came first. Nothing was written.
    Expired,
    /// Storage or the driver failed before the write. Nothing was written.
    Fault(StorageFault),
    /// The write failed or was not answered in time: the record says what it said before, or what it should say.
    /// The change may be repeated; so may a [`Change::TakeBack`] follow on a hand-over.
    InDoubt(StorageFault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Taking(RequestId<TakeVmLock>),
    Sharing(RequestId<ShareVmLock>),
    Writing(RequestId<WriteVmRecord>),
    Over,
}

/// One [`Change`] of a lock record: get the lock, check the record, write it, let the lock go.
///
/// A crash at any point leaves the record as it was or as it should be, and the lock with the running machine or
/// with nobody.
#[derive(Debug)]
pub struct RecordChange {
    config: RecordChangeConfig,
    desk: Desk<ChangeEnded>,
    stage: Stage,
}

impl RecordChange {
    /// A change that asks for the lock at once, or ends at once if `not_after` has come.
    #[must_use]
    pub fn new(config: RecordChangeConfig, now: Instant) -> Self {
        let RecordChangeConfig { identity, machine, holder, epoch, not_after, .. } = config;
        let mut desk = Desk::new(identity, machine, not_after, now);
        let stage = if now >= not_after {
            desk.tell(ChangeEnded::Expired);
            Stage::Over
        } else if config.change.is_shared() {
            Stage::Sharing(desk.share(holder, &config.vm, epoch))
        } else {
            Stage::Taking(desk.take(holder, &config.vm))
        };
        Self { config, desk, stage }
    }

    /// Whether the change is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn taken(&mut self, now: Instant, outcome: TakeOutcome) {
        match outcome {
            TakeOutcome::Locked { record, same_file, file } => {
                self.locked(now, LockedFile { record: &record, same_file, file });
            }
            TakeOutcome::Held => self.end(ChangeEnded::LockHeld),
            TakeOutcome::Expired => self.end(ChangeEnded::Expired),
            TakeOutcome::Fault(fault) => self.end(ChangeEnded::Fault(fault)),
        }
    }

    fn shared(&mut self, now: Instant, outcome: ShareOutcome) {
        match outcome {
            ShareOutcome::Shared { record, same_file, file } => {
                self.locked(now, LockedFile { record: &record, same_file, file });
            }
            ShareOutcome::NotRunning => self.end(ChangeEnded::NotRunning),
            ShareOutcome::Expired => self.end(ChangeEnded::Expired),
            ShareOutcome::Fault(fault) => self.end(ChangeEnded::Fault(fault)),
        }
    }

    fn locked(&mut self, now: Instant, locked: LockedFile<'_>) {
        let RecordChangeConfig { identity, holder, epoch, change, not_after, .. } = self.config;
        if now >= not_after {
            return self.abandon(ChangeEnded::Expired);
        }
        let vm = &self.config.vm;
        let found = match change {
            Change::Adopt => locked.examine_anywhere(identity.cluster, vm),
            Change::CleanOff | Change::HandOver { .. } | Change::TakeBack => {
                locked.examine(identity.cluster, vm)
            }
        };
        let found = match found {
            Ok(found) => found,
            Err(unfit) => return self.abandon(ChangeEnded::Refused(RefusedChange::Unfit(unfit))),
        };
        match change.apply(&identity, epoch, &found, HomeSum::of(vm), locked.file) {
            Ok(Some(record)) => {
                self.stage = Stage::Writing(self.desk.write(holder, &record, found.generation.next()));
            }
            Ok(None) => self.abandon(ChangeEnded::AlreadySo),
            Err(refused) => self.abandon(ChangeEnded::Refused(refused)),
        }
    }

    fn written(&mut self, outcome: Result<(), StorageFault>) {
        self.abandon(match outcome {
            Ok(()) => ChangeEnded::Changed,
            Err(StorageFault::Expired) => ChangeEnded::Expired,
            Err(fault) => ChangeEnded::InDoubt(fault),
        });
    }

    fn abandon(&mut self, ended: ChangeEnded) {
        self.desk.abandon(self.config.holder);
        self.end(ended);
    }

    fn end(&mut self, ended: ChangeEnded) {
        self.stage = Stage::Over;
        self.desk.tell(ended);
    }
}

impl Machine for RecordChange {
    type Input = Input;
    type Output = JobOutput<ChangeEnded>;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        let Input::Vm(done) = input;
        match done {
            VmCompletion::TakeLock(done) => {
                let (answered, outcome) = done.open(&self.desk.mint)?;
                expect_open(self.stage == Stage::Taking(answered))?;
                let now = self.desk.clock.advance(now);
                self.taken(now, outcome);
            }
            VmCompletion::ShareLock(done) => {
                let (answered, outcome) = done.open(&self.desk.mint)?;
                expect_open(self.stage == Stage::Sharing(answered))?;
                let now = self.desk.clock.advance(now);
                self.shared(now, outcome);
            }
            VmCompletion::WriteRecord(done) => {
                let (answered, outcome) = done.open(&self.desk.mint)?;
                expect_open(self.stage == Stage::Writing(answered))?;
                self.desk.clock.advance(now);
                self.written(outcome);
            }
            VmCompletion::Start(_) | VmCompletion::Stop(_) => return Err(UnknownRequest.into()),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.desk.clock.advance(now);
        if now < self.config.not_after {
            return;
        }
        match self.stage {
            Stage::Taking(_) | Stage::Sharing(_) => self.abandon(ChangeEnded::Expired),
            Stage::Writing(_) => self.abandon(ChangeEnded::InDoubt(StorageFault::Unknown)),
            Stage::Over => {}
        }
    }

    fn poll_output(&mut self) -> Option<JobOutput<ChangeEnded>> {
        self.desk.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.desk.deadline(self.is_over(), "end of a change of a lock record")
    }
}
