use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most bytes of files in a snapshot. Files of heartbeats and lists are small; images of disks are not.
const MAX_BYTES: u64 = 256 << 20;

/// A file as it was.
#[derive(Debug)]
pub(crate) struct OldFile {
    pub(crate) metadata: Metadata,
    content: Vec<u8>,
}

impl OldFile {
    /// What a read of `length` bytes at `offset` would have found.
    pub(crate) fn read(&self, offset: u64, length: usize) -> &[u8] {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.content.len());
        let to = from.saturating_add(length).min(self.content.len());
        &self.content[from..to]
    }
}

/// All files as they were at some time, by their paths from the mount point.
#[derive(Debug)]
pub(crate) struct Snapshot {
    backing: PathBuf,
    files: Mutex<Option<BTreeMap<String, Arc<OldFile>>>>,
}

impl Snapshot {
    pub(crate) fn of(backing: &Path) -> Self {
        Self { backing: backing.into(), files: Mutex::default() }
    }

    /// Copies all files now.
    pub(crate) fn take(&self) -> io::Result<()> {
        let (mut files, mut left) = (BTreeMap::new(), MAX_BYTES);
        copy_below(&self.backing, "", &mut files, &mut left)?;
        *self.files() = Some(files);
        Ok(())
    }

    /// Copies all files now, unless there is a copy.
    pub(crate) fn take_if_none(&self) -> io::Result<()> {
        let taken = self.files().is_some();
        if taken { Ok(()) } else { self.take() }
    }

    pub(crate) fn file(&self, path: &str) -> Option<Arc<OldFile>> {
        self.files().as_ref()?.get(path).cloned()
    }

    fn files(&self) -> MutexGuard<'_, Option<BTreeMap<String, Arc<OldFile>>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn copy_below(
    directory: &Path,
    path: &str,
    files: &mut BTreeMap<String, Arc<OldFile>>,
    left: &mut u64,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            copy_below(&entry.path(), &path, files, left)?;
        } else if metadata.is_file() {
            *left = left.checked_sub(metadata.len()).ok_or_else(|| {
                io::Error::new(io::ErrorKind::FileTooLarge, "more than 256 MiB of files; not copied")
            })?;
            files.insert(path, Arc::new(OldFile { metadata, content: fs::read(entry.path())? }));
        }
    }
    Ok(())
}
