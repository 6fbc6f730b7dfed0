//! A running cluster, described for whoever wants to kill a part of it, and the wait for that kill.

use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;

use ha_core::HostId;
use ha_datastore::fs::boot_clock;
use serde::Serialize;

use super::{Demo, EVENTS, Kill, KillHow, LOOK, Part};
use crate::failure::{Context, Failure};
use crate::role::Role;

/// When an agent ends, its host may be ending too, and a kernel under load takes its time over a whole group.
const WHOLE_HOST: Duration = Duration::from_millis(250);

/// How late a kill by others is noticed, about. Agents see it at the same moment, so to count from the notice would
/// leave out what they said first.
const NOTICED_LATE: Duration = Duration::from_millis(10);

/// The processes, roles, addresses and paths of a running cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The master.
    pub master: Option<String>,
    /// Every living host.
    pub hosts: Vec<StandingHost>,
    /// Everything of the cluster lies below here.
    pub dir: PathBuf,
    /// The file of all events of all agents.
    pub events: PathBuf,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StandingHost {
    /// The host.
    pub host: String,
    /// `slave` or `master`.
    pub role: &'static str,
    /// Its own process, which leads the process group: `kill -KILL -- -<pid>` is the end of the whole host.
    pub pid: u32,
    /// Its agent.
    pub agent_pid: u32,
    /// Its launcher of virtual machines.
    pub launcher_pid: u32,
    /// Where its agent receives datagrams and accepts streams.
    pub address: Option<SocketAddr>,
    /// Its local folder, with its log.
    pub dir: PathBuf,
    /// What runs on it.
    pub vms: Vec<StandingVm>,
}

/// One virtual machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StandingVm {
    /// Its name.
    pub name: String,
    /// Its uuid.
    pub uuid: String,
    /// Its process.
    pub pid: u32,
    /// The epoch under which it runs.
    pub epoch: u64,
    /// Its folder on the datastore, with its ledgers.
    pub home: PathBuf,
}

impl Standing {
    /// The description as one JSON object on one line.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Demo {
    /// Describes the cluster as it is.
    ///
    /// # Errors
    ///
    /// A failure if a process number or a ledger cannot be read.
    pub fn standing(&mut self) -> Result<Standing, Failure> {
        self.pump(Duration::ZERO);
        let hosts: Result<Vec<StandingHost>, Failure> =
            self.living().map(|host| self.standing_host(host)).collect();
        Ok(Standing {
            master: self.master().map(|master| master.to_string()),
            hosts: hosts?,
            dir: self.folder().into(),
            events: self.folder().join(EVENTS),
        })
    }

    fn standing_host(&self, host: HostId) -> Result<StandingHost, Failure> {
        let process = self.hosts.iter().find(|process| process.host() == host);
        let process = process.ok_or_else(|| Failure::new(format!("there is no {host}")))?;
        let mut vms = Vec::new();
        for (vm, epoch) in self.vms_of(host) {
            let instances = self.instances_of(&vm)?;
            let latest = instances.last().ok_or_else(|| Failure::new(format!("{} never ran", vm.name)))?;
            let uuid = vm.id.uuid().to_string();
            vms.push(StandingVm { name: vm.name, uuid, pid: latest.instance, epoch, home: vm.home });
        }
        let part = if self.master() == Some(host) { Part::Master } else { Part::Slave };
        Ok(StandingHost {
            host: host.to_string(),
            role: part.word(),
            pid: u32::try_from(process.leader().as_raw_nonzero().get())
                .context(|| "a process number".into())?,
            agent_pid: process.number_of(Role::Agent)?,
            launcher_pid: process.number_of(Role::Launcher)?,
            address: self.agent_address(host),
            dir: process.local().into(),
            vms,
        })
    }

    /// Lets the cluster go on until somebody else kills a host or an agent, or until `limit`. What was killed, and
    /// if it was a host, nothing of its group is left. A stop before the kill goes unnoticed: times count from the
    /// kill.
    ///
    /// # Errors
    ///
    /// A failure if the system refuses to tell how the processes are.
    pub fn hold(&mut self, limit: Option<Duration>) -> Result<Option<Kill>, Failure> {
        let until = limit.map(|limit| boot_clock().after(limit));
        let mut master = None;
        while until.is_none_or(|until| boot_clock() < until) {
            // As it is before anybody reacts to a kill that the next look will find.
            master = self.master().or(master);
            self.pump(LOOK);
            for host in &self.hosts {
                if host.is_alive() && (host.agent_has_ended() || host.has_ended()?) {
                    return self.killed_by_others(host.host(), master).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn killed_by_others(&mut self, host: HostId, master: Option<HostId>) -> Result<Kill, Failure> {
        let noticed = boot_clock();
        let (at, until) = (noticed.before(NOTICED_LATE), noticed.after(WHOLE_HOST));
        while !self.process_of(host)?.has_ended()? && boot_clock() < until {
            self.pump(LOOK);
        }
        let whole = self.process_of(host)?.has_ended()?;
        let part = if master == Some(host) { Part::Master } else { Part::Slave };
        let how = if whole { KillHow::Kill } else { KillHow::Agent };
        let kill = Kill { host, part, how, silent_since: at, at, vms: self.vms_of(host) };
        if whole {
            self.end_host(host)?;
        } else {
            self.agent_ended(host)?;
        }
        Ok(kill)
    }
}
