use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use ha_core::codec::bincode::{Decode, Encode};
use ha_core::record::{SealError, Sealed};
use ha_core::{ClusterId, HostId, Identity, Limits, Moid, codec};

use super::envelope::{open_file, seal_file};
use super::{ConfigVersion, HostAddress, LocalFault, LocalFile, LocalRecord};

/// One member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[bincode(crate = "ha_core::codec::bincode")]
pub struct HostEntry {
    /// Its number in the cluster.
    pub host: HostId,
    /// The manager's name for it.
    pub moid: Moid,
    /// Where it is reached, best first.
    pub addresses: Vec<HostAddress>,
}

/// The members of the cluster, by number: `hostlist` (fdm-facts 5.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostList {
    version: ConfigVersion,
    hosts: Vec<HostEntry>,
}

/// A list of members that contradicts itself, or is longer than a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostListError {
    /// More hosts than a cluster has.
    #[error("{found} hosts; accepted: at most {most}", most = HostList::MAX_HOSTS)]
    TooManyHosts {
        /// How many there are.
        found: usize,
    },
    /// A host with more addresses than are kept.
    #[error("{host} has {found} addresses; accepted: at most {most}", most = HostList::MAX_ADDRESSES)]
    TooManyAddresses {
        /// The host.
        host: HostId,
        /// How many it has.
        found: usize,
    },
    /// Two hosts of one number.
    #[error("{host} stands there twice; accepted: each number once")]
    SameNumber {
        /// The number.
        host: HostId,
    },
    /// Two hosts of one name.
    #[error("`{moid}` stands there twice; accepted: each managed object id once")]
    SameMoid {
        /// The name.
        moid: Moid,
    },
    /// In a file: a host after one of a higher number.
    #[error("{host} stands behind a higher number; accepted: by number, ascending")]
    OutOfOrder {
        /// The later one.
        host: HostId,
    },
}

impl HostList {
    /// The most hosts of a cluster (architecture 4).
    pub const MAX_HOSTS: usize = Limits::DEFAULT.hosts as usize;
    /// The most addresses of a host.
    pub const MAX_ADDRESSES: usize = 8;

    /// Count, then each host: number, name, count of addresses, addresses.
    pub(super) const MAX_ENCODED: usize =
        8 + Self::MAX_HOSTS * (4 + 8 + Moid::MAX_LEN + 8 + Self::MAX_ADDRESSES * (8 + HostAddress::MAX_LEN));

    /// The list of these hosts, in any order.
    ///
    /// # Errors
    ///
    /// [`HostListError`] if there are too many, or two of one number or name.
    pub fn new(version: ConfigVersion, mut hosts: Vec<HostEntry>) -> Result<Self, HostListError> {
        hosts.sort_by_key(|entry| entry.host);
        check(&hosts)?;
        Ok(Self { version, hosts })
    }

    /// All members, by number, ascending.
    #[must_use]
    pub fn hosts(&self) -> &[HostEntry] {
        &self.hosts
    }

    /// The member with this number.
    #[must_use]
    pub fn get(&self, host: HostId) -> Option<&HostEntry> {
        let at = self.hosts.binary_search_by_key(&host, |entry| entry.host).ok()?;
        self.hosts.get(at)
    }

    /// The member with this name.
    #[must_use]
    pub fn get_by_moid(&self, moid: &Moid) -> Option<&HostEntry> {
        self.hosts.iter().find(|entry| entry.moid == *moid)
    }
}

impl LocalRecord for HostList {
    const FILE: LocalFile = LocalFile::HostList;

    fn version(&self) -> ConfigVersion {
        self.version
    }

    fn seal(&self, writer: &Identity) -> Result<Bytes, SealError> {
        let available = Self::MAX_ENCODED;
        // `check` bounds everything in it, so it always fits.
        let body = codec::encode(&self.hosts, available)
            .map_err(|_| SealError::TooLong { needed: available.saturating_add(1), available })?;
        seal_file(Self::FILE, writer, self.version, &body)
    }

    fn read(file: &[u8], cluster: ClusterId, host: HostId) -> Result<Sealed<Self>, LocalFault> {
        let Sealed { writer, generation, content: (version, body) } =
            open_file(Self::FILE, file, cluster, host)?;
        let hosts: Vec<HostEntry> = codec::decode(body, Self::MAX_ENCODED)?;
        check(&hosts)?;
        Ok(Sealed { writer, generation, content: Self { version, hosts } })
    }
}

/// For people: the version, then a line for each host.
impl fmt::Display for HostList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host list, version {}: {} hosts", self.version, self.hosts.len())?;
        for entry in &self.hosts {
            write!(f, "\n  {}  {}", entry.host, entry.moid)?;
            entry.addresses.iter().try_for_each(|address| write!(f, "  {address}"))?;
        }
        Ok(())
    }
}

/// Also the order, which only a file can have wrong.
fn check(hosts: &[HostEntry]) -> Result<(), HostListError> {
    if hosts.len() > HostList::MAX_HOSTS {
        return Err(HostListError::TooManyHosts { found: hosts.len() });
    }
    let mut before: Option<HostId> = None;
    let mut names = BTreeSet::new();
    for HostEntry { host, moid, addresses } in hosts {
        if addresses.len() > HostList::MAX_ADDRESSES {
            return Err(HostListError::TooManyAddresses { host: *host, found: addresses.len() });
        }
        match before.map(|before| before.cmp(host)) {
            None | Some(core::cmp::Ordering::Less) => before = Some(*host),
            Some(core::cmp::Ordering::Equal) => return Err(HostListError::SameNumber { host: *host }),
            Some(core::cmp::Ordering::Greater) => return Err(HostListError::OutOfOrder { host: *host }),
        }
        if !names.insert(moid) {
            return Err(HostListError::SameMoid { moid: moid.clone() });
        }
    }
    Ok(())
}
