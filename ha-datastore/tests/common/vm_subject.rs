//! What the contract tests of the machines at a virtual machine's lock share.

use ha_core::contract::{Ending, Facts, Validity, stray};
use ha_core::operation::{ShareOutcome, StartOutcome, StopOutcome, TakeOutcome};
use ha_core::{Instant, Random, StorageFault, VmCompletion, VmRequest};

use super::machine;

/// How a write of the record ends; `landed` is called if it ends well.
pub(crate) fn write_outcome(
    now: Instant,
    not_after: Instant,
    ending: Ending,
    landed: impl FnOnce(),
) -> Result<(), StorageFault> {
    match ending {
        _ if now > not_after => Err(StorageFault::Expired),
        Ending::Well => {
            landed();
            Ok(())
        }
        Ending::Fault => Err(StorageFault::Unknown),
        Ending::Junk => Err(StorageFault::ReadBackDiffers),
    }
}

pub(crate) fn start_outcome(now: Instant, not_after: Instant, ending: Ending) -> StartOutcome {
    match ending {
        _ if now > not_after => StartOutcome::Expired,
        Ending::Well => StartOutcome::Running,
        Ending::Fault => StartOutcome::Failed,
        Ending::Junk => StartOutcome::HolderGone,
    }
}

pub(crate) fn vm_stray(random: &mut Random) -> VmCompletion {
    let me = machine(1, 1);
    match random.below(5) {
        0 => VmCompletion::TakeLock(stray(random, me, TakeOutcome::Held)),
        1 => VmCompletion::ShareLock(stray(random, me, ShareOutcome::NotRunning)),
        2 => VmCompletion::WriteRecord(stray(random, me, Ok(()))),
        3 => VmCompletion::Start(stray(random, me, StartOutcome::Running)),
        _ => VmCompletion::Stop(stray(random, me, StopOutcome::Stopped)),
    }
}

pub(crate) fn vm_facts(request: &VmRequest) -> Facts {
    match request {
        VmRequest::TakeLock { not_after, .. }
        | VmRequest::ShareLock { not_after, .. }
        | VmRequest::WriteRecord { not_after, .. }
        | VmRequest::Start { not_after, .. }
        | VmRequest::Resume { not_after, .. }
        | VmRequest::Stop { not_after, .. } => {
            Facts { validity: Validity::Until(*not_after), ..Facts::ASKED }
        }
        VmRequest::Abandon { .. } => Facts::TOLD,
    }
}
