use ha_core::operation::{TakeOutcome, TakeVmLock, WriteVmRecord};
use ha_core::record::{Generation, Sealed};
use ha_core::{
    Deadline, FileIdentity, HolderId, Identity, Instant, Machine, MachineId, RequestId, StorageFault,
    UnknownRequest, VmCompletion, VmEpoch, VmId,
};

use super::desk::{Desk, JobOutput};
use super::examine::LockedFile;
use super::homes::{self, Arrival, Homes, RefusedMove, Side};
use super::start::{Input, Rejected, expect_open};
use crate::format::{VmLockRecord, VmLockState};

/// What one move is made of.
#[derive(Clone, Debug)]
pub struct RelocationConfig {
    /// The own cluster, host, boot and life.
    pub identity: Identity,
    /// The machine's name; completions are routed by it.
    pub machine: MachineId,
    /// The holder of the old home's lock; unique within one life of the agent, as the other.
    pub old_holder: HolderId,
    /// The holder of the new home's lock.
    pub new_holder: HolderId,
    /// The virtual machine at its old home.
    pub from: VmId,
    /// The same machine at its new home, whose lock file was created as zeros and whose disks are complete.
    pub to: VmId,
    /// The epoch that the old record must have.
    pub epoch: VmEpoch,
    /// Nothing is begun from this moment on.
    pub not_after: Instant,
}

/// How a move ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveEnded {
    /// It lives at its new home now, and may be started there.
    Moved {
        /// The epoch of the new record.
        epoch: VmEpoch,
    },
    /// An earlier move had come to its end. Nothing was written.
    AlreadyMoved,
    /// Somebody else holds this home's lock. Nothing was written.
    LockHeld(Side),
    /// A record does not allow the move. Nothing was written.
    Refused(RefusedMove),
    /// `not_after` came first. Nothing was written.
    Expired,
    /// Storage or the driver failed before the first write. Nothing was written.
    Fault(StorageFault),
    /// A write failed, was not answered in time, or came too late. The machine may be startable at the old home,
    /// or at neither, and the move is to be repeated to the same new home until it ends otherwise.
    InDoubt(StorageFault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    TakingOld(RequestId<TakeVmLock>),
    TakingNew {
        request: RequestId<TakeVmLock>,
        old: Sealed<VmLockRecord>,
    },
    /// *Moved* goes to the slot of the older record.
    Sealing {
        request: RequestId<WriteVmRecord>,
        moved: Sealed<VmLockRecord>,
    },
    /// *Moved* is durable and goes to the other slot as well.
    SealingAgain {
        request: RequestId<WriteVmRecord>,
        moved: Sealed<VmLockRecord>,
    },
    Arriving {
        request: RequestId<WriteVmRecord>,
        epoch: VmEpoch,
    },
    Over,
}

/// One move of a machine that is off from one home to another.
///
/// Wins the old lock, then the new one, seals *moved* in both slots of the old record, and writes the first record of
/// the new one, at the next epoch. Repeated after a crash it goes on where it stopped. Why never startable at
/// both: see the [module](crate::vm_lock).
#[derive(Debug)]
pub struct Relocation {
    config: RelocationConfig,
    desk: Desk<MoveEnded>,
    /// Which files are locked, once they are: the old home's, and the new one's.
    old_file: Option<FileIdentity>,
    new_file: Option<FileIdentity>,
    stage: Stage,
}

impl Relocation {
    /// A move that asks for the old home's lock at once, or ends at once if it cannot be begun.
    #[must_use]
    pub fn new(config: RelocationConfig, now: Instant) -> Self {
        let RelocationConfig { identity, machine, old_holder, ref from, ref to, not_after, .. } = config;
        let mut desk = Desk::new(identity, machine, not_after, now);
        let two_homes = from.uuid() == to.uuid() && from != to && old_holder != config.new_holder;
        let stage = if !two_homes {
            desk.tell(MoveEnded::Refused(RefusedMove::NotTwoHomes));
            Stage::Over
        } else if now >= not_after {
            desk.tell(MoveEnded::Expired);
            Stage::Over
        } else {
            Stage::TakingOld(desk.take(old_holder, from))
        };
        Self { config, desk, old_file: None, new_file: None, stage }
    }

    /// Whether the move is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn old_taken(&mut self, now: Instant, outcome: TakeOutcome) {
        let (record, same_file, file) = match outcome {
            TakeOutcome::Locked { record, same_file, file } => (record, same_file, file),
            TakeOutcome::Held => return self.end(MoveEnded::LockHeld(Side::Old)),
            TakeOutcome::Expired => return self.end(MoveEnded::Expired),
            TakeOutcome::Fault(fault) => return self.end(MoveEnded::Fault(fault)),
        };
        self.old_file = file;
        match self.homes().may_leave(LockedFile { record: &record, same_file, file }) {
            Ok(_) if now >= self.config.not_after => self.abandon_old(MoveEnded::Expired),
            Ok(old) => {
                let request = self.desk.take(self.config.new_holder, &self.config.to);
                self.stage = Stage::TakingNew { request, old };
            }
            Err(refused) => self.abandon_old(MoveEnded::Refused(refused)),
        }
    }

    fn new_taken(&mut self, now: Instant, old: &Sealed<VmLockRecord>, outcome: TakeOutcome) {
        let (record, same_file, file) = match outcome {
            TakeOutcome::Locked { record, same_file, file } => (record, same_file, file),
            TakeOutcome::Held => return self.abandon_old(MoveEnded::LockHeld(Side::New)),
            TakeOutcome::Expired => return self.abandon_old(MoveEnded::Expired),
            TakeOutcome::Fault(fault) => return self.abandon_old(MoveEnded::Fault(fault)),
        };
        if now >= self.config.not_after {
            return self.abandon(MoveEnded::Expired);
        }
        self.new_file = file;
        let has_left = matches!(old.content.state, VmLockState::Moved { .. });
        match self.homes().may_arrive(LockedFile { record: &record, same_file, file }, has_left) {
            Ok(Arrival::Open) => self.seal(old, has_left),
            Ok(Arrival::Done) => self.abandon(MoveEnded::AlreadyMoved),
            Err(refused) => self.abandon(MoveEnded::Refused(refused)),
        }
    }

    /// Seals *moved* after `old`. If that says so already, it may stand in one slot only, so the other gets it.
    fn seal(&mut self, old: &Sealed<VmLockRecord>, has_left: bool) {
        let content = self.homes().moved(&old.content, self.old_file);
        let moved = Sealed { writer: self.desk.identity, generation: old.generation.next(), content };
        let request = self.desk.write(self.config.old_holder, &content, moved.generation);
        self.stage =
            if has_left { Stage::SealingAgain { request, moved } } else { Stage::Sealing { request, moved } };
    }

    fn written(&mut self, now: Instant, stage: Stage, outcome: Result<(), StorageFault>) {
        let began = !matches!(stage, Stage::Sealing { .. });
        match outcome {
            Ok(()) => {}
            Err(StorageFault::Expired) if !began => return self.abandon(MoveEnded::Expired),
            Err(fault) => return self.abandon(MoveEnded::InDoubt(fault)),
        }
        if let Stage::Arriving { epoch, .. } = stage {
            return self.abandon(MoveEnded::Moved { epoch });
        }
        if now >= self.config.not_after {
            return self.abandon(MoveEnded::InDoubt(StorageFault::Expired));
        }
        match stage {
            Stage::Sealing { moved, .. } => self.seal(&moved, true),
            Stage::SealingAgain { moved, .. } => self.arrive(&moved),
            Stage::TakingOld(_) | Stage::TakingNew { .. } | Stage::Arriving { .. } | Stage::Over => {}
        }
    }

    fn arrive(&mut self, moved: &Sealed<VmLockRecord>) {
        let content = homes::arrived(&self.config.to, self.new_file, &moved.content);
        let request = self.desk.write(self.config.new_holder, &content, Generation::FIRST);
        self.stage = Stage::Arriving { request, epoch: content.epoch };
    }

    fn homes(&self) -> Homes<'_> {
        let RelocationConfig { identity, ref from, ref to, epoch, .. } = self.config;
        Homes { cluster: identity.cluster, from, to, epoch }
    }

    fn abandon_old(&mut self, ended: MoveEnded) {
        self.desk.abandon(self.config.old_holder);
        self.end(ended);
    }

    fn abandon(&mut self, ended: MoveEnded) {
        self.desk.abandon(self.config.new_holder);
        self.abandon_old(ended);
    }

    fn end(&mut self, ended: MoveEnded) {
        self.stage = Stage::Over;
        self.desk.tell(ended);
    }
}

impl Machine for Relocation {
    type Input = Input;
    type Output = JobOutput<MoveEnded>;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        let Input::Vm(done) = input;
        match done {
            VmCompletion::TakeLock(done) => {
                let (answered, outcome) = done.open(&self.desk.mint)?;
                match self.stage {
                    Stage::TakingOld(request) if request == answered => {
                        let now = self.desk.clock.advance(now);
                        self.old_taken(now, outcome);
                    }
                    Stage::TakingNew { request, old } if request == answered => {
                        let now = self.desk.clock.advance(now);
                        self.new_taken(now, &old, outcome);
                    }
                    Stage::TakingOld(_)
                    | Stage::TakingNew { .. }
                    | Stage::Sealing { .. }
                    | Stage::SealingAgain { .. }
                    | Stage::Arriving { .. }
                    | Stage::Over => return Err(UnknownRequest.into()),
                }
            }
            VmCompletion::WriteRecord(done) => {
                let (answered, outcome) = done.open(&self.desk.mint)?;
                let open = match self.stage {
                    Stage::Sealing { request, .. }
                    | Stage::SealingAgain { request, .. }
                    | Stage::Arriving { request, .. } => Some(request),
                    Stage::TakingOld(_) | Stage::TakingNew { .. } | Stage::Over => None,
                };
                expect_open(open == Some(answered))?;
                let now = self.desk.clock.advance(now);
                self.written(now, self.stage, outcome);
            }
            VmCompletion::ShareLock(_) | VmCompletion::Start(_) | VmCompletion::Stop(_) => {
                return Err(UnknownRequest.into());
            }
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.desk.clock.advance(now);
        if now < self.config.not_after {
            return;
        }
        match self.stage {
            Stage::TakingOld(_) => self.abandon_old(MoveEnded::Expired),
            Stage::TakingNew { .. } => self.abandon(MoveEnded::Expired),
            Stage::Sealing { .. } | Stage::SealingAgain { .. } | Stage::Arriving { .. } => {
                self.abandon(MoveEnded::InDoubt(StorageFault::Unknown));
            }
            Stage::Over => {}
        }
    }

    fn poll_output(&mut self) -> Option<JobOutput<MoveEnded>> {
        self.desk.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.desk.deadline(self.is_over(), "end of a move to another home")
    }
}
