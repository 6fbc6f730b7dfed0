use alloc::string::String;
use alloc::vec::Vec;

use super::error::{LineError, OptionError};

/// `name = value` in some line of a text.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) value: String,
}

/// Reads the form of [`Options::parse_key_value`](super::Options::parse_key_value).
pub(super) fn read(text: &str) -> Result<Vec<Assignment>, LineError> {
    let mut assignments = Vec::new();
    for (line, content) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let Some((name, value)) = content.split_once('=') else {
            return Err(LineError { line, error: OptionError::syntax("`name = value`", content) });
        };
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        assignments.push(Assignment { line, name: String::from(name.trim()), value: String::from(bare) });
    }
    Ok(assignments)
}
