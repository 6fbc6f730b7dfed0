//! Locks as the kernel asks for them, on the backing file.
//!
//! Every kind - `flock`, `fcntl` and those of an open file description - becomes the last of these, on the
//! descriptor that backs the one file handle. So all mounts of the backing directory share them, and they end
//! with the handle, or with this process however it ends. (A process's `fcntl` lock does not end with *another*
//! of its descriptors here, as it would on a disk. Nobody should want that.) Where locks are local, another file stands
//! in for the backing one: see `local_locks`.

use core::time::Duration;
use std::fs::File;
use std::sync::Arc;

use fuser::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{self, c_int, c_short, off_t};

use crate::faults::Faults;
use crate::handles::Handle;

/// Between two tries of a request that may wait. The kernel would tell, but there is no way to ask it to stop.
const TRY_GAP: Duration = Duration::from_millis(10);

/// One request: a type of lock (`F_RDLCK`, `F_WRLCK`, `F_UNLCK`) on the bytes from `start` to `end`, both included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) lock: i32,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Range {
    const EVERYTHING_FREE: Self = Self { lock: libc::F_UNLCK, start: 0, end: u64::MAX };

    fn to_kernel(self) -> Result<libc::flock, Errno> {
        let start = off_t::try_from(self.start).map_err(|_| Errno::EINVAL)?;
        // Zero bytes mean: to the end of the file, wherever that will be.
        let to_end = self.end >= off_t::MAX.unsigned_abs();
        let length = if to_end { 0 } else { self.end.saturating_sub(self.start).saturating_add(1) };
        Ok(libc::flock {
            l_type: c_short::try_from(self.lock).map_err(|_| Errno::EINVAL)?,
            l_whence: c_short::try_from(libc::SEEK_SET).map_err(|_| Errno::EINVAL)?,
            l_start: start,
            l_len: off_t::try_from(length).map_err(|_| Errno::EINVAL)?,
            l_pid: 0,
        })
    }

    fn from_kernel(found: &libc::flock) -> Self {
        let start = u64::try_from(found.l_start).unwrap_or(0);
        let length = u64::try_from(found.l_len).unwrap_or(0);
        let end = if length == 0 { off_t::MAX.unsigned_abs() } else { start.saturating_add(length - 1) };
        Self { lock: c_int::from(found.l_type), start, end }
    }
}

/// Tries once.
pub(crate) fn set(file: &File, range: Range) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&range.to_kernel()?)).map(drop).map_err(errno)
}

/// Tries until it is granted, the handle is dead, or another error comes.
pub(crate) fn set_patiently(handle: &Arc<Handle>, range: Range, faults: &Faults) -> Result<(), Errno> {
    loop {
        match set(handle.lockable()?, range) {
            Err(error) if error.code() == Errno::EAGAIN.code() => faults.pause(TRY_GAP),
            done => return done,
        }
    }
}

/// What stands against `range`, or that nothing does (`F_UNLCK`).
pub(crate) fn get(file: &File, range: Range) -> Result<Range, Errno> {
    let mut asked = range.to_kernel()?;
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut asked)).map_err(errno)?;
    Ok(Range::from_kernel(&asked))
}

/// Frees whatever is locked through this descriptor.
pub(crate) fn free(file: &File) {
    // A descriptor that has no lock, or cannot have one, has nothing to lose.
    let _freed = set(file, Range::EVERYTHING_FREE);
}

fn errno(error: nix::errno::Errno) -> Errno {
    std::io::Error::from(error).into()
}
