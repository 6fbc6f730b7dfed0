//! A shared datastore that fails on command: a directory, mounted through FUSE, with faults.
//!
//! `cargo run -p ha-datastore --features fs --example faulty_mount -- --help`
//!
//! Each mount of one backing directory stands for one host. Locks, names and bytes pass through to the backing
//! directory, so all hosts share them; faults belong to one mount. `tests/fuse_*.rs` run the driver over it.

#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::print_stdout, reason = "it says when it is ready, and what was answered")]

mod control;
mod faults;
mod handles;
mod inodes;
mod local_locks;
mod locks;
mod passthrough;
mod replies;
mod shared;
mod snapshot;

use core::error::Error;
use std::ffi::OsString;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::{env, fs, thread};

use fuser::{Config, MountOption, SessionACL};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use rustix::mount::{UnmountFlags, unmount};

use passthrough::Passthrough;
use shared::Shared;

const HELP: &str = "\
A shared datastore that fails on command: a directory, mounted through FUSE, with faults.

  faulty_mount [--end-with-parent] <backing directory> <mount point> <control socket>
  faulty_mount tell <control socket> <command>

Mount one backing directory twice and you have two hosts with one datastore: files and locks are shared,
faults are not. Needs root and /dev/fuse. Ends on SIGINT, SIGTERM or `umount`; with --end-with-parent also when
the thread that started it ends, even if the rest of that process hangs in a stalled mount.

Commands, each one datagram, each answered by `ok`, by a status, or by `error: why`:

  eio_read              reads fail with EIO
  eio_write             writes, syncs, creations, renames and removals fail with EIO
  enospc                writes and creations fail with ENOSPC
  torn [BYTES]          only the first BYTES of each write are stored (half of it, if not said); it succeeds
  snapshot              keep a copy of all files now
  stale                 reads and sizes come from that copy, or from one made now; writes pass through
  delay MS              every request waits so long first
  stall                 no request is carried out until `clear`
  stall_write           no write or sync is, the rest goes on
  droplocks             all locks are lost; descriptors that were open fail from now on (EIO)
  droplocks_lax         all locks are lost; descriptors that were open work on, as if nothing had been
  local_locks           files opened from now on have locks that no other mount sees, as with sshfs
  clear                 no fault is left; what was stalled is carried out now
  status                stalled=<requests> writes=<carried out> faults=<how many>

`<fault> in TEXT` keeps to the paths that contain TEXT, counted from the mount point, as in
`stall_write in host-1-hb`. Faults add up until `clear`.

  mkdir /tmp/back /tmp/host-1 /tmp/host-2
  faulty_mount /tmp/back /tmp/host-1 /tmp/host-1.ctl &
  faulty_mount /tmp/back /tmp/host-2 /tmp/host-2.ctl &
  faulty_mount tell /tmp/host-1.ctl delay 200 in host-1-hb
";

/// Enough that requests stalled by one driver leave room for those of another, and for the shell.
const THREADS: usize = 16;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    let done = match words.as_slice() {
        ["--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        ["tell", socket, command @ ..] if !command.is_empty() => tell(socket, &command.join(" ")),
        ["--end-with-parent", _, _, _] => serve(&arguments[1..], true),
        [_, _, _] => serve(&arguments, false),
        _ => Err("expected a backing directory, a mount point and a control socket; see --help".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faulty_mount: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tell(socket: &str, command: &str) -> Result<(), Box<dyn Error>> {
    let answer = control::ask(socket.as_ref(), command)?;
    println!("{answer}");
    if answer.starts_with("error:") { Err("the command was refused".into()) } else { Ok(()) }
}

fn serve(places: &[OsString], end_with_parent: bool) -> Result<(), Box<dyn Error>> {
    let [backing, mount_point, socket] =
        [0, 1, 2].map(|place| places.get(place).map(PathBuf::from).unwrap_or_default());
    let shared = Arc::new(Shared::open(&backing).map_err(|error| format!("{}: {error}", backing.display()))?);
    // One that a killed run left behind; nothing else is removed.
    if fs::symlink_metadata(&socket).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(&socket)?;
    }
    let commands = UnixDatagram::bind(&socket).map_err(|error| format!("{}: {error}", socket.display()))?;

    // Before any thread is started, so that all of them leave these signals to the one that waits.
    let ends = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    ends.thread_block()?;
    if end_with_parent {
        set_pdeathsig(Signal::SIGTERM)?;
    }
    let mut config = Config::default();
    config.mount_options =
        vec![MountOption::FSName(backing.display().to_string()), MountOption::Subtype("faulty_mount".into())];
    config.acl = SessionACL::All;
    config.n_threads = Some(THREADS);
    let session = fuser::spawn_mount(Passthrough(Arc::clone(&shared)), &mount_point, &config)
        .map_err(|error| format!("cannot mount at {}: {error}", mount_point.display()))?;

    let (end, ended) = channel();
    when(&end, move || session.join().unwrap_or_else(|error| eprintln!("faulty_mount: {error}")));
    when(&end, move || {
        if let Err(error) = ends.wait() {
            eprintln!("faulty_mount: cannot wait for signals: {error}");
        }
    });
    let controlled = Arc::clone(&shared);
    thread::spawn(move || control::serve(&commands, &controlled));
    println!("mounted");

    ended.recv()?;
    shared.faults.clear();
    // Lazily, since files may be open. It fails if that is what ended us.
    let _unmounted = unmount(&mount_point, UnmountFlags::DETACH);
    fs::remove_file(&socket)?;
    Ok(())
}

/// Reports the end of `wait`, which may never come.
fn when(end: &Sender<()>, wait: impl FnOnce() + Send + 'static) {
    let end = end.clone();
    thread::spawn(move || {
        wait();
        // Fails if another end came first.
        let _heard = end.send(());
    });
}
