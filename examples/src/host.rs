//! The process that stands for one machine: it leads the process group that a kill of the host takes as a whole.
//!
//! It answers pings whether an agent runs or not, starts the launcher and the agent, and ends an agent that shows
//! no life. It starts an agent that has ended again only if the configuration says so, as a host's service manager
//! would. Without its launcher the machine is of no use and dies.

use core::time::Duration;
use std::io::{self, Read};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::thread;

use ha_datastore::fs::boot_clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;

use crate::config::{HostConfig, local_folder};
use crate::failure::{Context, Failure};
use crate::process::{OWN_EXECUTABLE, child, kill_group};
use crate::role::Role;
use crate::watchdog::Watchdog;
use crate::{launcher, ping};

/// How often the host looks at its agent, at least.
const LOOK: Duration = Duration::from_millis(500);

/// From one start of the agent to the next, at least: one that ends at once must not keep the host busy.
const RESTART_SPACING: Duration = Duration::from_secs(1);

/// Plays the host, under the configuration at `config`.
///
/// # Errors
///
/// A failure if it cannot begin or cannot go on; the manager sees its end.
pub fn run(config: &Path) -> Result<(), Failure> {
    let host = HostConfig::load(config)?;
    let address = host.own()?.ping;
    let pings = UdpSocket::bind(address).context(|| format!("binding {address} for pings"))?;
    let responder = thread::Builder::new().name("pings".into()).spawn(move || ping::respond(&pings));
    responder.context(|| "starting a thread".into())?;
    let (_launcher, mut launcher_says) = start(config, Role::Launcher)?;
    let mut ready = [0; launcher::READY.len()];
    launcher_says.read_exact(&mut ready).context(|| "waiting for the launcher".into())?;
    let died = watch(&host, config, launcher_says);
    // Whatever the reason: a machine without its hypervisor's driver is dead, with all that ran on it.
    kill_group(getpgrp()).context(|| "ending the whole host".into())?;
    died
}

/// Starts a child of the same process group and writes down its process number.
fn start(config: &Path, role: Role) -> Result<(Child, ChildStdout), Failure> {
    let mut process = child(Path::new(OWN_EXECUTABLE), role.word(), config);
    let process = process.stdout(Stdio::piped()).spawn();
    let mut process = process.context(|| format!("starting the {}", role.word()))?;
    let says = process.stdout.take().ok_or_else(|| Failure::new("a child without standard output"))?;
    let file = local_folder(config).join(format!("{}.pid", role.word()));
    std::fs::write(&file, process.id().to_string()).context(|| format!("writing {}", file.display()))?;
    Ok((process, says))
}

/// Starts the agent and watches over it until the launcher ends.
fn watch(host: &HostConfig, config: &Path, launcher: ChildStdout) -> Result<(), Failure> {
    let limit = host.timing()?.agent_watchdog;
    let mut launcher = Some(launcher);
    let (mut agent, says) = start(config, Role::Agent)?;
    let mut agent_says = Some(says);
    let mut started = boot_clock();
    let mut watchdog = Watchdog::new(limit, LOOK, started);
    while launcher.is_some() {
        wait([launcher.as_ref(), agent_says.as_ref()]).context(|| "watching over the agent".into())?;
        hear(&mut launcher)?;
        let agent_lived = agent_says.is_some();
        let sign = hear(&mut agent_says)?;
        let now = boot_clock();
        if agent_lived && agent_says.is_none() {
            agent.wait().context(|| "reaping the agent".into())?;
            eprintln!("host: the agent has ended");
        } else if watchdog.look(now, sign) && agent_says.is_some() {
            eprintln!("host: the agent shows no life and is ended");
            agent.kill().context(|| "ending the agent".into())?;
        }
        if host.restart_agent && agent_says.is_none() && now.since(started) >= RESTART_SPACING {
            eprintln!("host: the agent is started again");
            let (process, says) = start(config, Role::Agent)?;
            (agent, agent_says, started) = (process, Some(says), now);
            watchdog = Watchdog::new(limit, LOOK, now);
        }
    }
    Err(Failure::new("the launcher has ended"))
}

/// Waits until a child speaks or ends, or until it is time to look.
fn wait(children: [Option<&ChildStdout>; 2]) -> io::Result<()> {
    let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
    let mut children: Vec<PollFd<'_>> = children
        .into_iter()
        .flatten()
        .map(|child| PollFd::from_borrowed_fd(child.as_fd(), PollFlags::IN))
        .collect();
    match poll(&mut children, Some(&limit)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads what a child has written, if anything. Whether it wrote something; `None` stays behind if it has ended.
fn hear(child: &mut Option<ChildStdout>) -> Result<bool, Failure> {
    let Some(open) = child else { return Ok(false) };
    let mut descriptors = [PollFd::new(open, PollFlags::IN)];
    let ready = poll(&mut descriptors, Some(&Timespec::default())).context(|| "looking at a child".into())?;
    if ready == 0 {
        return Ok(false);
    }
    let length = open.read(&mut [0; 4096]).context(|| "hearing a child".into())?;
    if length == 0 {
        *child = None;
    }
    Ok(length > 0)
}
