use std::io;
use std::path::{Path, PathBuf};

use ha_core::record::SealError;

use crate::format::local::{ConfigVersion, LocalFault};
use crate::fs::FileSystem;

/// Why a [`LocalFolder`](super::LocalFolder) did not do what it was asked for. Each names the path.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The folder is something else.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// What is no directory.
        path: PathBuf,
    },
    /// Other kernels could see it, and a rename or a map means something else there.
    #[error("{} lies on {found}; accepted for files of one host: {}", path.display(), FileSystem::LOCAL)]
    NotLocal {
        /// The folder or file.
        path: PathBuf,
        /// What it lies on.
        found: FileSystem,
    },
    /// Something else than a regular file is where the file belongs.
    #[error("{} exists and is not a regular file", path.display())]
    NotAFile {
        /// What is no file.
        path: PathBuf,
    },
    /// Longer than any whole file of its kind. It was not read.
    #[error("{} has {found} bytes; accepted: at most {most}", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length, in bytes.
        found: u64,
        /// The longest possible, in bytes.
        most: u64,
    },
    /// The file is damaged, or of another host or cluster. Only [`VersionRule::Forced`](super::VersionRule) writes
    /// over it, since nobody knows its version.
    #[error("{}: {fault}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: LocalFault,
    },
    /// The stored version is higher than the given one. Nothing was changed.
    #[error("{} has version {stored}, which is newer than the given {given}", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// What is stored.
        stored: ConfigVersion,
        /// What was given.
        given: ConfigVersion,
    },
    /// The stored content has the given version and says something else. Nothing was changed.
    #[error("{} has version {version} with another content", path.display())]
    SameVersion {
        /// The file.
        path: PathBuf,
        /// Both their version.
        version: ConfigVersion,
    },
    /// The content has no room. Nothing was changed.
    #[error("{}: {source}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How much there is.
        source: SealError,
    },
    /// The operating system answered otherwise. While writing: the content is the old or the new one.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What was answered.
        source: io::Error,
    },
}

impl LocalError {
    pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { path: path.into(), source }
    }
}
