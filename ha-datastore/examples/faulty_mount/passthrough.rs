use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, FileHandle, Filesystem, INodeNo, InitFlags, KernelConfig, LockOwner, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLock,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{AtFlags, StatVfs};

use crate::faults::Kind;
use crate::locks::{self, Range};
use crate::replies::{FORGOTTEN, ONLY_GENERATION, UNCACHED, attributes, done, entry};
use crate::shared::Shared;

/// What the kernel asks of the file system, carried out by [`Shared`].
#[derive(Debug)]
pub(crate) struct Passthrough(pub(crate) Arc<Shared>);

impl Filesystem for Passthrough {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Without these the kernel keeps locks to itself, and two mounts never see each other's.
        config
            .add_capabilities(InitFlags::FUSE_POSIX_LOCKS | InitFlags::FUSE_FLOCK_LOCKS)
            .map_err(|missing| io::Error::other(format!("this kernel's FUSE lacks {missing:?}")))
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let passed = self.0.pass_child(Kind::Look, parent, name);
        entry(reply, passed.and_then(|_| self.0.look_up(parent, name)));
    }

    fn forget(&self, _: &Request, number: INodeNo, lookups: u64) {
        self.0.inodes.forget(number, lookups);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attributes(reply, self.0.pass(Kind::Look, number).and_then(|inode| self.0.attributes(&inode)));
    }

    /// Mode and size; owners and times are the backing file system's business.
    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        attributes(reply, self.0.change(number, mode, size));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        entry(reply, self.0.make_directory(parent, name, mode & !umask));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.0.remove(parent, name, AtFlags::empty()));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.0.remove(parent, name, AtFlags::REMOVEDIR));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        done(reply, self.0.rename((parent, name), (new_parent, new_name), flags.bits()));
    }

    fn open(&self, _: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let inode = self.0.pass(Kind::Look, number);
        match inode.and_then(|inode| self.0.open_file(&inode, flags)) {
            Ok(handle) => reply.opened(handle, UNCACHED),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        match self.0.create(parent, name, mode & !umask, flags) {
            Ok((attributes, handle)) => {
                reply.created(&FORGOTTEN, &attributes, ONLY_GENERATION, handle, UNCACHED);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.read(handle, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.0.write(handle, offset, bytes) {
            Ok(written) => reply.written(written),
            Err(error) => reply.error(error),
        }
    }

    /// A descriptor is closed: on a stalled mount, that waits too.
    fn flush(&self, _: &Request, _: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        done(reply, self.0.pass_open(Kind::Look, handle).and_then(|open| open.file().map(drop)));
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.handles.remove(handle);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, data_only: bool, reply: ReplyEmpty) {
        done(reply, self.0.sync(handle, data_only));
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(reply, self.0.sync_directory(number));
    }

    fn readdir(&self, _: &Request, number: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        match self.0.list(number, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn statfs(&self, _: &Request, number: INodeNo, reply: ReplyStatfs) {
        match self.0.room(number) {
            Ok(StatVfs { f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_bsize, f_namemax, .. }) => {
                let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
                let (block, name) = (narrow(f_bsize), narrow(f_namemax));
                reply.statfs(f_blocks, f_bfree, f_bavail, f_files, f_ffree, block, name, block);
            }
            Err(error) => reply.error(error),
        }
    }

    fn getlk(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: LockOwner,
        start: u64,
        end: u64,
        lock: i32,
        _: u32,
        reply: ReplyLock,
    ) {
        let open = self.0.pass_open(Kind::Lock, handle);
        match open.and_then(|open| locks::get(open.lockable()?, Range { lock, start, end })) {
            Ok(found) => reply.locked(found.start, found.end, found.lock, 0),
            Err(error) => reply.error(error),
        }
    }

    fn setlk(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: LockOwner,
        start: u64,
        end: u64,
        lock: i32,
        _: u32,
        may_wait: bool,
        reply: ReplyEmpty,
    ) {
        let range = Range { lock, start, end };
        let shared = Arc::clone(&self.0);
        match self.0.pass_open(Kind::Lock, handle) {
            // Not on this thread, or a few that wait would keep everybody from being served.
            Ok(open) if may_wait => {
                drop(thread::spawn(move || done(reply, locks::set_patiently(&open, range, &shared.faults))))
            }
            Ok(open) => done(reply, open.lockable().and_then(|file| locks::set(file, range))),
            Err(error) => reply.error(error),
        }
    }
}
