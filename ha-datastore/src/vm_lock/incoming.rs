use core::time::Duration;

use ha_core::{
    Deadline, HolderId, Identity, Instant, Machine, MachineId, MonotonicNow, Outbox, UnknownRequest,
    VmCompletion, VmEpoch, VmId,
};

use super::judge::StartExpectation;
use super::start::{Ended, Event, Input, Output, Rejected, VmLock, VmLockConfig};

/// The least time between two tries, so that a wait of zero is no endless loop.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// What the target's side of one live migration is made of.
#[derive(Clone, Debug)]
pub struct IncomingConfig {
    /// The own cluster, host, boot and life.
    pub identity: Identity,
    /// The machine's name; completions are routed by it.
    pub machine: MachineId,
    /// The holder of the first try; each further try takes the next number. None of them may be used otherwise.
    pub first_holder: HolderId,
    /// The virtual machine.
    pub vm: VmId,
    /// The epoch of the instance at the source.
    pub from: VmEpoch,
    /// Whether the datastore fences (F3, same kernel). If not, the lock is not tried before the source's word.
    pub fences: bool,
    /// From a try that found the lock held to the next; at least a millisecond passes.
    pub look_again: Duration,
    /// Nothing is begun from this moment on. The copy that came in is then to be ended.
    pub not_after: Instant,
}

/// Everything that can happen to the target's side.
#[derive(Debug)]
pub enum IncomingInput {
    /// The driver answered.
    Vm(VmCompletion),
    /// The source said, authentically and naming the epoch, that its machine has stopped. Where
    /// the datastore fences it makes no difference.
    SourceStopped,
}

#[derive(Debug)]
enum Stage {
    /// For the source's word.
    Waiting,
    Trying(VmLock),
    /// The lock was held, or storage failed; the next try is due then.
    Pausing {
        lock: VmLock,
        until: Instant,
    },
    Over,
}

/// The target's side of one live migration: wait for the lock, check that the machine was handed over to here, make
/// the next epoch durable, let the copy run.
///
/// The same sequence as [`VmLock`], tried again while the source holds the lock. However it ends, but for
/// [`Ended::Started`], the copy that came in never runs and is to be ended by the parent; while the migration can
/// still succeed nothing is told. Why this never runs beside the source: see the [module](crate::vm_lock).
#[derive(Debug)]
pub struct Incoming {
    config: IncomingConfig,
    clock: MonotonicNow,
    outbox: Outbox<Output>,
    next_holder: HolderId,
    stage: Stage,
}

impl Incoming {
    /// The target's side of a migration; the lock is tried at once where the datastore fences.
    #[must_use]
    pub fn new(config: IncomingConfig, now: Instant) -> Self {
        let mut incoming = Self {
            clock: MonotonicNow::new(now),
            outbox: Outbox::new(),
            next_holder: config.first_holder,
            stage: Stage::Waiting,
            config,
        };
        if now >= incoming.config.not_after {
            incoming.end(Ended::Expired);
        } else if incoming.config.fences {
            incoming.begin(now);
        }
        incoming
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn begin(&mut self, now: Instant) {
        let holder = self.holder();
        let IncomingConfig { identity, machine, ref vm, from, not_after, .. } = self.config;
        let expect = StartExpectation::HandedOver(from);
        let config = VmLockConfig { identity, machine, holder, vm: vm.clone(), expect, not_after };
        self.tried(now, VmLock::new(config, now));
    }

    fn holder(&mut self) -> HolderId {
        let holder = self.next_holder;
        self.next_holder = HolderId(holder.0.saturating_add(1));
        holder
    }

    /// Passes on what a try put out, and pauses after one that may be repeated. Of the others it is over.
    fn tried(&mut self, now: Instant, mut lock: VmLock) {
        while let Some(output) = lock.poll_output() {
            let Output::Event(Event::Ended(ended)) = output else {
                self.outbox.push(output);
                continue;
            };
            match ended {
                // After a fault the record says what it said, or the epoch is raised; the next try finds out.
                Ended::LockHeld | Ended::Fault(_) => {
                    let until = now.after(self.config.look_again.max(LEAST_WAIT));
                    self.stage = Stage::Pausing { lock, until };
                    return;
                }
                Ended::Started { .. }
                | Ended::Refused(_)
                | Ended::Expired
                | Ended::StartFailed { .. }
                | Ended::HolderGone { .. } => return self.end(ended),
            }
        }
        self.stage = Stage::Trying(lock);
    }

    fn end(&mut self, ended: Ended) {
        self.stage = Stage::Over;
        self.outbox.push(Output::Event(Event::Ended(ended)));
    }

    fn deadline(&self) -> Option<Deadline> {
        let end = Deadline::new(self.config.not_after, "end of a live migration");
        match &self.stage {
            Stage::Waiting => Some(end),
            Stage::Trying(lock) => lock.poll_timeout(),
            Stage::Pausing { until, .. } => {
                let again = Deadline::new(*until, "try the lock of a migrating VM again");
                Deadline::soonest([Some(again), Some(end)])
            }
            Stage::Over => None,
        }
    }
}

impl Machine for Incoming {
    type Input = IncomingInput;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: IncomingInput) -> Result<(), Rejected> {
        match (input, &mut self.stage) {
            (IncomingInput::Vm(done), Stage::Trying(lock)) => {
                lock.handle_input(now, Input::Vm(done))?;
                let now = self.clock.advance(now);
                if let Stage::Trying(lock) = core::mem::replace(&mut self.stage, Stage::Over) {
                    self.tried(now, lock);
                }
            }
            (IncomingInput::Vm(_), Stage::Waiting | Stage::Pausing { .. } | Stage::Over) => {
                return Err(UnknownRequest.into());
            }
            (IncomingInput::SourceStopped, Stage::Waiting) => {
                let now = self.clock.advance(now);
                if now < self.config.not_after {
                    self.begin(now);
                }
            }
            (IncomingInput::SourceStopped, Stage::Trying(_) | Stage::Pausing { .. } | Stage::Over) => {
                self.clock.advance(now);
            }
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        let expired = now >= self.config.not_after;
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Waiting | Stage::Pausing { .. } if expired => self.end(Ended::Expired),
            Stage::Trying(mut lock) => {
                lock.handle_timeout(now);
                self.tried(now, lock);
            }
            Stage::Pausing { mut lock, until } if until <= now => {
                let holder = self.holder();
                lock.again(now, holder);
                self.tried(now, lock);
            }
            same @ (Stage::Waiting | Stage::Pausing { .. } | Stage::Over) => self.stage = same,
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.outbox.deadline(self.clock.latest(), self.deadline())
    }
}
