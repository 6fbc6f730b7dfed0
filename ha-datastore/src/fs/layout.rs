//! Creating the files, once, by whoever configures the cluster: all at full size, so that nothing is created,
//! extended or renamed while hosts use them (architecture 7).
//!
//! Each call may be repeated: what exists with the right size is left as it is. The zeros are really written,
//! since a file of holes could meet a full datastore later. Everything is synced before a call returns.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ha_core::{FileKind, VmId};

use super::paths::{self, path_of};

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Creates the cluster's directory below `root`, the directory of markers in it, and `files`, each `size` bytes
/// of zeros. Directories get mode 0700, files 0600. `root` itself must exist.
///
/// # Errors
///
/// [`LayoutError`] names the path. Files before it have been created; none has been changed.
pub fn create(root: &Path, cluster_directory: &str, files: &[(FileKind, u64)]) -> Result<(), LayoutError> {
    if !paths::is_one_name(cluster_directory) {
        return Err(LayoutError::BadClusterDirectory { found: cluster_directory.into() });
    }
    let files: Vec<(PathBuf, u64)> =
        files.iter().map(|(kind, size)| (path_of(root, cluster_directory, kind), *size)).collect();
    let markers = paths::cluster_path(root, cluster_directory).join(paths::POWERED_OFF);
    let mut parents: BTreeSet<&Path> = files.iter().filter_map(|(path, _)| path.parent()).collect();
    parents.insert(&markers);
    for parent in &parents {
        create_directories(root, parent)?;
    }
    for (path, size) in &files {
        create_file(path, *size, |file| write_zeros(file, *size))?;
    }
    parents.into_iter().try_for_each(sync_directory)
}

/// Creates a virtual machine's home below `root`, and its lock file with `lock_record` as its whole content.
/// A lock file of that size that exists already is left as it is, whatever it holds.
///
/// # Errors
///
/// [`LayoutError`] names the path.
pub fn create_vm_home(root: &Path, vm: &VmId, lock_record: &[u8]) -> Result<(), LayoutError> {
    let path = path_of(root, "", &FileKind::VmLock(vm.clone()));
    let home = path.parent().unwrap_or(root);
    create_directories(root, home)?;
    let size = u64::try_from(lock_record.len()).unwrap_or(u64::MAX);
    create_file(&path, size, |file| file.write_all(lock_record))?;
    sync_directory(home)
}

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
    /// The operating system answered otherwise.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was answered.
        source: io::Error,
    },
}

impl LayoutError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.into(), source }
    }
}

impl From<LayoutError> for io::Error {
    fn from(error: LayoutError) -> Self {
        let kind = match &error {
            LayoutError::BadClusterDirectory { .. } => io::ErrorKind::InvalidInput,
            LayoutError::WrongSize { .. } | LayoutError::NotAFile { .. } => io::ErrorKind::AlreadyExists,
            LayoutError::NotADirectory { .. } => io::ErrorKind::NotADirectory,
            LayoutError::Io { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

/// Creates `path` and what is missing between it and `root`. Never creates `root`.
fn create_directories(root: &Path, path: &Path) -> Result<(), LayoutError> {
    let below = path.strip_prefix(root).unwrap_or(Path::new(""));
    let mut parent = root.to_path_buf();
    for name in below {
        let child = parent.join(name);
        match DirBuilder::new().mode(0o700).create(&child) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !child.metadata().map_err(LayoutError::at(&child))?.is_dir() {
                    return Err(LayoutError::NotADirectory { path: child });
                }
            }
            Err(source) => return Err(LayoutError::Io { path: child, source }),
        }
        // Also if it existed: an earlier call may have ended before its sync.
        sync_directory(&parent)?;
        parent = child;
    }
    Ok(())
}

fn create_file(
    path: &Path,
    size: u64,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), LayoutError> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = match created {
        Ok(mut file) => fill(&mut file).map(|()| file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return sync_existing(path, size),
        Err(error) => Err(error),
    };
    file.and_then(|file| file.sync_all()).map_err(LayoutError::at(path))
}

/// Accepts a file that exists if its size is right, and syncs it in case its creator did not come to that.
fn sync_existing(path: &Path, size: u64) -> Result<(), LayoutError> {
    // Looked at before it is opened, because opening a pipe waits.
    let found = path.metadata().map_err(LayoutError::at(path))?;
    if !found.is_file() {
        return Err(LayoutError::NotAFile { path: path.into() });
    }
    if found.len() != size {
        return Err(LayoutError::WrongSize { path: path.into(), found: found.len(), expected: size });
    }
    File::open(path).and_then(|file| file.sync_all()).map_err(LayoutError::at(path))
}

fn write_zeros(file: &mut File, size: u64) -> io::Result<()> {
    let mut left = size;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all(ZEROS.get(..part).unwrap_or(&ZEROS))?;
        left = left.saturating_sub(u64::try_from(part).unwrap_or(u64::MAX));
    }
    Ok(())
}

fn sync_directory(path: &Path) -> Result<(), LayoutError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(LayoutError::at(path))
}
