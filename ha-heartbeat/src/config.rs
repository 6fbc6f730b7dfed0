use ha_core::{MachineId, TimingPlan};

/// What a [`HostMonitor`](crate::HostMonitor) is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Names the monitor in the tokens it makes; no two machines of one agent may share it.
    pub machine: MachineId,
    /// The checked spans that every judgement is made by.
    pub plan: TimingPlan,
}
