use alloc::string::String;
use std::io;
use std::path::{Path, PathBuf};

use ha_core::{Capability, DatastoreId, FileKind, Rating};
use rustix::io::Errno;

use super::caching::{CachedMount, Caching};
use super::file_system::FileSystem;
use super::paths::{self, path_of};

/// One datastore: where it is mounted on this host, and what the operator declares of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The datastore.
    pub id: DatastoreId,
    /// The mount point, or any directory that all hosts see alike.
    pub root: PathBuf,
    /// The name of the cluster's directory below `<root>/.vSphere-HA`.
    pub cluster_directory: String,
    /// What its locks can promise.
    pub capability: Capability,
}

impl Mount {
    /// Where a file of this datastore lies.
    #[must_use]
    pub fn path_of(&self, kind: &FileKind) -> PathBuf {
        path_of(&self.root, &self.cluster_directory, kind)
    }

    /// The mount, and how its files are read and written.
    #[must_use]
    pub const fn cached(self, caching: Caching) -> CachedMount {
        CachedMount { mount: self, caching }
    }

    /// Checks what can be checked without another host.
    pub(super) fn check(&self, caching: Caching) -> Result<(), OpenError> {
        let datastore = self.id;
        if !paths::is_one_name(&self.cluster_directory) {
            return Err(OpenError::BadClusterDirectory { datastore, found: self.cluster_directory.clone() });
        }
        let rating = self.capability.rating;
        match rating {
            Rating::F0 => return Err(OpenError::NotShared { datastore, root: self.root.clone() }),
            Rating::F1 | Rating::F2 | Rating::F3 | Rating::SameKernel => {}
        }
        // The root first: on a file system of the wrong kind, that is the news, not the missing directory.
        self.check_directory(&self.root)?;
        self.check_directory(&paths::cluster_path(&self.root, &self.cluster_directory))?;
        self.check_caching(caching)
    }

    /// A file system may refuse direct requests at `open` or later; one file that every datastore has tells.
    fn check_caching(&self, caching: Caching) -> Result<(), OpenError> {
        match caching {
            Caching::Kernel => return Ok(()),
            Caching::Direct => {}
        }
        let (datastore, path) = (self.id, self.path_of(&FileKind::ProtectedList));
        let Err(source) = caching.probe(&path) else { return Ok(()) };
        let refused = [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS];
        if Errno::from_io_error(&source).is_some_and(|errno| refused.contains(&errno)) {
            let found = FileSystem::of(&path);
            let found =
                found.map_err(|source| OpenError::Unreadable { datastore, path: path.clone(), source })?;
            return Err(OpenError::NoDirect { datastore, path, found });
        }
        Err(OpenError::Unreadable { datastore, path, source })
    }

    fn check_directory(&self, path: &Path) -> Result<(), OpenError> {
        let datastore = self.id;
        let unreadable = |source| OpenError::Unreadable { datastore, path: path.into(), source };
        if !path.metadata().map_err(unreadable)?.is_dir() {
            return Err(OpenError::NotADirectory { datastore, path: path.into() });
        }
        let found = FileSystem::of(path).map_err(unreadable)?;
        if self.capability.rating == Rating::SameKernel && !found.is_local() {
            return Err(OpenError::NotLocal { datastore, path: path.into(), found });
        }
        Ok(())
    }
}

/// Why [`FsStorage::start`](super::FsStorage::start) refused its mounts. No thread is left.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Two mounts name one datastore.
    #[error("{datastore} is given twice; accepted: each datastore once")]
    Duplicate {
        /// The datastore.
        datastore: DatastoreId,
    },
    /// The datastore is rated F0.
    #[error("{datastore} at {} is rated F0, not shared; accepted: F1, F2, F3, SameKernel", root.display())]
    NotShared {
        /// The datastore.
        datastore: DatastoreId,
        /// Its mount point.
        root: PathBuf,
    },
    /// The datastore is rated `SameKernel` but other kernels could mount it too.
    #[error(
        "{datastore} at {} is rated SameKernel but lies on {found}; accepted: {}",
        path.display(),
        FileSystem::LOCAL
    )]
    NotLocal {
        /// The datastore.
        datastore: DatastoreId,
        /// The directory that was looked at.
        path: PathBuf,
        /// What it lies on.
        found: FileSystem,
    },
    /// The name of the cluster's directory is not one name.
    #[error("{datastore}: `{found}` names no cluster directory; accepted: one file name without `/`")]
    BadClusterDirectory {
        /// The datastore.
        datastore: DatastoreId,
        /// What was given.
        found: String,
    },
    /// Direct requests are asked for, and the file system refuses them.
    #[error(
        "{datastore}: {} lies on {found}, which refuses O_DIRECT; accepted there: Caching::Kernel",
        path.display()
    )]
    NoDirect {
        /// The datastore.
        datastore: DatastoreId,
        /// The file that was tried.
        path: PathBuf,
        /// What it lies on.
        found: FileSystem,
    },
    /// The mount point or the cluster's directory is missing or unreadable; for direct requests, `protectedlist`.
    #[error("{datastore}: cannot look at {}: {source}", path.display())]
    Unreadable {
        /// The datastore.
        datastore: DatastoreId,
        /// The directory or file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The mount point or the cluster's directory is something else.
    #[error("{datastore}: {} is not a directory", path.display())]
    NotADirectory {
        /// The datastore.
        datastore: DatastoreId,
        /// What is no directory.
        path: PathBuf,
    },
    /// A worker thread could not be started.
    #[error("{datastore}: cannot start a worker thread: {source}")]
    Thread {
        /// The datastore.
        datastore: DatastoreId,
        /// Why not.
        source: io::Error,
    },
}
