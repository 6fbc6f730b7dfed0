use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ha_core::Identity;
use ha_core::record::{HEADER, Sealed};

use super::LocalError;
use super::mapped::MappedVmMetadata;
use super::open::{Opened, open};
use super::replace::{remove_leftover, sync_directory_of, write_atomically};
use crate::format::local::{LocalFile, LocalRecord, VmMetadata};
use crate::fs::FileSystem;

/// The folder of a host's own files, on its own disk or RAM disk (fdm-facts 5.1).
///
/// Each file is replaced as a whole and durably; versions do not go back. One agent at a time uses a folder; readers
/// besides it, such as a person's tool, may come at any time, since they see the old file or the new one.
#[derive(Clone, Debug)]
pub struct LocalFolder {
    directory: PathBuf,
    owner: Identity,
}

/// Whether a content may take the place of the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionRule {
    /// Only if its version is higher, or nothing is stored.
    OnlyNewer,
    /// Always: an operator's word, or a host that has moved to another cluster.
    Forced,
}

/// How a write went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The content is stored, durably.
    Stored,
    /// The very same content was stored already, under this version, durably.
    Unchanged,
}

impl LocalFolder {
    /// The folder of `owner`, which must exist. Removes what interrupted writes have left behind.
    ///
    /// # Errors
    ///
    /// [`LocalError::NotADirectory`], [`LocalError::NotLocal`], [`LocalError::Io`].
    pub fn open(directory: &Path, owner: Identity) -> Result<Self, LocalError> {
        let io = LocalError::at(directory);
        if !directory.metadata().map_err(&io)?.is_dir() {
            return Err(LocalError::NotADirectory { path: directory.into() });
        }
        let found = FileSystem::of(directory).map_err(&io)?;
        if !found.is_local() {
            return Err(LocalError::NotLocal { path: directory.into(), found });
        }
        let this = Self { directory: directory.into(), owner };
        for file in LocalFile::ALL {
            let path = this.path_of(file);
            remove_leftover(&path).map_err(LocalError::at(&path))?;
        }
        Ok(this)
    }

    /// Where a file lies.
    #[must_use]
    pub fn path_of(&self, file: LocalFile) -> PathBuf {
        self.directory.join(file.name())
    }

    /// What a file says; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`LocalError`]. A file that cannot be understood is never taken for a missing one.
    pub fn read<T: LocalRecord>(&self) -> Result<Option<Sealed<T>>, LocalError> {
        let path = self.path_of(T::FILE);
        let Some(bytes) = read_all(&path, T::FILE)? else { return Ok(None) };
        let record = T::read(&bytes, self.owner.cluster, self.owner.host);
        record.map(Some).map_err(|fault| LocalError::Damaged { path, fault })
    }

    /// Replaces a file, durably.
    ///
    /// # Errors
    ///
    /// [`LocalError`]; after [`LocalError::Io`] the content is the old or the new one, after any other it is the old
    /// one.
    pub fn write<T: LocalRecord>(&self, content: &T, rule: VersionRule) -> Result<Written, LocalError> {
        let path = self.path_of(T::FILE);
        let sealed = content.seal(&self.owner);
        let bytes = sealed.map_err(|source| LocalError::TooLarge { path: path.clone(), source })?;
        let stored = match rule {
            VersionRule::OnlyNewer => read_all(&path, T::FILE)?,
            VersionRule::Forced => None,
        };
        if let Some(stored) = stored {
            let read = T::read_version(&stored, self.owner.cluster, self.owner.host);
            let version = read.map_err(|fault| LocalError::Damaged { path: path.clone(), fault })?;
            let given = content.version();
            if version > given {
                return Err(LocalError::Older { path, stored: version, given });
            }
            if version == given {
                // Another life of this agent may have written it; only what it says counts.
                if stored.get(HEADER..) != bytes.get(HEADER..) {
                    return Err(LocalError::SameVersion { path, version });
                }
                // That life may have ended before its rename was durable.
                sync_directory_of(&path).map_err(LocalError::at(&path))?;
                return Ok(Written::Unchanged);
            }
        }
        write_atomically(&path, &bytes).map_err(LocalError::at(&path))?;
        Ok(Written::Stored)
    }

    /// `vmmetadata`, mapped and checked; `None` if there is none. It stays as it is, whatever is written later.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn map_vm_metadata(&self) -> Result<Option<MappedVmMetadata>, LocalError> {
        let path = self.path_of(VmMetadata::FILE);
        let Some(opened) = open(&path, VmMetadata::FILE)? else { return Ok(None) };
        MappedVmMetadata::map(&path, &opened, self.owner.cluster, self.owner.host).map(Some)
    }
}

fn read_all(path: &Path, which: LocalFile) -> Result<Option<alloc::vec::Vec<u8>>, LocalError> {
    let Some(Opened { file, length }) = open(path, which)? else { return Ok(None) };
    let mut bytes = alloc::vec![0; length];
    file.read_exact_at(&mut bytes, 0).map_err(LocalError::at(path))?;
    Ok(Some(bytes))
}
