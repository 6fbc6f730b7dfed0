use super::error::{LineError, OptionError};

/// Reads the form of [`Options::parse_key_value`](super::Options::parse_key_value), and hands each name and value
/// to `set` before it looks at the next line.
pub(super) fn read(
    text: &str,
    mut set: impl FnMut(&str, &str) -> Result<(), OptionError>,
) -> Result<(), LineError> {
    for (line, content) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let told = content.split_once('=').ok_or_else(|| OptionError::syntax("`name = value`", content));
        told.and_then(|(name, value)| {
            let value = value.trim();
            let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
            set(name.trim(), bare)
        })
        .map_err(|error| LineError { line, error })?;
    }
    Ok(())
}
