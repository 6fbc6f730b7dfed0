//! The process that takes one virtual machine's lock and then becomes that virtual machine (architecture 8).
//!
//! The lock lies on one open file description. The holder makes it its standard input before exec, so the virtual
//! machine holds the lock for as long as it lives and has nothing to do for it. Everything that the holder is told
//! and says goes over its standard output, a socket to the launcher that also survives exec.

use core::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use ha_core::operation::TakeOutcome;
use ha_core::{FileKind, Instant, VmEpoch, VmId};
use ha_datastore::format::VmLockRecord;
use ha_datastore::fs::{InodeNumbers, LockTry, VmLockFile, boot_clock, fault_of, path_of};

use crate::config::HostConfig;
use crate::failure::{Context, Failure};
use crate::process::OWN_EXECUTABLE;
use crate::protocol::holder::{HolderCommand, HolderReply};
use crate::role::Role;
use channel::{Channel, Received};

pub mod channel;

/// Plays the holder, under the configuration at `config`, for the launcher with process number `launcher`.
///
/// # Errors
///
/// A failure if the launcher says what no launcher says, or the system refuses something basic. However this
/// returns, the process ends, and the lock is free.
pub fn run(config: &Path, launcher: u32) -> Result<(), Failure> {
    let host = HostConfig::load(config)?;
    let mut channel = Channel::on_standard_output()?;
    let Received::Message(HolderCommand::TakeLock { vm, not_after }) = channel.receive(None)? else {
        return Err(Failure::new("the launcher's first word is not the virtual machine to lock"));
    };
    let (outcome, locked) = take(&host, &vm, not_after);
    channel.send(&HolderReply::Took(outcome))?;
    let Some(locked) = locked else { return Ok(()) };
    let holder = Holder { config, host, launcher, vm, locked };
    holder.serve(&mut channel, not_after)
}

fn take(host: &HostConfig, vm: &VmId, not_after: Instant) -> (TakeOutcome, Option<VmLockFile>) {
    let path = path_of(&host.datastore, &host.cluster_directory, &FileKind::VmLock(vm.clone()));
    let locked = match VmLockFile::open_and_lock(&path, not_after) {
        Ok(LockTry::Locked(locked)) => locked,
        Ok(LockTry::Held) => return (TakeOutcome::Held, None),
        Ok(LockTry::Expired) => return (TakeOutcome::Expired, None),
        Err(error) => return (TakeOutcome::Fault(fault_of(&error)), None),
    };
    let identity = |same_file| Ok((same_file, locked.identity(InodeNumbers::ByFileSystem)?));
    let (same_file, file) = match locked.same_file().and_then(identity) {
        Ok(identity) => identity,
        Err(error) => return (TakeOutcome::Fault(fault_of(&error)), None),
    };
    match locked.read_record(VmLockRecord::FILE) {
        Ok(record) => (TakeOutcome::Locked { record, same_file, file }, Some(locked)),
        Err(fault) => (TakeOutcome::Fault(fault), None),
    }
}

struct Holder<'a> {
    config: &'a Path,
    host: HostConfig,
    launcher: u32,
    vm: VmId,
    locked: VmLockFile,
}

impl Holder<'_> {
    /// Does what the launcher says until `not_after` or the launcher's end. Ending frees the lock.
    fn serve(&self, channel: &mut Channel, not_after: Instant) -> Result<(), Failure> {
        loop {
            let command = match channel.receive(Some(not_after))? {
                Received::Message(command) => command,
                Received::Closed | Received::TimedOut => return Ok(()),
            };
            match command {
                HolderCommand::Write { offset, bytes, not_after } => {
                    let outcome = self.locked.write_record(offset, &bytes, not_after);
                    channel.send(&HolderReply::Wrote(outcome))?;
                }
                HolderCommand::Start { epoch, not_after } => {
                    self.hold(channel)?;
                    if boot_clock() > not_after {
                        return channel.send(&HolderReply::StartExpired);
                    }
                    let Err(failure) = self.become_vm(epoch);
                    eprintln!("holder: {failure}");
                    channel.send(&HolderReply::StartFailed)?;
                }
                HolderCommand::Stop => return Ok(()),
                HolderCommand::TakeLock { .. } => {
                    return Err(Failure::new("a holder takes one lock in its life"));
                }
            }
        }
    }

    /// Waits for as long as a test wants a host to be killed between the durable epoch and exec.
    fn hold(&self, channel: &mut Channel) -> Result<(), Failure> {
        let span = self.host.hold_before_exec;
        if span.is_zero() { Ok(()) } else { channel.wait_until(boot_clock().after(span)) }
    }

    fn become_vm(&self, epoch: VmEpoch) -> Result<Infallible, Failure> {
        rustix::stdio::dup2_stdin(&self.locked).context(|| "handing the lock on".into())?;
        let mut vm = Command::new(OWN_EXECUTABLE);
        vm.arg(Role::Vm.word()).arg(self.launcher.to_string()).arg(self.config);
        vm.arg(self.vm.uuid().to_string()).arg(self.vm.config()).arg(epoch.number().to_string());
        Err(vm.exec()).context(|| format!("becoming {}", self.vm))
    }
}
