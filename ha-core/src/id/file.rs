use core::fmt;
use core::num::NonZeroU64;

/// Which file lies at a path: its inode number, where every host that mounts the file system sees the same one.
///
/// A path that is unlinked and made anew names another file, with another lock, and nothing but this tells. While
/// somebody holds the first file open the file system keeps its inode, so no other file gets that number; once
/// nobody does, nobody holds its lock either. Where inode numbers differ from host to host, or are made up by a
/// client, there is no identity at all, and nothing is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileIdentity(NonZeroU64);

impl FileIdentity {
    /// The identity with this inode number; none of zero, which no file has.
    #[must_use]
    pub const fn new(inode: u64) -> Option<Self> {
        match NonZeroU64::new(inode) {
            Some(inode) => Some(Self(inode)),
            None => None,
        }
    }

    /// The inode number.
    #[must_use]
    pub const fn inode(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for FileIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inode-{}", self.0)
    }
}
