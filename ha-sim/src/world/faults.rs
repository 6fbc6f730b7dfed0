//! What can be done to a world: power, processes, network, storage, drivers.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use ha_agent::{Agent, ConfigError, Input};
use ha_core::{HostId, Incarnation, Instant, VmDriverReport, VmUuid};

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
