use std::fs::File;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use ha_core::HostId;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::failure::{Context, Failure};
use crate::lines::{self, Lines};
use crate::local_socket;
use crate::process::{child, kill_group, pid, reap_group, signal_group};
use crate::protocol::manager::{EventLine, ManagerCommand, SOCKET};
use crate::role::Role;

/// One host of the demo, as the manager sees it: a process group, and a socket to its agent.
#[derive(Debug)]
pub(super) struct HostProcess {
    host: HostId,
    local: PathBuf,
    leader: Pid,
    alive: bool,
    agent: Option<AgentLink>,
}

/// A connection to one life of a host's agent.
#[derive(Debug)]
struct AgentLink {
    stream: UnixStream,
    /// Ends with the connection, after it has passed on everything that the agent said.
    reader: JoinHandle<()>,
}

impl HostProcess {
    /// Starts the host at the head of a new process group. For the main thread.
    pub(super) fn start(program: &Path, host: HostId, config: &Path, local: &Path) -> Result<Self, Failure> {
        let log = File::create(local.join("log")).context(|| format!("creating the log of {host}"))?;
        let mut command = child(program, Role::Host.word(), config);
        let process = command.process_group(0).stdout(Stdio::null()).stderr(log).spawn();
        let process = process.context(|| format!("starting {} for {host}", program.display()))?;
        Ok(Self { host, local: local.into(), leader: pid(process.id())?, alive: true, agent: None })
    }

    pub(super) const fn host(&self) -> HostId {
        self.host
    }

    pub(super) const fn is_alive(&self) -> bool {
        self.alive
    }

    /// Whether its agent is reached. Tries once, and from then on passes its events to `events`.
    pub(super) fn reach(&mut self, events: &Sender<EventLine>) -> Result<bool, Failure> {
        if self.agent.is_some() {
            return Ok(!self.agent_has_ended());
        }
        let Ok(stream) = local_socket::connect(&self.local, SOCKET) else { return Ok(false) };
        let incoming = stream.try_clone().context(|| "copying a socket".into())?;
        let events = events.clone();
        let work = move || {
            let mut lines = Lines::new(incoming);
            while let Ok(Some(line)) = lines.receive() {
                if events.send(line).is_err() {
                    return;
                }
            }
        };
        let reader = thread::Builder::new().name(self.host.to_string()).spawn(work);
        let reader = reader.context(|| "starting a thread".into())?;
        self.agent = Some(AgentLink { stream, reader });
        Ok(true)
    }

    /// Whether the agent that was reached has ended, and everything it said was passed on.
    pub(super) fn agent_has_ended(&self) -> bool {
        self.agent.as_ref().is_some_and(|agent| agent.reader.is_finished())
    }

    /// Makes [`HostProcess::reach`] try again, after the agent has ended.
    pub(super) fn forget_agent(&mut self) {
        self.agent = None;
    }

    /// Sends a command to the agent. One that has died does not hear it.
    pub(super) fn command(&mut self, command: &ManagerCommand) {
        if let Some(agent) = &mut self.agent {
            lines::send(&mut agent.stream, command).ok();
        }
    }

    /// Whether the host has ended without having been killed. It stays unreaped, so its group keeps its number.
    pub(super) fn has_ended(&self) -> Result<bool, Failure> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.leader), options).context(|| "looking at a host".into())?;
        Ok(self.alive && status.is_some())
    }

    /// Stops the whole group: none of it runs until it is killed.
    pub(super) fn stop(&self) -> Result<(), Failure> {
        signal_group(self.leader, Signal::STOP).context(|| format!("stopping {}", self.host))
    }

    /// Kills the whole group. Its end is seen by [`HostProcess::reap`].
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        if self.alive {
            kill_group(self.leader).context(|| format!("killing {}", self.host))?;
        }
        Ok(())
    }

    /// Waits until every process of the killed group has ended.
    pub(super) fn reap(&mut self) -> Result<(), Failure> {
        if self.alive {
            reap_group(self.leader).context(|| format!("waiting for the end of {}", self.host))?;
            self.alive = false;
        }
        Ok(())
    }

    /// Sends a signal to one of the host's processes.
    pub(super) fn signal(&self, role: Role, signal: Signal) -> Result<(), Failure> {
        signal_process(self.number_of(role)?, signal)
    }

    /// The process number of the host's agent or launcher.
    pub(super) fn number_of(&self, role: Role) -> Result<u32, Failure> {
        let file = self.local.join(format!("{}.pid", role.word()));
        let text = std::fs::read_to_string(&file).context(|| format!("reading {}", file.display()))?;
        text.parse().context(|| format!("reading {}", file.display()))
    }

    /// The number of the host's own process, which is that of its process group as well.
    pub(super) const fn leader(&self) -> Pid {
        self.leader
    }

    /// Where the host keeps its own files.
    pub(super) fn local(&self) -> &Path {
        &self.local
    }

    /// The last lines that the host's processes wrote to their log.
    pub(super) fn log_tail(&self, lines: usize) -> Vec<String> {
        let text = std::fs::read(self.local.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].iter().map(|line| format!("{}: {line}", self.host)).collect()
    }
}

/// Signals a process that may have ended.
pub(super) fn signal_process(number: u32, signal: Signal) -> Result<(), Failure> {
    match kill_process(pid(number)?, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context(|| format!("signalling process {number}")),
    }
}
