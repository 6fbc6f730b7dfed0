use core::fmt;
use core::hint::black_box;
use core::num::NonZeroU16;

use siphasher::sip128::SipHasher24;

use super::header::TAG;

/// A secret that all hosts of a cluster share. It is never printed.
#[derive(Clone)]
pub struct Key([u8; 16]);

impl Key {
    /// From 16 bytes out of a secure random source.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The key that frames are sealed with, and at most one more that is accepted.
///
/// A cluster changes its key without a gap in three steps, each finished on every host before the next
/// begins: accept the new key beside the old; seal with the new and still accept the old; drop the old.
#[derive(Clone, Debug)]
pub struct KeyRing {
    current: (NonZeroU16, Key),
    other: Option<(NonZeroU16, Key)>,
}

impl KeyRing {
    /// A ring that seals with `key` and accepts nothing else.
    #[must_use]
    pub const fn new(id: NonZeroU16, key: Key) -> Self {
        Self { current: (id, key), other: None }
    }

    /// The same ring, which accepts frames under this key too: the previous one, or the next.
    ///
    /// # Errors
    ///
    /// [`SameKeyId`] if the current key has this id.
    pub fn also_accepting(self, id: NonZeroU16, key: Key) -> Result<Self, SameKeyId> {
        if id == self.current.0 {
            return Err(SameKeyId { id });
        }
        Ok(Self { other: Some((id, key)), ..self })
    }

    fn key(&self, id: NonZeroU16) -> Option<&Key> {
        let (current, key) = &self.current;
        if *current == id {
            return Some(key);
        }
        self.other.as_ref().filter(|(other, _)| *other == id).map(|(_, key)| key)
    }
}

/// Two keys of one ring with the same id: a frame could not say which of them it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("both keys of the ring have id {id}")]
pub struct SameKeyId {
    /// The id.
    pub id: NonZeroU16,
}

/// How frames prove where they come from.
#[derive(Clone, Debug)]
pub enum Security {
    /// Each frame carries a SipHash-2-4 tag of 128 bits under a key that all hosts share.
    Keyed(KeyRing),
    /// Each frame carries a CRC-32, which finds damage but no forgery. For tests and closed laboratories.
    Unauthenticated,
}

impl Security {
    /// The key id of frames that are sealed here; zero without keys.
    pub(super) const fn seal_id(&self) -> u16 {
        match self {
            Self::Keyed(ring) => ring.current.0.get(),
            Self::Unauthenticated => 0,
        }
    }

    /// The tag of `covered` under the key that frames are sealed with here.
    pub(super) fn seal_tag(&self, covered: &[u8]) -> [u8; TAG] {
        match self {
            Self::Keyed(ring) => keyed_tag(&ring.current.1, covered),
            Self::Unauthenticated => plain_sum(covered),
        }
    }

    /// The tag of `covered` under the key with this id, or `None` if that key is not accepted here.
    #[inline]
    pub(super) fn tag(&self, id: u16, covered: &[u8]) -> Option<[u8; TAG]> {
        match (self, NonZeroU16::new(id)) {
            (Self::Keyed(ring), Some(id)) => ring.key(id).map(|key| keyed_tag(key, covered)),
            (Self::Unauthenticated, None) => Some(plain_sum(covered)),
            (Self::Keyed(_), None) | (Self::Unauthenticated, Some(_)) => None,
        }
    }
}

#[inline]
fn keyed_tag(key: &Key, covered: &[u8]) -> [u8; TAG] {
    SipHasher24::new_with_key(&key.0).hash(covered).as_bytes()
}

/// CRC-32 and twelve zeros.
fn plain_sum(covered: &[u8]) -> [u8; TAG] {
    u128::from(crc32fast::hash(covered)).to_le_bytes()
}

/// Compares in a time that does not tell at which byte two tags differ.
#[inline]
pub(super) fn same_tag(ours: &[u8; TAG], theirs: &[u8; TAG]) -> bool {
    let difference = u128::from_ne_bytes(*ours) ^ u128::from_ne_bytes(*theirs);
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the reference implementation of SipHash-2-4 with 128 bits: key 00..0f, input empty and
    /// 00..0e.
    #[test]
    fn tag_is_the_reference_siphash() {
        let id = NonZeroU16::MIN;
        let key: [u8; 16] = core::array::from_fn(|i| u8::try_from(i).unwrap());
        let security = Security::Keyed(KeyRing::new(id, Key::from_bytes(key)));
        let empty = 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293_u128.to_be_bytes();
        let fifteen = 0x5493_e999_33b0_a811_7e08_ec0f_97cf_c3d9_u128.to_be_bytes();
        assert_eq!(security.tag(1, &[]), Some(empty));
        assert_eq!(security.tag(1, &key[..15]), Some(fifteen));
    }

    #[test]
    fn each_bit_of_a_tag_counts() {
        let tag = [0x5a; TAG];
        assert!(same_tag(&tag, &tag));
        for bit in 0..TAG * 8 {
            let mut other = tag;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!same_tag(&tag, &other), "bit {bit}");
        }
    }
}
