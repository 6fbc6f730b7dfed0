use bytes::Bytes;
use ha_core::record::{
    BLOCK, Generation, PairExpectation, PairState, RecordFault, RecordKind, read_pair, seal_block,
};
use ha_core::{ClusterId, Identity, VmEpoch, VmUuid};

use super::cursor::Reader;
use super::geometry::slot_offset;

/// How far a stop in isolation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkerState {
    /// Nothing was asked.
    None,
    /// A stop has been asked for; it may or may not happen.
    Intended,
    /// The machine has stopped.
    Done,
    /// The stop was called off before it was sent.
    Cancelled,
}

/// The trace of a stop in isolation, in `poweredoff/<vm uuid>`: two slots of one block.
///
/// Only a marker of the epoch in the machine's lock record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerOffMarker {
    /// The virtual machine.
    pub vm: VmUuid,
    /// The epoch of the instance that is meant.
    pub epoch: VmEpoch,
    /// How far it has come.
    pub state: MarkerState,
}

impl PowerOffMarker {
    /// The slot area, in bytes.
    pub const AREA: usize = BLOCK;
    /// The file, in bytes: both slots.
    pub const FILE: u32 = 2 * 4096;

    const PAYLOAD: usize = 32;

    /// Where in the file the generation's slot begins, in bytes.
    #[must_use]
    pub const fn offset(generation: Generation) -> u64 {
        slot_offset(generation, Self::AREA)
    }

    /// The bytes of the generation's slot.
    #[must_use]
    pub fn seal(&self, writer: &Identity, generation: Generation) -> Bytes {
        let state: u64 = match self.state {
            MarkerState::None => 0,
            MarkerState::Intended => 1,
            MarkerState::Done => 2,
            MarkerState::Cancelled => 3,
        };
        let mut payload = [0; Self::PAYLOAD];
        payload[..16].copy_from_slice(self.vm.as_bytes());
        payload[16..24].copy_from_slice(&self.epoch.number().to_le_bytes());
        payload[24..].copy_from_slice(&state.to_le_bytes());
        seal_block(RecordKind::PowerOffMarker, writer, generation, &payload)
    }

    /// What the whole file says.
    #[must_use]
    pub fn read(file: &[u8], cluster: ClusterId) -> PairState<Self> {
        let expected = PairExpectation { kind: RecordKind::PowerOffMarker, cluster, writer: None };
        read_pair(file, Self::AREA, &expected, Self::decode)
    }

    fn decode(payload: &[u8]) -> Result<Self, RecordFault> {
        let mut reader = Reader::new(payload);
        let vm = reader.uuid("virtual machine")?;
        let epoch = reader.epoch("epoch")?;
        let state = match reader.u64("state")? {
            0 => MarkerState::None,
            1 => MarkerState::Intended,
            2 => MarkerState::Done,
            3 => MarkerState::Cancelled,
            4.. => return Err(RecordFault::BadContent { field: "state" }),
        };
        reader.end()?;
        Ok(Self { vm, epoch, state })
    }
}
