use alloc::borrow::ToOwned as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::at;

/// Replaces the content of `path`: writes `<path>.tmp` (mode 0600), syncs it, renames it over `path`, syncs the
/// directory. What an earlier, interrupted call left in `<path>.tmp` is removed. One writer at a time.
///
/// # Errors
///
/// What the operating system answered, with the path. Afterwards the content is the old or the new one.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, |_| Ok(()))
}

/// What is done, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    RemoveLeftover,
    Create,
    Write,
    Sync,
    Rename,
    SyncDirectory,
}

/// `before` is told each step before it is taken, and can end the work there, as a crash would.
fn replace(path: &Path, bytes: &[u8], mut before: impl FnMut(Step) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary_of(path);
    before(Step::RemoveLeftover)?;
    remove_leftover(path)?;
    before(Step::Create)?;
    // Never into a file that somebody else made, or through a link.
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    let mut file = created.map_err(at(&temporary))?;
    before(Step::Write)?;
    file.write_all(bytes).map_err(at(&temporary))?;
    before(Step::Sync)?;
    file.sync_all().map_err(at(&temporary))?;
    before(Step::Rename)?;
    fs::rename(&temporary, path).map_err(at(path))?;
    before(Step::SyncDirectory)?;
    sync_directory_of(path)
}

/// Makes the last rename to `path` durable.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(at(directory))
}

/// Removes what an interrupted [`write_atomically`] to `path` left behind, if it did.
pub(super) fn remove_leftover(path: &Path) -> io::Result<()> {
    let temporary = temporary_of(path);
    match fs::remove_file(&temporary) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(&temporary)(error)),
    }
}

fn temporary_of(path: &Path) -> PathBuf {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    PathBuf::from(temporary)
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU32, Ordering};

    use ha_core::{BootId, ClusterId, HostId, Identity, Incarnation};

    use super::*;
    use crate::format::local::{ConfigVersion, FdmConfig, LocalFile, LocalRecord as _};
    use crate::fs::local::{LocalFolder, VersionRule};

    const STEPS: [Step; 6] =
        [Step::RemoveLeftover, Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncDirectory];
    const ME: Identity = Identity {
        cluster: ClusterId::from_bytes([0xc1; 16]),
        host: HostId::new(7),
        boot: BootId::from_bytes([0xb0; 16]),
        incarnation: Incarnation::new(1),
    };

    fn config(version: u64) -> FdmConfig {
        let options = "#".repeat(usize::try_from(version).unwrap() * 5_000).parse().unwrap();
        FdmConfig { version: ConfigVersion::new(version), options }
    }

    /// A folder of its own, with version 1 in it.
    fn folder_with_one() -> (PathBuf, PathBuf) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = alloc::format!(
            "ha-datastore-cut-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        fs::remove_dir_all(&folder).ok();
        fs::create_dir(&folder).unwrap();
        LocalFolder::open(&folder, ME).unwrap().write(&config(1), VersionRule::OnlyNewer).unwrap();
        let path = folder.join(LocalFile::FdmConfig.name());
        (folder, path)
    }

    /// After a crash: which version is read, and that a newer one can be written over it.
    fn goes_on(folder: &Path) -> u64 {
        let local = LocalFolder::open(folder, ME).unwrap();
        let found = local.read::<FdmConfig>().unwrap().unwrap().content;
        assert_eq!(found, config(found.version.number()), "whole");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "what was left over is gone");
        local.write(&config(3), VersionRule::OnlyNewer).unwrap();
        assert_eq!(local.read::<FdmConfig>().unwrap().unwrap().content, config(3));
        fs::remove_dir_all(folder).unwrap();
        found.version.number()
    }

    #[test]
    fn cut_before_each_step_there_is_the_old_or_the_new_content() {
        for (taken, cut) in STEPS.iter().enumerate() {
            let (folder, path) = folder_with_one();
            let mut steps = STEPS.iter();
            let crash = |step| {
                assert_eq!(Some(&step), steps.next(), "in this order");
                if step == *cut { Err(io::Error::other("crash")) } else { Ok(()) }
            };
            let error = replace(&path, &config(2).seal(&ME).unwrap(), crash).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Other);
            let renamed = taken > 4;
            assert_eq!(goes_on(&folder), if renamed { 2 } else { 1 }, "cut before {cut:?}");
        }
    }

    #[test]
    fn a_write_that_is_cut_short_leaves_the_old_content() {
        let new = config(2).seal(&ME).unwrap();
        for length in (0..=new.len()).step_by(1_111) {
            let (folder, path) = folder_with_one();
            fs::write(temporary_of(&path), new.get(..length).unwrap()).unwrap();
            assert_eq!(goes_on(&folder), 1, "{length}");
        }
    }
}
