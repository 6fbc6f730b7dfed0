//! The driver of virtual machines alone, with a made-up agent.
#![allow(clippy::wildcard_enum_match_arm, reason = "any other answer fails the test")]

use core::time::Duration;
use std::fs::File;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use ha_core::operation::{StartOutcome, StopOutcome, TakeOutcome};
use ha_core::{
    BootId, ClusterId, FileKind, HolderId, HostId, Identity, Incarnation, Instant, Profile, StorageFault,
    VmEpoch, VmId, VmUuid,
};
use ha_datastore::format::VmLockRecord;
use ha_datastore::fs::{LockTry, VmLockFile, boot_clock, layout, path_of};
use ha_examples::config::{DATASTORE, HostConfig, VmProgram};
use ha_examples::ledger::{self, Instance};
use ha_examples::lines::{self, Lines};
use ha_examples::local_socket;
use ha_examples::options_file::OptionsFile;
use ha_examples::protocol::driver::{DriverReply, DriverRequest, InventoryItem, SOCKET};

use crate::support::{TestFolder, program, turn};

const EPOCH: VmEpoch = VmEpoch::new(1);
const HOLDER: HolderId = HolderId(7);

struct Bench {
    folder: TestFolder,
    launcher: Child,
    config: HostConfig,
    vm: VmId,
}

struct Agent {
    stream: UnixStream,
    replies: Lines<UnixStream>,
}

impl Bench {
    fn new(name: &str, vm_program: VmProgram, hold_before_exec: Duration) -> Self {
        let folder = TestFolder::new(name);
        let config = HostConfig {
            run: format!("{name}-{}", std::process::id()),
            cluster: ClusterId::from_bytes([1; 16]),
            host: HostId::new(1),
            profile: Profile::Swift,
            exact: false,
            options: OptionsFile::default(),
            restart_agent: false,
            key: vec![0; 16],
            hosts: Vec::new(),
            isolation_addresses: Vec::new(),
            datastore: folder.0.clone(),
            cluster_directory: "unused".into(),
            vm_program,
            hold_before_exec,
        };
        let vm = VmId::new(VmUuid::from_bytes([2; 16]), DATASTORE, "a/a.vmx").unwrap();
        let identity = Identity {
            cluster: config.cluster,
            host: config.host,
            boot: BootId::from_bytes([3; 16]),
            incarnation: Incarnation::new(1),
        };
        layout::create_vm_home(&folder.0, &vm, &VmLockRecord::initial(&identity, &vm)).unwrap();
        let file = config.save(&folder.0).unwrap();
        let mut command = Command::new(program());
        command.arg("launcher").arg(std::process::id().to_string()).arg(file).stdout(Stdio::piped());
        let mut launcher = command.spawn().unwrap();
        launcher.stdout.take().unwrap().read_exact(&mut [0; 6]).unwrap();
        Self { folder, launcher, config, vm }
    }

    /// A new agent, and the inventory that it is greeted with.
    fn agent(&self) -> (Agent, Vec<InventoryItem>) {
        let stream = local_socket::connect(&self.folder.0, SOCKET).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut agent = Agent { replies: Lines::new(stream.try_clone().unwrap()), stream };
        match agent.hear() {
            DriverReply::Complete(items) => (agent, items),
            other => panic!("{other:?}"),
        }
    }

    fn lock_path(&self) -> PathBuf {
        path_of(&self.config.datastore, "unused", &FileKind::VmLock(self.vm.clone()))
    }

    fn lock_is_free(&self) -> bool {
        matches!(VmLockFile::open_and_lock(&self.lock_path(), soon()).unwrap(), LockTry::Locked(_))
    }

    fn wait_until_lock_is_free(&self) {
        let until = boot_clock().after(Duration::from_secs(5));
        while !self.lock_is_free() {
            assert!(boot_clock() < until, "the lock is still held");
        }
    }

    fn instances(&self) -> Vec<Instance> {
        ledger::read_all(&self.folder.0.join("a")).unwrap()
    }

    /// Brings the virtual machine up.
    fn start(&self, agent: &mut Agent) {
        let TakeOutcome::Locked { record, same_file, file: _ } = agent.take(self, soon()) else {
            panic!("not locked")
        };
        assert!(same_file);
        assert_eq!(&record[..], std::fs::read(self.lock_path()).unwrap());
        assert_eq!(agent.write(4096, Bytes::from(vec![5; 4096]), soon()), Ok(()));
        assert_eq!(agent.start(soon()), StartOutcome::Running);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.launcher.kill().unwrap();
        self.launcher.wait().unwrap();
    }
}

impl Agent {
    fn ask(&mut self, request: &DriverRequest) -> DriverReply {
        lines::send(&mut self.stream, request).unwrap();
        self.hear()
    }

    fn hear(&mut self) -> DriverReply {
        self.replies.receive().unwrap().expect("the launcher closed the socket")
    }

    fn take(&mut self, bench: &Bench, not_after: Instant) -> TakeOutcome {
        let request = DriverRequest::TakeLock { request: 1, holder: HOLDER, vm: bench.vm.clone(), not_after };
        match self.ask(&request) {
            DriverReply::Took { request: 1, outcome } => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self, offset: u64, bytes: Bytes, not_after: Instant) -> Result<(), StorageFault> {
        match self.ask(&DriverRequest::WriteRecord { request: 2, holder: HOLDER, offset, bytes, not_after }) {
            DriverReply::Wrote { request: 2, outcome } => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn start(&mut self, not_after: Instant) -> StartOutcome {
        match self.ask(&DriverRequest::Start { request: 3, holder: HOLDER, epoch: EPOCH, not_after }) {
            DriverReply::Started { request: 3, outcome } => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn stop(&mut self, vm: VmUuid) -> StopOutcome {
        match self.ask(&DriverRequest::Stop { request: 4, vm, not_after: soon() }) {
            DriverReply::Stopped { request: 4, outcome } => outcome,
            other => panic!("{other:?}"),
        }
    }
}

fn soon() -> Instant {
    boot_clock().after(Duration::from_secs(5))
}

fn past() -> Instant {
    boot_clock().before(Duration::from_nanos(1))
}

#[test]
fn a_vm_holds_its_lock_for_as_long_as_it_lives() {
    let _turn = turn();
    let bench = Bench::new("life", VmProgram::Locked, Duration::ZERO);
    let (mut agent, inventory) = bench.agent();
    assert_eq!(inventory, []);
    bench.start(&mut agent);
    assert!(!bench.lock_is_free());
    assert_eq!(agent.take(&bench, soon()), TakeOutcome::Held);

    // The agent's end is not the virtual machine's.
    drop(agent);
    let (mut agent, inventory) = bench.agent();
    assert_eq!(inventory, [InventoryItem { vm: bench.vm.clone(), epoch: EPOCH, holds_lock: true }]);
    assert!(!bench.lock_is_free());

    let number = bench.instances()[0].instance;
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(number.cast_signed()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    assert_eq!(agent.hear(), DriverReply::Ended { vm: bench.vm.uuid(), epoch: EPOCH });
    assert!(bench.lock_is_free());
    assert_eq!(agent.stop(bench.vm.uuid()), StopOutcome::NotHere);
    assert_eq!(bench.agent().1, []);
}

#[test]
fn a_stopped_vm_has_given_up_its_lock() {
    let _turn = turn();
    let bench = Bench::new("stop", VmProgram::Locked, Duration::ZERO);
    let (mut agent, _) = bench.agent();
    bench.start(&mut agent);
    assert_eq!(agent.stop(bench.vm.uuid()), StopOutcome::Stopped);
    assert!(bench.lock_is_free());
    assert_eq!(agent.hear(), DriverReply::Ended { vm: bench.vm.uuid(), epoch: EPOCH });
    assert_eq!(bench.instances().len(), 1);
}

#[test]
fn a_lock_file_that_was_replaced_is_noticed() {
    let _turn = turn();
    let bench = Bench::new("replaced", VmProgram::Locked, Duration::ZERO);
    let (mut agent, _) = bench.agent();
    bench.start(&mut agent);
    let path = bench.lock_path();
    std::fs::rename(&path, path.with_extension("old")).unwrap();
    File::create(&path).unwrap();
    let inventory = bench.agent().1;
    assert_eq!(inventory, [InventoryItem { vm: bench.vm.clone(), epoch: EPOCH, holds_lock: false }]);
}

#[test]
fn a_vm_that_let_its_lock_go_is_noticed() {
    let _turn = turn();
    let bench = Bench::new("unlocked", VmProgram::Unlocked, Duration::ZERO);
    let (mut agent, _) = bench.agent();
    bench.start(&mut agent);
    assert!(bench.lock_is_free());
    let inventory = bench.agent().1;
    assert_eq!(inventory, [InventoryItem { vm: bench.vm.clone(), epoch: EPOCH, holds_lock: false }]);
}

#[test]
fn nothing_is_done_after_its_time() {
    let _turn = turn();
    let bench = Bench::new("time", VmProgram::Locked, Duration::ZERO);
    let (mut agent, _) = bench.agent();
    assert_eq!(agent.take(&bench, past()), TakeOutcome::Expired);
    let before = std::fs::read(bench.lock_path()).unwrap();
    assert!(matches!(agent.take(&bench, soon()), TakeOutcome::Locked { .. }));
    assert_eq!(agent.write(4096, Bytes::from(vec![5; 4096]), past()), Err(StorageFault::Expired));
    assert_eq!(std::fs::read(bench.lock_path()).unwrap(), before);
    assert_eq!(agent.start(past()), StartOutcome::Expired);
    bench.wait_until_lock_is_free();
    assert_eq!(agent.start(soon()), StartOutcome::HolderGone);
    assert_eq!(bench.instances(), []);
}

#[test]
fn the_clock_is_read_again_right_before_exec() {
    let _turn = turn();
    let bench = Bench::new("again", VmProgram::Locked, Duration::from_millis(300));
    let (mut agent, _) = bench.agent();
    assert!(matches!(agent.take(&bench, soon()), TakeOutcome::Locked { .. }));
    let in_the_hold = boot_clock().after(Duration::from_millis(100));
    assert_eq!(agent.start(in_the_hold), StartOutcome::Expired);
    bench.wait_until_lock_is_free();
    assert_eq!(bench.instances(), []);
}

#[test]
fn a_holder_that_is_told_nothing_ends_at_its_time() {
    let _turn = turn();
    let bench = Bench::new("patience", VmProgram::Locked, Duration::ZERO);
    let (mut agent, _) = bench.agent();
    let end = boot_clock().after(Duration::from_millis(300));
    assert!(matches!(agent.take(&bench, end), TakeOutcome::Locked { .. }));
    assert!(!bench.lock_is_free() || boot_clock() > end);
    bench.wait_until_lock_is_free();
    assert!(boot_clock() >= end);
}

#[test]
fn a_holder_ends_when_it_is_abandoned_or_its_agent_goes() {
    let _turn = turn();
    let bench = Bench::new("abandoned", VmProgram::Locked, Duration::ZERO);
    let (mut agent, _) = bench.agent();
    let late = boot_clock().after(Duration::from_secs(600));
    assert!(matches!(agent.take(&bench, late), TakeOutcome::Locked { .. }));
    lines::send(&mut agent.stream, &DriverRequest::Abandon { holder: HOLDER }).unwrap();
    bench.wait_until_lock_is_free();
    assert!(matches!(agent.take(&bench, late), TakeOutcome::Locked { .. }));
    drop(agent);
    bench.wait_until_lock_is_free();
    assert_eq!(bench.agent().1, []);
}
