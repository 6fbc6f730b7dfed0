//! The virtual machine: a process that keeps its lock, binds its name, and writes down that it runs.
//!
//! Its standard input is the lock, its standard output the socket to the launcher.

use core::time::Duration;
use std::fs::File;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use ha_datastore::fs::boot_clock;

use crate::config::{HostConfig, VmProgram};
use crate::failure::{Context, Failure};
use crate::holder::channel::{Channel, Received};
use crate::ledger::{Ledger, Mark};
use crate::protocol::holder::{HolderCommand, HolderReply};

/// From one ledger entry to the next.
const PERIOD: Duration = Duration::from_millis(5);

/// How much less than the agents' a virtual machine's work counts.
const NICENESS: i32 = 10;

/// Plays the virtual machine that `arguments` name by uuid, config path and epoch.
///
/// # Errors
///
/// A failure if the arguments or the launcher's words are none of a demo, or the ledger cannot be written.
pub fn run(config: &Path, arguments: &[PathBuf]) -> Result<(), Failure> {
    let words: Option<Vec<&str>> = arguments.iter().map(|argument| argument.to_str()).collect();
    let Some([uuid, config_path, epoch]) = words.as_deref() else {
        return Err(Failure::new("expected uuid, config path and epoch"));
    };
    let epoch = epoch.parse().context(|| format!("the epoch `{epoch}`"))?;
    let host = HostConfig::load(config)?;
    if host.vm_program == VmProgram::Unlocked {
        let nothing = File::open("/dev/null").context(|| "opening /dev/null".into())?;
        rustix::stdio::dup2_stdin(nothing).context(|| "letting go of the lock".into())?;
    }
    let config_path = host.datastore.join(config_path);
    let home = config_path.parent().unwrap_or(&host.datastore);
    let ledger = Ledger::create(home, uuid, epoch, std::process::id());
    let ledger = ledger.context(|| format!("creating a ledger in {}", home.display()))?;
    live(&host.vm_socket(uuid), ledger, Channel::on_standard_output()?)
}

fn live(socket: &str, mut ledger: Ledger, mut channel: Channel) -> Result<(), Failure> {
    let address = SocketAddr::from_abstract_name(socket).context(|| format!("the name @{socket}"))?;
    let mut bound = None;
    let mut told = false;
    let mut next = boot_clock();
    loop {
        let mut mark = Mark::Running;
        if bound.is_none() {
            bound = UnixListener::bind_addr(&address).ok();
            if bound.is_none() {
                mark = Mark::BindFailed;
            }
        }
        ledger.write(boot_clock().as_nanos(), mark).context(|| "writing the ledger".into())?;
        if !told {
            channel.send(&HolderReply::Running)?;
            told = true;
            // From here on a guest comes after the host's own work, as under any hypervisor: with hundreds of them on
            // few cores, agents would otherwise be late for each other.
            rustix::process::nice(NICENESS).context(|| "stepping back behind the agents".into())?;
        }
        next = next.after(PERIOD);
        let now = boot_clock();
        if next < now {
            // What was missed is not made up for: an entry says that it ran then, not that it should have.
            next = now.after(PERIOD);
        }
        match channel.receive(Some(next))? {
            Received::TimedOut => {}
            Received::Message(HolderCommand::Stop) | Received::Closed => {
                // The name first; the lock goes with the process.
                drop(bound);
                return Ok(());
            }
            Received::Message(_) => {
                return Err(Failure::new("a running virtual machine can only be stopped"));
            }
        }
    }
}
