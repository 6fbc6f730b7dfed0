//! A file of options by vSphere's names.

use std::path::Path;

use ha_core::options::Options;
use serde::{Deserialize, Serialize};

use crate::failure::{Context, Failure};

/// The text of such a file. It is handed on as it was written, and read by every process that lives by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionsFile {
    toml: bool,
    text: String,
}

impl OptionsFile {
    /// Reads the file: TOML if its name ends in `.toml`, else lines `name = value`.
    ///
    /// # Errors
    ///
    /// A failure that names the file if it cannot be read, and the line if an option is not accepted.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).context(|| format!("reading {}", path.display()))?;
        let toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        let file = Self { toml, text };
        file.options().context(|| path.display().to_string())?;
        Ok(file)
    }

    /// The options.
    ///
    /// # Errors
    ///
    /// A failure that names the line if an option is not accepted.
    pub fn options(&self) -> Result<Options, Failure> {
        let read = if self.toml { Options::parse_toml } else { Options::parse_key_value };
        read(&self.text).context(|| "options".into())
    }
}
