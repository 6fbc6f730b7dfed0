use ha_core::record::RecordFault;
use ha_core::{ConfigPath, DatastoreId, HostId, Term, VmEpoch, VmId, VmUuid};

use super::cursor::{Reader, Writer, check};

/// Whether a virtual machine is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protection {
    /// It is restarted when its host fails.
    Protected,
    /// It no longer is. The entry stays as a tombstone, so that an older list cannot bring it back.
    Removed,
}

/// The name of one order to start; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId {
    /// The term of the master that gave it.
    pub term: Term,
    /// Counts the orders of that term.
    pub number: u64,
}

/// A restart that was decided and has not been seen to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartIntent {
    /// The order by which it is carried out.
    pub order: OrderId,
    /// Failed starts so far; a lock found held is none.
    pub attempts: u32,
    /// The host that was ordered; `None` while none fits.
    pub target: Option<HostId>,
    /// The epoch that the lock record must have for the order to be carried out.
    pub expected: VmEpoch,
}

/// One virtual machine in a protected list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// The virtual machine, with its home and config path.
    pub vm: VmId,
    /// Protected, or a tombstone.
    pub protection: Protection,
    /// The manager's protection version of this machine. The higher one wins.
    pub version: u64,
    /// Restart priority: 0 for agent machines, then 1 (highest) to 5 (lowest).
    pub priority: u8,
    /// Reserved CPU, in MHz.
    pub cpu_reservation_mhz: u32,
    /// Memory overhead, in MiB.
    pub memory_overhead_mb: u32,
    /// The open restart, if there is one. Tombstones have none.
    pub intent: Option<RestartIntent>,
}

impl ListEntry {
    /// The bytes of an entry but for its path and intent.
    pub(super) const FIXED: usize = 41;
    const INTENT: usize = 37;

    /// The length of the entry's bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        Self::FIXED + self.vm.config().len() + self.intent.map_or(0, |_| Self::INTENT)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let protection = match self.protection {
            Protection::Protected => 1,
            Protection::Removed => 2,
        };
        // `VmId` has no paths longer than 512 bytes.
        let config = u16::try_from(self.vm.config().len()).unwrap_or(u16::MAX);
        writer.raw(self.vm.uuid().as_bytes()).u32(self.vm.home().number());
        writer.u8(protection).u8(self.priority).u8(self.intent.is_some().into()).u64(self.version);
        writer.u32(self.cpu_reservation_mhz).u32(self.memory_overhead_mb);
        writer.u16(config).raw(self.vm.config().as_bytes());
        if let Some(intent) = &self.intent {
            writer.term(intent.order.term).u64(intent.order.number).u32(intent.attempts);
            writer.u8(intent.target.is_some().into()).u32(intent.target.map_or(0, HostId::number));
            writer.u64(intent.expected.number());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordFault> {
        EntryView::read(reader).map(EntryView::entry)
    }
}

/// An entry where it lies, checked as far as it can be without its neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryView<'a> {
    pub(super) uuid: VmUuid,
    home: DatastoreId,
    config: ConfigPath<'a>,
    protection: Protection,
    version: u64,
    priority: u8,
    cpu_reservation_mhz: u32,
    memory_overhead_mb: u32,
    intent: Option<RestartIntent>,
}

impl<'a> EntryView<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, RecordFault> {
        let uuid = reader.uuid("virtual machine")?;
        let home = reader.datastore("home")?;
        let protection = match reader.u8("protection")? {
            1 => Protection::Protected,
            2 => Protection::Removed,
            0 | 3.. => return Err(RecordFault::BadContent { field: "protection" }),
        };
        let priority = reader.u8("priority")?;
        let has_intent = reader.flag("intent")?;
        check(!has_intent || protection == Protection::Protected, "intent of a tombstone")?;
        let version = reader.u64("version")?;
        let cpu_reservation_mhz = reader.u32("CPU reservation")?;
        let memory_overhead_mb = reader.u32("memory overhead")?;
        let config = ConfigPath::new(reader.text("config path")?)
            .map_err(|_| RecordFault::BadContent { field: "config path" })?;
        let intent = has_intent.then(|| RestartIntent::read(reader)).transpose()?;
        Ok(Self {
            uuid,
            home,
            config,
            protection,
            version,
            priority,
            cpu_reservation_mhz,
            memory_overhead_mb,
            intent,
        })
    }

    pub(super) fn entry(self) -> ListEntry {
        let Self { protection, version, priority, cpu_reservation_mhz, memory_overhead_mb, intent, .. } =
            self;
        let vm = VmId::at(self.uuid, self.home, self.config);
        ListEntry { vm, protection, version, priority, cpu_reservation_mhz, memory_overhead_mb, intent }
    }
}

impl RestartIntent {
    fn read(reader: &mut Reader<'_>) -> Result<Self, RecordFault> {
        let order = OrderId { term: reader.term("order")?, number: reader.u64("order")? };
        let attempts = reader.u32("attempts")?;
        let has_target = reader.flag("target")?;
        let target = reader.host("target")?;
        check(has_target || target.number() == 0, "target")?;
        let expected = reader.epoch("expected epoch")?;
        Ok(Self { order, attempts, target: has_target.then_some(target), expected })
    }
}
