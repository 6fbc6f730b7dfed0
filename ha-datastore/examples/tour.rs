//! A tour of a datastore: each file is written by the code that writes it, then read and told in words.
//!
//! `cargo run -p ha-datastore --example tour`

#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::print_stdout, reason = "an example tells its story")]

use core::fmt::Debug;
use core::time::Duration;
use std::collections::BTreeMap;

use ha_core::record::{Generation, PairState};
use ha_core::{
    BootId, ClusterId, DatastoreId, FileKind, FileName, HostId, Identity, Incarnation, Instant, Limits,
    ParseError, Round, Term, VmEpoch, VmId, VmUuid,
};
use ha_datastore::format::{
    ClusterDirectory, Geometry, HeartbeatRecord, ListEntry, ListOwnerRecord, MarkerState, OrderId,
    OwnerState, PowerOffMarker, PoweronRecord, ProtectedList, Protection, RestartIntent, VmLockRecord,
    VmLockState, file_size,
};

const HOME: DatastoreId = DatastoreId::new(1);
const ME: HostId = HostId::new(7);
const TERM: Term = Term::new(Round::new(12), ME);

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let cluster: ClusterId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse()?;
    let boot: BootId = "0d5f1c9e-3b1a-4a55-8f0e-6a4c1f0b7d21".parse()?;
    let writer = Identity { cluster, host: ME, boot, incarnation: Incarnation::new(3) };
    let geometry = Geometry::new(Limits { vms_per_host: 64, vms_per_list: 256, ..Limits::DEFAULT });
    let directory = ClusterDirectory::new(cluster, 8, "k3v9x2ab", "vc-1.example.org")?;
    println!("{}/{directory}/ holds, each file at its full size from the start:\n", ClusterDirectory::PARENT);

    heartbeat(&writer, &geometry);
    poweron(&writer, &geometry)?;
    list(&writer, &geometry)?;
    marker(&writer, &geometry);
    vm_lock(&writer, &geometry)?;
    Ok(())
}

fn heartbeat(writer: &Identity, geometry: &Geometry) {
    let beat = |counter| HeartbeatRecord {
        counter,
        write_period: Duration::from_millis(200),
        io_timeout: Duration::from_millis(100),
        ttl: Duration::from_secs(2),
        watchdog: Duration::from_secs(20),
        written_at: Instant::from_nanos(8_000_000_000),
    };
    let file = [beat(41).seal(writer, Generation::new(41)), beat(42).seal(writer, Generation::new(42))];
    let [b, a] = file;
    let mut file = [a, b].concat();
    title(&FileKind::Heartbeat(ME), geometry);
    tell("both slots whole", &HeartbeatRecord::read(&file, writer.cluster, ME));
    file[100] ^= 0x40;
    tell("one bit of slot A flipped", &HeartbeatRecord::read(&file, writer.cluster, ME));
    file[4_096 + 3] = 0;
    tell("and slot B's magic overwritten", &HeartbeatRecord::read(&file, writer.cluster, ME));
}

fn poweron(writer: &Identity, geometry: &Geometry) -> Result<(), Box<dyn core::error::Error>> {
    let record = PoweronRecord {
        inventory: 9,
        isolated: false,
        inventory_complete: true,
        vms: BTreeMap::from([(uuid(), VmEpoch::new(17))]),
    };
    title(&FileKind::Poweron(ME), geometry);
    println!("  `head -1` says {:?}", String::from_utf8_lossy(&record.text()[..1]));
    let slots = [record.seal(writer, Generation::FIRST, geometry)?, vec![0; geometry.poweron_area()].into()];
    tell("after the first write", &PoweronRecord::read(&slots.concat(), writer.cluster, ME, geometry));
    Ok(())
}

fn list(writer: &Identity, geometry: &Geometry) -> Result<(), Box<dyn core::error::Error>> {
    let owner = ListOwnerRecord { term: TERM, counter: 99, state: OwnerState::Owned };
    title(&FileKind::ProtectedList, geometry);
    let file = [owner.seal(writer, Generation::FIRST).to_vec(), vec![0; ListOwnerRecord::AREA]].concat();
    tell("owned, while the counter moves", &ListOwnerRecord::read(&file, writer.cluster));

    let intent = RestartIntent {
        order: OrderId { term: TERM, number: 1 },
        attempts: 0,
        target: Some(HostId::new(8)),
        expected: VmEpoch::new(17),
    };
    let entry = ListEntry {
        vm: vm()?,
        protection: Protection::Protected,
        version: 4,
        priority: 1,
        cpu_reservation_mhz: 500,
        memory_overhead_mb: 64,
        intent: Some(intent),
    };
    let entries = BTreeMap::from([(uuid(), entry)]);
    let list = ProtectedList { version: 31, entries, ..ProtectedList::new(TERM) };
    title(&FileKind::ProtectedListOf(ME), geometry);
    let mut file = list.seal(writer, Generation::FIRST, geometry)?.to_vec();
    file.resize(2 * (geometry.list_area() + geometry.list_log_area()), 0);
    let state = ProtectedList::read(&file, writer.cluster, ME, geometry);
    println!("  one machine, its restart ordered: {:?}", state.record().map(|record| &record.content));
    println!("  its log has room for {} records of changes", geometry.list_log_records());
    Ok(())
}

fn marker(writer: &Identity, geometry: &Geometry) {
    let marker = PowerOffMarker { vm: uuid(), epoch: VmEpoch::new(17), state: MarkerState::Intended };
    title(&FileKind::PoweredOff(uuid()), geometry);
    let file = [marker.seal(writer, Generation::FIRST).to_vec(), vec![0; PowerOffMarker::AREA]].concat();
    tell("a stop in isolation has been asked for", &PowerOffMarker::read(&file, writer.cluster));
}

fn vm_lock(writer: &Identity, geometry: &Geometry) -> Result<(), ParseError> {
    title(&FileKind::VmLock(vm()?), geometry);
    let mut file = VmLockRecord::initial(writer, &vm()?).to_vec();
    tell("made known to HA", &VmLockRecord::read(&file, writer.cluster));
    let state = VmLockState::Running { host: ME, incarnation: writer.incarnation };
    let started = VmLockRecord::of(&vm()?, VmEpoch::new(1), state);
    file[VmLockRecord::AREA..].copy_from_slice(&started.seal(writer, Generation::new(1)));
    tell("started", &VmLockRecord::read(&file, writer.cluster));
    match VmLockRecord::read_of(&vec![0; file.len()], writer.cluster, &vm()?) {
        Ok(record) => println!("  zeros instead: {record:?}"),
        Err(fault) => println!("  zeros instead: {fault}; nothing starts from that"),
    }
    Ok(())
}

fn title(kind: &FileKind, geometry: &Geometry) {
    println!("\n{}, {} bytes", FileName::new(HOME, kind.clone()), file_size(kind, geometry));
}

fn tell<T: Debug>(when: &str, state: &PairState<T>) {
    print!("  {when}: ");
    match state {
        PairState::NeverWritten => println!("never written"),
        PairState::Valid { record } => {
            println!("generation {} by {}: {:?}", record.generation, record.writer.host, record.content);
        }
        PairState::Degraded { record, other } => {
            println!(
                "generation {} is whole, perhaps not the newest; other slot: {other}",
                record.generation
            );
        }
        PairState::Inconsistent { a, b } => {
            println!("generations {} and {}: none follows the other", a.generation, b.generation);
        }
        PairState::Corrupt { a, b } => println!("no record: slot A: {a}; slot B: {b}"),
    }
}

fn uuid() -> VmUuid {
    VmUuid::from_bytes([0x5a; 16])
}

fn vm() -> Result<VmId, ParseError> {
    VmId::new(uuid(), HOME, "web-1/web-1.vmx")
}
