//! What std lacks for families of processes: dying with the parent, killing and reaping a whole group.

use core::ffi::CStr;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use crate::failure::{Context, Failure};

/// The own executable, also if its file was replaced or removed since it was started.
pub const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// A command that plays `role` under `config`, as a child of this process.
///
/// It must be spawned from this process's main thread, and that thread must not end before the process.
#[must_use]
pub fn child(executable: &Path, role: &str, config: &Path) -> Command {
    let mut command = Command::new(executable);
    command.arg(role).arg(std::process::id().to_string()).arg(config).stdin(Stdio::null());
    command
}

/// Asks to be killed when the parent dies, then checks that it still is `parent`.
///
/// The order matters: a parent that dies before the request goes unnoticed by it, but not by the check.
///
/// # Errors
///
/// A failure if the parent is another process by now, or the kernel refuses the request.
pub fn die_with_parent(parent: u32) -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context(|| "asking to die with the parent".into())?;
    let actual = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if actual == Some(parent) {
        Ok(())
    } else {
        Err(Failure::new(format!("started by process {parent}, which is no longer the parent")))
    }
}

/// Gives this process a name for `ps` and `top`, which would show that of [`OWN_EXECUTABLE`] otherwise.
///
/// # Errors
///
/// Those of the system.
pub fn call_myself(name: &CStr) -> io::Result<()> {
    Ok(rustix::thread::set_name(name)?)
}

/// Makes this process the parent of grandchildren whose parent has died, so that it can see their end.
///
/// # Errors
///
/// Those of the system.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Kills every process of a group.
///
/// The group's leader must not have been reaped yet, or the number may name another group by now.
///
/// # Errors
///
/// Those of the system; none if the group has no process left.
pub fn kill_group(leader: Pid) -> io::Result<()> {
    signal_group(leader, Signal::KILL)
}

/// Sends a signal to every process of a group, under the same condition as [`kill_group`].
///
/// # Errors
///
/// Those of the system; none if the group has no process left.
pub fn signal_group(leader: Pid, signal: Signal) -> io::Result<()> {
    match rustix::process::kill_process_group(leader, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until every process of a killed group has ended and is reaped.
///
/// Needs [`adopt_orphans`]: a process whose parent ended first becomes this one's child, and it does so before
/// that parent counts as ended, so no moment shows the group empty while one of it lives.
///
/// # Errors
///
/// Those of the system.
pub fn reap_group(leader: Pid) -> io::Result<()> {
    loop {
        match rustix::process::waitpgid(leader, WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::CHILD) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// How a child ended, if it has; never waits.
///
/// # Errors
///
/// Those of the system.
pub fn ended(child: Pid) -> io::Result<Option<WaitStatus>> {
    let waited = rustix::process::waitpid(Some(child), WaitOptions::NOHANG)?;
    Ok(waited.map(|(_, status)| status))
}

/// The process number of a child as the kernel's type.
///
/// # Errors
///
/// A failure if the number is none the kernel could have given.
pub fn pid(number: u32) -> Result<Pid, Failure> {
    let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Failure::new(format!("{number} is not a process number")))
}
