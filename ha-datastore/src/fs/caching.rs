use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use bytes::Bytes;
use ha_core::record::BLOCK;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::mount::Mount;

/// [`BLOCK`] as offsets are counted.
const BLOCK_LONG: u64 = BLOCK as u64;

/// Whether the kernel of this host keeps pages of a datastore's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// It may; a write is synced, and a read opens the file anew.
    #[default]
    Kernel,
    /// It may not: `O_DIRECT | O_SYNC`, as sanlock and sbd do (reliability 4). A write goes to storage as one request,
    /// and a read asks storage. What a server keeps is its own business.
    ///
    /// Writes must lie on blocks of 4096 bytes, as those of all machines do. The lock files of virtual machines are
    /// still written through the kernel's cache by their holders, and synced.
    Direct,
}

/// A mount and how it is read and written. Any [`Mount`] is one with [`Caching::Kernel`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedMount {
    /// The datastore.
    pub mount: Mount,
    /// How its files are read and written.
    pub caching: Caching,
}

impl From<Mount> for CachedMount {
    fn from(mount: Mount) -> Self {
        Self { mount, caching: Caching::Kernel }
    }
}

impl Caching {
    /// Opens a file of a datastore to read it, as often as it is polled: not by std, whose calls are points of
    /// cancellation of threads.
    pub(super) fn open_to_read(self, path: &Path) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let flags = match self {
            Self::Kernel => flags,
            Self::Direct => flags | OFlags::DIRECT | OFlags::SYNC,
        };
        loop {
            match rustix::fs::open(path, flags, Mode::empty()) {
                Ok(file) => return Ok(file.into()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Opens a file of a datastore, which must exist.
    pub(super) fn open(self, path: &Path, options: &mut OpenOptions) -> io::Result<File> {
        match self {
            Self::Kernel => {}
            Self::Direct => {
                // The bits fit: these flags are small numbers.
                let flags = (OFlags::DIRECT | OFlags::SYNC).bits();
                options.custom_flags(i32::try_from(flags).unwrap_or(0));
            }
        }
        options.open(path)
    }

    /// Whether so many bytes can be written there as they are.
    pub(super) fn takes(self, offset: u64, length: u64) -> bool {
        match self {
            Self::Kernel => true,
            Self::Direct => offset.is_multiple_of(BLOCK_LONG) && length.is_multiple_of(BLOCK_LONG),
        }
    }

    /// Opens and reads the first block of a file: whether the file system takes requests of this kind.
    pub(super) fn probe(self, path: &Path) -> io::Result<()> {
        let file = self.open(path, OpenOptions::new().read(true))?;
        match self {
            Self::Kernel => Ok(()),
            Self::Direct => read_direct(&file, 0, BLOCK).map(drop),
        }
    }
}

/// Reads `length` bytes at any offset past the kernel's cache. [`io::ErrorKind::UnexpectedEof`] if there are fewer.
pub(super) fn read_direct(file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
    // Below `BLOCK`, so it fits.
    let skipped = usize::try_from(offset % BLOCK_LONG).unwrap_or(0);
    let begin = offset - offset % BLOCK_LONG;
    let wanted = skipped.saturating_add(length);
    let mut buffer = AlignedBuffer::new(wanted.next_multiple_of(BLOCK));
    let room = buffer.bytes();
    let mut filled = 0;
    // A part of a block is the end of the file; nothing can be asked for from there.
    while filled < wanted && filled.is_multiple_of(BLOCK) {
        let place = room.get_mut(filled..).unwrap_or(&mut []);
        match file.read_at(place, begin.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX))) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let found = room.get(..filled).and_then(|found| found.get(skipped..wanted));
    found.map(Bytes::copy_from_slice).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Writes past the kernel's cache what [`takes`](Caching::takes) allows.
pub(super) fn write_direct(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut buffer = AlignedBuffer::new(bytes.len());
    buffer.bytes().copy_from_slice(bytes);
    file.write_all_at(buffer.bytes(), offset)
}

/// Bytes that begin on a block's boundary in memory, as `O_DIRECT` wants them.
struct AlignedBuffer {
    /// One block longer than asked for, so that there is a boundary in the first one.
    bytes: alloc::vec::Vec<u8>,
    length: usize,
}

impl AlignedBuffer {
    fn new(length: usize) -> Self {
        Self { bytes: alloc::vec![0; length.saturating_add(BLOCK)], length }
    }

    /// The vector never grows, so its boundary stays where it is.
    fn bytes(&mut self) -> &mut [u8] {
        let begin = self.bytes.as_ptr().align_offset(BLOCK);
        let rest = self.bytes.get_mut(begin..).unwrap_or(&mut []);
        rest.get_mut(..self.length).unwrap_or(&mut [])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_begins_on_a_boundary_and_has_its_length() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 40 * BLOCK] {
            let mut buffer = AlignedBuffer::new(length);
            assert_eq!(buffer.bytes().as_ptr().addr() % BLOCK, 0);
            assert_eq!(buffer.bytes().len(), length);
        }
    }
}
