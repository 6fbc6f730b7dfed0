use std::ffi::OsStr;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use fuser::{Errno, FileAttr, FileHandle, FileType, INodeNo, OpenAccMode, OpenFlags, ReplyDirectory};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags as Renaming, StatVfs};

use crate::faults::{Faults, Kind};
use crate::handles::{Handle, Handles};
use crate::inodes::{Inode, Inodes};
use crate::local_locks::LocalLocks;
use crate::snapshot::Snapshot;

/// What the file system and its commands share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) faults: Faults,
    pub(crate) handles: Handles,
    pub(crate) local_locks: LocalLocks,
    pub(crate) snapshot: Snapshot,
    pub(crate) inodes: Inodes,
}

impl Shared {
    pub(crate) fn open(backing: &Path) -> io::Result<Self> {
        let backing = backing.canonicalize()?;
        Ok(Self {
            faults: Faults::default(),
            handles: Handles::default(),
            local_locks: LocalLocks::default(),
            snapshot: Snapshot::of(&backing),
            inodes: Inodes::new(&backing)?,
        })
    }

    /// What the kernel asks about, once the faults have let the request pass.
    pub(crate) fn pass(&self, kind: Kind, number: INodeNo) -> Result<Arc<Inode>, Errno> {
        let inode = self.inodes.get(number)?;
        self.faults.pass(kind, &inode.path)?;
        Ok(inode)
    }

    pub(crate) fn pass_child(&self, kind: Kind, parent: INodeNo, name: &OsStr) -> Result<Arc<Inode>, Errno> {
        let parent = self.inodes.get(parent)?;
        self.faults.pass(kind, &parent.child(name))?;
        Ok(parent)
    }

    pub(crate) fn pass_open(&self, kind: Kind, number: FileHandle) -> Result<Arc<Handle>, Errno> {
        let handle = self.handles.get(number)?;
        self.faults.pass(kind, &handle.path)?;
        Ok(handle)
    }

    pub(crate) fn look_up(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Errno> {
        let (inode, attributes) = self.inodes.look_up(parent, name)?;
        self.stale_or(&inode, attributes)
    }

    pub(crate) fn attributes(&self, inode: &Inode) -> Result<FileAttr, Errno> {
        let attributes = self.inodes.attributes(&inode.place().metadata()?)?;
        self.stale_or(inode, attributes)
    }

    fn stale_or(&self, inode: &Inode, attributes: FileAttr) -> Result<FileAttr, Errno> {
        match self.snapshot.file(&inode.path).filter(|_| self.faults.is_stale(&inode.path)) {
            // The same file: a cache that is behind knows which one it was asked for.
            Some(old) => Ok(FileAttr { ino: attributes.ino, ..self.inodes.attributes(&old.metadata)? }),
            None => Ok(attributes),
        }
    }

    pub(crate) fn open_file(&self, inode: &Inode, flags: OpenFlags) -> Result<FileHandle, Errno> {
        let mut options = OpenOptions::new();
        // Whoever may write may also hold a shared lock, for which the kernel wants a descriptor that reads.
        match flags.acc_mode() {
            OpenAccMode::O_RDONLY => options.read(true),
            OpenAccMode::O_WRONLY | OpenAccMode::O_RDWR => options.read(true).write(true),
        };
        self.handles.insert(self.handle(inode.reopen(&options)?, &inode.path)?)
    }

    fn handle(&self, file: File, path: &str) -> Result<Handle, Errno> {
        let stand_in = self.local_locks.instead_of(&file)?;
        Ok(Handle::new(file, stand_in, path))
    }

    pub(crate) fn create(
        &self,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        flags: i32,
    ) -> Result<(FileAttr, FileHandle), Errno> {
        let place = self.pass_child(Kind::Create, parent, name)?;
        let exclusive = if flags & nix::libc::O_EXCL == 0 { OFlags::empty() } else { OFlags::EXCL };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | exclusive;
        let file = rustix::fs::openat(place.place(), name, flags, Mode::from_raw_mode(mode));
        let handle = self.handle(File::from(file.map_err(io::Error::from)?), &place.child(name))?;
        let attributes = self.look_up(parent, name)?;
        Ok((attributes, self.handles.insert(handle)?))
    }

    pub(crate) fn read(&self, number: FileHandle, offset: u64, length: u32) -> Result<Vec<u8>, Errno> {
        let handle = self.pass_open(Kind::Read, number)?;
        let file = handle.file()?;
        let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
        if let Some(old) = self.snapshot.file(&handle.path).filter(|_| self.faults.is_stale(&handle.path)) {
            return Ok(old.read(offset, length).to_vec());
        }
        let mut bytes = vec![0; length];
        let read = file.read_at(&mut bytes, offset)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    pub(crate) fn write(&self, number: FileHandle, offset: u64, bytes: &[u8]) -> Result<u32, Errno> {
        let handle = self.pass_open(Kind::Write, number)?;
        let kept = self.faults.kept_of(&handle.path, bytes.len());
        handle.file()?.write_all_at(&bytes[..kept], offset)?;
        self.faults.wrote();
        u32::try_from(bytes.len()).map_err(|_| Errno::EINVAL)
    }

    pub(crate) fn sync(&self, number: FileHandle, data_only: bool) -> Result<(), Errno> {
        let handle = self.pass_open(Kind::Sync, number)?;
        let file = handle.file()?;
        if data_only { file.sync_data() } else { file.sync_all() }.map_err(Errno::from)
    }

    pub(crate) fn sync_directory(&self, number: INodeNo) -> Result<(), Errno> {
        let inode = self.pass(Kind::Sync, number)?;
        Ok(inode.reopen(OpenOptions::new().read(true))?.sync_all()?)
    }

    pub(crate) fn list(&self, number: INodeNo, offset: u64, reply: &mut ReplyDirectory) -> Result<(), Errno> {
        let inode = self.pass(Kind::Look, number)?;
        let directory = inode.reopen(OpenOptions::new().read(true))?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (entry, next) in
            rustix::fs::Dir::read_from(directory).map_err(io::Error::from)?.zip(1..).skip(from)
        {
            let entry = entry.map_err(io::Error::from)?;
            // Good enough for a listing; whoever wants to know more looks at the file.
            let kind = if entry.file_type().is_dir() { FileType::Directory } else { FileType::RegularFile };
            let name = OsStr::new(entry.file_name().to_str().unwrap_or("?"));
            if reply.add(self.inodes.number(entry.ino()), next, kind, name) {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn room(&self, number: INodeNo) -> Result<StatVfs, Errno> {
        let inode = self.pass(Kind::Look, number)?;
        Ok(rustix::fs::fstatvfs(inode.place()).map_err(io::Error::from)?)
    }

    pub(crate) fn rename(
        &self,
        from: (INodeNo, &OsStr),
        to: (INodeNo, &OsStr),
        flags: u32,
    ) -> Result<(), Errno> {
        let source = self.pass_child(Kind::Create, from.0, from.1)?;
        let target = self.inodes.get(to.0)?;
        let flags = Renaming::from_bits(flags).ok_or(Errno::EINVAL)?;
        Ok(rustix::fs::renameat_with(source.place(), from.1, target.place(), to.1, flags)
            .map_err(io::Error::from)?)
    }

    pub(crate) fn remove(&self, parent: INodeNo, name: &OsStr, flags: AtFlags) -> Result<(), Errno> {
        let parent = self.pass_child(Kind::Create, parent, name)?;
        Ok(rustix::fs::unlinkat(parent.place(), name, flags).map_err(io::Error::from)?)
    }

    pub(crate) fn make_directory(&self, parent: INodeNo, name: &OsStr, mode: u32) -> Result<FileAttr, Errno> {
        let place = self.pass_child(Kind::Create, parent, name)?;
        rustix::fs::mkdirat(place.place(), name, Mode::from_raw_mode(mode)).map_err(io::Error::from)?;
        self.look_up(parent, name)
    }

    pub(crate) fn change(
        &self,
        number: INodeNo,
        mode: Option<u32>,
        size: Option<u64>,
    ) -> Result<FileAttr, Errno> {
        let inode = self.pass(Kind::Write, number)?;
        if let Some(size) = size {
            inode.reopen(OpenOptions::new().write(true))?.set_len(size)?;
        }
        if let Some(mode) = mode {
            inode.reopen(OpenOptions::new().read(true))?.set_permissions(Permissions::from_mode(mode))?;
        }
        self.attributes(&inode)
    }
}
