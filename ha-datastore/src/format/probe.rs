use bytes::Bytes;
use ha_core::record::{
    BLOCK, Generation, PairExpectation, PairState, RecordFault, RecordKind, read_pair, seal_block,
};
use ha_core::{ClusterId, HostId, Identity};

use super::cursor::Reader;
use super::geometry::slot_offset;

/// The name of one round of a lock probe. Drawn at random, so that no round is taken for an earlier one, nor for that
/// of another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeNonce(u64);

impl ProbeNonce {
    /// The nonce of that number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Which round of a lock probe holds the lock of `host-<n>-probe`: two slots of one block, written by host n only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeRecord {
    /// The round.
    pub nonce: ProbeNonce,
}

impl ProbeRecord {
    /// The slot area, in bytes.
    pub const AREA: usize = BLOCK;
    /// The file, in bytes: both slots.
    pub const FILE: u32 = 2 * 4096;

    /// Where in the file the generation's slot begins, in bytes.
    #[must_use]
    pub const fn offset(generation: Generation) -> u64 {
        slot_offset(generation, Self::AREA)
    }

    /// The bytes of the generation's slot.
    #[must_use]
    pub fn seal(&self, writer: &Identity, generation: Generation) -> Bytes {
        seal_block(RecordKind::Probe, writer, generation, &self.nonce.number().to_le_bytes())
    }

    /// What the whole file of `host` says.
    #[must_use]
    pub fn read(file: &[u8], cluster: ClusterId, host: HostId) -> PairState<Self> {
        let expected = PairExpectation { kind: RecordKind::Probe, cluster, writer: Some(host) };
        read_pair(file, Self::AREA, &expected, Self::decode)
    }

    fn decode(payload: &[u8]) -> Result<Self, RecordFault> {
        let mut reader = Reader::new(payload);
        let nonce = ProbeNonce::new(reader.u64("nonce")?);
        reader.end()?;
        Ok(Self { nonce })
    }
}
