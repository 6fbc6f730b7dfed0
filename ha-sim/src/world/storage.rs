//! What agents ask of the datastore.

use bytes::Bytes;
use ha_agent::Input;
use ha_core::operation::{LockOutcome, LookOutcome, ReadReply};
use ha_core::{HostId, Instant, StorageCompletion, StorageRequest};

use super::{Happening, STORAGE_DELAY, World};
use crate::datastore::Locker;

impl World {
    pub(super) fn storage(&mut self, host: HostId, request: StorageRequest) {
        let locker = Locker::Agent(host);
        if self.agent(host).is_none() {
            return;
        }
        let stalled = self.faults.stalled_writes.get(&host).map(|until| until.since(self.now));
        if let (Some(span), StorageRequest::Write { .. }) = (stalled, &request)
            && !span.is_zero()
        {
            return self.after(span, Happening::Storage(host, request));
        }
        let late = |not_after: Instant| self.now > not_after;
        let done = match request {
            StorageRequest::Write { token, not_after, .. } if late(not_after) => {
                StorageCompletion::Write(token.complete(Err(ha_core::StorageFault::Expired)))
            }
            StorageRequest::Write { token, file, offset, bytes, .. } => {
                StorageCompletion::Write(token.complete(self.datastore.write(&file, offset, &bytes)))
            }
            StorageRequest::Read { token, file, offset, length, .. } => {
                let bytes = self.datastore.read(&file, offset, length);
                let started = self.now.before(STORAGE_DELAY);
                let reply = bytes.map(|bytes: Bytes| ReadReply { bytes, started });
                StorageCompletion::Read(token.complete(reply))
            }
            StorageRequest::Lock { token, not_after, .. } if late(not_after) => {
                StorageCompletion::Lock(token.complete(LockOutcome::Expired))
            }
            StorageRequest::Lock { token, file, .. } => {
                let granted = self.datastore.lock(&file, locker);
                let outcome = if granted { LockOutcome::Granted } else { LockOutcome::Held };
                StorageCompletion::Lock(token.complete(outcome))
            }
            StorageRequest::Unlock { file } => {
                self.datastore.unlock(&file, locker);
                return;
            }
            StorageRequest::LookAtLock { token, file } => {
                let started = self.now.before(STORAGE_DELAY);
                let held = self.datastore.is_locked(&file);
                let outcome = if held { LookOutcome::Held } else { LookOutcome::Free { started } };
                StorageCompletion::LookAtLock(token.complete(outcome))
            }
        };
        self.happen(Happening::Tell(host, Input::Storage(done)));
    }
}
