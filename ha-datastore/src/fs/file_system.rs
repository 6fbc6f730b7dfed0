use core::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::StatFs;

/// The type of a mounted file system, by the magic number of `statfs`.
///
/// Only the named local ones may carry the rating `SameKernel` (architecture 8). The shared ones are named so that
/// their refusal can be; the list need not be complete, since an unknown type is refused as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// ext2, ext3 and ext4, which share one number.
    Ext,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
    /// tmpfs.
    Tmpfs,
    /// overlayfs, whose upper layer is always local.
    Overlayfs,
    /// NFS, any version.
    Nfs,
    /// SMB or CIFS, any version.
    Smb,
    /// Anything behind FUSE.
    Fuse,
    /// CephFS.
    Ceph,
    /// 9p.
    NineP,
    /// GFS2.
    Gfs2,
    /// OCFS2.
    Ocfs2,
    /// Any other; the magic number.
    Other(u64),
}

impl FileSystem {
    /// The types that may carry the rating `SameKernel`, for messages.
    pub const LOCAL: &'static str = "ext2/3/4, xfs, btrfs, tmpfs, overlayfs";

    /// The type of the file system that holds `path`.
    ///
    /// # Errors
    ///
    /// What `statfs` answers.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from_statfs(&rustix::fs::statfs(path)?))
    }

    /// The type of the file system that holds an open file.
    ///
    /// # Errors
    ///
    /// What `fstatfs` answers.
    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::from_statfs(&rustix::fs::fstatfs(file)?))
    }

    /// Whether one kernel alone can mount it, so that this kernel's locks are all there are.
    #[must_use]
    pub const fn is_local(self) -> bool {
        match self {
            Self::Ext | Self::Xfs | Self::Btrfs | Self::Tmpfs | Self::Overlayfs => true,
            Self::Nfs
            | Self::Smb
            | Self::Fuse
            | Self::Ceph
            | Self::NineP
            | Self::Gfs2
            | Self::Ocfs2
            | Self::Other(_) => false,
        }
    }

    /// Whether every host that mounts it sees one file under the same inode number, for as long as the file is there.
    ///
    /// Not behind FUSE, 9p and SMB, where a client may make numbers up, and not on overlayfs, which may give a file
    /// another number after the next mount. NFS gives out the server's number.
    #[must_use]
    pub const fn keeps_inode_numbers(self) -> bool {
        match self {
            Self::Ext
            | Self::Xfs
            | Self::Btrfs
            | Self::Tmpfs
            | Self::Nfs
            | Self::Ceph
            | Self::Gfs2
            | Self::Ocfs2 => true,
            Self::Overlayfs | Self::Smb | Self::Fuse | Self::NineP | Self::Other(_) => false,
        }
    }

    const fn from_statfs(found: &StatFs) -> Self {
        // The field is signed and as wide as a word; the number has 32 bits.
        Self::from_magic(found.f_type as u64 & 0xffff_ffff)
    }

    // The numbers are those of linux/magic.h and of the file systems' own headers.
    const fn from_magic(magic: u64) -> Self {
        match magic {
            0xef53 => Self::Ext,
            0x5846_5342 => Self::Xfs,
            0x9123_683e => Self::Btrfs,
            0x0102_1994 => Self::Tmpfs,
            0x794c_7630 => Self::Overlayfs,
            0x6969 => Self::Nfs,
            0x517b | 0xff53_4d42 | 0xfe53_4d42 => Self::Smb,
            0x6573_5546 => Self::Fuse,
            0x00c3_6400 => Self::Ceph,
            0x0102_1997 => Self::NineP,
            0x0116_1970 => Self::Gfs2,
            0x7461_636f => Self::Ocfs2,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ext => "ext2/3/4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Tmpfs => "tmpfs",
            Self::Overlayfs => "overlayfs",
            Self::Nfs => "NFS",
            Self::Smb => "SMB/CIFS",
            Self::Fuse => "FUSE",
            Self::Ceph => "CephFS",
            Self::NineP => "9p",
            Self::Gfs2 => "GFS2",
            Self::Ocfs2 => "OCFS2",
            Self::Other(magic) => return write!(f, "a file system of unknown type {magic:#x}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn inode_numbers_count_only_where_all_hosts_see_the_same() {
        let kept =
            [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x6969, 0x00c3_6400, 0x0116_1970, 0x7461_636f];
        for magic in kept {
            assert!(FileSystem::from_magic(magic).keeps_inode_numbers(), "{magic:#x}");
        }
        for magic in [0x794c_7630, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x9fa0] {
            assert!(!FileSystem::from_magic(magic).keeps_inode_numbers(), "{magic:#x}");
        }
    }

    #[test]
    fn shared_and_unknown_file_systems_are_not_local() {
        let shared =
            [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x00c3_6400, 0x0102_1997, 0x9fa0];
        for magic in shared {
            assert!(!FileSystem::from_magic(magic).is_local(), "{magic:#x}");
        }
        assert!(FileSystem::from_magic(0xef53).is_local());
        assert_eq!(FileSystem::from_magic(0x6969).to_string(), "NFS");
        assert_eq!(FileSystem::from_magic(0x9fa0).to_string(), "a file system of unknown type 0x9fa0");
    }
}
