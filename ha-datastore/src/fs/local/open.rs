use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::LocalError;
use crate::format::local::LocalFile;
use crate::fs::FileSystem;

/// An open file of this host, with its length: regular, not too long, and on a local file system.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) length: usize,
}

/// Opens a host-local file for reading; `None` if there is none. Follows no link and waits for no pipe.
pub(super) fn open(path: &Path, which: LocalFile) -> Result<Option<Opened>, LocalError> {
    // The bits fit: these flags are small numbers.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LocalError::at(path)(error)),
    };
    let metadata = file.metadata().map_err(LocalError::at(path))?;
    if !metadata.is_file() {
        return Err(LocalError::NotAFile { path: path.into() });
    }
    // Asked of the open file, so that nothing can come between.
    let found = FileSystem::of_file(&file).map_err(LocalError::at(path))?;
    if !found.is_local() {
        return Err(LocalError::NotLocal { path: path.into(), found });
    }
    let most = which.max_size();
    match usize::try_from(metadata.len()) {
        Ok(length) if length <= most => Ok(Some(Opened { file, length })),
        Ok(_) | Err(_) => {
            let most = u64::try_from(most).unwrap_or(u64::MAX);
            Err(LocalError::TooLong { path: path.into(), found: metadata.len(), most })
        }
    }
}
