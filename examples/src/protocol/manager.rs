//! Between the manager and one agent, over the agent's Unix socket.

use ha_agent::{Command, Event};
use ha_core::{HostId, HostState, Instant, Strength, VmEpoch, VmId, VmUuid};
use serde::{Deserialize, Serialize};

use super::{nanos, vm_name};

/// The agent's socket in the host's local folder.
pub const SOCKET: &str = "agent.sock";

/// From the manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManagerCommand {
    /// Start a virtual machine on the agent's host.
    PowerOn {
        /// The virtual machine.
        #[serde(with = "vm_name")]
        vm: VmId,
    },
    /// Protect a virtual machine.
    Protect {
        /// The virtual machine.
        #[serde(with = "vm_name")]
        vm: VmId,
        /// The version of this decision.
        version: u64,
    },
}

impl From<ManagerCommand> for Command {
    fn from(command: ManagerCommand) -> Self {
        match command {
            ManagerCommand::PowerOn { vm } => Self::PowerOn { vm },
            ManagerCommand::Protect { vm, version } => {
                Self::Protect { vm, version, priority: 3, cpu_reservation_mhz: 0, memory_overhead_mb: 0 }
            }
        }
    }
}

/// One event of an agent, flattened for programs; `text` is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// When the agent raised it.
    #[serde(with = "nanos", rename = "at_ns")]
    pub at: Instant,
    /// The agent's host.
    #[serde(with = "super::text")]
    pub host: HostId,
    /// The event's stable name.
    pub code: String,
    /// The event as a sentence.
    pub text: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Detail::is_none")]
    pub detail: Detail,
}

/// The parts of an event that the manager needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Nothing that the manager acts on.
    #[default]
    None,
    /// The agent's own role changed.
    Role {
        /// The new role.
        role: String,
        /// The master it follows or is.
        master: Option<u32>,
    },
    /// A host is suspected.
    Suspected {
        /// The host's number.
        host: u32,
    },
    /// A host was judged.
    Judged {
        /// The host's number.
        host: u32,
        /// Whether the verdict is that it has failed.
        failed: bool,
        /// Whether it rests on strong evidence.
        strong: bool,
    },
    /// The agent owns the datastore.
    Owned,
    /// Something about one virtual machine.
    Vm {
        /// Its uuid.
        #[serde(with = "super::text")]
        vm: VmUuid,
        /// Its epoch, if the event names one.
        epoch: Option<u64>,
        /// Where it is to run or runs, if the event says so.
        target: Option<u32>,
    },
}

impl Detail {
    /// Whether there is nothing.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The virtual machine that the event is about.
    #[must_use]
    pub const fn vm(&self) -> Option<VmUuid> {
        match self {
            Self::Vm { vm, .. } => Some(*vm),
            Self::None | Self::Role { .. } | Self::Suspected { .. } | Self::Judged { .. } | Self::Owned => {
                None
            }
        }
    }
}

impl EventLine {
    /// The line for an event that `host`'s agent raised at `at`.
    #[must_use]
    pub fn new(at: Instant, host: HostId, event: &Event) -> Self {
        let detail = detail(event);
        Self { at, host, code: event.code().into(), text: event.to_string(), detail }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an event without detail still goes by code and sentence")]
fn detail(event: &Event) -> Detail {
    let about = |vm: VmUuid, epoch: Option<VmEpoch>, target: Option<HostId>| Detail::Vm {
        vm,
        epoch: epoch.map(VmEpoch::number),
        target: target.map(HostId::number),
    };
    match event {
        Event::RoleChanged { role, master, .. } => {
            Detail::Role { role: (*role).into(), master: master.map(HostId::number) }
        }
        Event::Suspected { host } => Detail::Suspected { host: host.number() },
        Event::Judged(verdict) => Detail::Judged {
            host: verdict.host.number(),
            failed: verdict.state == HostState::Failed,
            strong: verdict.strength == Strength::Strong,
        },
        Event::DatastoreOwned { .. } => Detail::Owned,
        Event::Protected { vm } | Event::Unprotected { vm } | Event::CommandRefused { vm, .. } => {
            about(*vm, None, None)
        }
        Event::OrderSent { vm, target, .. } | Event::OrderRefused { vm, target, .. } => {
            about(vm.uuid(), None, Some(*target))
        }
        Event::Restarted { vm, host, epoch } => about(vm.uuid(), Some(*epoch), Some(*host)),
        Event::LockTaken { vm, epoch } | Event::Running { vm, epoch } => about(vm.uuid(), Some(*epoch), None),
        Event::Ended { vm, epoch } => about(*vm, Some(*epoch), None),
        Event::PowerOnRefused { vm, .. } => about(vm.uuid(), None, None),
        Event::RunsOutsideHa { vm, host } => about(*vm, None, Some(*host)),
        Event::OperatorNeeded { vm, host } => about(vm.uuid(), None, Some(*host)),
        _ => Detail::None,
    }
}
