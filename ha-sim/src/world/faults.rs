//! What can be done to a world: power, processes, network, storage, drivers.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use ha_agent::{Agent, ConfigError, Input};
use ha_core::{Acknowledged, HostId, Incarnation, Instant, VmDriverReport, VmUuid};

use super::troubles::Kind;
use super::{Happening, World, config};
use crate::datastore::Locker;
use crate::hypervisor::Hypervisor;

/// Faults that last until they are lifted.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Writes of a host that are asked for before this moment are carried out at it.
    pub(super) stalled_writes: BTreeMap<HostId, Instant>,
    /// Hosts whose driver never answers a request for a virtual machine's lock.
    pub(super) hung_launches: BTreeSet<HostId>,
    /// Hosts whose starts fail, and how long they take to.
    pub(super) failing_starts: BTreeMap<HostId, Duration>,
    /// Hosts whose network is cut: nothing in or out, streams hang.
    pub(super) cut_off: BTreeSet<HostId>,
    /// Hosts that no isolation address answers.
    pub(super) no_address: BTreeSet<HostId>,
    /// Hosts that are suspended, and since when.
    pub(super) suspended: BTreeMap<HostId, Instant>,
    /// How many planned troubles of a kind a host has now.
    pub(super) troubled: BTreeMap<(HostId, Kind), u32>,
    /// How many agents were started after the first ones.
    restarts: u64,
}

impl World {
    /// Cuts a host's power: agent, holders and virtual machines end, and their locks come free.
    pub fn power_off(&mut self, host: HostId) {
        self.kill_agent(host);
        if let Some(dead) = self.hosts.get_mut(&host) {
            dead.powered = false;
            dead.hypervisor = Hypervisor::default();
        }
        self.datastore.release_host(host);
    }

    /// Starts a host again, with a new life of its agent and no virtual machine.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] as for [`World::new`].
    pub fn boot(&mut self, host: HostId) -> Result<(), ConfigError> {
        self.faults.restarts += 1;
        let mut config = config(&self.options, host);
        config.identity.incarnation = Incarnation::new(1 + self.faults.restarts);
        config.acknowledged = self.hosts.get(&host).map_or(Acknowledged::NONE, |host| host.stored);
        let agent = Agent::new(config, self.now)?;
        if let Some(host) = self.hosts.get_mut(&host) {
            (host.powered, host.agent, host.held) = (true, Some(agent), None);
        }
        self.after(
            Duration::ZERO,
            Happening::Tell(host, Input::Driver(VmDriverReport::Complete(Vec::new()))),
        );
        Ok(())
    }

    /// Kills the agent alone: its host answers pings, and its virtual machines run on.
    pub fn kill_agent(&mut self, host: HostId) {
        if let Some(dead) = self.hosts.get_mut(&host) {
            dead.agent = None;
        }
        self.datastore.release(Locker::Agent(host));
        for end in self.network.ends_of(host) {
            self.close(end);
        }
    }

    /// Stops an agent as SIGSTOP would: its virtual machines and its locks stay, its host answers pings, and what
    /// arrives waits.
    pub fn stop_agent(&mut self, host: HostId) {
        if let Some(host) = self.hosts.get_mut(&host) {
            host.held.get_or_insert_default();
        }
    }

    /// Lets a stopped agent go on: it reads what has waited, then lets time pass.
    pub fn continue_agent(&mut self, host: HostId) {
        let held = self.hosts.get_mut(&host).and_then(|host| host.held.take());
        for happening in held.into_iter().flatten() {
            self.happen(happening);
        }
        self.tell(host, None);
    }

    /// Suspends a host as a laptop's lid would: nothing runs, and datagrams that arrive are lost.
    pub fn suspend_host(&mut self, host: HostId) {
        self.stop_agent(host);
        self.faults.suspended.insert(host, self.now);
    }

    /// Lifts [`World::suspend_host`]. The agent is told how long it was.
    pub fn resume_host(&mut self, host: HostId) {
        let Some(since) = self.faults.suspended.remove(&host) else { return };
        let gap = self.now.since(since);
        if let Some(held) = self.held(host) {
            held.retain(|happening| !matches!(happening, Happening::Tell(_, Input::Datagram(_))));
            held.insert(0, Happening::Tell(host, Input::Resumed { gap }));
        }
        self.continue_agent(host);
    }

    /// Cuts one direction of one link. Streams and pings need both, so they hang.
    pub fn cut_link(&mut self, from: HostId, to: HostId) {
        self.network.links.cut(from, to);
    }

    /// Lifts one [`World::cut_link`]. Streams that hung meanwhile break.
    pub fn mend_link(&mut self, from: HostId, to: HostId) {
        self.network.links.mend(from, to);
        if self.is_cut_somehow(from, to) {
            return;
        }
        for end in self.network.ends_of(from) {
            if self.network.other_end(end).is_some_and(|(other, _)| other == to) {
                let delay = self.network.stream_delay();
                self.after(delay, Happening::Tell(from, Input::StreamClosed(end.1)));
                self.close(end);
            }
        }
    }

    /// Ends one virtual machine as a crash would.
    pub fn crash_vm(&mut self, vm: VmUuid) {
        let Some(host) = self.runs_on(vm) else { return };
        let Some(instance) = self.hosts.get_mut(&host).and_then(|host| host.hypervisor.running.remove(&vm))
        else {
            return;
        };
        self.datastore.release(Locker::Holder(host, instance.holder));
        let report = VmDriverReport::Ended { vm, epoch: instance.epoch };
        self.after(Duration::from_millis(1), Happening::Tell(host, Input::Driver(report)));
    }

    /// Cuts a host's network, isolation addresses included. Storage stays.
    pub fn cut_off(&mut self, host: HostId) {
        self.faults.cut_off.insert(host);
    }

    /// Lifts [`World::cut_off`]. Streams that hung meanwhile break.
    pub fn reconnect(&mut self, host: HostId) {
        self.faults.cut_off.remove(&host);
        for end in self.network.ends_of(host) {
            let delay = self.network.stream_delay();
            self.after(delay, Happening::Tell(host, Input::StreamClosed(end.1)));
            self.close(end);
        }
    }

    /// Lets no write of a host be carried out before `span` is over.
    pub fn stall_writes(&mut self, host: HostId, span: Duration) {
        self.faults.stalled_writes.insert(host, self.now.after(span));
    }

    /// Lets a host's driver never answer a request for a virtual machine's lock.
    pub fn hang_launches(&mut self, host: HostId) {
        self.faults.hung_launches.insert(host);
    }

    /// Lets starts on a host fail, each after `span`.
    pub fn fail_starts(&mut self, host: HostId, span: Duration) {
        self.faults.failing_starts.insert(host, span);
    }
}
