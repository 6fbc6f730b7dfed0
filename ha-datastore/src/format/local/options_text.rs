use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use ha_core::codec::bincode::de::Decoder;
use ha_core::codec::bincode::enc::Encoder;
use ha_core::codec::bincode::error::{DecodeError, EncodeError};
use ha_core::codec::bincode::{Decode, Encode, impl_borrow_decode};
use ha_core::options::{LineError, Options};
use ha_core::record::SealError;
use ha_core::{ParseError, codec};

/// Advanced options as people wrote them: one `name = value` a line, at most [`OptionsText::MAX_LEN`] bytes.
///
/// The text is kept as it is, names that this version does not know included, so that a host that is upgraded later
/// finds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptionsText(String);

impl OptionsText {
    /// The longest text, in bytes.
    pub const MAX_LEN: usize = 64 << 10;

    /// A length of eight bytes, then the text.
    pub(super) const MAX_ENCODED: usize = 8 + Self::MAX_LEN;

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The options that it sets.
    ///
    /// # Errors
    ///
    /// The first line that this version does not accept.
    pub fn options(&self) -> Result<Options, LineError> {
        Options::parse_key_value(&self.0)
    }

    pub(super) fn encoded(&self) -> Result<Vec<u8>, SealError> {
        let available = Self::MAX_ENCODED;
        codec::encode(self, available)
            .map_err(|_| SealError::TooLong { needed: self.0.len().saturating_add(8), available })
    }

    fn is_accepted(text: &str) -> bool {
        let printable = |char: char| matches!(char, '\n' | '\t') || !char.is_control();
        text.len() <= Self::MAX_LEN && text.chars().all(printable)
    }

    /// Indented, for a file that is printed.
    pub(super) fn fmt_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.trim().is_empty() {
            return f.write_str("\n  no option is set");
        }
        self.0.lines().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl FromStr for OptionsText {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if Self::is_accepted(text) {
            return Ok(Self(text.into()));
        }
        let expected = "at most 65,536 bytes, without control characters but line feeds and tabs";
        Err(ParseError::new("text of options", expected, text))
    }
}

impl Encode for OptionsText {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<C> Decode<C> for OptionsText {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let text = String::decode(decoder)?;
        if Self::is_accepted(&text) { Ok(Self(text)) } else { Err(DecodeError::Other("text of options")) }
    }
}

impl_borrow_decode!(OptionsText);
