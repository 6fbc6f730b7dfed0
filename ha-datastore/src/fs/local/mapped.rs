//! The one module that maps a file, and the one in this crate with unsafe code.

use core::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use ha_core::record::RecordFault;
use ha_core::{ClusterId, HostId};
use memmap2::{Mmap, MmapOptions};

use super::LocalError;
use super::open::Opened;
use crate::format::local::{Layout, VmMetadataView};

/// `vmmetadata` mapped into memory, read-only: as long as a file may be, asking it costs no copy of it.
///
/// It was checked as a whole when it was mapped. If the disk fails later, under a page that the kernel has dropped
/// meanwhile, the process ends (SIGBUS), as it does when its own program's pages cannot be read; virtual machines do
/// not depend on the agent's life.
pub struct MappedVmMetadata {
    map: Mmap,
    layout: Layout,
}

impl MappedVmMetadata {
    pub(super) fn map(
        path: &Path,
        opened: &Opened,
        cluster: ClusterId,
        host: HostId,
    ) -> Result<Self, LocalError> {
        let damaged = |fault| LocalError::Damaged { path: path.into(), fault };
        if opened.length == 0 {
            // Of nothing there is no map.
            return Err(damaged(RecordFault::WrongSize { found: 0 }.into()));
        }
        let map = map_private(&opened.file, opened.length).map_err(LocalError::at(path))?;
        let layout = Layout::check(&map, cluster, host).map_err(damaged)?;
        Ok(Self { map, layout })
    }

    /// What the file says. Costs nothing: nothing is checked again.
    #[must_use]
    pub fn view(&self) -> VmMetadataView<'_> {
        self.layout.view(&self.map)
    }
}

impl fmt::Debug for MappedVmMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MappedVmMetadata").field(&self.layout).finish()
    }
}

#[allow(unsafe_code, reason = "a map is only as safe as its file is still; see the argument in it")]
fn map_private(file: &File, length: usize) -> io::Result<Mmap> {
    // SAFETY: the mapped bytes must not change, and the file must not become shorter, while the map lives.
    // * `open` has seen that the open file is a regular one, of this length, on a file system that one kernel alone
    //   mounts: no other host can touch it.
    // * On this host it has mode 0600, and its only writer is the agent through `LocalFolder::write`, which never
    //   writes into a file that has its final name: it makes another one, syncs it and renames it. The mapped inode
    //   keeps its bytes until the last map and descriptor are gone.
    // * The descriptor is read-only and the map private and read-only, so nothing changes it from here.
    // What is left is root writing into it by hand; root could write into this process's memory as well.
    unsafe { MmapOptions::new().len(length).map_copy_read_only(file) }
}
