use alloc::vec;

use ha_core::operation::{LookAtLock, Ping};
use ha_core::{
    Capability, Completion, DatastoreId, HostId, HostState, Identity, Instant, Machine, MachineId,
    StorageRequest, Strength, TimingPlan,
};
use ha_election::Input as ElectionInput;
use ha_heartbeat::{Config, Event, HostMonitor, Input, Output};

use super::Act;

/// A slave's own monitor of its master, for strong evidence of its end (architecture 10).
///
/// It watches one host, and judges by pings and by the lock of its heartbeat file. That file's content, and what a
/// master knows of its slaves, is left to the whole agents.
#[derive(Debug)]
pub(super) struct Watch {
    monitor: HostMonitor,
    master: Option<HostId>,
}

/// What comes of the monitor's outputs.
pub(super) enum Finding<F> {
    /// For the world.
    Act(Act<F>),
    /// For the election.
    Election(ElectionInput),
}

impl Watch {
    /// `None` if the plan knows no strong evidence: the monitor then says nothing that an election heeds.
    pub(super) fn new(now: Instant, identity: Identity, plan: &TimingPlan) -> Option<Self> {
        plan.declared_strong_by_silence?;
        let Identity { host, incarnation, .. } = identity;
        let config = Config { machine: MachineId { host, incarnation, lane: 1 }, plan: *plan };
        Some(Self { monitor: HostMonitor::new(config, now), master: None })
    }

    /// A master was found, by a frame of it that came now. One that is lost is watched on until there is another.
    pub(super) fn master(&mut self, now: Instant, master: HostId) {
        if self.master == Some(master) {
            return;
        }
        if let Some(host) = self.master.replace(master) {
            self.give(now, Input::Unwatch { host });
        }
        let datastores = vec![(DatastoreId::new(1), Capability::SAME_KERNEL)];
        self.give(now, Input::Watch { host: master, datastores, heard: Some(now) });
    }

    /// A frame came that echoes this host.
    pub(super) fn heard(&mut self, now: Instant, from: Identity) {
        let Identity { host, boot, incarnation, .. } = from;
        if self.master == Some(host) {
            self.give(now, Input::Heard { host, boot, incarnation });
        }
    }

    pub(super) fn pinged(&mut self, now: Instant, done: Completion<Ping>) {
        self.give(now, Input::Pinged(done));
    }

    pub(super) fn looked(&mut self, now: Instant, done: Completion<LookAtLock>) {
        self.give(now, Input::Looked(done));
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.monitor.handle_timeout(now);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.monitor.poll_timeout().map(|deadline| deadline.at)
    }

    pub(super) fn find<F>(&mut self) -> Option<Finding<F>> {
        while let Some(output) = self.monitor.poll_output() {
            let found = match output {
                Output::Ping { token, host, timeout } => {
                    Some(Finding::Act(Act::Pings { token, host, timeout }))
                }
                Output::Storage(StorageRequest::LookAtLock { token, file: _ }) => {
                    self.master.map(|host| Finding::Act(Act::Looks { token, host }))
                }
                Output::Event(Event::Judged(verdict)) => {
                    let host = verdict.host;
                    match (verdict.state, verdict.strength) {
                        (HostState::Running, _) => Some(Finding::Election(ElectionInput::HostAlive { host })),
                        (HostState::Failed, Strength::Strong) => {
                            Some(Finding::Election(ElectionInput::HostDead { host }))
                        }
                        _ => None,
                    }
                }
                Output::Storage(_)
                | Output::WatchDatastores { .. }
                | Output::UnwatchDatastores { .. }
                | Output::Event(_) => None,
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn give(&mut self, now: Instant, input: Input) {
        // An answer may come after its host is not watched any more; nothing has changed then.
        let _late = self.monitor.handle_input(now, input).is_err();
    }
}
