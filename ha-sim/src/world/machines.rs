//! What agents ask of the driver of virtual machines, and the world's own check of *never twice*.

use ha_agent::Input;
use ha_core::operation::{ShareOutcome, ShareVmLock, StartOutcome, StopOutcome, TakeOutcome};
use ha_core::{FileKind, FileName, HostId, Token, VmCompletion, VmRequest, VmUuid};
use ha_datastore::format::VmLockRecord;

use super::{Happening, World};
use crate::datastore::{Datastore, Locker};
use crate::hypervisor::Instance;

impl World {
    pub(super) fn vm(&mut self, id: HostId, request: VmRequest) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(&id).filter(|host| host.powered) else { return };
        let done = match request {
            VmRequest::TakeLock { .. } if self.faults.hung_launches.contains(&id) => return,
            VmRequest::Start { token, .. } if self.faults.failing_starts.contains_key(&id) => {
                let span = self.faults.failing_starts.get(&id).copied().unwrap_or_default();
                let failed = Input::Vm(VmCompletion::Start(token.complete(StartOutcome::Failed)));
                return self.after(span, Happening::Tell(id, failed));
            }
            VmRequest::TakeLock { token, holder, vm, not_after } => {
                let file = FileName::new(vm.home(), FileKind::VmLock(vm.clone()));
                let outcome = if now > not_after {
                    TakeOutcome::Expired
                } else if self.datastore.lock(&file, Locker::Holder(id, holder)) {
                    host.hypervisor.holders.insert(holder, vm);
                    locked(&self.datastore, &file)
                } else {
                    TakeOutcome::Held
                };
                VmCompletion::TakeLock(token.complete(outcome))
            }
            VmRequest::WriteRecord { token, holder, offset, bytes, not_after } => {
                let written = match host.hypervisor.holders.get(&holder) {
                    Some(_) if now > not_after => Err(ha_core::StorageFault::Expired),
                    Some(vm) => {
                        let file = FileName::new(vm.home(), FileKind::VmLock(vm.clone()));
                        self.datastore.write(&file, offset, &bytes)
                    }
                    None => Err(ha_core::StorageFault::Missing),
                };
                VmCompletion::WriteRecord(token.complete(written))
            }
            VmRequest::Start { token, holder, epoch, not_after } => {
                let outcome = match host.hypervisor.holders.remove(&holder) {
                    Some(_) if now > not_after => {
                        self.datastore.release(Locker::Holder(id, holder));
                        StartOutcome::Expired
                    }
                    Some(vm) => {
                        host.hypervisor.running.insert(vm.uuid(), Instance { epoch, holder });
                        self.watch_over(vm.uuid());
                        StartOutcome::Running
                    }
                    None => StartOutcome::HolderGone,
                };
                VmCompletion::Start(token.complete(outcome))
            }
            VmRequest::ShareLock { token, .. } => shares_nothing(token),
            VmRequest::Resume { token, .. } => VmCompletion::Start(token.complete(StartOutcome::Failed)),
            VmRequest::Abandon { holder } => {
                host.hypervisor.holders.remove(&holder);
                self.datastore.release(Locker::Holder(id, holder));
                return;
            }
            VmRequest::Stop { token, vm, .. } => {
                let outcome = match host.hypervisor.running.remove(&vm) {
                    Some(instance) => {
                        self.datastore.release(Locker::Holder(id, instance.holder));
                        StopOutcome::Stopped
                    }
                    None => StopOutcome::NotHere,
                };
                VmCompletion::Stop(token.complete(outcome))
            }
        };
        self.happen(Happening::Tell(id, Input::Vm(done)));
    }

    /// *Never twice*, by what the world itself knows.
    fn watch_over(&mut self, vm: VmUuid) {
        let running = self.hosts.values().filter(|host| host.hypervisor.running.contains_key(&vm)).count();
        if running > 1 {
            self.double_runs += 1;
        }
    }
}

/// What a holder that has the lock reports of the file.
fn locked(datastore: &Datastore, file: &FileName) -> TakeOutcome {
    let same_file = true;
    match datastore.read(file, 0, VmLockRecord::FILE) {
        Ok(record) => TakeOutcome::Locked { record, same_file, file: datastore.identity(file) },
        Err(fault) => TakeOutcome::Fault(fault),
    }
}

/// No machine migrates here yet: this hypervisor shares no lock and takes no copy in.
fn shares_nothing(token: Token<ShareVmLock>) -> VmCompletion {
    VmCompletion::ShareLock(token.complete(ShareOutcome::Fault(ha_core::StorageFault::Unsupported)))
}
