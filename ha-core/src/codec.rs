//! Lists and configuration as bytes: the only place that calls bincode.
//!
//! The layout is bincode's `legacy()`: little endian, integers of fixed width, `u32` for the variant of an
//! enum, one byte for `bool` and for the presence of an `Option`, `u64` for the length of a `Vec` or
//! `String`, arrays and structs without any mark. It can be read without bincode, which is no longer
//! maintained upstream. Layouts that must never move (slots, lock records, frames) are coded by hand and do
//! not come here.
//!
//! [`decode`] accepts exactly what [`encode`] makes: it checks the length first, refuses bytes that are left
//! over, and encodes the value again to compare. So a value has one spelling, and equal bytes mean equal
//! values.
//!
//! # Rules for payloads
//!
//! * No maps or sets (sort a `Vec` instead), no recursion, no `usize`, no floating point, no zero-sized
//!   elements (a claimed length would cost time and no bytes), nothing that can refuse to be encoded (cells,
//!   locks, paths).
//! * Texts are bounded types that check themselves, like [`Moid`](crate::Moid) and [`VmId`](crate::VmId).
//! * In memory a payload takes at most 16 times its bytes, beyond 1 MiB at most 4 times. Lengths that are only
//!   claimed can claim as much, rounded up to the next step, beside what is decoded already; together that is
//!   [`max_allocated`]:
//!
//! | bytes given | claimed at most | allocated at most |
//! |---|---|---|
//! | 4 KiB | 64 KiB | 128 KiB |
//! | 64 KiB | 1 MiB | 2 MiB |
//! | 1 MiB | 16 MiB | 32 MiB |
//! | 64 MiB | 256 MiB | 512 MiB |
//!
//! Derive `bincode::Encode` and `bincode::Decode`; a crate without bincode among its own dependencies adds
//! `#[bincode(crate = "ha_core::codec::bincode")]`.

use alloc::vec::Vec;

pub use bincode;
use bincode::config::{Configuration, Fixint, LittleEndian, legacy};
use bincode::enc::write::Writer;
use bincode::error::{DecodeError as Fault, EncodeError};

mod ids;

/// What [`encode`] and [`decode`] work on. Derived, not implemented; see the
/// [rules](self#rules-for-payloads).
pub trait Payload: bincode::Encode + bincode::Decode<()> {}

impl<T: bincode::Encode + bincode::Decode<()>> Payload for T {}

/// The most bytes that any value may have: 64 MiB.
pub const MAX_ENCODED: usize = 64 << 20;

/// The steps of what lengths may claim, in bytes given.
const SMALL: usize = 4 << 10;
const MIDDLE: usize = 64 << 10;
const LARGE: usize = 1 << 20;

/// A value that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value takes more than {most} bytes")]
pub struct TooLong {
    /// The most bytes it may take.
    pub most: usize,
}

/// Bytes that are no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than the value may have.
    #[error("{length} bytes are more than the {most} that the value may take")]
    TooLong {
        /// How many were given.
        length: usize,
        /// How many are possible.
        most: usize,
    },
    /// The bytes end before the value does.
    #[error("the bytes end before the value does")]
    Truncated,
    /// A length claims more memory than these bytes can be worth.
    #[error("a length claims more memory than the bytes can be worth")]
    ClaimsTooMuch,
    /// A field has a value that its type does not allow.
    #[error("a field is malformed: {what}")]
    Malformed {
        /// Which rule was broken.
        what: &'static str,
    },
    /// The value ends before the bytes do.
    #[error("{left} bytes are left over after the value")]
    LeftOver {
        /// How many.
        left: usize,
    },
    /// The value would have been encoded as other bytes.
    #[error("the bytes are not the one encoding of their value")]
    NotCanonical,
}

/// Encodes a value in at most `max` bytes, and never more than [`MAX_ENCODED`].
///
/// # Errors
///
/// [`TooLong`] if it takes more.
pub fn encode<T: Payload>(value: &T, max: usize) -> Result<Vec<u8>, TooLong> {
    let most = max.min(MAX_ENCODED);
    let mut bounded = Bounded { bytes: Vec::new(), most };
    bincode::encode_into_writer(value, &mut bounded, legacy()).map_err(|_| TooLong { most })?;
    Ok(bounded.bytes)
}

/// The most memory, in bytes, that [`decode`] holds at once for so many bytes, whatever they are, for a type that
/// keeps the [rules](self#rules-for-payloads): what lengths may claim, and what is decoded already.
#[must_use]
pub const fn max_allocated(length: usize) -> usize {
    if length <= SMALL {
        16 * (SMALL + length)
    } else if length <= MIDDLE {
        16 * (MIDDLE + length)
    } else if length <= LARGE {
        16 * (LARGE + length)
    } else if length <= MAX_ENCODED {
        4 * (MAX_ENCODED + length)
    } else {
        // So many are not looked at.
        0
    }
}

/// Decodes the one value that these bytes are the encoding of. Allocates at most [`max_allocated`] for them.
///
/// # Errors
///
/// [`DecodeError`] if there are more than `max` bytes (or [`MAX_ENCODED`]), or if [`encode`] would not have
/// made them.
pub fn decode<T: Payload>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    let (length, most) = (bytes.len(), max.min(MAX_ENCODED));
    if length > most {
        return Err(DecodeError::TooLong { length, most });
    }
    let (value, consumed) = if length <= SMALL {
        decode_within::<T, { 16 * SMALL }>(bytes)
    } else if length <= MIDDLE {
        decode_within::<T, { 16 * MIDDLE }>(bytes)
    } else if length <= LARGE {
        decode_within::<T, { 16 * LARGE }>(bytes)
    } else {
        decode_within::<T, { 4 * MAX_ENCODED }>(bytes)
    }
    .map_err(DecodeError::from)?;
    if consumed < length {
        return Err(DecodeError::LeftOver { left: length - consumed });
    }
    let mut rest = Compared { expected: bytes };
    match bincode::encode_into_writer(&value, &mut rest, legacy()) {
        Ok(()) if rest.expected.is_empty() => Ok(value),
        Ok(()) | Err(_) => Err(DecodeError::NotCanonical),
    }
}

/// bincode's limit is part of a type; it bounds what lengths may claim, in bytes of memory.
fn decode_within<T: Payload, const CLAIMS: usize>(bytes: &[u8]) -> Result<(T, usize), Fault> {
    let config: Configuration<LittleEndian, Fixint> = legacy();
    bincode::decode_from_slice(bytes, config.with_limit::<CLAIMS>())
}

impl From<Fault> for DecodeError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "foreign, and the rules exclude the rest")]
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::UnexpectedEnd { .. } => Self::Truncated,
            Fault::LimitExceeded => Self::ClaimsTooMuch,
            Fault::Other(what) => Self::Malformed { what },
            Fault::UnexpectedVariant { type_name: what, .. } | Fault::EmptyEnum { type_name: what } => {
                Self::Malformed { what }
            }
            Fault::Utf8 { .. } => Self::Malformed { what: "a text is not UTF-8" },
            Fault::InvalidBooleanValue(_) => Self::Malformed { what: "a bool is neither 0 nor 1" },
            Fault::NonZeroTypeIsZero { .. } => Self::Malformed { what: "a number is zero that must not be" },
            _ => Self::Malformed { what: "a field is out of range" },
        }
    }
}

/// Collects bytes up to a bound.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Writer for Bounded {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if bytes.len() > self.most - self.bytes.len() {
            return Err(EncodeError::UnexpectedEnd);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// Compares with bytes that are there already, and collects none.
struct Compared<'b> {
    expected: &'b [u8],
}

impl Writer for Compared<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.expected = self.expected.strip_prefix(bytes).ok_or(EncodeError::UnexpectedEnd)?;
        Ok(())
    }
}
