use alloc::format;
use alloc::string::String;

use ha_core::takeover::StopProof;
use ha_core::{HostId, HostState, VmEpoch};
use ha_datastore::format::{VmLockRecord, VmLockState};

use super::Situation;

/// What a virtual machine's lock record and the picture of its host allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is down: an order may go out that expects this epoch.
    Down { expected: VmEpoch, host: Option<HostId>, proof: Option<StopProof>, why: String },
    /// It may run where nobody can see it, or somebody else acts on it: look again.
    Wait,
    /// It is to stay off.
    Off,
}

/// Judges a protected virtual machine that no live inventory lists (architecture 12).
pub(crate) fn decide(record: &VmLockRecord, situation: &Situation<'_>) -> Decision {
    match record.state {
        VmLockState::Free => Decision::Down {
            expected: record.epoch,
            host: None,
            proof: Some(StopProof::FreeRecord),
            why: String::from("its lock record says free."),
        },
        VmLockState::Running { host, .. } => by_host(record.epoch, host, situation),
        VmLockState::HandingOver { .. } => Decision::Wait,
        VmLockState::Moved { .. } | VmLockState::CleanlyOff => Decision::Off,
    }
}

fn by_host(expected: VmEpoch, host: HostId, situation: &Situation<'_>) -> Decision {
    let down =
        |proof: Option<StopProof>, why: String| Decision::Down { expected, host: Some(host), proof, why };
    let unlisted = |complete: bool| {
        if complete {
            down(
                Some(StopProof::CompletePoweron),
                format!("{host} lives and its complete inventory does not list it."),
            )
        } else {
            Decision::Wait
        }
    };
    if host == situation.me {
        return unlisted(situation.own.complete());
    }
    let Some(verdict) = situation.monitor.verdict(host) else {
        // Its record names a host that is no longer in the host list, or was never heard.
        return Decision::Wait;
    };
    match verdict.state {
        HostState::Running => {
            unlisted(situation.peers.get(host).is_some_and(crate::inventory::Inventory::complete))
        }
        HostState::Failed => down(super::proof_of(verdict), verdict.why()),
        HostState::AgentDown | HostState::Unknown if situation.lock_decides.contains(&host) => {
            down(None, format!("{} Its lock decides.", verdict.why()))
        }
        HostState::AgentDown | HostState::Unknown | HostState::Isolated | HostState::Partitioned => {
            Decision::Wait
        }
    }
}
