//! Identities as bytes. Decoding checks what parsing checks.

use core::str::FromStr;

use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode, impl_borrow_decode};

use crate::{BootId, ClusterId, DatastoreId, HostId, Incarnation, Moid, Round, Term, VmEpoch, VmId, VmUuid};

macro_rules! as_number {
    ($($name:ident),*) => { $(
        impl Encode for $name {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                self.number().encode(encoder)
            }
        }

        impl<C> Decode<C> for $name {
            fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                Decode::decode(decoder).map(Self::new)
            }
        }

        impl_borrow_decode!($name);
    )* };
}

macro_rules! as_raw_uuid {
    ($($name:ident),*) => { $(
        impl Encode for $name {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                self.as_bytes().encode(encoder)
            }
        }

        impl<C> Decode<C> for $name {
            fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                Decode::decode(decoder).map(Self::from_bytes)
            }
        }

        impl_borrow_decode!($name);
    )* };
}

as_number!(HostId, DatastoreId, Incarnation, Round, VmEpoch);
as_raw_uuid!(ClusterId, BootId, VmUuid);

impl Encode for Term {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.round.encode(encoder)?;
        self.host.encode(encoder)
    }
}

impl<C> Decode<C> for Term {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self::new(Decode::decode(decoder)?, Decode::decode(decoder)?))
    }
}

impl_borrow_decode!(Term);

impl Encode for Moid {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.as_str().encode(encoder)
    }
}

impl<C> Decode<C> for Moid {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let mut room = [0; Self::MAX_LEN];
        Self::from_str(text(decoder, &mut room)?).map_err(|_| DecodeError::Other("managed object id"))
    }
}

impl_borrow_decode!(Moid);

impl Encode for VmId {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.uuid().encode(encoder)?;
        self.home().encode(encoder)?;
        self.config().encode(encoder)
    }
}

impl<C> Decode<C> for VmId {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let uuid = Decode::decode(decoder)?;
        let home = Decode::decode(decoder)?;
        let mut room = [0; Self::MAX_CONFIG];
        Self::new(uuid, home, text(decoder, &mut room)?).map_err(|_| DecodeError::Other("config path"))
    }
}

impl_borrow_decode!(VmId);

/// Reads a text that fits `room`; a longer one is refused before anything of it is read.
fn text<'r, D: Decoder>(decoder: &mut D, room: &'r mut [u8]) -> Result<&'r str, DecodeError> {
    let length: u64 = Decode::decode(decoder)?;
    let text = usize::try_from(length)
        .ok()
        .and_then(|length| room.get_mut(..length))
        .ok_or(DecodeError::Other("a text is longer than it may be"))?;
    decoder.claim_bytes_read(text.len())?;
    decoder.reader().read(text)?;
    core::str::from_utf8(text).map_err(|inner| DecodeError::Utf8 { inner })
}
