//! Which virtual machines run where, as far as this agent was told.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use ha_core::{HostId, RunningVm, VmEpoch, VmUuid};

use crate::control::{InventoryEntry, InventoryReport};

/// The inventory of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    generation: u64,
    complete: bool,
    vms: BTreeMap<VmUuid, RunningVm>,
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
        }
    }
}

impl From<InventoryReport> for Inventory {
    fn from(report: InventoryReport) -> Self {
        let vms = report.vms.into_iter().map(|entry| {
            let running = RunningVm { vm: entry.vm, epoch: entry.epoch, holds_lock: entry.holds_lock };
            (running.vm.uuid(), running)
        });
        Self { generation: report.generation, complete: report.complete, vms: vms.collect() }
    }
}

/// The inventories that slaves reported to this master.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerInventories {
    hosts: BTreeMap<HostId, Inventory>,
}

impl PeerInventories {
    pub(crate) fn set(&mut self, host: HostId, inventory: Inventory) {
        self.hosts.insert(host, inventory);
    }

    /// What was reported on a broken stream may have changed since.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.hosts.remove(&host);
    }

    pub(crate) fn clear(&mut self) {
        self.hosts.clear();
    }

    pub(crate) fn get(&self, host: HostId) -> Option<&Inventory> {
        self.hosts.get(&host)
    }
}
