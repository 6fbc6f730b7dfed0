use alloc::string::ToString;
use core::fmt;
use core::str::FromStr;

use bytes::Bytes;
use ha_core::record::{
    BLOCK, Generation, PairExpectation, PairState, RecordFault, RecordKind, read_pair, seal_block,
};
use ha_core::{ClusterId, Identity, ParseError, Term};

use super::cursor::Reader;
use super::geometry::slot_offset;
use super::list_sum::ListSum;

/// Whether the datastore has an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerState {
    /// The term's master owns it, for as long as the counter moves.
    Owned,
    /// The last owner let it go in good order.
    Released,
}

/// Who owns a datastore, in `protectedlist`: two slots of one block, written only under the file's lock.
///
/// "Owned" means that the counter moves. Nobody tries the lock to learn who owns a datastore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListOwnerRecord {
    /// The owner's term. A slave that owns it for its master writes its master's.
    pub term: Term,
    /// One more in each write of an owner.
    pub counter: u64,
    /// Owned or released.
    pub state: OwnerState,
}

/// Names the content of an owner record's file of which nothing can be read, so that what is said of it is said of
/// these bytes and no later ones. It is the XXH3-64 of the whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerDamage(u64);

impl OwnerDamage {
    /// The name with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The name of a file's content.
    #[must_use]
    pub fn of(file: &[u8]) -> Self {
        Self(ListSum::of(file).number())
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for OwnerDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for OwnerDamage {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parsed = u64::from_str_radix(text, 16).ok().map(Self).filter(|parsed| parsed.to_string() == text);
        parsed.ok_or_else(|| {
            ParseError::new("name of a damaged owner record", "16 digits of `0-9`, `a-f`", text)
        })
    }
}

impl ListOwnerRecord {
    /// The slot area, in bytes.
    pub const AREA: usize = BLOCK;
    /// The file, in bytes: both slots.
    pub const FILE: u32 = 2 * 4096;

    const PAYLOAD: usize = 24;

    /// Where in the file the generation's slot begins, in bytes.
    #[must_use]
    pub const fn offset(generation: Generation) -> u64 {
        slot_offset(generation, Self::AREA)
    }

    /// The bytes of the generation's slot.
    #[must_use]
    pub fn seal(&self, writer: &Identity, generation: Generation) -> Bytes {
        let state: u32 = match self.state {
            OwnerState::Owned => 1,
            OwnerState::Released => 2,
        };
        let mut payload = [0; Self::PAYLOAD];
        payload[..8].copy_from_slice(&self.term.round.number().to_le_bytes());
        payload[8..12].copy_from_slice(&self.term.host.number().to_le_bytes());
        payload[12..16].copy_from_slice(&state.to_le_bytes());
        payload[16..].copy_from_slice(&self.counter.to_le_bytes());
        seal_block(RecordKind::ListOwner, writer, generation, &payload)
    }

    /// What the whole file says.
    #[must_use]
    pub fn read(file: &[u8], cluster: ClusterId) -> PairState<Self> {
        let expected = PairExpectation { kind: RecordKind::ListOwner, cluster, writer: None };
        read_pair(file, Self::AREA, &expected, Self::decode)
    }

    fn decode(payload: &[u8]) -> Result<Self, RecordFault> {
        let mut reader = Reader::new(payload);
        let term = reader.term("term")?;
        let state = match reader.u32("state")? {
            1 => OwnerState::Owned,
            2 => OwnerState::Released,
            0 | 3.. => return Err(RecordFault::BadContent { field: "state" }),
        };
        let counter = reader.u64("counter")?;
        reader.end()?;
        Ok(Self { term, counter, state })
    }
}
