use alloc::format;
use alloc::string::String;

use ha_core::takeover::StopProof;
use ha_core::{HostId, HostState, Instant, VmEpoch};
use ha_datastore::format::{VmLockRecord, VmLockState};

use super::Situation;
use crate::inventory::Inventory;

/// What a virtual machine's lock record and the picture of its host allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is down: an order may go out that expects this epoch.
    Down { expected: VmEpoch, host: Option<HostId>, proof: Option<StopProof>, why: String },
    /// It may run where nobody can see it, or somebody else acts on it: look again.
    Wait,
    /// It is to stay off.
    Off,
    /// The record is below the epoch that is known of: its lock proves nothing, whatever it says.
    TooLow { found: VmEpoch, least: VmEpoch },
}

/// Judges a protected virtual machine that no live inventory lists (architecture 12). The record was read at
/// `read_at`; its instances have reached at least the epoch `least`.
pub(crate) fn decide(
    record: &VmLockRecord,
    read_at: Instant,
    least: VmEpoch,
    situation: &Situation<'_>,
) -> Decision {
    if record.epoch < least {
        return Decision::TooLow { found: record.epoch, least };
    }
    match record.state {
        VmLockState::Free => Decision::Down {
            expected: record.epoch,
            host: None,
            proof: Some(StopProof::FreeRecord),
            why: String::from("its lock record says free."),
        },
        VmLockState::Running { host, .. } => by_host(record, host, read_at, situation),
        VmLockState::HandingOver { .. } => Decision::Wait,
        VmLockState::Moved { .. } | VmLockState::CleanlyOff => Decision::Off,
    }
}

fn by_host(record: &VmLockRecord, host: HostId, read_at: Instant, situation: &Situation<'_>) -> Decision {
    let expected = record.epoch;
    let down =
        |proof: Option<StopProof>, why: String| Decision::Down { expected, host: Some(host), proof, why };
    let unlisted = |inventory: Option<&Inventory>, current: bool| match inventory {
        Some(inventory) if inventory.complete_for(record.vm) => down(
            // Only an inventory that still stood after the record was read proves a stop.
            current.then_some(StopProof::CompletePoweron),
            format!("{host} lives and its complete inventory does not list it."),
        ),
        Some(_) | None => Decision::Wait,
    };
    if host == situation.me {
        return unlisted(Some(situation.own), true);
    }
    let Some(verdict) = situation.monitor.verdict(host) else {
        return down(None, format!("its lock record names {host}, which is not in the host list."));
    };
    match verdict.state {
        HostState::Running => {
            unlisted(situation.peers.get(host), situation.peers.confirmed_after(host, read_at))
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
