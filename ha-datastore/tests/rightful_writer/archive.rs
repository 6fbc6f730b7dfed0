//! Every record that rightful writers wrote, and the oracle that knows for which file and slot.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use ha_core::record::{Generation, RecordKind};
use ha_core::{ClusterId, Identity, Instant, Random, VmEpoch};
use ha_datastore::format::local::{
    ClusterConfig, ConfigVersion, FdmConfig, HostEntry, HostList, LocalRecord, OptionsText, VmMetadata,
};
use ha_datastore::format::{
    HeartbeatRecord, HomeSum, ListEntry, ListOwnerRecord, MarkerState, OwnerState, PowerOffMarker,
    PoweronRecord, ProbeNonce, ProbeRecord, ProtectedList, Protection, VmLockRecord, VmLockState,
};

use crate::common::{CLUSTER, GEOMETRY, host, identity, new_home, term, uuid, vm};
use crate::format_model::BLOCK;

/// Which file, in which cluster. The envelope names no datastore: a file of the same name on another one is the
/// same file to its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct File {
    pub(crate) cluster: ClusterId,
    pub(crate) kind: RecordKind,
    /// Whose file it is: a host's, a machine's, or the datastore's.
    pub(crate) of: u8,
}

impl File {
    pub(crate) fn is_local(&self) -> bool {
        use RecordKind as Kind;
        match self.kind {
            Kind::ClusterConfig | Kind::HostList | Kind::VmMetadata | Kind::FdmConfig => true,
            Kind::Heartbeat
            | Kind::Poweron
            | Kind::ListOwner
            | Kind::List
            | Kind::PowerOffMarker
            | Kind::VmLock
            | Kind::ListLog
            | Kind::Probe => false,
        }
    }

    /// Whether it is one of a machine, which any host may write under the lock.
    pub(crate) fn is_of_machine(&self) -> bool {
        [RecordKind::PowerOffMarker, RecordKind::VmLock].contains(&self.kind)
    }

    pub(crate) fn has_one_writer(&self) -> bool {
        !self.is_of_machine() && self.kind != RecordKind::ListOwner
    }

    /// The files whose reader is tried: of host 7, or of machine 7.
    pub(crate) fn targets() -> Vec<Self> {
        KINDS.map(|kind| Self { cluster: CLUSTER, kind, of: 7 }).to_vec()
    }
}

const KINDS: [RecordKind; 11] = [
    RecordKind::Heartbeat,
    RecordKind::Poweron,
    RecordKind::ListOwner,
    RecordKind::List,
    RecordKind::PowerOffMarker,
    RecordKind::VmLock,
    RecordKind::Probe,
    RecordKind::ClusterConfig,
    RecordKind::HostList,
    RecordKind::VmMetadata,
    RecordKind::FdmConfig,
];

/// The writes of each file in the order in which they were made, each the bytes of a slot; of a local file, all of it.
pub(crate) struct Archive {
    pub(crate) files: BTreeMap<File, Vec<Written>>,
    known: BTreeSet<(File, usize, Vec<u8>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Where in its file, in bytes.
    pub(crate) at: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Archive {
    /// Two clusters, files of two hosts and of two machines and one datastore's, thirteen writes each.
    pub(crate) fn new() -> Self {
        let mut archive = Self { files: BTreeMap::new(), known: BTreeSet::new() };
        let all = KINDS.into_iter().flat_map(|kind| [(kind, 7), (kind, 8)]);
        for (kind, of) in all.filter(|file| *file != (RecordKind::ListOwner, 8)) {
            for cluster in [CLUSTER, ClusterId::from_bytes([0xc2; 16])] {
                archive.write_file(File { cluster, kind, of });
            }
        }
        archive
    }

    /// What storage holds after so many writes.
    pub(crate) fn image(&self, file: &File, writes: usize) -> Vec<u8> {
        let written = &self.files[file][..writes];
        if file.is_local() {
            return written.last().map_or_else(|| vec![0; BLOCK], |last| last.bytes.clone());
        }
        let mut image = vec![0; 2 * BLOCK];
        for write in written {
            image[write.at..write.at + BLOCK].copy_from_slice(&write.bytes);
        }
        image
    }

    /// Whether the rightful writer wrote these bytes for this place of this file.
    pub(crate) fn knows(&self, file: &File, at: usize, bytes: &[u8]) -> bool {
        self.known.contains(&(*file, at, bytes.to_vec()))
    }

    /// Two lives of each host; the second one counts on.
    fn write_file(&mut self, file: File) {
        let seed = [file.cluster.as_bytes()[0], file.of, u8::try_from(file.kind.number()).unwrap(), 0];
        let mut random = Random::from_seed(u32::from_le_bytes(seed).into());
        for number in 0..13 {
            let writer = writer(&file, number);
            let generation = Generation::new(number);
            let bytes = content(&file, &writer, generation, &mut random);
            let at = if file.is_local() { 0 } else { generation.slot().offset(BLOCK) };
            self.known.insert((file, at, bytes.clone()));
            self.files.entry(file).or_default().push(Written { at, bytes });
        }
    }
}

/// Under a lock the hosts take turns.
fn writer(file: &File, number: u64) -> Identity {
    let of = if file.has_one_writer() { file.of.into() } else { 7 + u32::from(number / 3 % 2 == 1) };
    Identity { cluster: file.cluster, ..identity(of, 3 + u64::from(number > 7)) }
}

fn content(file: &File, writer: &Identity, generation: Generation, random: &mut Random) -> Vec<u8> {
    use RecordKind as Kind;
    let version = ConfigVersion::new(generation.number() + 1);
    let bytes = match file.kind {
        Kind::Heartbeat => heartbeat(generation, random).seal(writer, generation),
        Kind::Poweron => poweron(generation, random).seal(writer, generation, &GEOMETRY).unwrap(),
        Kind::ListOwner => {
            let state = if random.below(4) == 0 { OwnerState::Released } else { OwnerState::Owned };
            let term = term(random.below(100), writer.host.number());
            ListOwnerRecord { term, counter: random.next_u64(), state }.seal(writer, generation)
        }
        Kind::List => list(generation, random).seal(writer, generation, &GEOMETRY).unwrap(),
        Kind::PowerOffMarker => {
            let state = if random.below(2) == 0 { MarkerState::Intended } else { MarkerState::Done };
            let epoch = VmEpoch::new(random.below(100));
            PowerOffMarker { vm: uuid(file.of), epoch, state }.seal(writer, generation)
        }
        Kind::VmLock => {
            let epoch = VmEpoch::new(random.below(100));
            VmLockRecord::of(&vm(file.of), epoch, lock_state(writer, random)).seal(writer, generation)
        }
        Kind::Probe => ProbeRecord { nonce: ProbeNonce::new(random.next_u64()) }.seal(writer, generation),
        Kind::ClusterConfig => ClusterConfig { version, options: options(random) }.seal(writer).unwrap(),
        Kind::FdmConfig => FdmConfig { version, options: options(random) }.seal(writer).unwrap(),
        Kind::HostList => host_list(version, random).seal(writer).unwrap(),
        Kind::VmMetadata => metadata(version, random).seal(writer).unwrap(),
        Kind::ListLog => panic!("no file of its own"),
    };
    bytes.to_vec()
}

pub(crate) fn heartbeat(generation: Generation, random: &mut Random) -> HeartbeatRecord {
    HeartbeatRecord {
        counter: generation.number(),
        write_period: Duration::from_millis(200),
        io_timeout: Duration::from_millis(random.below(100)),
        ttl: Duration::from_secs(2),
        watchdog: Duration::ZERO,
        written_at: Instant::from_nanos(random.next_u64()),
    }
}

/// Most of them longer than a sector.
fn poweron(generation: Generation, random: &mut Random) -> PoweronRecord {
    let vms = (0..u8::try_from(random.below(100)).unwrap())
        .map(|number| (uuid(number), VmEpoch::new(random.below(9))));
    let vms = vms.collect();
    PoweronRecord {
        inventory: generation.number(),
        isolated: random.below(2) == 1,
        inventory_complete: true,
        vms,
    }
}

fn list(generation: Generation, random: &mut Random) -> ProtectedList {
    let entry = |number| ListEntry {
        vm: vm(number),
        protection: Protection::Protected,
        version: random.below(1_000),
        priority: 1,
        cpu_reservation_mhz: 0,
        memory_overhead_mb: 0,
        intent: None,
    };
    let entries = (1..=20).map(entry).map(|entry| (entry.vm.uuid(), entry)).collect();
    ProtectedList { term: term(generation.number(), 7), version: generation.number(), entries }
}

fn lock_state(writer: &Identity, random: &mut Random) -> VmLockState {
    let new = new_home(9);
    match random.below(4) {
        0 => VmLockState::Free,
        1 => VmLockState::CleanlyOff,
        2 => VmLockState::Moved { home: new.home(), sum: HomeSum::of(&new), cleanly_off: true },
        _ => VmLockState::Running { host: writer.host, incarnation: writer.incarnation },
    }
}

/// Of one block or two.
fn options(random: &mut Random) -> OptionsText {
    let lines = (0..random.below(200)).map(|line| format!("das.option{line} = {}\n", random.below(1_000)));
    lines.collect::<String>().parse().unwrap()
}

fn host_list(version: ConfigVersion, random: &mut Random) -> HostList {
    let entry = |number: u32| HostEntry {
        host: host(number),
        moid: format!("host-{number}-{}", random.below(1_000)).parse().unwrap(),
        addresses: vec![format!("10.0.0.{number}:8182").parse().unwrap()],
    };
    HostList::new(version, (1..=60).map(entry).collect()).unwrap()
}

fn metadata(version: ConfigVersion, random: &mut Random) -> VmMetadata {
    let mut matrix = VmMetadata::new(version, ConfigVersion::new(1), (1..=9).map(host).collect()).unwrap();
    for number in 0..u8::try_from(random.below(200)).unwrap() {
        matrix.set(uuid(number), (1..=9).filter(|_| random.below(2) == 1).map(host)).unwrap();
    }
    matrix
}
