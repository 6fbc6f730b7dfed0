use core::fmt;

use bytes::Bytes;
use ha_core::record::{BLOCK, RecordKind, SealError, Sealed};
use ha_core::{ClusterId, HostId, Identity};

use super::envelope::PAYLOAD_AT;
use super::{ConfigVersion, HostList, LocalFault, OptionsText, VmMetadata};

/// One of the host-local files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LocalFile {
    /// The configuration of the cluster.
    ClusterConfig,
    /// The members.
    HostList,
    /// Which host can run which virtual machine.
    VmMetadata,
    /// The host's own options.
    FdmConfig,
}

impl LocalFile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ClusterConfig, Self::HostList, Self::VmMetadata, Self::FdmConfig];

    /// Its name in the host's folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClusterConfig => "clusterconfig",
            Self::HostList => "hostlist",
            Self::VmMetadata => "vmmetadata",
            Self::FdmConfig => "fdm.cfg",
        }
    }

    /// The kind of its record.
    #[must_use]
    pub const fn kind(self) -> RecordKind {
        match self {
            Self::ClusterConfig => RecordKind::ClusterConfig,
            Self::HostList => RecordKind::HostList,
            Self::VmMetadata => RecordKind::VmMetadata,
            Self::FdmConfig => RecordKind::FdmConfig,
        }
    }

    /// The longest that any whole one is, in bytes. A longer file need not be read to be refused.
    #[must_use]
    pub const fn max_size(self) -> usize {
        let body = match self {
            Self::ClusterConfig | Self::FdmConfig => OptionsText::MAX_ENCODED,
            Self::HostList => HostList::MAX_ENCODED,
            Self::VmMetadata => VmMetadata::MAX_BODY,
        };
        (PAYLOAD_AT + body).next_multiple_of(BLOCK)
    }
}

impl fmt::Display for LocalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one of the host-local files holds.
pub trait LocalRecord: Sized {
    /// The file.
    const FILE: LocalFile;

    /// The version of this content.
    fn version(&self) -> ConfigVersion;

    /// The whole file.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLong`] if the content does not fit into [`LocalFile::max_size`].
    fn seal(&self, writer: &Identity) -> Result<Bytes, SealError>;

    /// What a whole file says that `host` wrote in `cluster`.
    ///
    /// # Errors
    ///
    /// [`LocalFault`], the first in the order of `FORMAT.md`.
    fn read(file: &[u8], cluster: ClusterId, host: HostId) -> Result<Sealed<Self>, LocalFault>;

    /// The version in a whole file; what [`read`](Self::read) checks is checked as well.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn read_version(file: &[u8], cluster: ClusterId, host: HostId) -> Result<ConfigVersion, LocalFault> {
        Self::read(file, cluster, host).map(|record| record.content.version())
    }
}
