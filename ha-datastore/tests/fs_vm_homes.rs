//! One holder at most, and the right one, whatever was done to a virtual machine's folder: real files, real
//! processes, and the machine that starts it.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod fs_common;

use core::time::Duration;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use fs_common::{DATASTORE, LATER, TempDir};
use ha_core::operation::{StartOutcome, TakeOutcome};
use ha_core::{
    BootId, ClusterId, FileIdentity, FileKind, HolderId, HostId, Identity, Incarnation, Machine, MachineId,
    VmCompletion, VmEpoch, VmId, VmRequest, VmUuid,
};
use ha_datastore::VmLock;
use ha_datastore::format::{VmLockRecord, VmLockState};
use ha_datastore::fs::{InodeNumbers, LockTry, VmLockFile, boot_clock, fault_of, layout};
use ha_datastore::vm_lock::{Ended, Event, Input, Output, RefusedStart, StartExpectation, VmLockConfig};

const CLUSTER_ID: ClusterId = ClusterId::from_bytes([0xc1; 16]);

fn identity(host: u32) -> Identity {
    let (boot, incarnation) = (BootId::from_bytes([0xb0; 16]), Incarnation::new(1));
    Identity { cluster: CLUSTER_ID, host: HostId::new(host), boot, incarnation }
}

fn named(uuid: u8, config: &str) -> VmId {
    VmId::new(VmUuid::from_bytes([uuid; 16]), DATASTORE, config).unwrap()
}

fn create(temp: &TempDir, vm: &VmId) -> PathBuf {
    layout::create_vm_home(temp.path(), vm, &VmLockRecord::initial(&identity(1), vm)).unwrap();
    temp.path_of(&FileKind::VmLock(vm.clone()))
}

fn record(path: &Path, vm: &VmId) -> VmLockRecord {
    VmLockRecord::read_of(&fs::read(path).unwrap(), CLUSTER_ID, vm).unwrap().content
}

/// A process that plays a virtual machine; it ends when it is dropped, but what it has forked does not.
struct RunningVm(Child);

impl Drop for RunningVm {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// One start by the library's machine on real files; the virtual machine is a shell that runs `script` and has
/// the locked descriptor as its standard input. Between lock and check, `meanwhile` happens.
fn start(
    temp: &TempDir,
    vm: &VmId,
    expect: StartExpectation,
    script: &str,
    meanwhile: impl Fn(),
) -> (Ended, Option<RunningVm>) {
    let machine = MachineId { host: HostId::new(1), incarnation: Incarnation::new(1), lane: 1 };
    let not_after = boot_clock().after(Duration::from_secs(30));
    let (identity, holder, vm) = (identity(1), HolderId(1), vm.clone());
    let config = VmLockConfig { identity, machine, holder, vm: vm.clone(), expect, not_after };
    let mut lock = VmLock::new(config, boot_clock());
    let (mut held, mut running) = (None, None);
    loop {
        let request = match lock.poll_output().unwrap() {
            Output::Event(Event::Ended(ended)) => return (ended, running),
            Output::Event(Event::LockTaken { .. }) => continue,
            Output::Vm(request) => request,
        };
        let done = match request {
            VmRequest::TakeLock { token, not_after, .. } => {
                let path = temp.path_of(&FileKind::VmLock(vm.clone()));
                let outcome = match VmLockFile::open_and_lock(&path, not_after) {
                    Ok(LockTry::Locked(file)) => {
                        meanwhile();
                        let same_file = file.same_file().unwrap();
                        // One host, so its numbers are the same on any file system.
                        let identity = file.identity(InodeNumbers::SameEverywhere).unwrap();
                        let record = file.read_record(VmLockRecord::FILE).unwrap();
                        held = Some(file);
                        TakeOutcome::Locked { record, same_file, file: identity }
                    }
                    Ok(LockTry::Held) => TakeOutcome::Held,
                    Ok(LockTry::Expired) => TakeOutcome::Expired,
                    Err(error) => TakeOutcome::Fault(fault_of(&error)),
                };
                VmCompletion::TakeLock(token.complete(outcome))
            }
            VmRequest::WriteRecord { token, offset, bytes, not_after, .. } => {
                let outcome = held.as_ref().unwrap().write_record(offset, &bytes, not_after);
                VmCompletion::WriteRecord(token.complete(outcome))
            }
            VmRequest::Start { token, .. } => {
                let descriptor = held.take().unwrap().into_descriptor();
                let mut shell = Command::new("sh");
                shell.args(["-c", script]).stdin(Stdio::from(descriptor)).stdout(Stdio::piped());
                running = Some(RunningVm(shell.spawn().unwrap()));
                VmCompletion::Start(token.complete(StartOutcome::Running))
            }
            VmRequest::Abandon { .. } => {
                held = None;
                continue;
            }
            VmRequest::ShareLock { .. } | VmRequest::Resume { .. } | VmRequest::Stop { .. } => {
                panic!("{request:?}")
            }
        };
        lock.handle_input(boot_clock(), Input::Vm(done)).unwrap();
    }
}

fn power_on(temp: &TempDir, vm: &VmId) -> (Ended, Option<RunningVm>) {
    start(
        temp,
        vm,
        StartExpectation::PowerOn { fences: true, at_least: VmEpoch::ZERO },
        "exec sleep 600",
        || (),
    )
}

fn started(epoch: u64) -> Ended {
    Ended::Started { epoch: VmEpoch::new(epoch) }
}

#[test]
fn two_machines_in_one_folder_have_a_lock_each() {
    let temp = TempDir::new();
    let (web, db) = (named(1, "both/web.vmx"), named(2, "both/db.vmx"));
    let (web_lock, db_lock) = (create(&temp, &web), create(&temp, &db));
    assert_ne!(web_lock, db_lock);
    let (first, _web) = power_on(&temp, &web);
    let (second, _db) = power_on(&temp, &db);
    assert_eq!((first, second), (started(1), started(1)));
    assert_eq!(power_on(&temp, &web).0, Ended::LockHeld);
    assert_eq!(power_on(&temp, &db).0, Ended::LockHeld);
    // The wrong file under the right name: a folder in which two machines were mixed up.
    let third = named(3, "both/third.vmx");
    fs::copy(&db_lock, temp.path_of(&FileKind::VmLock(third.clone()))).unwrap();
    assert_eq!(power_on(&temp, &third).0, Ended::Refused(RefusedStart::WrongVm));
}

#[test]
fn a_machine_that_forks_twice_keeps_its_lock_until_its_last_process_has_ended() {
    let temp = TempDir::new();
    let vm = named(1, "web/web.vmx");
    create(&temp, &vm);
    // The grandchild lives on after both of its parents; it has the descriptor 0 of all of them.
    let script = "(sh -c 'sleep 60 <&3 >/dev/null & echo $!' 3<&0) ; exit 0";
    let (ended, shell) =
        start(&temp, &vm, StartExpectation::PowerOn { fences: true, at_least: VmEpoch::ZERO }, script, || ());
    assert_eq!(ended, started(1));
    let mut shell = shell.unwrap();
    let mut line = String::new();
    BufReader::new(shell.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(shell.0.wait().unwrap().success(), "the main process has ended");
    assert_eq!(power_on(&temp, &vm).0, Ended::LockHeld, "a process that it forked has not");

    let grandchild = line.trim();
    assert!(Command::new("kill").args(["-KILL", grandchild]).status().unwrap().success());
    let restart = StartExpectation::Exactly(VmEpoch::new(1));
    let again = (0..200).find_map(|_| {
        let (ended, vm_process) = start(&temp, &vm, restart, "exec sleep 600", || ());
        if ended == Ended::LockHeld {
            #[expect(clippy::disallowed_methods, reason = "the kernel takes its time to end a process")]
            thread::sleep(Duration::from_millis(10));
            return None;
        }
        Some((ended, vm_process))
    });
    let (ended, _vm) = again.unwrap();
    assert_eq!(ended, started(2));
}

#[test]
fn a_copied_folder_is_another_machine_or_none() {
    let temp = TempDir::new();
    let vm = named(1, "web/web.vmx");
    let lock = create(&temp, &vm);
    let (ended, _running) = power_on(&temp, &vm);
    assert_eq!(ended, started(1));

    // Copied while it runs. The copy's record says `running`, by the very epoch that runs, and its lock is free; but
    // it names the home that it was copied from.
    let copy = named(1, "copy/web.vmx");
    let copied_lock = temp.path_of(&FileKind::VmLock(copy.clone()));
    fs::create_dir(copied_lock.parent().unwrap()).unwrap();
    fs::copy(&lock, &copied_lock).unwrap();
    for fences in [false, true] {
        let by_a_person = StartExpectation::PowerOn { fences, at_least: VmEpoch::ZERO };
        assert_eq!(start(&temp, &copy, by_a_person, "", || ()).0, Ended::Refused(RefusedStart::OtherHome));
    }
    // As a machine of its own, with a new uuid, it needs a record of its own.
    let clone = named(9, "copy/web.vmx");
    assert_eq!(power_on(&temp, &clone).0, Ended::Refused(RefusedStart::WrongVm));
    assert_eq!(record(&lock, &vm).epoch, VmEpoch::new(1), "the original's record is untouched");
    assert_eq!(power_on(&temp, &vm).0, Ended::LockHeld);
}

#[test]
fn a_lock_file_that_was_replaced_under_a_taker_proves_nothing() {
    let temp = TempDir::new();
    let vm = named(1, "web/web.vmx");
    let lock = create(&temp, &vm);
    let restart = StartExpectation::Exactly(VmEpoch::ZERO);
    let replace = || temp.replace(&FileKind::VmLock(vm.clone()));
    assert_eq!(start(&temp, &vm, restart, "", replace).0, Ended::Refused(RefusedStart::NotSameFile));
    let unlink = || fs::remove_file(&lock).unwrap();
    assert_eq!(start(&temp, &vm, restart, "", unlink).0, Ended::Refused(RefusedStart::NotSameFile));
    assert!(matches!(start(&temp, &vm, restart, "", || ()).0, Ended::Fault(_)), "nothing is created");
}

/// What the lock alone cannot see: the file was unlinked and made anew *before* the second taker opened it, so both
/// hold a lock on a file of that name. Only the record is left, and a new one is at epoch zero.
#[test]
fn a_lock_file_made_anew_under_a_running_machine_does_not_let_a_restart_in() {
    let temp = TempDir::new();
    let vm = named(1, "web/web.vmx");
    let lock = create(&temp, &vm);
    let (ended, running) = power_on(&temp, &vm);
    assert_eq!(ended, started(1));
    let holder = running.as_ref().unwrap().0.id();
    fs::remove_file(&lock).unwrap();
    create(&temp, &vm);
    let restart = StartExpectation::Exactly(VmEpoch::new(1));
    let found = VmEpoch::ZERO;
    let refused = Ended::Refused(RefusedStart::EpochMismatch { found });
    assert_eq!(start(&temp, &vm, restart, "", || ()).0, refused);
    // Nor a person who knows the epoch that was reached; nobody else can tell it from a machine never started.
    let by_a_person = |at_least| StartExpectation::PowerOn { fences: true, at_least: VmEpoch::new(at_least) };
    let too_low = RefusedStart::EpochTooLow { found, least: VmEpoch::new(1) };
    assert_eq!(start(&temp, &vm, by_a_person(1), "", || ()).0, Ended::Refused(too_low));
    assert_eq!(record(&lock, &vm).state, VmLockState::Free, "nothing was written");
    // And the driver sees that the running machine no longer holds the file at its path, which suspends restarts.
    let open = fs::metadata(format!("/proc/{holder}/fd/0")).unwrap();
    let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    assert!(!same(&open, &fs::metadata(&lock).unwrap()));
}

/// The same with the bytes of the first file put back: the record says what it said, and its epoch is the right one.
/// Only the number of the file tells it from the first.
#[test]
fn a_lock_file_restored_under_a_running_machine_lets_nobody_in() {
    let temp = TempDir::new();
    let vm = named(1, "web/web.vmx");
    let lock = create(&temp, &vm);
    let (ended, running) = power_on(&temp, &vm);
    assert_eq!(ended, started(1));
    let recorded = record(&lock, &vm).file;
    assert_eq!(recorded, FileIdentity::new(fs::metadata(&lock).unwrap().ino()), "the start named its file");
    let backup = fs::read(&lock).unwrap();
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, &backup).unwrap();
    let locked = FileIdentity::new(fs::metadata(&lock).unwrap().ino()).unwrap();
    let other = Ended::Refused(RefusedStart::OtherFile { recorded: recorded.unwrap(), locked });
    let restart = StartExpectation::Exactly(VmEpoch::new(1));
    let by_a_person = |at_least| StartExpectation::PowerOn { fences: true, at_least: VmEpoch::new(at_least) };
    for expect in [restart, by_a_person(0), by_a_person(1)] {
        assert_eq!(start(&temp, &vm, expect, "", || ()).0, other);
    }
    // Renamed over, as editors and backups do, it is another file as well.
    let aside = lock.with_extension("restored");
    fs::write(&aside, &backup).unwrap();
    fs::rename(&aside, &lock).unwrap();
    let found = start(&temp, &vm, restart, "", || ()).0;
    assert!(matches!(found, Ended::Refused(RefusedStart::OtherFile { .. })), "{found:?}");
    assert_eq!(fs::read(&lock).unwrap(), backup, "nothing was written");

    // Written over in place it is the same file with the same lock, which the machine holds.
    let temp = TempDir::new();
    let lock = create(&temp, &vm);
    let (ended, same) = power_on(&temp, &vm);
    assert_eq!(ended, started(1));
    let backup = fs::read(&lock).unwrap();
    fs::write(&lock, &backup).unwrap();
    assert_eq!(start(&temp, &vm, restart, "", || ()).0, Ended::LockHeld);
    drop((running, same));
    let (ended, _again) = start(&temp, &vm, restart, "exec sleep 600", || ());
    assert_eq!(ended, started(2), "and once it has ended, a restart wins it");
}

/// A share in the lock is a copy of the very descriptor: it keeps the lock after the machine's end, and its writes are
/// writes under that lock.
#[test]
fn a_share_keeps_the_lock_and_a_descriptor_opened_anew_does_not() {
    let temp = TempDir::new();
    let vm = named(1, "web/web.vmx");
    let lock = create(&temp, &vm);
    let LockTry::Locked(file) = VmLockFile::open_and_lock(&lock, LATER).unwrap() else {
        panic!("it is free")
    };
    let share = file.as_fd().try_clone_to_owned().unwrap();
    let opened = fs::File::open(&lock).unwrap();
    let mut sleeper =
        Command::new("sleep").arg("600").stdin(Stdio::from(file.into_descriptor())).spawn().unwrap();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert_eq!(power_on(&temp, &vm).0, Ended::LockHeld, "the machine has ended, the share has not");
    drop(share);
    let (ended, _running) = power_on(&temp, &vm);
    assert_eq!(ended, started(1), "a descriptor that was merely opened holds nothing");
    let mut bytes = Vec::new();
    (&opened).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 8_192);
}
