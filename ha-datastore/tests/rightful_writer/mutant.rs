//! Readers with one check left out: what lets the oracle show that it can fail.

use ha_core::record::RecordKind;

use crate::archive::File;
use crate::format_model::{BLOCK, HEADER, field, restamp, u32_at};

/// The check that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// The crate's own reader.
    None,
    Cluster,
    Writer,
    Kind,
    Slot,
    HeaderSum,
    PayloadSum,
    ZerosAfterPayload,
    Machine,
    HighWater,
}

impl Mutant {
    pub(crate) const ALL: [Self; 9] = [
        Self::Cluster,
        Self::Writer,
        Self::Kind,
        Self::Slot,
        Self::HeaderSum,
        Self::PayloadSum,
        Self::ZerosAfterPayload,
        Self::Machine,
        Self::HighWater,
    ];

    /// The bytes in which the check has nothing to find.
    pub(crate) fn blind(self, image: &[u8], file: &File) -> Vec<u8> {
        let area = if file.is_local() { image.len() } else { BLOCK };
        if self == Self::None || area == 0 || !image.len().is_multiple_of(area) {
            return image.to_vec();
        }
        let slots: Vec<Vec<u8>> = image.chunks(area).map(|slot| self.blind_slot(slot, file)).collect();
        if self != Self::Slot || file.is_local() {
            return slots.concat();
        }
        // Each record where it says that it belongs.
        let mut placed = vec![0; image.len()];
        for slot in slots.iter().filter(|slot| slot.starts_with(b"vHAr")) {
            let at = u32_at(slot, field::SLOT) as usize * BLOCK;
            placed[at..at + BLOCK].copy_from_slice(slot);
        }
        placed
    }

    fn blind_slot(self, slot: &[u8], file: &File) -> Vec<u8> {
        let is_record =
            slot.starts_with(b"vHAr") && u32_at(slot, field::LENGTH) as usize <= slot.len() - HEADER;
        let good_sum = crc32fast::hash(&slot[..field::HEADER_SUM]) == u32_at(slot, field::HEADER_SUM);
        let end = || HEADER + u32_at(slot, field::LENGTH) as usize;
        let good_payload = || crc32fast::hash(&slot[HEADER..end()]) == u32_at(slot, field::PAYLOAD_SUM);
        let set =
            |at: usize, bytes: &[u8]| restamp(slot, |slot| slot[at..at + bytes.len()].copy_from_slice(bytes));
        if !is_record || good_sum == (self == Self::HeaderSum) || good_payload() == (self == Self::PayloadSum)
        {
            return slot.to_vec();
        }
        match self {
            Self::Cluster => set(field::CLUSTER, file.cluster.as_bytes()),
            Self::Writer if file.has_one_writer() => set(field::HOST, &u32::from(file.of).to_le_bytes()),
            Self::Kind => set(field::KIND, &file.kind.number().to_le_bytes()),
            Self::HeaderSum | Self::PayloadSum => restamp(slot, |_| {}),
            Self::ZerosAfterPayload => restamp(slot, |slot| slot[end()..].fill(0)),
            Self::None | Self::Writer | Self::Slot | Self::Machine | Self::HighWater => slot.to_vec(),
        }
    }

    /// Whether the answer counts for this file: a machine's record must name the machine, as
    /// `VmLockRecord::read_of` and the marker's writer ask for.
    pub(crate) fn is_of_file(self, slot: &[u8], file: &File) -> bool {
        let named = [RecordKind::PowerOffMarker, RecordKind::VmLock].contains(&file.kind);
        !named || self == Self::Machine || slot[HEADER..HEADER + 16] == [file.of; 16]
    }
}
