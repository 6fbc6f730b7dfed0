use alloc::format;
use core::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use ha_core::FileKind;

/// The directory of all clusters' files below a datastore's root.
pub(super) const HA_DIRECTORY: &str = ".vSphere-HA";

/// Room for the name of a file below the cluster's directory, and separators.
const NAME: usize = 32;

/// The directory of the power-off markers below the cluster's.
pub(super) const POWERED_OFF: &str = "poweredoff";

/// Where a file lies: below `<root>/.vSphere-HA/<cluster_directory>`, or beside a virtual machine's config file.
#[must_use]
pub fn path_of(root: &Path, cluster_directory: &str, kind: &FileKind) -> PathBuf {
    let cluster = cluster_path(root, cluster_directory);
    match kind {
        FileKind::Heartbeat(host) => named(cluster, format_args!("host-{}-hb", host.number())),
        FileKind::Poweron(host) => named(cluster, format_args!("host-{}-poweron", host.number())),
        FileKind::ProtectedList => cluster.join("protectedlist"),
        FileKind::ProtectedListOf(host) => cluster.join(format!("protectedlist.{}", host.number())),
        FileKind::PoweredOff(uuid) => cluster.join(POWERED_OFF).join(format!("{uuid}")),
        FileKind::Probe(host) => cluster.join(format!("host-{}-probe", host.number())),
        FileKind::VmLock(vm) => {
            let (folder, file) = vm.config().rsplit_once('/').unwrap_or(("", vm.config()));
            root.join(folder).join(format!(".{file}.ha-lock"))
        }
    }
}

pub(super) fn cluster_path(root: &Path, cluster_directory: &str) -> PathBuf {
    let room = root.as_os_str().len() + HA_DIRECTORY.len() + cluster_directory.len() + NAME;
    let mut path = PathBuf::with_capacity(room);
    path.push(root);
    path.push(HA_DIRECTORY);
    path.push(cluster_directory);
    path
}

/// A file of a directory, in the memory of the directory's path: of thousands of files that are polled each needs one.
fn named(directory: PathBuf, name: fmt::Arguments<'_>) -> PathBuf {
    let mut path = directory.into_os_string();
    path.push("/");
    // Only a formatter's own failure could be one, and numbers have none.
    path.write_fmt(name).ok();
    path.into()
}

/// Whether `name` names a directory within its parent and nothing else.
pub(super) fn is_one_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}
