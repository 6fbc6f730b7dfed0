use core::time::Duration;
use std::io::{BufRead, BufReader};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::mount::{UnmountFlags, unmount};

/// One host's mount of a shared folder, by the example `faulty_mount`, which takes locks away on command.
pub(crate) struct Shim {
    server: Child,
    root: PathBuf,
    control: PathBuf,
    asked: u64,
}

impl Shim {
    /// `None` where there is no FUSE.
    pub(crate) fn mount(backing: &Path, host: u32) -> Option<Self> {
        if !Path::new("/dev/fuse").exists() {
            return None;
        }
        // Cargo puts tests into `deps/` and examples beside that.
        let program =
            std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples/faulty_mount");
        let root = backing.with_extension(format!("host-{host}"));
        let control = backing.with_extension(format!("control-{host}"));
        std::fs::create_dir(&root).unwrap();
        let mut server = Command::new(&program)
            .arg("--end-with-parent")
            .args([backing, &root, &control])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; build the examples first", program.display()));
        let mut ready = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "mounted\n");
        Some(Self { server, root, control, asked: 0 })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Gives a command; it was carried out when this returns.
    pub(crate) fn tell(&mut self, command: &str) {
        self.asked += 1;
        let name = format!("ha-handover-{}-{}-{}", std::process::id(), self.root.display(), self.asked);
        let link = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        link.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        link.send_to(command.as_bytes(), &self.control).unwrap();
        let mut answer = [0; 64];
        let length = link.recv(&mut answer).unwrap();
        assert_eq!(&answer[..length], b"ok", "{command}");
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
        unmount(&self.root, UnmountFlags::DETACH).ok();
        std::fs::remove_dir(&self.root).ok();
        std::fs::remove_file(&self.control).ok();
    }
}
