//! The monitor of hosts: its requests go out, its verdicts reach election and restarts.

use ha_core::operation::Ping;
use ha_core::{Completion, HostId, HostState, Instant, Machine, Strength, Verdict};
use ha_election::Input as ElectionInput;
use ha_heartbeat::{Event as MonitorEvent, Input as MonitorInput, Output as MonitorOutput};
use ha_isolation::Input as IsolationInput;

use super::{Agent, Rejected, lane};
use crate::{Event, Output, PingTarget};

impl Agent {
    pub(super) fn on_ping(&mut self, now: Instant, done: Completion<Ping>) -> Result<(), Rejected> {
        let identity = self.config.identity;
        let machine = done.machine();
        if (machine.host, machine.incarnation) != (identity.host, identity.incarnation) {
            return Err(ha_core::UnknownRequest.into());
        }
        let known = match machine.lane {
            lane::MONITOR => self.monitor.handle_input(now, MonitorInput::Pinged(done)).is_ok(),
            lane::ISOLATION => self.isolation.handle_input(now, IsolationInput::Pinged(done)).is_ok(),
            _ => false,
        };
        if known { Ok(()) } else { Err(ha_core::UnknownRequest.into()) }
    }

    pub(super) fn drain_monitor(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(output) = self.monitor.poll_output() {
            moved = true;
            match output {
                MonitorOutput::Ping { token, host, timeout } => {
                    self.outbox.push(Output::Ping { token, target: PingTarget::Host(host), timeout });
                }
                MonitorOutput::Storage(request) => self.outbox.push(Output::Storage(request)),
                MonitorOutput::WatchDatastores { host, datastores } => {
                    for datastore in datastores {
                        if let Some(unit) = self.units.get_mut(&datastore) {
                            unit.watch(now, host);
                        }
                    }
                }
                MonitorOutput::UnwatchDatastores { host } => {
                    for unit in self.units.values_mut() {
                        unit.unwatch(now, host);
                    }
                }
                MonitorOutput::Event(event) => self.on_monitor_event(now, event),
            }
        }
        moved
    }

    fn on_monitor_event(&mut self, now: Instant, event: MonitorEvent) {
        match event {
            MonitorEvent::Suspected { host, .. } => self.event(Event::Suspected { host }),
            MonitorEvent::Judged(verdict) => self.on_verdict(now, verdict),
            // Below F3 the operator is asked for each virtual machine, when its record is judged.
            MonitorEvent::LockDecides { host } | MonitorEvent::OperatorDecides { host } => {
                self.lock_decides.insert(host);
                self.dirty = true;
                self.restarts.hurry(now);
            }
            MonitorEvent::NewBoot { .. } | _ => {}
        }
    }

    fn on_verdict(&mut self, now: Instant, verdict: Verdict) {
        let host = verdict.host;
        match verdict.state {
            HostState::Running => {
                self.lock_decides.remove(&host);
                let result = self.election.handle_input(now, ElectionInput::HostAlive { host });
                self.refuse_inside(result);
            }
            HostState::Failed => {
                if verdict.strength == Strength::Strong {
                    // Against the master this starts an election; against others it ends the wait for them.
                    let result = self.election.handle_input(now, ElectionInput::HostDead { host });
                    self.refuse_inside(result);
                }
                self.restarts.on_host_gone(now, host);
            }
            HostState::Isolated | HostState::Partitioned | HostState::AgentDown | HostState::Unknown => {
                self.restarts.on_host_gone(now, host);
            }
        }
        self.dirty = true;
        self.restarts.hurry(now);
        self.event(Event::Judged(verdict));
    }

    /// Makes the monitor watch exactly these hosts; timers of hosts that stay are kept.
    pub(super) fn watch_only(&mut self, now: Instant, hosts: &[HostId]) {
        let gone: alloc::vec::Vec<_> =
            self.watched.iter().copied().filter(|host| !hosts.contains(host)).collect();
        for host in gone {
            self.watched.remove(&host);
            self.lock_decides.remove(&host);
            let result = self.monitor.handle_input(now, MonitorInput::Unwatch { host });
            self.refuse_inside(result);
        }
        for host in hosts.iter().copied() {
            if self.watched.insert(host) {
                let datastores = self.heartbeat_datastores();
                let heard = self.heard.get(&host).map(|heard| heard.at);
                let result = self.monitor.handle_input(now, MonitorInput::Watch { host, datastores, heard });
                self.refuse_inside(result);
            }
        }
    }
}
