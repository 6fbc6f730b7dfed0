use alloc::string::String;

/// A text that is not the identity it was taken for. Says what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a {what}: expected {expected}")]
pub struct ParseError {
    /// The kind of identity that was asked for.
    pub what: &'static str,
    /// The form that would have been accepted.
    pub expected: &'static str,
    /// The text that was given, cut to 64 characters.
    pub found: String,
}

impl ParseError {
    /// Keeps the first 64 characters of `found`. One allocation, of exactly their length: at most 256 bytes.
    #[must_use]
    pub fn new(what: &'static str, expected: &'static str, found: &str) -> Self {
        Self { what, expected, found: cut(found) }
    }
}

/// The first 64 characters of a text, as much as an error repeats. Errors are made for whatever a peer sends, so
/// this takes one allocation and no more bytes than it keeps.
pub(crate) fn cut(text: &str) -> String {
    let end = text.char_indices().nth(64).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or_default().into()
}

/// Reads `<prefix><decimal number>`, refusing signs, leading zeros and anything else but one spelling.
pub(crate) fn number_after<N: core::str::FromStr>(prefix: &str, text: &str) -> Option<N> {
    let digits = text.strip_prefix(prefix)?;
    let one_spelling = digits == "0" || !digits.starts_with('0');
    let only_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (one_spelling && only_digits).then(|| digits.parse().ok()).flatten()
}
