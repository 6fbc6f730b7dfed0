use core::fmt;

use ha_core::Rating;

/// A place whose datastores are lost together, such as one half of a stretched cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(u32);

impl SiteId {
    /// The site with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number in the configuration.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "site-{}", self.0)
    }
}

/// What a datastore stands on and is lost with: a device, an array, or an NFS server.
///
/// Two datastores share their backing if both fields are equal, so a backing stands in one site. How coarse it is,
/// the embedder decides: FDM's own texts say once "array", once "LUN" (fdm-facts 3.2). A datastore that spans
/// several devices has the largest thing whose loss takes it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Backing {
    /// Where it stands; `None` where sites do not matter.
    pub site: Option<SiteId>,
    /// Which one of its site.
    pub number: u32,
}

impl fmt::Display for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "backing-{}", self.number)?;
        self.site.map_or(Ok(()), |site| write!(f, " of {site}"))
    }
}

/// What kind of file system a datastore has. Ordered from the most to the least preferred (fdm-facts 3.3, 3.5).
///
/// That virtual volumes come between the other two is decided here; the sources say only that they can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileSystem {
    /// Shared block devices: VMFS, GFS2, OCFS2.
    Cluster,
    /// Virtual volumes (VVol).
    VirtualVolumes,
    /// Any version of NFS, and other file servers.
    Nfs,
    /// vSAN, which cannot serve.
    Vsan,
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "cluster file system",
            Self::VirtualVolumes => "virtual volumes",
            Self::Nfs => "NFS",
            Self::Vsan => "vSAN",
        })
    }
}

/// A datastore as the choice sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datastore {
    /// Its file system.
    pub file_system: FileSystem,
    /// What it is lost with.
    pub backing: Backing,
    /// How it treats locks. [`Rating::F0`] is refused (architecture 8); all others serve alike.
    pub rating: Rating,
}
