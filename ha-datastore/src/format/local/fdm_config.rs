use core::fmt;

use bytes::Bytes;
use ha_core::record::{SealError, Sealed};
use ha_core::{ClusterId, HostId, Identity};

use super::envelope::{open_options, seal_options};
use super::{ConfigVersion, LocalFault, LocalFile, LocalRecord, OptionsText};

/// The host's own options, over those of the cluster: `fdm.cfg` (fdm-facts 5.5).
///
/// They are set on this host alone; the version is counted here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FdmConfig {
    /// The version of this content.
    pub version: ConfigVersion,
    /// The host's own `fdm.*` options.
    pub options: OptionsText,
}

impl LocalRecord for FdmConfig {
    const FILE: LocalFile = LocalFile::FdmConfig;

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
impl fmt::Display for FdmConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "options of this host, version {}", self.version)?;
        self.options.fmt_lines(f)
    }
}
