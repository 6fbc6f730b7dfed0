//! State of this host alone, on its own disk: replaced as a whole, so that a crash leaves the old or the new
//! content. Never for shared storage, where nothing is renamed (architecture 7).
//!
//! [`LocalFolder`] keeps the four files of [`format::local`](crate::format::local); [`raise_incarnation`] the fifth,
//! the only one whose loss must not be repaired from elsewhere without care.

mod error;
mod folder;
mod mapped;
mod open;
mod replace;

use alloc::format;
use core::fmt;
use std::path::Path;
use std::{fs, io};

use ha_core::Incarnation;

pub use error::LocalError;
pub use folder::{LocalFolder, VersionRule, Written};
pub use mapped::MappedVmMetadata;
pub use replace::write_atomically;

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
