//! Where a demo puts its files.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::failure::{Context, Failure};

/// Everything the demo writes lies below this folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    /// A new temporary folder of this name, which is removed when this is dropped.
    ///
    /// # Errors
    ///
    /// A failure if it cannot be created.
    pub fn temporary(name: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path).context(|| format!("creating {}", path.display()))?;
        Ok(Self { path, temporary: true })
    }

    /// A folder of the person's choice, which stays. It is created if it does not exist, and must be empty.
    ///
    /// # Errors
    ///
    /// A failure that names the folder and what would be accepted.
    pub fn chosen(path: &Path) -> Result<Self, Failure> {
        let accepted = "accepted: an empty directory, or a path where one can be created";
        let context = |error: io::Error| Failure::new(format!("{}: {error}; {accepted}", path.display()));
        std::fs::create_dir_all(path).map_err(context)?;
        if std::fs::read_dir(path).map_err(context)?.next().is_some() {
            return Err(Failure::new(format!("{} is not empty; {accepted}", path.display())));
        }
        // Roles are started with other working directories in mind than the person's.
        let path = path.canonicalize().map_err(context)?;
        Ok(Self { path, temporary: false })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            eprintln!("could not remove {}: {error}", self.path.display());
        }
    }
}
