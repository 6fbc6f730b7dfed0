use bytes::Bytes;
use ha_core::record::{Generation, PairState, RecordFault, Sealed};
use ha_core::{Identity, record};
use ha_datastore::format::local::{ClusterConfig, FdmConfig, HostList, LocalFault, LocalRecord, VmMetadata};
use ha_datastore::format::{
    HeartbeatRecord, ListOwnerRecord, PowerOffMarker, PoweronRecord, ProbeRecord, ProtectedList, VmLockRecord,
};

use crate::common::{CLUSTER, GEOMETRY, host, pair_of};

/// A reader's answer, content by the bytes of its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    NeverWritten,
    Valid(Vec<u8>),
    Degraded(Vec<u8>, RecordFault),
    Inconsistent(Vec<u8>, Vec<u8>),
    Corrupt(RecordFault, RecordFault),
}

impl Told {
    /// The slot that counts.
    pub(crate) fn counts(&self) -> Option<&[u8]> {
        match self {
            Self::Valid(slot) | Self::Degraded(slot, _) => Some(slot),
            Self::NeverWritten | Self::Inconsistent(..) | Self::Corrupt(..) => None,
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::NeverWritten => "never written",
            Self::Valid(_) => "valid",
            Self::Degraded(..) => "degraded",
            Self::Inconsistent(..) => "inconsistent",
            Self::Corrupt(..) => "corrupt",
        }
    }

    fn of<T>(state: PairState<T>, seal: impl Fn(&T, &Identity, Generation) -> Bytes) -> Self {
        let bytes = |record: Sealed<T>| seal(&record.content, &record.writer, record.generation).to_vec();
        match state {
            PairState::NeverWritten => Self::NeverWritten,
            PairState::Valid { record } => Self::Valid(bytes(record)),
            PairState::Degraded { record, other } => Self::Degraded(bytes(record), other),
            PairState::Inconsistent { a, b } => Self::Inconsistent(bytes(a), bytes(b)),
            PairState::Corrupt { a, b } => Self::Corrupt(a, b),
        }
    }

    fn of_local<T: LocalRecord>(file: &[u8]) -> Self {
        match T::read(file, CLUSTER, host(7)) {
            Ok(record) => Self::Valid(record.content.seal(&record.writer).unwrap().to_vec()),
            Err(LocalFault::Record(fault)) => Self::Corrupt(fault, fault),
            // No sum fails and nothing that a writer wrote: a state that the page's model never tells.
            Err(LocalFault::Encoding(_) | LocalFault::HostList(_)) => {
                let fault = RecordFault::BadContent { field: "encoding" };
                Self::Corrupt(fault, fault)
            }
        }
    }
}

/// What the crate's reader of that kind tells of host 7's file; for `poweron`, of its slots.
pub(crate) fn read(kind: record::RecordKind, file: &[u8]) -> Told {
    use record::RecordKind as Kind;
    match kind {
        Kind::Heartbeat => Told::of(HeartbeatRecord::read(file, CLUSTER, host(7)), HeartbeatRecord::seal),
        Kind::Poweron => {
            Told::of(PoweronRecord::read(file, CLUSTER, host(7), &GEOMETRY), |content, writer, generation| {
                content.seal(writer, generation, &GEOMETRY).unwrap()
            })
        }
        Kind::ListOwner => Told::of(ListOwnerRecord::read(file, CLUSTER), ListOwnerRecord::seal),
        Kind::List => Told::of(
            pair_of(ProtectedList::read(file, CLUSTER, host(7), &GEOMETRY)),
            |content, writer, generation| content.seal(writer, generation, &GEOMETRY).unwrap(),
        ),
        Kind::PowerOffMarker => Told::of(PowerOffMarker::read(file, CLUSTER), PowerOffMarker::seal),
        Kind::VmLock => Told::of(VmLockRecord::read(file, CLUSTER), VmLockRecord::seal),
        Kind::Probe => Told::of(ProbeRecord::read(file, CLUSTER, host(7)), ProbeRecord::seal),
        Kind::ClusterConfig => Told::of_local::<ClusterConfig>(file),
        Kind::HostList => Told::of_local::<HostList>(file),
        Kind::VmMetadata => Told::of_local::<VmMetadata>(file),
        Kind::FdmConfig => Told::of_local::<FdmConfig>(file),
        Kind::ListLog => panic!("no file of its own"),
    }
}
