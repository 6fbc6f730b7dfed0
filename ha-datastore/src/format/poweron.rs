use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use ha_core::record::{
    BLOCK, Generation, PairExpectation, PairState, RecordFault, RecordKind, read_pair, seal,
};
use ha_core::{ClusterId, HostId, Identity, VmEpoch, VmUuid};

use super::Geometry;
use super::cursor::{Reader, Writer, check};
use super::geometry::slot_offset;

/// What a host runs, in `host-<n>-poweron`: one block of text for people, then two slots.
///
/// Where text and slots differ, the slots win. (The markers of machines that were stopped in isolation are
/// later work; they will follow the list.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoweronRecord {
    /// Counts the host's inventories, over all its files: two datastores with equal numbers of one life say
    /// the same.
    pub inventory: u64,
    /// Whether the host has declared itself isolated.
    pub isolated: bool,
    /// Whether `vms` is everything that runs there. Without it the record proves no stop.
    pub inventory_complete: bool,
    /// Each running machine and the epoch it was started with.
    pub vms: BTreeMap<VmUuid, VmEpoch>,
}

/// More machines than the file was made for. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} virtual machines on a host, of which the poweron file has room for {limit}")]
pub struct TooManyVms {
    /// How many there are.
    pub found: usize,
    /// How many the file has room for.
    pub limit: u32,
}

impl PoweronRecord {
    /// Where the slots begin, in bytes.
    pub const SLOTS_AT: u64 = 4096;
    pub(super) const FIXED: usize = 16;
    pub(super) const PER_VM: usize = 24;

    /// Where in the file the generation's slot begins, in bytes.
    #[must_use]
    pub fn offset(generation: Generation, geometry: &Geometry) -> u64 {
        Self::SLOTS_AT.saturating_add(slot_offset(generation, geometry.poweron_area()))
    }

    /// The bytes of the generation's slot.
    ///
    /// # Errors
    ///
    /// [`TooManyVms`] if they are more than `geometry` has room for.
    pub fn seal(
        &self,
        writer: &Identity,
        generation: Generation,
        geometry: &Geometry,
    ) -> Result<Bytes, TooManyVms> {
        let limit = geometry.limits.vms_per_host;
        let too_many = TooManyVms { found: self.vms.len(), limit };
        let count = u32::try_from(self.vms.len()).map_err(|_| too_many)?;
        if count > limit {
            return Err(too_many);
        }
        let mut payload = Writer::default();
        payload.u64(self.inventory).u8(self.isolated.into()).u8(self.inventory_complete.into());
        payload.u16(0).u32(count);
        for (uuid, epoch) in &self.vms {
            payload.raw(uuid.as_bytes()).u64(epoch.number());
        }
        seal(RecordKind::Poweron, writer, generation, &payload.into_bytes(), geometry.poweron_area())
            .map_err(|_| too_many)
    }

    /// The first block of the file: `1` or `0`, a line feed, zeros.
    #[must_use]
    pub fn text(&self) -> Bytes {
        let mut block = Vec::with_capacity(BLOCK);
        block.extend_from_slice(if self.isolated { b"1\n" } else { b"0\n" });
        block.resize(BLOCK, 0);
        Bytes::from(block)
    }

    /// What the two slots of `host` say: the file from [`PoweronRecord::SLOTS_AT`] on.
    #[must_use]
    pub fn read(slots: &[u8], cluster: ClusterId, host: HostId, geometry: &Geometry) -> PairState<Self> {
        let expected = PairExpectation { kind: RecordKind::Poweron, cluster, writer: Some(host) };
        read_pair(slots, geometry.poweron_area(), &expected, Self::decode)
    }

    fn decode(payload: &[u8]) -> Result<Self, RecordFault> {
        let mut reader = Reader::new(payload);
        let inventory = reader.u64("inventory")?;
        let isolated = reader.flag("isolated")?;
        let inventory_complete = reader.flag("inventory complete")?;
        reader.zeros::<2>("reserved")?;
        let count = reader.u32("count")?;
        let mut vms = BTreeMap::new();
        for _ in 0..count {
            let (vm, epoch) = (reader.uuid("virtual machine")?, reader.epoch("epoch")?);
            check(vms.last_key_value().is_none_or(|(last, _)| *last < vm), "order of virtual machines")?;
            vms.insert(vm, epoch);
        }
        reader.end()?;
        Ok(Self { inventory, isolated, inventory_complete, vms })
    }
}
