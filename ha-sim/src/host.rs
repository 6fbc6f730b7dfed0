use alloc::vec::Vec;

use ha_agent::Agent;
use ha_core::Acknowledged;

use crate::hypervisor::Hypervisor;
use crate::world::Happening;

/// One host: it answers pings while it has power; its agent may be gone all the same.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) powered: bool,
    pub(crate) agent: Option<Agent>,
    /// On the host's own disk, which outlives every crash.
    pub(crate) stored: Acknowledged,
    pub(crate) hypervisor: Hypervisor,
    /// Wake-ups are numbered: only the latest counts.
    pub(crate) wake: u64,
    /// What waits for a stopped agent; `None` while it runs.
    pub(crate) held: Option<Vec<Happening>>,
}
