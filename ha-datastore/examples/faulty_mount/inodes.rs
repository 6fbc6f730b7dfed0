use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use fuser::{Errno, FileAttr, FileType, INodeNo};
use rustix::fs::{CWD, Mode, OFlags, openat};

/// A file or directory that the kernel knows, held by a descriptor, so that it stays the same one whatever
/// becomes of its name.
#[derive(Debug)]
pub(crate) struct Inode {
    place: File,
    /// From the mount point, as it was last looked up.
    pub(crate) path: String,
}

impl Inode {
    fn open(parent: impl std::os::fd::AsFd, name: &OsStr, path: String) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place: OwnedFd = openat(parent, name, flags, Mode::empty()).map_err(io::Error::from)?;
        Ok(Self { place: place.into(), path })
    }

    /// The descriptor that stands for it; good for looking and as a parent, not for its content.
    pub(crate) const fn place(&self) -> &File {
        &self.place
    }

    /// The path of a child.
    pub(crate) fn child(&self, name: &OsStr) -> String {
        format!("{}/{}", self.path, name.to_string_lossy())
    }

    /// Opens what it stands for.
    pub(crate) fn reopen(&self, options: &OpenOptions) -> io::Result<File> {
        options.open(format!("/proc/self/fd/{}", self.place.as_raw_fd()))
    }
}

/// What the kernel knows of one mount. The numbers are those of the backing directory, which is taken to lie on
/// one file system, so that all mounts agree on them.
#[derive(Debug)]
pub(crate) struct Inodes {
    root: Arc<Inode>,
    root_number: u64,
    known: Mutex<BTreeMap<u64, Known>>,
}

#[derive(Debug)]
struct Known {
    inode: Arc<Inode>,
    /// How often the kernel was told of it and has not yet forgotten it.
    lookups: u64,
}

impl Inodes {
    pub(crate) fn new(backing: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place: OwnedFd = openat(CWD, backing, flags, Mode::empty())?;
        let root = Inode { place: place.into(), path: String::new() };
        let root_number = root.place.metadata()?.ino();
        Ok(Self { root: Arc::new(root), root_number, known: Mutex::default() })
    }

    pub(crate) fn get(&self, number: INodeNo) -> Result<Arc<Inode>, Errno> {
        if number == INodeNo::ROOT {
            return Ok(Arc::clone(&self.root));
        }
        self.known().get(&number.0).map(|known| Arc::clone(&known.inode)).ok_or(Errno::ESTALE)
    }

    /// Finds a name, and counts that the kernel knows it now.
    pub(crate) fn look_up(&self, parent: INodeNo, name: &OsStr) -> Result<(Arc<Inode>, FileAttr), Errno> {
        let parent = self.get(parent)?;
        let inode = Arc::new(Inode::open(&parent.place, name, parent.child(name))?);
        let attributes = self.attributes(&inode.place.metadata()?)?;
        let mut known = self.known();
        let entry =
            known.entry(attributes.ino.0).or_insert_with(|| Known { inode: Arc::clone(&inode), lookups: 0 });
        entry.lookups = entry.lookups.saturating_add(1);
        // It may have a new name.
        entry.inode = Arc::clone(&inode);
        Ok((inode, attributes))
    }

    pub(crate) fn forget(&self, number: INodeNo, lookups: u64) {
        let mut known = self.known();
        if let Some(entry) = known.get_mut(&number.0) {
            entry.lookups = entry.lookups.saturating_sub(lookups);
            if entry.lookups == 0 {
                known.remove(&number.0);
            }
        }
    }

    /// The number by which the kernel knows what has this number in the backing directory.
    pub(crate) fn number(&self, backing: u64) -> INodeNo {
        if backing == self.root_number { INodeNo::ROOT } else { INodeNo(backing) }
    }

    pub(crate) fn attributes(&self, found: &Metadata) -> Result<FileAttr, Errno> {
        let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
        Ok(FileAttr {
            ino: self.number(found.ino()),
            size: found.size(),
            blocks: found.blocks(),
            atime: found.accessed()?,
            mtime: found.modified()?,
            ctime: found.modified()?,
            crtime: SystemTime::UNIX_EPOCH,
            kind: FileType::from_std(found.file_type()).ok_or(Errno::EIO)?,
            perm: u16::try_from(found.permissions().mode() & 0o7777).unwrap_or(0),
            nlink: narrow(found.nlink()),
            uid: found.uid(),
            gid: found.gid(),
            rdev: narrow(found.rdev()),
            blksize: narrow(found.blksize()),
            flags: 0,
        })
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
