use core::time::Duration;
use std::fs;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{self, Stdio};
use std::thread;

use ha_core::{FileKind, HolderId, Instant, VmEpoch, VmId};
use ha_datastore::fs::{boot_clock, path_of};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::config::HostConfig;
use crate::failure::{Context, Failure};
use crate::lines::{self, Lines};
use crate::process::{OWN_EXECUTABLE, child, pid};
use crate::protocol::driver::RequestNumber;
use crate::protocol::holder::{HolderCommand, HolderReply};
use crate::role::Role;

/// A stop that is still going on after this is helped along with SIGKILL.
const KILL_AFTER: Duration = Duration::from_secs(1);

/// A stop whose end was not seen by then has an unknown outcome: a process that waits for a stalled mount does not
/// die of SIGKILL.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5);

/// How far a child has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A holder that was not told to start. Its end frees the lock and means nothing else.
    Holding,
    /// A holder that was told to start: the virtual machine may run at any moment.
    Starting(VmEpoch),
    /// The virtual machine.
    Running(VmEpoch),
}

/// What the agent waits for from a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    Nothing,
    Take(RequestNumber),
    Write(RequestNumber),
    Start(RequestNumber),
}

#[derive(Debug)]
struct Stop {
    requests: Vec<RequestNumber>,
    began: Instant,
    killed: bool,
}

/// A holder, and later the virtual machine that it has become.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) client: u64,
    pub(super) holder: HolderId,
    pub(super) vm: VmId,
    pub(super) stage: Stage,
    pub(super) waiting: Waiting,
    stream: UnixStream,
    /// Names this very process, also after its number was given to another.
    handle: OwnedFd,
    number: u32,
    process: Option<process::Child>,
    stop: Option<Stop>,
}

impl Child {
    /// Spawns a holder. For the main thread.
    pub(super) fn spawn(
        config: &Path,
        client: u64,
        holder: HolderId,
        vm: VmId,
        request: RequestNumber,
    ) -> Result<Self, Failure> {
        let (stream, theirs) = UnixStream::pair().context(|| "making a socket".into())?;
        let mut command = child(Path::new(OWN_EXECUTABLE), Role::Holder.word(), config);
        let mut process = command
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .context(|| "spawning a holder".into())?;
        let number = process.id();
        let handle = match pidfd_open(pid(number)?, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(error) => {
                process.kill().and_then(|()| process.wait()).context(|| "ending a holder".into())?;
                return Err(error).context(|| "naming a holder".into());
            }
        };
        let (stage, waiting) = (Stage::Holding, Waiting::Take(request));
        let process = Some(process);
        Ok(Self { client, holder, vm, stage, waiting, stream, handle, number, process, stop: None })
    }

    /// Calls `tell` on a thread with all that the child says, and with `None` when it has ended and is reaped.
    pub(super) fn watch(
        &mut self,
        tell: impl Fn(Option<HolderReply>) + Send + 'static,
    ) -> Result<(), Failure> {
        let stream = self.stream.try_clone().context(|| "copying a socket".into())?;
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let work = move || {
            let mut replies = Lines::new(stream);
            loop {
                match replies.receive() {
                    Ok(Some(reply)) => tell(Some(reply)),
                    Ok(None) => break,
                    Err(_) => break drop(process.kill()),
                }
            }
            // A closed socket is no end: only a reaped process has ended.
            process.wait().ok();
            tell(None);
        };
        thread::Builder::new()
            .name("child".into())
            .spawn(work)
            .map(drop)
            .context(|| "starting a thread".into())
    }

    /// Sends a command. A child that has gone does not hear it; its end will be told.
    pub(super) fn command(&mut self, command: &HolderCommand) {
        lines::send(&mut self.stream, command).ok();
    }

    /// Ends a holder that was not told to start. A virtual machine stays.
    pub(super) fn abandon(&mut self) {
        if self.stage == Stage::Holding {
            self.stream.shutdown(Shutdown::Both).ok();
            self.kill();
        }
    }

    /// Ends the process, whatever it is.
    pub(super) fn kill(&self) {
        // Fails only if it has ended already.
        pidfd_send_signal(&self.handle, Signal::KILL).ok();
    }

    /// Begins to stop the virtual machine, if that has not begun.
    pub(super) fn stop(&mut self, request: RequestNumber) {
        match &mut self.stop {
            Some(stop) => stop.requests.push(request),
            None => {
                self.command(&HolderCommand::Stop);
                self.stop = Some(Stop { requests: vec![request], began: boot_clock(), killed: false });
            }
        }
    }

    pub(super) const fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// The requests that wait for this child's end.
    pub(super) fn stop_requests(&self) -> &[RequestNumber] {
        self.stop.as_ref().map_or(&[], |stop| &stop.requests)
    }

    /// Whoever asked for the stop has gone. The stop goes on.
    pub(super) fn forget_stop_requests(&mut self) {
        if let Some(stop) = &mut self.stop {
            stop.requests.clear();
        }
    }

    /// Helps an unfinished stop along. The requests to give up on.
    pub(super) fn press_stop(&mut self, now: Instant) -> Vec<RequestNumber> {
        let Some(stop) = &mut self.stop else { return Vec::new() };
        let waited = now.since(stop.began);
        let kill = waited >= KILL_AFTER && !stop.killed;
        stop.killed |= kill;
        let given_up = if waited >= GIVE_UP_AFTER { core::mem::take(&mut stop.requests) } else { Vec::new() };
        if kill {
            self.kill();
        }
        given_up
    }

    /// Whether this process's standard input is the very file at the virtual machine's path and carries its lock.
    ///
    /// Asks the kernel, and never tries or looks at the lock itself (architecture 8). That the epoch is recorded is
    /// known from before: the holder wrote and read it back before it was told to start.
    pub(super) fn holds_lock(&self, host: &HostConfig) -> bool {
        let path = path_of(&host.datastore, &host.cluster_directory, &FileKind::VmLock(self.vm.clone()));
        let of = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
        let same_file = of(&path).is_some_and(|file| of(Path::new(&self.descriptor("fd"))) == Some(file));
        let locks = fs::read_to_string(self.descriptor("fdinfo")).unwrap_or_default();
        same_file && locks.lines().any(is_exclusive_flock)
    }

    fn descriptor(&self, view: &str) -> String {
        format!("/proc/{}/{view}/0", self.number)
    }
}

/// Whether a line of `fdinfo` tells of an exclusive lock on this open file description, such as
/// `lock:\t1: FLOCK  ADVISORY  WRITE 5895 fe:00:10010728 0 EOF`.
fn is_exclusive_flock(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    words.next() == Some("lock:") && words.nth(1) == Some("FLOCK") && words.nth(1) == Some("WRITE")
}

#[cfg(test)]
mod tests {
    use super::is_exclusive_flock;

    #[test]
    fn only_an_exclusive_flock_counts() {
        assert!(is_exclusive_flock("lock:\t1: FLOCK  ADVISORY  WRITE 5895 fe:00:10010728 0 EOF"));
        assert!(!is_exclusive_flock("lock:\t1: FLOCK  ADVISORY  READ 5895 fe:00:10010728 0 EOF"));
        assert!(!is_exclusive_flock("lock:\t1: POSIX  ADVISORY  WRITE 5895 fe:00:10010728 0 EOF"));
        assert!(!is_exclusive_flock("flags:\t02100001"));
        assert!(!is_exclusive_flock(""));
    }
}
