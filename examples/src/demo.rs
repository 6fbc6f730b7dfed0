//! The manager: lays a cluster out, starts its hosts, asks for virtual machines and their protection, kills what it
//! is told to kill, and hands over what the ledgers say.
//!
//! It is a vSphere administrator's part and no more. What happens after a kill is the agents' doing alone.

use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::time::Duration;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use ha_core::{HostId, Instant, Profile, VmUuid};
use ha_datastore::fs::boot_clock;
use rustix::process::Signal;

use crate::config::{HostConfig, VmProgram};
use crate::failure::{Context, Failure};
use crate::ledger::{self, Instance};
use crate::measure::{Measured, measure};
use crate::options_file::OptionsFile;
use crate::protocol::manager::{EventLine, ManagerCommand};
use crate::role::Role;
use crate::{lines, ping, process};
use addresses::Addresses;
use errands::Errands;
use folder::Folder;
use host_process::{HostProcess, signal_process};
use layout::Layout;

pub use layout::DemoVm;
pub use observed::Observed;

pub(crate) mod addresses;
mod agent_restart;
mod errands;
pub mod folder;
pub mod hold;
mod host_process;
pub(crate) mod layout;
mod observed;

/// How often a wait looks at what only looking can tell, such as ledgers.
const LOOK: Duration = Duration::from_millis(5);

/// All is quiet when no agent has changed its role for this long.
const STEADY: Duration = Duration::from_secs(1);

/// A virtual machine runs again when its new ledger has this many entries.
const ENTRIES_OF_A_RUNNING_VM: u64 = 3;

/// Every event of every agent, one a line, in the demo's folder.
const EVENTS: &str = "events.jsonl";

/// How many lines of each host's log a failure shows.
const LOG_LINES: usize = 20;

/// What kind of cluster to start.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The executable whose hidden roles the children play; see [`crate::role`].
    pub program: PathBuf,
    /// How many hosts, 2 to 32.
    pub hosts: u32,
    /// How many virtual machines, 1 to 512.
    pub vms: u32,
    /// The timing profile.
    pub profile: Profile,
    /// The cluster's options.
    pub options: OptionsFile,
    /// Whether every early end is switched off; see [`crate::config::timing_of`].
    pub exact: bool,
    /// Whether hosts start an agent again that has ended.
    pub restart_agent: bool,
    /// Whether the first virtual machine goes to the master or to a slave; the others follow in turn.
    pub first_on: Part,
    /// Where to put everything; a temporary folder if none is given.
    pub dir: Option<PathBuf>,
    /// What virtual machines do with their lock. For tests.
    pub vm_program: VmProgram,
    /// How long a holder waits between the durable epoch and exec. For tests.
    pub hold_before_exec: Duration,
}

/// A host's part in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It follows the master.
    Slave,
    /// It is the master.
    Master,
}

impl Part {
    /// The part's name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Slave => "slave",
            Self::Master => "master",
        }
    }
}

/// How a host, or its agent, was made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillHow {
    /// The whole host was killed at once.
    Kill,
    /// The whole host was stopped, and killed later.
    Stop,
    /// Only its agent was killed.
    Agent,
}

impl KillHow {
    /// The way's name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Agent => "agent",
        }
    }
}

/// A host that was killed, or whose agent was, and what ran on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The host.
    pub host: HostId,
    /// What it was.
    pub part: Part,
    /// How it was made to fail.
    pub how: KillHow,
    /// The boot clock right before it fell silent: before the stop if it was stopped first, or else before the kill.
    pub silent_since: Instant,
    /// The boot clock right before the kill. If somebody else killed, about that moment, by when it was noticed.
    pub at: Instant,
    /// What ran on it, by name, and under which epoch.
    pub vms: Vec<(DemoVm, u64)>,
}

/// What is left of a demo that was stopped.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Every event, in the order in which they reached the manager.
    pub events: Vec<EventLine>,
    /// Every instance of each virtual machine, by uuid.
    pub instances: BTreeMap<String, Vec<Instance>>,
    /// What they amount to.
    pub measured: Measured,
}

/// A running cluster. Dropping it ends every process of it and removes its temporary folder.
///
/// The thread that starts it must outlive it: the hosts die with that thread.
#[derive(Debug)]
pub struct Demo {
    setup: Setup,
    hosts: Vec<HostProcess>,
    vms: Vec<DemoVm>,
    observed: Observed,
    events: Receiver<EventLine>,
    sender: Sender<EventLine>,
    agents: BTreeMap<HostId, SocketAddr>,
    journal: File,
    /// How many times the manager has decided what is to be protected.
    decisions: u64,
    folder: Folder,
}

impl Demo {
    /// Starts a cluster and returns when all its agents are reached.
    ///
    /// # Errors
    ///
    /// A failure that says what could not be done. Nothing is left running then.
    pub fn start(setup: Setup) -> Result<Self, Failure> {
        process::adopt_orphans().context(|| "becoming the parent of orphans".into())?;
        let run = uuid::Uuid::new_v4().simple().to_string()[..12].to_string();
        let folder = match &setup.dir {
            Some(path) => Folder::chosen(path)?,
            None => Folder::temporary(&format!("ha-failover-{run}"))?,
        };
        let Addresses { hosts, isolation, pings } = Addresses::choose(setup.hosts)?;
        let responder = thread::Builder::new().name("pings".into()).spawn(move || ping::respond(&pings));
        responder.context(|| "starting a thread".into())?;
        let layout = Layout::create(folder.path(), setup.hosts, setup.vms)?;
        let agents = hosts.iter().map(|address| (address.host, address.agent)).collect();
        let config = HostConfig {
            run,
            cluster: layout.cluster,
            host: HostId::new(0),
            profile: setup.profile,
            exact: setup.exact,
            options: setup.options.clone(),
            restart_agent: setup.restart_agent,
            key: layout::random_key()?,
            hosts,
            isolation_addresses: vec![isolation],
            datastore: layout.datastore,
            cluster_directory: layout.cluster_directory,
            vm_program: setup.vm_program,
            hold_before_exec: setup.hold_before_exec,
        };
        let journal = folder.path().join(EVENTS);
        let journal = File::create(&journal).context(|| format!("creating {}", journal.display()))?;
        let (sender, events) = channel();
        let vms = layout.vms;
        let observed = Observed::default();
        let hosts = Vec::new();
        let mut demo =
            Self { setup, hosts, vms, observed, events, sender, agents, journal, decisions: 0, folder };
        demo.start_hosts(&config)?;
        Ok(demo)
    }

    fn start_hosts(&mut self, config: &HostConfig) -> Result<(), Failure> {
        for address in &config.hosts {
            let local = self.folder.path().join(address.host.to_string());
            std::fs::create_dir(&local).context(|| format!("creating {}", local.display()))?;
            let file = HostConfig { host: address.host, ..config.clone() }.save(&local)?;
            self.hosts.push(HostProcess::start(&self.setup.program, address.host, &file, &local)?);
        }
        self.wait_for(Duration::from_secs(20), "every agent's socket", |demo| demo.reach_agents())
    }

    /// Whether the agents of all living hosts are reached. Tries once.
    fn reach_agents(&mut self) -> Result<bool, Failure> {
        let living = self.hosts.iter_mut().filter(|host| host.is_alive());
        let mut all = true;
        for host in living {
            all &= host.reach(&self.sender)?;
        }
        Ok(all)
    }

    /// Waits until the hosts have a master, starts every virtual machine, protects it, and waits until all is
    /// quiet. `progress` hears how far it is.
    ///
    /// # Errors
    ///
    /// A failure that says what did not happen in time.
    pub fn protect_all(&mut self, mut progress: impl FnMut(&str)) -> Result<(), Failure> {
        let limit = self.start_limit();
        self.wait_for(limit, "a master that all hosts follow and that owns the datastore", |demo| {
            Ok(demo.master().is_some_and(|master| demo.observed.owns(master)))
        })?;
        let master = self.master().ok_or_else(|| Failure::new("the master has gone again"))?;
        progress(&format!("{master} is master of {} hosts", self.setup.hosts));

        let mut errands = Errands::new("vm-running", "power-on-refused", 0);
        for (vm, host) in self.vms.iter().zip(self.turns(master).into_iter().cycle()) {
            errands.add(vm.id.uuid(), Some(host), ManagerCommand::PowerOn { vm: vm.id.clone() });
        }
        self.run_errands(limit, "the start of every VM", errands)?;
        progress(&format!("{} VMs run", self.vms.len()));

        self.protect(limit)?;
        progress(&format!("{} VMs are protected", self.vms.len()));
        let began = boot_clock();
        self.wait_for(limit, "a second without any change of role", |demo| {
            let changed = demo.observed.last_role_change().unwrap_or(Instant::ORIGIN);
            Ok(demo.master().is_some() && boot_clock().since(changed.max(began)) >= STEADY)
        })
    }

    /// Asks the master to protect every virtual machine until each is. A master does so only for those that it
    /// knows to run with their lock held.
    fn protect(&mut self, limit: Duration) -> Result<(), Failure> {
        self.decisions += 1;
        let told = self.observed.events().len();
        let mut errands = Errands::new("vm-protected", "command-refused", told);
        for vm in &self.vms {
            let command = ManagerCommand::Protect { vm: vm.id.clone(), version: self.decisions };
            errands.add(vm.id.uuid(), None, command);
        }
        self.run_errands(limit, "the protection of every VM", errands)
    }

    /// The hosts in the order in which virtual machines are placed.
    fn turns(&self, master: HostId) -> Vec<HostId> {
        let mut hosts: Vec<HostId> = self.hosts.iter().map(HostProcess::host).collect();
        let first = hosts.iter().position(|host| match self.setup.first_on {
            Part::Master => *host == master,
            Part::Slave => *host != master,
        });
        hosts.rotate_left(first.unwrap_or(0));
        hosts
    }

    fn run_errands(&mut self, limit: Duration, what: &str, mut errands: Errands) -> Result<(), Failure> {
        self.wait_for(limit, what, |demo| {
            let master = demo.master();
            for (host, command) in errands.turn(boot_clock(), demo.observed.events(), master) {
                demo.process_of(host)?.command(&command);
            }
            Ok(errands.is_empty())
        })
    }

    /// How long any step of the start may take.
    fn start_limit(&self) -> Duration {
        let forming = match self.setup.profile {
            Profile::Swift => Duration::from_secs(30),
            Profile::Vsphere => Duration::from_secs(120),
        };
        forming + Duration::from_millis(500) * self.setup.vms
    }

    /// The master that all living hosts agree on.
    #[must_use]
    pub fn master(&self) -> Option<HostId> {
        self.observed.master_of_all(self.living())
    }

    /// The slave with the lowest number on which a virtual machine runs.
    #[must_use]
    pub fn slave_with_vms(&self) -> Option<HostId> {
        let master = self.master()?;
        self.living().find(|host| *host != master && !self.vms_of(*host).is_empty())
    }

    /// The hosts that were not killed.
    pub fn living(&self) -> impl Iterator<Item = HostId> {
        self.hosts.iter().filter(|host| host.is_alive()).map(HostProcess::host)
    }

    /// Every virtual machine.
    #[must_use]
    pub fn vms(&self) -> &[DemoVm] {
        &self.vms
    }

    /// The virtual machines that were last said to run on `host`, each with its epoch.
    #[must_use]
    pub fn vms_of(&self, host: HostId) -> Vec<(DemoVm, u64)> {
        let there = self.vms.iter().filter_map(|vm| {
            let (on, epoch) = self.observed.running(vm.id.uuid())?;
            (on == host).then(|| (vm.clone(), epoch))
        });
        there.collect()
    }

    /// What the agents have told so far.
    #[must_use]
    pub const fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Where the agent of `host` receives datagrams and accepts streams.
    #[must_use]
    pub fn agent_address(&self, host: HostId) -> Option<SocketAddr> {
        self.agents.get(&host).copied()
    }

    /// Everything of this cluster lies below here.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Every instance of a virtual machine so far, by its ledgers.
    ///
    /// # Errors
    ///
    /// A failure if a ledger cannot be read.
    pub fn instances_of(&self, vm: &DemoVm) -> Result<Vec<Instance>, Failure> {
        ledger::read_all(&vm.home)
    }

    /// Kills every process of a host at once.
    ///
    /// # Errors
    ///
    /// A failure if there is no such host, or the system refuses.
    pub fn kill_host(&mut self, host: HostId) -> Result<Kill, Failure> {
        self.pump(Duration::ZERO);
        let kill = self.kill_of(host, KillHow::Kill);
        self.end_host(host)?;
        Ok(kill)
    }

    /// Stops every process of a host at once, lets the cluster go on for `span`, and then kills them.
    ///
    /// # Errors
    ///
    /// A failure if there is no such host, the system refuses, or another host ends meanwhile.
    pub fn stop_and_kill_host(&mut self, host: HostId, span: Duration) -> Result<Kill, Failure> {
        self.pump(Duration::ZERO);
        let kill = self.kill_of(host, KillHow::Stop);
        self.process_of(host)?.stop()?;
        self.go_on_for(span)?;
        let at = boot_clock();
        self.end_host(host)?;
        Ok(Kill { at, ..kill })
    }

    /// What a kill of `host` right now would hit.
    fn kill_of(&self, host: HostId, how: KillHow) -> Kill {
        let part = if self.master() == Some(host) { Part::Master } else { Part::Slave };
        let vms = self.vms_of(host);
        let at = boot_clock();
        Kill { host, part, how, silent_since: at, at, vms }
    }

    fn end_host(&mut self, host: HostId) -> Result<(), Failure> {
        let process = self.process_of(host)?;
        process.kill()?;
        process.reap()
    }

    /// Sends a signal to a host's agent, and to nothing else of it.
    ///
    /// # Errors
    ///
    /// A failure if there is no such host, or the system refuses.
    pub fn signal_agent(&mut self, host: HostId, signal: Signal) -> Result<(), Failure> {
        self.process_of(host)?.signal(Role::Agent, signal)
    }

    /// Kills the latest instance of a virtual machine. When.
    ///
    /// # Errors
    ///
    /// A failure if it has none, or the system refuses.
    pub fn kill_vm(&self, vm: &DemoVm) -> Result<Instant, Failure> {
        let instances = self.instances_of(vm)?;
        let latest = instances.last().ok_or_else(|| Failure::new(format!("{} never ran", vm.name)))?;
        let at = boot_clock();
        signal_process(latest.instance, Signal::KILL)?;
        Ok(at)
    }

    /// Waits until each virtual machine runs under a later epoch than the one given with it, by its ledgers.
    ///
    /// # Errors
    ///
    /// A failure if one does not within `limit`.
    pub fn wait_until_restarted(&mut self, vms: &[(DemoVm, u64)], limit: Duration) -> Result<(), Failure> {
        let mut waiting = vms.to_vec();
        let what = format!("a later instance of each of {} VMs", vms.len());
        self.wait_for(limit, &what, |demo| {
            let mut down = Vec::new();
            for (vm, epoch) in waiting.drain(..) {
                let instances = demo.instances_of(&vm)?;
                let runs = |instance: &Instance| {
                    instance.epoch > epoch && instance.entries >= ENTRIES_OF_A_RUNNING_VM
                };
                if !instances.iter().any(runs) {
                    down.push((vm, epoch));
                }
            }
            waiting = down;
            Ok(waiting.is_empty())
        })
    }

    /// Lets the cluster go on for `span`, and fails if a host ends by itself meanwhile.
    ///
    /// # Errors
    ///
    /// A failure that names the host.
    pub fn go_on_for(&mut self, span: Duration) -> Result<(), Failure> {
        let until = boot_clock().after(span);
        self.wait_for(span + LOOK * 10, "the time to pass", |_| Ok(boot_clock() >= until))
    }

    /// Waits until `happened` says yes.
    ///
    /// # Errors
    ///
    /// A failure if it does not within `limit`, if it fails itself, or if a host ends by itself.
    pub fn wait_for(
        &mut self,
        limit: Duration,
        what: &str,
        mut happened: impl FnMut(&mut Self) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let until = boot_clock().after(limit);
        loop {
            self.pump(LOOK);
            if happened(self)? {
                return Ok(());
            }
            for host in &self.hosts {
                if host.is_alive() && host.has_ended()? {
                    return Err(self.with_logs(&format!("{} has ended by itself", host.host())));
                }
            }
            if boot_clock() >= until {
                return Err(self.with_logs(&format!("waited {} s for {what}", limit.as_secs())));
            }
        }
    }

    /// Stops everything and measures.
    ///
    /// # Errors
    ///
    /// A failure if the ledgers cannot be read or the processes cannot be ended.
    pub fn finish(mut self) -> Result<Finished, Failure> {
        self.pump(Duration::ZERO);
        let stopped = boot_clock();
        self.end()?;
        let mut instances = BTreeMap::new();
        for vm in &self.vms {
            instances.insert(vm.id.uuid().to_string(), self.instances_of(vm)?);
        }
        let protected = self.observed.protected().iter().map(VmUuid::to_string).collect();
        let measured = measure(&instances, &protected, stopped.as_nanos());
        Ok(Finished { events: self.observed.events().to_vec(), instances, measured })
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.hosts.iter_mut().try_for_each(HostProcess::kill)?;
        self.hosts.iter_mut().try_for_each(HostProcess::reap)
    }

    fn process_of(&mut self, host: HostId) -> Result<&mut HostProcess, Failure> {
        let found = self.hosts.iter_mut().find(|process| process.host() == host);
        found.ok_or_else(|| Failure::new(format!("there is no {host}")))
    }

    /// Takes in what the agents tell, for at most `span`, and returns early when they told something.
    fn pump(&mut self, span: Duration) {
        let mut wait = span;
        loop {
            match self.events.recv_timeout(wait) {
                Ok(line) => {
                    // For people who look into a kept folder. Nothing depends on it.
                    lines::send(&mut self.journal, &line).ok();
                    self.observed.take_in(line);
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
            wait = Duration::ZERO;
        }
    }

    fn with_logs(&self, what: &str) -> Failure {
        let logs = self.hosts.iter().flat_map(|host| host.log_tail(LOG_LINES));
        Failure::new(logs.fold(what.to_string(), |text, line| format!("{text}\n  {line}")))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Err(failure) = self.end() {
            eprintln!("{failure}");
        }
    }
}
