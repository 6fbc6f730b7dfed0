//! Creating the files, once, by whoever configures the cluster: all at full size, so that nothing is created,
//! extended or renamed while hosts use them (architecture 7).
//!
//! Each call may be repeated: what exists with the right size is left as it is. A call first asks whether there is room
//! for all that is missing. Each file is allocated at once, so that a datastore that is full all the same is found out
//! before the long work; then the zeros are really written, so that no overwrite has to change what the file system
//! knows of the file. Everything is synced before a call returns.

mod error;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ha_core::{FileKind, StorageFault, VmId};

pub use error::LayoutError;

use super::paths::{self, path_of};

/// Zeros are written in pieces of this size, in bytes.
const PIECE: usize = 1 << 20;

/// Creates the cluster's directory below `root`, the directory of markers in it, and `files`, each `size` bytes
/// of zeros. Directories get mode 0700, files 0600. `root` itself must exist.
///
/// # Errors
///
/// [`LayoutError`] names the path. Files before it have been created, but with [`LayoutError::NoRoom`]; none has been
/// changed.
pub fn create(root: &Path, cluster_directory: &str, files: &[(FileKind, u64)]) -> Result<(), LayoutError> {
    if !paths::is_one_name(cluster_directory) {
        return Err(LayoutError::BadClusterDirectory { found: cluster_directory.into() });
    }
    let files: Vec<(PathBuf, u64)> =
        files.iter().map(|(kind, size)| (path_of(root, cluster_directory, kind), *size)).collect();
    check_room(root, files.iter().map(|(path, size)| (path.as_path(), *size)))?;
    let markers = paths::cluster_path(root, cluster_directory).join(paths::POWERED_OFF);
    let mut parents: BTreeSet<&Path> = files.iter().filter_map(|(path, _)| path.parent()).collect();
    parents.insert(&markers);
    for parent in &parents {
        create_directories(root, parent)?;
    }
    for (path, size) in &files {
        create_file(path, *size, |file| allocate(file, *size).and_then(|()| write_zeros(file, *size)))?;
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
    let size = u64::try_from(lock_record.len()).unwrap_or(u64::MAX);
    check_room(root, [(path.as_path(), size)])?;
    create_directories(root, home)?;
    create_file(&path, size, |file| file.write_all(lock_record))?;
    sync_directory(home)
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
    let mut file = match created {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return sync_existing(path, size),
        Err(error) => return Err(LayoutError::at(path)(error)),
    };
    let filled = fill(&mut file).and_then(|()| file.sync_all()).map_err(LayoutError::at(path));
    let fault = filled.as_ref().err().and_then(LayoutError::fault);
    if matches!(fault, Some(StorageFault::NoSpace | StorageFault::Quota)) {
        // Half a file would be in the way once there is room. If it stays, the next call says so.
        fs::remove_file(path).ok();
    }
    filled
}

/// Whether the datastore has room for those of these files that are missing.
fn check_room<'p>(root: &Path, files: impl IntoIterator<Item = (&'p Path, u64)>) -> Result<(), LayoutError> {
    let mut needed: u64 = 0;
    for (path, size) in files {
        match path.symlink_metadata() {
            Ok(_) => {}
            // Also below something that is no directory, which is told when the directories are made.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                needed = needed.saturating_add(size);
            }
            Err(error) => return Err(LayoutError::at(path)(error)),
        }
    }
    let found = fs4::statvfs(root).map_err(LayoutError::at(root))?;
    let available = found.available_space();
    // A file system that does not know its own size says nothing of what is left.
    if found.total_space() > 0 && needed > available {
        return Err(LayoutError::NoRoom { root: root.into(), needed, available });
    }
    Ok(())
}

/// Reserves the space, where the file system can; where it cannot, the zeros will tell.
fn allocate(file: &File, size: u64) -> io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    // By its full name: std's methods on files shadow others of fs4's trait.
    match fs4::FileExt::allocate(file, size) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        outcome => outcome,
    }
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
    let piece = usize::try_from(size).unwrap_or(usize::MAX).min(PIECE);
    let zeros = alloc::vec![0; piece];
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(piece);
        file.write_all(zeros.get(..part).unwrap_or(&zeros))?;
        left = left.saturating_sub(u64::try_from(part).unwrap_or(u64::MAX));
    }
    Ok(())
}

fn sync_directory(path: &Path) -> Result<(), LayoutError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(LayoutError::at(path))
}
