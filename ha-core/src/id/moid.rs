use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::parse::ParseError;

/// A managed object id such as `host-99`, **ordered as text**: `host-99` > `host-100`.
///
/// This is the order in which FDM breaks ties in an election (fdm-facts 1.10). One to
/// [`Moid::MAX_LEN`] characters out of letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moid(String);

impl Moid {
    /// The longest accepted id, in bytes.
    pub const MAX_LEN: usize = 80;

    /// The id as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Moid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Moid {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if text.is_empty() || text.len() > Self::MAX_LEN || !text.bytes().all(allowed) {
            let expected = "1 to 80 letters, digits, `-`, `_` or `.`, such as `host-99`";
            return Err(ParseError::new("managed object id", expected, text));
        }
        Ok(Self(text.into()))
    }
}
