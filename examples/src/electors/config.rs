use core::net::SocketAddr;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ha_core::{ClusterId, HostId, Profile};
use serde::{Deserialize, Serialize};

use crate::config::HostAddress;
use crate::failure::{Context, Failure};
use crate::protocol::text;

/// What the manager tells one elector before it starts, in a file in the elector's own folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ElectorConfig {
    #[serde(with = "text")]
    pub(super) cluster: ClusterId,
    #[serde(with = "text")]
    pub(super) host: HostId,
    #[serde(with = "text")]
    pub(super) profile: Profile,
    /// Whether every early end is switched off.
    pub(super) exact: bool,
    /// The key that all electors share.
    #[serde(with = "crate::protocol::hex")]
    pub(super) key: Vec<u8>,
    /// Every host of the cluster, this one included.
    pub(super) hosts: Vec<HostAddress>,
    /// Whom to ping to learn whether this host is cut off.
    pub(super) isolation: SocketAddr,
}

impl ElectorConfig {
    const FILE: &str = "elector.json";

    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read(path).context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).context(|| format!("reading {}", path.display()))
    }

    /// Writes the file for its owner's eyes only: it contains the key.
    pub(super) fn save(&self, folder: &Path) -> Result<PathBuf, Failure> {
        let path = folder.join(Self::FILE);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.context(|| format!("creating {}", path.display()))?;
        serde_json::to_writer_pretty(file, self).context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    pub(super) fn address_of(&self, host: HostId) -> Option<SocketAddr> {
        self.hosts.iter().find(|address| address.host == host).map(|address| address.agent)
    }
}
