//! State of this host alone, on its own disk: replaced as a whole, so that a crash leaves the old or the new
//! content. Never for shared storage, where nothing is renamed (architecture 7).

use alloc::borrow::ToOwned as _;
use alloc::format;
use core::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ha_core::Incarnation;

/// Replaces the content of `path`: writes `<path>.tmp` (mode 0600), syncs it, renames it over `path`, syncs the
/// directory. What an earlier, interrupted call left in `<path>.tmp` is overwritten. One writer at a time.
///
/// # Errors
///
/// What the operating system answered, with the path. Afterwards the content is the old or the new one.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(at(&temporary))?;
    fs::rename(&temporary, path).map_err(at(path))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(at(directory))
}

/// The incarnation of an agent that starts now: one more than `at_least` and than the one stored in
/// `<directory>/incarnation`, and stored there durably before this returns. It never repeats.
///
/// `at_least` is the highest that is known from elsewhere; after loss of the directory that is the maximum over
/// the host's own files on every readable datastore and what peers heard (architecture 4).
///
/// # Errors
///
/// What the operating system answered, with the path; `InvalidData` if the file holds something else than an
/// incarnation, or the last one. A file that cannot be understood is never taken for a missing one.
pub fn raise_incarnation(directory: &Path, at_least: Incarnation) -> io::Result<Incarnation> {
    let path = directory.join("incarnation");
    let stored = match fs::read_to_string(&path) {
        Ok(text) => Some(text.trim_end().parse().map_err(invalid(&path))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(at(&path)(error)),
    };
    let last = stored.map_or(at_least, |stored: Incarnation| stored.max(at_least));
    let raised = last.next();
    if raised == last {
        return Err(invalid(&path)("no incarnation is left after the last one"));
    }
    write_atomically(&path, format!("{raised}\n").as_bytes())?;
    Ok(raised)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn invalid<E: fmt::Display>(path: &Path) -> impl FnOnce(E) -> io::Error {
    move |why| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
}
