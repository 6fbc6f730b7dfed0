use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ha_core::Profile;
use ha_examples::config::VmProgram;
use ha_examples::demo::{Demo, Part, Setup};
use ha_examples::options_file::OptionsFile;

/// One test at a time. Held until the test ends, so that nothing else disturbs its times.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The demo's executable, which `cargo test` builds beside this test: `target/<profile>/examples/failover`.
pub(crate) fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples/failover");
    assert!(
        program.exists(),
        "{} is missing; build it with `cargo build -p ha-examples --example failover`",
        program.display()
    );
    program
}

/// A `swift` cluster whose first virtual machine goes to a slave.
pub(crate) fn setup(hosts: u32, vms: u32) -> Setup {
    Setup {
        program: program(),
        hosts,
        vms,
        profile: Profile::Swift,
        exact: false,
        options: OptionsFile::default(),
        restart_agent: false,
        first_on: Part::Slave,
        dir: None,
        vm_program: VmProgram::Locked,
        hold_before_exec: Duration::ZERO,
    }
}

/// A cluster that runs quietly, every virtual machine of it protected.
pub(crate) fn protected(setup: Setup) -> Demo {
    let mut demo = Demo::start(setup).unwrap();
    demo.protect_all(|_| {}).unwrap();
    demo
}

/// Asserts that every virtual machine has had one instance only.
pub(crate) fn assert_no_second_copy(demo: &Demo) {
    for vm in demo.vms() {
        assert_eq!(demo.instances_of(vm).unwrap().len(), 1, "instances of {}", vm.name);
    }
}

/// A folder that is gone when the test ends well.
pub(crate) struct TestFolder(pub(crate) PathBuf);

impl TestFolder {
    pub(crate) fn new(name: &str) -> Self {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ha-examples-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }
}

/// The demo from the command line, with `folder` for its temporary files.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(program());
    command.env("TMPDIR", folder);
    command
}

/// The living processes that were told to work below `folder`.
pub(crate) fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let command_line = |process: std::fs::DirEntry| {
        let bytes = std::fs::read(process.path().join("cmdline")).ok()?;
        let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
        text.contains(folder).then_some(text)
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(command_line).collect()
}
