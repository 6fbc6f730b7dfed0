use ha_core::operation::{ShareVmLock, TakeVmLock, WriteVmRecord};
use ha_core::record::Generation;
use ha_core::{
    Deadline, HolderId, Identity, Instant, MachineId, MonotonicNow, Outbox, RequestId, TokenMint, VmEpoch,
    VmId, VmRequest,
};

use crate::format::VmLockRecord;

/// Everything that a job at a lock record asks for or tells.
#[derive(Debug, PartialEq, Eq)]
pub enum JobOutput<E> {
    /// To the driver.
    Vm(VmRequest),
    /// To the parent: how the job ended. Nothing follows.
    Ended(E),
}

/// What every job at a lock record works with: its time, its requests, its outputs.
#[derive(Debug)]
pub(super) struct Desk<E> {
    pub(super) identity: Identity,
    pub(super) not_after: Instant,
    pub(super) clock: MonotonicNow,
    pub(super) outbox: Outbox<JobOutput<E>>,
    pub(super) mint: TokenMint,
}

impl<E> Desk<E> {
    pub(super) fn new(identity: Identity, machine: MachineId, not_after: Instant, now: Instant) -> Self {
        let (clock, outbox) = (MonotonicNow::new(now), Outbox::new());
        Self { identity, not_after, clock, outbox, mint: TokenMint::new(machine) }
    }

    pub(super) fn take(&mut self, holder: HolderId, vm: &VmId) -> RequestId<TakeVmLock> {
        let (token, request) = self.mint.issue();
        let (vm, not_after) = (vm.clone(), self.not_after);
        self.ask(VmRequest::TakeLock { token, holder, vm, not_after });
        request
    }

    pub(super) fn share(&mut self, holder: HolderId, vm: &VmId, epoch: VmEpoch) -> RequestId<ShareVmLock> {
        let (token, request) = self.mint.issue();
        let (vm, not_after) = (vm.clone(), self.not_after);
        self.ask(VmRequest::ShareLock { token, holder, vm, epoch, not_after });
        request
    }

    pub(super) fn write(
        &mut self,
        holder: HolderId,
        record: &VmLockRecord,
        generation: Generation,
    ) -> RequestId<WriteVmRecord> {
        let (token, request) = self.mint.issue();
        let bytes = record.seal(&self.identity, generation);
        let (offset, not_after) = (VmLockRecord::offset(generation), self.not_after);
        self.ask(VmRequest::WriteRecord { token, holder, offset, bytes, not_after });
        request
    }

    pub(super) fn abandon(&mut self, holder: HolderId) {
        self.ask(VmRequest::Abandon { holder });
    }

    pub(super) fn tell(&mut self, ended: E) {
        self.outbox.push(JobOutput::Ended(ended));
    }

    /// The deadline of a job that is or is not over.
    pub(super) fn deadline(&self, is_over: bool, reason: &'static str) -> Option<Deadline> {
        let own = (!is_over).then(|| Deadline::new(self.not_after, reason));
        self.outbox.deadline(self.clock.latest(), own)
    }

    fn ask(&mut self, request: VmRequest) {
        self.outbox.push(JobOutput::Vm(request));
    }
}
