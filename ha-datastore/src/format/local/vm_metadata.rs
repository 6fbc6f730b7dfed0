use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use ha_core::record::{Generation, SealError, Sealed};
use ha_core::{ClusterId, HostId, Identity, Limits, VmUuid};

use super::envelope::seal_file;
use super::{ConfigVersion, HostList, LocalFault, LocalFile, LocalRecord, VmMetadataView};
use crate::format::cursor::Writer;

/// Which host can run which virtual machine: `vmmetadata`, to be built and written (fdm-facts 5.4).
///
/// It changes far more often than the other files and is by far the longest; who only asks it uses
/// [`VmMetadataView`] on the file as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmMetadata {
    version: ConfigVersion,
    host_list: ConfigVersion,
    /// Ascending. Bit i of a row is for host i of this table.
    hosts: Vec<HostId>,
    rows: BTreeMap<VmUuid, Box<[u64]>>,
}

/// What a matrix has no place for. It is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// More hosts than a cluster has.
    #[error("{found} hosts; accepted: at most {most}", most = HostList::MAX_HOSTS)]
    TooManyHosts {
        /// How many were given.
        found: usize,
    },
    /// A host was given twice.
    #[error("{host} is given twice; accepted: each host once")]
    SameHost {
        /// The host.
        host: HostId,
    },
    /// A virtual machine on a host that the matrix does not have.
    #[error("{host} is not among the hosts of the matrix")]
    UnknownHost {
        /// The host.
        host: HostId,
    },
    /// One virtual machine more than a cluster has.
    #[error("no room for {vm}: there are {most} virtual machines", most = VmMetadata::MAX_VMS)]
    TooManyVms {
        /// The one too many.
        vm: VmUuid,
    },
}

impl VmMetadata {
    /// The most virtual machines.
    pub const MAX_VMS: usize = Limits::DEFAULT.vms_per_list as usize;

    pub(super) const FIXED: usize = 16;
    pub(super) const UUID: usize = 16;
    pub(super) const MAX_BODY: usize = Self::FIXED
        + table_len(HostList::MAX_HOSTS)
        + Self::MAX_VMS * (Self::UUID + 8 * words(HostList::MAX_HOSTS));

    /// A matrix of these hosts and no virtual machine yet. `host_list` is the version that the hosts are from.
    ///
    /// # Errors
    ///
    /// [`MetadataError::TooManyHosts`], [`MetadataError::SameHost`].
    pub fn new(
        version: ConfigVersion,
        host_list: ConfigVersion,
        mut hosts: Vec<HostId>,
    ) -> Result<Self, MetadataError> {
        if hosts.len() > HostList::MAX_HOSTS {
            return Err(MetadataError::TooManyHosts { found: hosts.len() });
        }
        hosts.sort();
        let twice = hosts.iter().zip(hosts.iter().skip(1)).find(|(one, next)| one == next);
        if let Some((host, _)) = twice {
            return Err(MetadataError::SameHost { host: *host });
        }
        Ok(Self { version, host_list, hosts, rows: BTreeMap::new() })
    }

    /// Says that `vm` can run on these hosts and on no other.
    ///
    /// # Errors
    ///
    /// [`MetadataError::UnknownHost`], [`MetadataError::TooManyVms`].
    pub fn set(
        &mut self,
        vm: VmUuid,
        compatible: impl IntoIterator<Item = HostId>,
    ) -> Result<(), MetadataError> {
        if self.rows.len() >= Self::MAX_VMS && !self.rows.contains_key(&vm) {
            return Err(MetadataError::TooManyVms { vm });
        }
        let mut row = vec![0_u64; words(self.hosts.len())].into_boxed_slice();
        for host in compatible {
            let unknown = MetadataError::UnknownHost { host };
            let index = self.hosts.binary_search(&host).map_err(|_| unknown)?;
            let word = row.get_mut(index / 64).ok_or(unknown)?;
            *word |= 1 << (index % 64);
        }
        self.rows.insert(vm, row);
        Ok(())
    }

    /// Forgets a virtual machine. Whether it was known.
    pub fn remove(&mut self, vm: VmUuid) -> bool {
        self.rows.remove(&vm).is_some()
    }

    /// The same content under another version.
    #[must_use]
    pub fn with_version(self, version: ConfigVersion) -> Self {
        Self { version, ..self }
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Writer::default();
        // Both are bounded by `MAX_HOSTS` and `MAX_VMS`.
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        body.u64(self.host_list.number()).u32(count(self.hosts.len())).u32(count(self.rows.len()));
        for host in &self.hosts {
            body.u32(host.number());
        }
        let padding = table_len(self.hosts.len()) - 4 * self.hosts.len();
        body.raw([0; 4].get(..padding).unwrap_or(&[]));
        for (vm, row) in &self.rows {
            body.raw(vm.as_bytes());
            for word in row {
                body.u64(*word);
            }
        }
        body.into_bytes()
    }
}

impl LocalRecord for VmMetadata {
    const FILE: LocalFile = LocalFile::VmMetadata;

    fn version(&self) -> ConfigVersion {
        self.version
    }

    fn seal(&self, writer: &Identity) -> Result<Bytes, SealError> {
        seal_file(Self::FILE, writer, self.version, &self.body())
    }

    fn read(file: &[u8], cluster: ClusterId, host: HostId) -> Result<Sealed<Self>, LocalFault> {
        let view = VmMetadataView::read(file, cluster, host)?;
        let rows = view.bits().map(|(vm, bits)| (vm, bits.iter().map(|word| u64::from_le_bytes(*word))));
        let content = Self {
            version: view.version(),
            host_list: view.host_list(),
            hosts: view.hosts().collect(),
            rows: rows.map(|(vm, bits)| (vm, bits.collect())).collect(),
        };
        Ok(Sealed { writer: view.writer(), generation: Generation::FIRST, content })
    }

    fn read_version(file: &[u8], cluster: ClusterId, host: HostId) -> Result<ConfigVersion, LocalFault> {
        Ok(VmMetadataView::read(file, cluster, host)?.version())
    }
}

/// The words of a row that has a bit for each host.
pub(super) const fn words(hosts: usize) -> usize {
    hosts.div_ceil(64)
}

/// The table of hosts, in bytes, rounded up so that the rows begin on a multiple of eight.
pub(super) const fn table_len(hosts: usize) -> usize {
    (4 * hosts).next_multiple_of(8)
}
