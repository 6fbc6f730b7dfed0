//! Datastores that fail on command: `faulty_mount` (see `examples/`), started, told and ended by the tests.
#![allow(dead_code, reason = "each test crate uses its part")]
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

pub(crate) mod rig;

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, fs, thread};

use ha_core::{Capability, DatastoreId, FileKind, Rating};
use ha_datastore::fs::{Mount, boot_clock, layout};
use rustix::mount::{UnmountFlags, unmount};

use crate::fs_common::{CLUSTER, TempDir};

/// More than any test needs, on a busy machine too.
const WATCHDOG: Duration = Duration::from_secs(20);

/// What is waited for, at most, where something must happen.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// What these mounts are: shared, and with `droplocks` the locked descriptor is refused.
pub(crate) const F2: Capability = Capability {
    rating: Rating::F2,
    lock_free_after: Duration::from_secs(1),
    queued_writes: Duration::ZERO,
    looking_is_safe: true,
};

/// One test's datastores. All of them end with it, whatever became of the test.
///
/// There is one at a time in a process: starting a server forks, and a fork has copies of all descriptors for a
/// moment, which hold locks of other tests and wait for their stalls (real-parts 3).
pub(crate) struct Lab {
    // In the order in which they must go: the servers, the files, the next test.
    servers: Servers,
    watched: Sender<()>,
    temp: TempDir,
    _alone: MutexGuard<'static, ()>,
}

type Servers = Arc<Mutex<Vec<Server>>>;

impl Lab {
    /// `None`, and a word on why, where there is no FUSE.
    pub(crate) fn open() -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        if !Path::new("/dev/fuse").exists() {
            say("skipped: no /dev/fuse");
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (watched, over) = channel();
        let servers = Servers::default();
        let to_end = Arc::clone(&servers);
        let test = thread::current().name().unwrap_or("a test").to_owned();
        thread::spawn(move || watch(&over, &test, &to_end));
        Some(Self { servers, watched, temp: TempDir::new(), _alone: alone })
    }

    /// A datastore with these files, and `N` hosts that mount it.
    pub(crate) fn datastore<const N: usize>(&self, files: &[(FileKind, u64)]) -> [Node; N] {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let backing = self.temp.path().join(format!("backing-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&backing).unwrap();
        layout::create(&backing, CLUSTER, files).unwrap();
        core::array::from_fn(|_| self.mount(&backing))
    }

    fn mount(&self, backing: &Path) -> Node {
        let mut servers = lock(&self.servers);
        let number = servers.len();
        let at = |name: &str| self.temp.path().join(format!("{name}-{number}"));
        let (root, control) = (at("host"), at("control"));
        fs::create_dir(&root).unwrap();
        servers.push(Server::start(backing, &root, &control));
        Node { root, control, number, servers: Arc::clone(&self.servers), backing: backing.into() }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        lock(&self.servers).clear();
        self.watched.send(()).unwrap_or(());
    }
}

/// Ends the process if the test does not end in time. Without the servers nothing of it can hang.
fn watch(over: &Receiver<()>, test: &str, servers: &Servers) {
    if over.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
        say(&format!("{test}: not over after {WATCHDOG:?}"));
        lock(servers).clear();
        std::process::exit(101);
    }
}

/// To the real standard error: `eprintln` would say it only if the test failed, and not at all before an `exit`.
fn say(what: &str) {
    writeln!(io::stderr(), "{what}").unwrap_or(());
}

fn lock(servers: &Servers) -> MutexGuard<'_, Vec<Server>> {
    servers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One server process; its end ends every call into its mount.
struct Server {
    process: Child,
    root: PathBuf,
}

impl Server {
    fn start(backing: &Path, root: &Path, control: &Path) -> Self {
        // Cargo puts tests into `deps/` and examples beside that.
        let program = env::current_exe().unwrap().parent().unwrap().with_file_name("examples/faulty_mount");
        assert!(
            program.exists(),
            "no {}: build it by `cargo build -p ha-datastore --features fs --example faulty_mount`",
            program.display()
        );
        let mut process = Command::new(program)
            .arg("--end-with-parent")
            .args([backing, root, control])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "mounted\n");
        Self { process, root: root.into() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap_or(());
        let _reaped = self.process.wait();
        unmount(&self.root, UnmountFlags::DETACH).unwrap_or(());
    }
}

/// One host's view of a datastore.
pub(crate) struct Node {
    root: PathBuf,
    control: PathBuf,
    backing: PathBuf,
    number: usize,
    servers: Servers,
}

impl Node {
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn mount(&self, id: DatastoreId) -> Mount {
        let (root, cluster_directory) = (self.root.clone(), CLUSTER.into());
        Mount { id, root, cluster_directory, capability: F2 }
    }

    /// The bytes on the disk, past all faults.
    pub(crate) fn on_disk(&self, kind: &FileKind) -> Vec<u8> {
        fs::read(ha_datastore::fs::path_of(&self.backing, CLUSTER, kind)).unwrap()
    }

    /// Gives a command; it was carried out when this returns.
    pub(crate) fn tell(&self, command: &str) {
        assert_eq!(self.ask(command), "ok", "{command}");
    }

    pub(crate) fn ask(&self, command: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let own = SocketAddr::from_abstract_name(format!("ha-fuse-{}-{number}", std::process::id()));
        let link = UnixDatagram::bind_addr(&own.unwrap()).unwrap();
        link.set_read_timeout(Some(SOON)).unwrap();
        link.send_to(command.as_bytes(), &self.control).unwrap();
        let mut answer = [0; 1024];
        let length = link.recv(&mut answer).unwrap();
        String::from_utf8(answer[..length].to_vec()).unwrap()
    }

    pub(crate) fn stalled(&self) -> u64 {
        self.status("stalled=")
    }

    /// How many writes the server has carried out.
    pub(crate) fn writes(&self) -> u64 {
        self.status("writes=")
    }

    fn status(&self, of: &str) -> u64 {
        let status = self.ask("status");
        status.split(' ').find_map(|word| word.strip_prefix(of)).unwrap().parse().unwrap()
    }

    /// Waits until that many requests are stalled, so that a test knows that its own are.
    pub(crate) fn await_stalled(&self, requests: u64) {
        await_that("a stall", || self.stalled() >= requests);
    }

    /// SIGKILL to the server. The mount stays, dead.
    pub(crate) fn kill_server(&self) {
        let process = &mut lock(&self.servers)[self.number].process;
        process.kill().unwrap();
        process.wait().unwrap();
    }
}

/// Asks again and again, for a few seconds.
pub(crate) fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let end = boot_clock().after(SOON);
    while !holds() {
        assert!(boot_clock() < end, "waited in vain for {what}");
        pause(Duration::from_millis(5));
    }
}

pub(crate) fn pause(span: Duration) {
    thread::park_timeout(span);
}
