use alloc::format;
use std::path::{Path, PathBuf};

use ha_core::FileKind;

/// The directory of all clusters' files below a datastore's root.
pub(super) const HA_DIRECTORY: &str = ".vSphere-HA";

/// The directory of the power-off markers below the cluster's.
pub(super) const POWERED_OFF: &str = "poweredoff";

/// Where a file lies: below `<root>/.vSphere-HA/<cluster_directory>`, or beside a virtual machine's config file.
#[must_use]
pub fn path_of(root: &Path, cluster_directory: &str, kind: &FileKind) -> PathBuf {
    let cluster = cluster_path(root, cluster_directory);
    match kind {
        FileKind::Heartbeat(host) => cluster.join(format!("host-{}-hb", host.number())),
        FileKind::Poweron(host) => cluster.join(format!("host-{}-poweron", host.number())),
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
    root.join(HA_DIRECTORY).join(cluster_directory)
}

/// Whether `name` names a directory within its parent and nothing else.
pub(super) fn is_one_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}
