//! What the manager tells one host, in a file in the host's local folder.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ha_core::{ClusterId, DatastoreId, HostId, Limits, Moid, Profile, TimingConfig};
use serde::{Deserialize, Serialize};

use crate::failure::{Context, Failure};
use crate::options_file::OptionsFile;
use crate::protocol::text;

/// The one datastore of the demo.
pub const DATASTORE: DatastoreId = DatastoreId::new(1);

/// Bounds and file sizes of the demo's cluster.
pub const LIMITS: Limits = Limits {
    hosts: 32,
    datastores: 1,
    vms_per_list: 512,
    list_log_records: 1_024,
    vms_per_host: 512,
    open_intents: 512,
    restarts_per_host: 32,
};

/// Where one host is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAddress {
    /// The host.
    #[serde(with = "text")]
    pub host: HostId,
    /// Its managed object id.
    #[serde(with = "text")]
    pub moid: Moid,
    /// Its agent, by UDP for datagrams and by TCP for streams.
    pub agent: SocketAddr,
    /// The machine itself, by UDP: answers pings whether an agent runs or not.
    pub ping: SocketAddr,
}

/// What a demo virtual machine does with its lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VmProgram {
    /// Keeps it for its whole life.
    #[default]
    Locked,
    /// Lets it go at once. Breaks the first promise on purpose, to show that the measure would notice.
    Unlocked,
}

/// Everything the processes of one host need to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostConfig {
    /// Names this run of the demo, and so its abstract sockets.
    pub run: String,
    /// The cluster.
    #[serde(with = "text")]
    pub cluster: ClusterId,
    /// Which host this is.
    #[serde(with = "text")]
    pub host: HostId,
    /// The timing profile.
    #[serde(with = "text")]
    pub profile: Profile,
    /// Whether every early end is switched off; see [`timing_of`].
    pub exact: bool,
    /// The cluster's options.
    pub options: OptionsFile,
    /// Whether the host starts an agent again that has ended.
    pub restart_agent: bool,
    /// The key that all agents share.
    #[serde(with = "crate::protocol::hex")]
    pub key: Vec<u8>,
    /// Every host of the cluster, this one included.
    pub hosts: Vec<HostAddress>,
    /// Whom to ping to learn whether this host is cut off.
    pub isolation_addresses: Vec<SocketAddr>,
    /// Where the datastore is mounted.
    pub datastore: PathBuf,
    /// The cluster's folder below `.vSphere-HA` there.
    pub cluster_directory: String,
    /// What virtual machines do with their lock.
    pub vm_program: VmProgram,
    /// How long a holder waits between the durable epoch and exec. For tests that kill the host in between.
    pub hold_before_exec: Duration,
}

impl HostConfig {
    /// The file's name in the host's local folder.
    pub const FILE: &str = "demo-host.json";

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// A failure if it cannot be read or is not such a file.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read(path).context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).context(|| format!("reading {}", path.display()))
    }

    /// Writes the file into the host's local folder, for its owner's eyes only: it contains the key.
    ///
    /// # Errors
    ///
    /// A failure if it exists or cannot be written.
    pub fn save(&self, local: &Path) -> Result<PathBuf, Failure> {
        let path = local.join(Self::FILE);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.context(|| format!("creating {}", path.display()))?;
        serde_json::to_writer_pretty(file, self).context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// This host's own addresses.
    ///
    /// # Errors
    ///
    /// A failure if the list does not contain this host.
    pub fn own(&self) -> Result<&HostAddress, Failure> {
        self.address_of(self.host)
            .ok_or_else(|| Failure::new(format!("the host list does not contain {}", self.host)))
    }

    /// The addresses of `host`.
    #[must_use]
    pub fn address_of(&self, host: HostId) -> Option<&HostAddress> {
        self.hosts.iter().find(|address| address.host == host)
    }

    /// The spans of time that this host's agent lives by.
    ///
    /// # Errors
    ///
    /// A failure if an option is not accepted.
    pub fn timing(&self) -> Result<TimingConfig, Failure> {
        timing_of(self.profile, self.exact, &self.options)
    }

    /// The name of the abstract socket that an instance of the virtual machine `name` binds.
    #[must_use]
    pub fn vm_socket(&self, name: &str) -> String {
        format!("ha-demo-{}-{name}", self.run)
    }
}

/// The spans of time of a profile, with those that options set. With `exact` nothing ends a wait early, neither strong evidence nor a complete
/// count of voters, as in FDM itself.
///
/// # Errors
///
/// A failure if an option is not accepted.
pub fn timing_of(profile: Profile, exact: bool, options: &OptionsFile) -> Result<TimingConfig, Failure> {
    let timing = options.options()?.apply_to(profile, TimingConfig::profile(profile));
    Ok(if exact { timing.exact_fdm() } else { timing })
}

/// The host's local folder, in which its configuration lies.
#[must_use]
pub fn local_folder(config: &Path) -> &Path {
    config.parent().unwrap_or(Path::new("."))
}
