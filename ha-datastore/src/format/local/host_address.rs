use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use ha_core::ParseError;
use ha_core::codec::bincode::de::Decoder;
use ha_core::codec::bincode::enc::Encoder;
use ha_core::codec::bincode::error::{DecodeError, EncodeError};
use ha_core::codec::bincode::{Decode, Encode, impl_borrow_decode};

/// Where a host is reached: a name, an IP address, one with a port; whatever the embedder's sockets take.
///
/// One to [`HostAddress::MAX_LEN`] printable ASCII characters without spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostAddress(String);

impl HostAddress {
    /// The longest address, in bytes: a host name with a port.
    pub const MAX_LEN: usize = 261;

    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_accepted(text: &str) -> bool {
        (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostAddress {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if Self::is_accepted(text) {
            return Ok(Self(text.into()));
        }
        let expected = "1 to 261 printable ASCII characters without spaces, such as `10.0.0.7:8182`";
        Err(ParseError::new("address of a host", expected, text))
    }
}

impl Encode for HostAddress {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<C> Decode<C> for HostAddress {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let text = String::decode(decoder)?;
        if Self::is_accepted(&text) { Ok(Self(text)) } else { Err(DecodeError::Other("address of a host")) }
    }
}

impl_borrow_decode!(HostAddress);
