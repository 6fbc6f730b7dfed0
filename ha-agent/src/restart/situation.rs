use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use ha_core::{Capability, DatastoreId, HostId, HostState, Instant, RunningVm, Term, VmUuid};
use ha_heartbeat::HostMonitor;

use crate::epochs::KnownEpochs;
use crate::inventory::{Inventory, PeerInventories};
use crate::placement::Candidate;

/// The master's picture at one moment.
pub(crate) struct Situation<'a> {
    pub(crate) now: Instant,
    pub(crate) me: HostId,
    pub(crate) term: Term,
    pub(crate) monitor: &'a HostMonitor,
    pub(crate) own: &'a Inventory,
    pub(crate) peers: &'a PeerInventories,
    pub(crate) epochs: &'a KnownEpochs,
    /// Hosts of which each virtual machine's lock decides.
    pub(crate) lock_decides: &'a BTreeSet<HostId>,
    /// What each datastore is worth now.
    pub(crate) capabilities: &'a BTreeMap<DatastoreId, Capability>,
    /// Datastores whose lists this host has.
    pub(crate) owned: &'a BTreeSet<DatastoreId>,
    /// Hosts that a control stream can reach.
    pub(crate) reachable: &'a BTreeSet<HostId>,
}

impl Situation<'_> {
    /// The live host whose inventory lists this virtual machine.
    pub(crate) fn live(&self, vm: VmUuid) -> Option<(HostId, &RunningVm)> {
        if let Some(running) = self.own.get(vm) {
            return Some((self.me, running));
        }
        self.reachable
            .iter()
            .filter(|host| self.monitor.state(**host) == Some(HostState::Running))
            .find_map(|host| self.peers.get(*host)?.get(vm).map(|running| (*host, running)))
    }

    /// Who could take a virtual machine: this host and every running slave whose inventory is complete.
    pub(crate) fn candidates(&self, busy: &BTreeMap<HostId, usize>, per_host: usize) -> Vec<Candidate> {
        let candidate = |host: HostId, inventory: &Inventory| {
            let busy = busy.get(&host).copied().unwrap_or(0);
            let free_slots = per_host.saturating_sub(busy);
            inventory.complete().then(|| Candidate { host, load: inventory.len() + busy, free_slots })
        };
        let slaves = self
            .reachable
            .iter()
            .filter(|host| self.monitor.state(**host) == Some(HostState::Running))
            .filter_map(|host| candidate(*host, self.peers.get(*host)?));
        candidate(self.me, self.own).into_iter().chain(slaves).collect()
    }
}
