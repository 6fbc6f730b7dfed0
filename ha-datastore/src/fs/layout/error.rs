use alloc::string::String;
use std::io;
use std::path::{Path, PathBuf};

use ha_core::StorageFault;

use crate::fs::fault_of;

/// Why a file or directory could not be created.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The name of the cluster's directory is not one name.
    #[error("`{found}` names no cluster directory; accepted: one file name without `/`")]
    BadClusterDirectory {
        /// What was given.
        found: String,
    },
    /// A file exists with another size, perhaps from a creation that was cut short or another configuration.
    #[error("{} exists with {found} bytes; expected {expected}", path.display())]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Its size, in bytes.
        found: u64,
        /// The size that was asked for, in bytes.
        expected: u64,
    },
    /// Something else than a regular file is where a file belongs.
    #[error("{} exists and is not a regular file", path.display())]
    NotAFile {
        /// What is no file.
        path: PathBuf,
    },
    /// Something else than a directory is where a directory belongs.
    #[error("{} exists and is not a directory", path.display())]
    NotADirectory {
        /// What is no directory.
        path: PathBuf,
    },
    /// The datastore has no room for what is missing. Nothing was created.
    #[error("{} has {available} bytes left; the files that are missing need {needed}", root.display())]
    NoRoom {
        /// The datastore's root.
        root: PathBuf,
        /// What the missing files take, in bytes.
        needed: u64,
        /// What is left for this user, in bytes.
        available: u64,
    },
    /// The operating system answered otherwise; [`LayoutError::fault`] says whether space or a quota was used up.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was answered.
        source: io::Error,
    },
}

impl LayoutError {
    /// The storage fault behind it: [`StorageFault::NoSpace`] if the datastore is full or has no inode left,
    /// [`StorageFault::Quota`] if a quota is used up, another if the operating system answered so; `None` for what is
    /// wrong with the request or in the way.
    #[must_use]
    pub fn fault(&self) -> Option<StorageFault> {
        match self {
            Self::NoRoom { .. } => Some(StorageFault::NoSpace),
            Self::Io { source, .. } => Some(fault_of(source)),
            Self::BadClusterDirectory { .. }
            | Self::WrongSize { .. }
            | Self::NotAFile { .. }
            | Self::NotADirectory { .. } => None,
        }
    }

    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.into(), source }
    }
}

impl From<LayoutError> for io::Error {
    fn from(error: LayoutError) -> Self {
        let kind = match &error {
            LayoutError::BadClusterDirectory { .. } => io::ErrorKind::InvalidInput,
            LayoutError::WrongSize { .. } | LayoutError::NotAFile { .. } => io::ErrorKind::AlreadyExists,
            LayoutError::NotADirectory { .. } => io::ErrorKind::NotADirectory,
            LayoutError::NoRoom { .. } => io::ErrorKind::StorageFull,
            LayoutError::Io { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_full_datastore_and_a_used_up_quota_are_told_apart() {
        let error = |errno: Errno| LayoutError::at(Path::new("f"))(errno.into());
        assert_eq!(error(Errno::NOSPC).fault(), Some(StorageFault::NoSpace));
        assert_eq!(error(Errno::DQUOT).fault(), Some(StorageFault::Quota));
        assert_eq!(error(Errno::ACCESS).fault(), Some(StorageFault::Denied));
        let no_room = LayoutError::NoRoom { root: PathBuf::new(), needed: 2, available: 1 };
        assert_eq!(no_room.fault(), Some(StorageFault::NoSpace));
        assert_eq!(LayoutError::NotAFile { path: PathBuf::new() }.fault(), None);
        assert_eq!(io::Error::from(error(Errno::DQUOT)).kind(), io::ErrorKind::QuotaExceeded);
    }
}
