use alloc::collections::BTreeMap;

use ha_core::{HolderId, VmEpoch, VmId, VmUuid};

/// The driver and the virtual machines of one host. It lives as long as the host, not the agent.
#[derive(Debug, Default)]
pub(crate) struct Hypervisor {
    /// Holders that have a lock and have not become a virtual machine yet.
    pub(crate) holders: BTreeMap<HolderId, VmId>,
    /// What runs, and the holder it was started from, which keeps the lock.
    pub(crate) running: BTreeMap<VmUuid, Instance>,
}

/// One running instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) epoch: VmEpoch,
    pub(crate) holder: HolderId,
}
