use core::fmt;

use bytes::Bytes;
use ha_core::record::{SealError, Sealed};
use ha_core::{ClusterId, HostId, Identity};

use super::envelope::{open_options, seal_options};
use super::{ConfigVersion, LocalFault, LocalFile, LocalRecord, OptionsText};

/// The configuration of the cluster, as the manager last sent it: `clusterconfig` (fdm-facts 5.3).
///
/// Which cluster that is stands in the envelope; a program that starts with nothing but this file learns it from
/// [`AnyLocal`](super::AnyLocal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// The version of this content.
    pub version: ConfigVersion,
    /// The cluster-wide options.
    pub options: OptionsText,
}

impl LocalRecord for ClusterConfig {
    const FILE: LocalFile = LocalFile::ClusterConfig;

    fn version(&self) -> ConfigVersion {
        self.version
    }

    fn seal(&self, writer: &Identity) -> Result<Bytes, SealError> {
        seal_options(Self::FILE, writer, self.version, &self.options)
    }

    fn read(file: &[u8], cluster: ClusterId, host: HostId) -> Result<Sealed<Self>, LocalFault> {
        let Sealed { writer, generation, content: (version, options) } =
            open_options(Self::FILE, file, cluster, host)?;
        Ok(Sealed { writer, generation, content: Self { version, options } })
    }
}

/// For people: the version, then the options, a line each.
impl fmt::Display for ClusterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster configuration, version {}", self.version)?;
        self.options.fmt_lines(f)
    }
}
