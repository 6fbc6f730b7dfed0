//! Which virtual machines run where, as far as this agent was told.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use ha_core::{HostId, Incarnation, Instant, RunningVm, VmEpoch, VmUuid};

use crate::control::{InventoryEntry, InventoryReport};

/// The inventory of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    generation: u64,
    complete: bool,
    vms: BTreeMap<VmUuid, RunningVm>,
    /// Being started: neither listed nor absent.
    starting: BTreeSet<VmUuid>,
}

impl Inventory {
    /// Grows with each change.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether absence from it means that a virtual machine does not run there.
    pub(crate) const fn complete(&self) -> bool {
        self.complete
    }

    /// Whether absence of this virtual machine means that it does not run there, and is not about to.
    pub(crate) fn complete_for(&self, vm: VmUuid) -> bool {
        self.complete && !self.starting.contains(&vm)
    }

    pub(crate) fn len(&self) -> usize {
        self.vms.len()
    }

    pub(crate) fn get(&self, vm: VmUuid) -> Option<&RunningVm> {
        self.vms.get(&vm)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &RunningVm> {
        self.vms.values()
    }

    /// Takes over what the driver reports as all there is.
    pub(crate) fn replace(&mut self, vms: Vec<RunningVm>) {
        self.vms = vms.into_iter().map(|running| (running.vm.uuid(), running)).collect();
        self.complete = true;
        self.changed();
    }

    /// The driver is out of reach: what was known may no longer be so.
    pub(crate) fn lose(&mut self) {
        self.complete = false;
        self.changed();
    }

    /// A start is under way.
    pub(crate) fn starting(&mut self, vm: VmUuid) {
        self.starting.insert(vm);
        self.changed();
    }

    /// A start has ended, well or not.
    pub(crate) fn settled(&mut self, vm: VmUuid) {
        if self.starting.remove(&vm) {
            self.changed();
        }
    }

    pub(crate) fn started(&mut self, running: RunningVm) {
        self.vms.insert(running.vm.uuid(), running);
        self.changed();
    }

    /// Removes the instance that ended; another instance of the same virtual machine stays.
    pub(crate) fn ended(&mut self, vm: VmUuid, epoch: VmEpoch) {
        if self.vms.get(&vm).is_some_and(|running| running.epoch == epoch) {
            self.vms.remove(&vm);
            self.changed();
        }
    }

    fn changed(&mut self) {
        self.generation = self.generation.saturating_add(1);
    }

    /// As it is told to the master.
    pub(crate) fn report(&self) -> InventoryReport {
        InventoryReport {
            generation: self.generation,
            complete: self.complete,
            vms: self.vms.values().map(InventoryEntry::from).collect(),
            starting: self.starting.iter().copied().collect(),
        }
    }
}

impl From<InventoryReport> for Inventory {
    fn from(report: InventoryReport) -> Self {
        let vms = report.vms.into_iter().map(|entry| {
            let running = RunningVm { vm: entry.vm, epoch: entry.epoch, holds_lock: entry.holds_lock };
            (running.vm.uuid(), running)
        });
        let InventoryReport { generation, complete, .. } = report;
        Self { generation, complete, vms: vms.collect(), starting: report.starting.into_iter().collect() }
    }
}

/// The inventories that slaves reported to this master.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerInventories {
    hosts: BTreeMap<HostId, Reported>,
}

#[derive(Clone, Debug)]
struct Reported {
    incarnation: Incarnation,
    inventory: Inventory,
    /// The host has said after this moment that this is what runs there.
    confirmed: Instant,
}

impl PeerInventories {
    pub(crate) fn set(
        &mut self,
        host: HostId,
        incarnation: Incarnation,
        inventory: Inventory,
        said_after: Instant,
    ) {
        self.hosts.insert(host, Reported { incarnation, inventory, confirmed: said_after });
    }

    /// A heartbeat named the generation of the host's inventory: the one that was reported, or another. It was
    /// sent after `said_after`, when the frame that it echoes was sent.
    pub(crate) fn confirm(
        &mut self,
        host: HostId,
        incarnation: Incarnation,
        generation: u64,
        said_after: Instant,
    ) {
        if let Some(reported) = self.hosts.get_mut(&host)
            && reported.incarnation == incarnation
            && reported.inventory.generation() == generation
        {
            reported.confirmed = reported.confirmed.max(said_after);
        }
    }

    /// Whether the host has said after `then` that its inventory stands as reported.
    pub(crate) fn confirmed_after(&self, host: HostId, then: Instant) -> bool {
        self.hosts.get(&host).is_some_and(|reported| reported.confirmed >= then)
    }

    /// What was reported on a broken stream may have changed since.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.hosts.remove(&host);
    }

    /// What an earlier life reported says nothing of this one.
    pub(crate) fn forget_before(&mut self, host: HostId, incarnation: Incarnation) -> bool {
        let earlier = self.hosts.get(&host).is_some_and(|reported| reported.incarnation < incarnation);
        if earlier {
            self.hosts.remove(&host);
        }
        earlier
    }

    pub(crate) fn clear(&mut self) {
        self.hosts.clear();
    }

    pub(crate) fn get(&self, host: HostId) -> Option<&Inventory> {
        self.hosts.get(&host).map(|reported| &reported.inventory)
    }
}
