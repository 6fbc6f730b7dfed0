use core::fmt;

use ha_core::record::{HEADER, RecordFault, Sealed};
use ha_core::{ClusterId, HostId, Identity};

use super::envelope::open_file;
use super::{ClusterConfig, FdmConfig, HostList, LocalFault, LocalFile, LocalRecord, VmMetadataView};

/// Any host-local file, for a reader that knows nothing beforehand: a person's tool, or an agent that learns from
/// `clusterconfig` which cluster it belongs to.
#[derive(Clone, Debug)]
pub enum AnyLocal<'a> {
    /// `clusterconfig`.
    ClusterConfig(Sealed<ClusterConfig>),
    /// `hostlist`.
    HostList(Sealed<HostList>),
    /// `vmmetadata`.
    VmMetadata(VmMetadataView<'a>),
    /// `fdm.cfg`.
    FdmConfig(Sealed<FdmConfig>),
}

impl<'a> AnyLocal<'a> {
    /// Reads a whole file by what it says of itself: its kind, its cluster and its host.
    ///
    /// # Errors
    ///
    /// [`LocalFault`]: `WrongKind` for a record that is in no host-local file.
    pub fn read(file: &'a [u8]) -> Result<Self, LocalFault> {
        let (kind, cluster, host) = claims(file).ok_or(RecordFault::WrongSize { found: file.len() })?;
        let found = LocalFile::ALL.into_iter().find(|local| local.kind().number() == kind);
        match found {
            Some(LocalFile::ClusterConfig) => LocalRecord::read(file, cluster, host).map(Self::ClusterConfig),
            Some(LocalFile::HostList) => LocalRecord::read(file, cluster, host).map(Self::HostList),
            Some(LocalFile::VmMetadata) => VmMetadataView::read(file, cluster, host).map(Self::VmMetadata),
            Some(LocalFile::FdmConfig) => LocalRecord::read(file, cluster, host).map(Self::FdmConfig),
            None => {
                // No kind fits; what is wrong first, the envelope tells.
                open_file(LocalFile::VmMetadata, file, cluster, host)?;
                Err(RecordFault::WrongKind { found: kind }.into())
            }
        }
    }

    /// Which file it is.
    #[must_use]
    pub const fn file(&self) -> LocalFile {
        match self {
            Self::ClusterConfig(_) => LocalFile::ClusterConfig,
            Self::HostList(_) => LocalFile::HostList,
            Self::VmMetadata(_) => LocalFile::VmMetadata,
            Self::FdmConfig(_) => LocalFile::FdmConfig,
        }
    }

    /// Who wrote it.
    #[must_use]
    pub const fn writer(&self) -> Identity {
        match self {
            Self::ClusterConfig(record) => record.writer,
            Self::HostList(record) => record.writer,
            Self::VmMetadata(view) => view.writer(),
            Self::FdmConfig(record) => record.writer,
        }
    }
}

/// For people, as FDM's `prettyPrint.sh` does (fdm-facts 5.9): the file, who wrote it, what it says.
impl fmt::Display for AnyLocal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { cluster, host, boot, incarnation } = self.writer();
        writeln!(f, "{} of {host} in cluster {cluster}", self.file())?;
        writeln!(f, "written by {incarnation} in boot {boot}")?;
        match self {
            Self::ClusterConfig(record) => record.content.fmt(f),
            Self::HostList(record) => record.content.fmt(f),
            Self::VmMetadata(view) => view.fmt(f),
            Self::FdmConfig(record) => record.content.fmt(f),
        }
    }
}

/// Kind, cluster and host of a record that nobody has checked yet.
fn claims(file: &[u8]) -> Option<(u16, ClusterId, HostId)> {
    let (head, _) = file.split_first_chunk::<HEADER>()?;
    let kind = head.get(4..)?.first_chunk()?;
    let (cluster, rest) = head.get(8..)?.split_first_chunk()?;
    let host = rest.first_chunk()?;
    let host = HostId::new(u32::from_le_bytes(*host));
    Some((u16::from_le_bytes(*kind), ClusterId::from_bytes(*cluster), host))
}
