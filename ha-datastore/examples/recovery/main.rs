//! From a torn slot back to whole files: the power fails in the middle of a write to each kind of file in turn; what
//! the readers say then, and how the machines go on.
//!
//! `cargo run -p ha-datastore --example recovery`

#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::print_stdout, reason = "an example tells its story")]

mod disk;

use core::error::Error;
use core::fmt::Debug;
use core::time::Duration;

use bytes::Bytes;
use disk::Disk;
use ha_core::operation::{StartOutcome, TakeOutcome};
use ha_core::record::PairState;
use ha_core::{
    BootId, ClusterId, DatastoreId, FileKind, FileName, HolderId, HostId, Identity, Incarnation, Instant,
    Limits, Machine, MachineId, ParseError, Profile, Round, StorageCompletion, StorageRequest, Term,
    TimingConfig, VmCompletion, VmEpoch, VmId, VmRequest, VmUuid,
};
use ha_datastore::format::{
    Geometry, HeartbeatRecord, ListEntry, ListState, PoweronRecord, ProtectedList, Protection, VmLockRecord,
};
use ha_datastore::heartbeat_writer::{self, HeartbeatWriterConfig};
use ha_datastore::ownership::{self, OwnershipConfig};
use ha_datastore::poweron_writer::{self, PoweronWriterConfig};
use ha_datastore::vm_lock::{self, StartExpectation, VmLockConfig};
use ha_datastore::{ChangeId, HeartbeatWriter, ListChange, Ownership, PoweronWriter, VmLock};

const CLUSTER: ClusterId = ClusterId::from_bytes([0xc1; 16]);
const HOME: DatastoreId = DatastoreId::new(1);
const ME: HostId = HostId::new(7);
const TIMING: TimingConfig = TimingConfig::profile(Profile::Swift);
const GEOMETRY: Geometry =
    Geometry::new(Limits { hosts: 3, vms_per_list: 170, vms_per_host: 100, ..Limits::DEFAULT });

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "The power fails 100 bytes into a write: the header of the new record is there, its end is not."
    );
    heartbeat()?;
    poweron()?;
    list()?;
    vm_lock()
}

fn heartbeat() -> Result<(), Box<dyn Error>> {
    let (mut disk, name) = (Disk::new(GEOMETRY), file(FileKind::Heartbeat(ME)));
    let tell = |disk: &mut Disk, when: &str| {
        let state = HeartbeatRecord::read(disk.file(&name), CLUSTER, ME);
        tell(when, &state, |record| format!("beat {}", record.counter));
        state
    };
    let writer = |life, now| {
        let (identity, machine) = (identity(life), machine(life));
        let (ttl, watchdog) = (Duration::from_secs(2), Duration::from_secs(20));
        let config =
            HeartbeatWriterConfig { identity, machine, datastore: HOME, timing: TIMING, ttl, watchdog };
        HeartbeatWriter::new(config, now)
    };
    let sort = |output| match output {
        heartbeat_writer::Output::Storage(request) => Ok(request),
        heartbeat_writer::Output::Event(event) => Err(event),
    };
    title(&name);
    let mut first = writer(1, at(0));
    settle(&mut first, &mut disk, at(0), heartbeat_writer::Input::Storage, sort)?;
    first.handle_timeout(at(200));
    settle(&mut first, &mut disk, at(200), heartbeat_writer::Input::Storage, sort)?;
    tell(&mut disk, "two beats are durable");
    disk.fail_in_next_write(&name, 100);
    first.handle_timeout(at(400));
    settle(&mut first, &mut disk, at(400), heartbeat_writer::Input::Storage, sort)?;
    tell(&mut disk, "the power fails in the third");

    disk.power_on();
    let mut second = writer(2, at(9_000));
    let events = settle(&mut second, &mut disk, at(9_000), heartbeat_writer::Input::Storage, sort)?;
    println!("  the host's next life: {events:?}");
    whole(matches!(tell(&mut disk, "its first beat lies where the torn one lay"), PairState::Valid { .. }))
}

fn poweron() -> Result<(), Box<dyn Error>> {
    let (mut disk, name) = (Disk::new(GEOMETRY), file(FileKind::Poweron(ME)));
    let tell = |disk: &mut Disk, when: &str| {
        let slots = disk.file(&name).get(4096..).unwrap_or(&[]);
        let state = PoweronRecord::read(slots, CLUSTER, ME, &GEOMETRY);
        tell(when, &state, |record| format!("inventory {}, {} running", record.inventory, record.vms.len()));
        state
    };
    let writer = |life, now| {
        let (identity, machine) = (identity(life), machine(life));
        let config =
            PoweronWriterConfig { identity, machine, datastore: HOME, geometry: GEOMETRY, timing: TIMING };
        PoweronWriter::new(config, now)
    };
    let inventory = |inventory, running: u8| {
        // Each time at other epochs, or the torn bytes could be those of an older record by chance.
        let vms = (0..running).map(|number| (uuid(number), VmEpoch::new(inventory))).collect();
        let record = PoweronRecord { inventory, isolated: false, inventory_complete: true, vms };
        poweron_writer::Input::Inventory(record)
    };
    let sort = |output| match output {
        poweron_writer::Output::Storage(request) => Ok(request),
        poweron_writer::Output::Event(event) => Err(event),
    };
    title(&name);
    let mut first = writer(1, at(0));
    for (number, running) in [(1, 1), (2, 2)] {
        first.handle_input(at(number), inventory(number, running))?;
        settle(&mut first, &mut disk, at(number), poweron_writer::Input::Storage, sort)?;
    }
    tell(&mut disk, "two inventories are durable");
    disk.fail_in_next_write(&name, 100);
    first.handle_input(at(3), inventory(3, 1))?;
    settle(&mut first, &mut disk, at(3), poweron_writer::Input::Storage, sort)?;
    tell(&mut disk, "the power fails in the third");

    disk.power_on();
    let mut second = writer(2, at(9_000));
    second.handle_input(at(9_000), inventory(1, 0))?;
    let events = settle(&mut second, &mut disk, at(9_000), poweron_writer::Input::Storage, sort)?;
    println!("  the host's next life, in which nothing runs yet: {events:?}");
    whole(matches!(tell(&mut disk, "it says so"), PairState::Valid { .. }))
}

fn list() -> Result<(), Box<dyn Error>> {
    let (mut disk, name) = (Disk::new(GEOMETRY), file(FileKind::ProtectedListOf(ME)));
    let tell = |disk: &mut Disk, when: &str| {
        let state = ProtectedList::read(disk.file(&name), CLUSTER, ME, &GEOMETRY);
        tell_list(when, &state);
        state
    };
    let sort = |output| match output {
        ownership::Output::Storage(request) => Ok(request),
        ownership::Output::Event(event) => Err(event),
    };
    let claim = |disk: &mut Disk, life: u64| -> Result<(Ownership, Vec<ownership::Event>), Box<dyn Error>> {
        let (identity, machine, now) = (identity(life), machine(life), at(9_000 * life));
        let (hosts, geometry, timing) = (vec![ME], GEOMETRY, TIMING);
        let config = OwnershipConfig { identity, machine, datastore: HOME, hosts, geometry, timing };
        let mut ownership = Ownership::new(config, now);
        let term = Term::new(Round::new(4 + life), ME);
        ownership.handle_input(now, ownership::Input::Claim { term, may_take: true })?;
        let events = settle(&mut ownership, disk, now, ownership::Input::Storage, sort)?;
        Ok((ownership, events))
    };
    title(&name);
    let (mut first, _) = claim(&mut disk, 1)?;
    for number in [1, 2] {
        let change = ListChange::Protect(entry(number)?);
        let id = ChangeId(number.into());
        first.handle_input(at(9_001), ownership::Input::Change { id, change })?;
        settle(&mut first, &mut disk, at(9_001), ownership::Input::Storage, sort)?;
    }
    tell(&mut disk, "two machines are protected, by the log after an empty snapshot");
    disk.power_on();
    disk.fail_in_next_write(&name, 100);
    claim(&mut disk, 2)?;
    tell(&mut disk, "the next owner's merged snapshot meets the power failure");

    disk.power_on();
    let (_, events) = claim(&mut disk, 3)?;
    println!("  the owner after that: {events:?}");
    let state = tell(&mut disk, "it has merged what counted into a whole snapshot");
    whole(matches!(state, ListState::Valid { record } if record.content.entries.len() == 2))
}

fn vm_lock() -> Result<(), Box<dyn Error>> {
    let (mut disk, vm) = (Disk::new(GEOMETRY), entry(1)?.vm);
    let name = file(FileKind::VmLock(vm.clone()));
    let tell = |disk: &mut Disk, when: &str| {
        let state = VmLockRecord::read(disk.file(&name), CLUSTER);
        tell(when, &state, |record| format!("epoch {}, {:?}", record.epoch, record.state));
        state
    };
    let attempt = |disk: &mut Disk, life: u64, expect| {
        let (holder, not_after) = (HolderId(life), at(9_000 * life + 1_000));
        let (identity, machine, vm) = (identity(life), machine(life), vm.clone());
        let config = VmLockConfig { identity, machine, holder, vm, expect, not_after };
        start(VmLock::new(config, at(9_000 * life)), disk, &name, at(9_000 * life))
    };
    title(&name);
    *disk.file(&name) = VmLockRecord::initial(&identity(1), &vm).to_vec();
    attempt(&mut disk, 1, StartExpectation::PowerOn { fences: true, at_least: VmEpoch::ZERO })?;
    tell(&mut disk, "started once");
    disk.fail_in_next_write(&name, 100);
    let restart = StartExpectation::Exactly(VmEpoch::new(1));
    attempt(&mut disk, 2, restart)?;
    tell(&mut disk, "the power fails while a restart raises the epoch; so nothing was started");

    disk.power_on();
    let events = attempt(&mut disk, 3, restart)?;
    println!("  the same restart again: {events:?}");
    whole(matches!(tell(&mut disk, "it was the only one"), PairState::Valid { .. }))
}

/// Drives one start through a driver whose holder always gets the lock.
fn start(
    mut lock: VmLock,
    disk: &mut Disk,
    name: &FileName,
    now: Instant,
) -> Result<Vec<vm_lock::Event>, Box<dyn Error>> {
    let mut events = Vec::new();
    while let Some(output) = lock.poll_output() {
        let request = match output {
            vm_lock::Output::Vm(request) => request,
            vm_lock::Output::Event(event) => {
                events.push(event);
                continue;
            }
        };
        let done = match request {
            VmRequest::TakeLock { token, .. } => {
                let record = Bytes::copy_from_slice(disk.file(name));
                VmCompletion::TakeLock(token.complete(TakeOutcome::Locked {
                    record,
                    same_file: true,
                    file: None,
                }))
            }
            VmRequest::WriteRecord { token, offset, bytes, .. } => {
                // The holder reads back what it wrote; without power there is neither holder nor agent.
                let Some(()) = disk.write(name, offset, &bytes) else { return Ok(events) };
                VmCompletion::WriteRecord(token.complete(Ok(())))
            }
            VmRequest::Start { token, .. } => VmCompletion::Start(token.complete(StartOutcome::Running)),
            other @ (VmRequest::ShareLock { .. }
            | VmRequest::Resume { .. }
            | VmRequest::Abandon { .. }
            | VmRequest::Stop { .. }) => return Err(format!("not part of this start: {other:?}").into()),
        };
        lock.handle_input(now, vm_lock::Input::Vm(done))?;
    }
    Ok(events)
}

/// Carries out what a machine asks for until it asks for nothing, or the power fails. What it told.
fn settle<M: Machine<Rejected: Error + 'static>, E>(
    machine: &mut M,
    disk: &mut Disk,
    now: Instant,
    wrap: fn(StorageCompletion) -> M::Input,
    sort: fn(M::Output) -> Result<StorageRequest, E>,
) -> Result<Vec<E>, Box<dyn Error>> {
    let mut events = Vec::new();
    while let Some(output) = machine.poll_output() {
        match sort(output) {
            Ok(request) => {
                if let Some(done) = disk.serve(now, request) {
                    machine.handle_input(now, wrap(done))?;
                }
            }
            Err(event) => events.push(event),
        }
        if !disk.has_power() {
            break;
        }
    }
    Ok(events)
}

fn title(name: &FileName) {
    println!("\n{name}");
}

fn tell<T: Debug>(when: &str, state: &PairState<T>, say: impl Fn(&T) -> String) {
    print!("  {when}: ");
    match state {
        PairState::NeverWritten => println!("never written"),
        PairState::Valid { record } => println!("whole; {}", say(&record.content)),
        PairState::Degraded { record, other } => {
            println!("degraded; {}, or something newer; the other slot: {other}", say(&record.content));
        }
        PairState::Inconsistent { .. } => println!("inconsistent; no information"),
        PairState::Corrupt { a, b } => println!("corrupt; slot A: {a}; slot B: {b}"),
    }
}

fn tell_list(when: &str, state: &ListState) {
    let say = |list: &ProtectedList| format!("{} machines under {}", list.entries.len(), list.term);
    print!("  {when}: ");
    match state {
        ListState::NeverWritten => println!("never written"),
        ListState::Valid { record } => println!("whole; {}", say(&record.content)),
        ListState::Degraded { record, damage } => {
            println!("degraded; {}; the other slot: {:?}", say(&record.content), damage.slot);
        }
        ListState::Outdated { record, .. } => println!("known to be old; {}", say(&record.content)),
        ListState::BrokenLog { lost, .. } => println!("record {lost:?} of its log is lost; no information"),
        ListState::Inconsistent { .. } => println!("inconsistent; no information"),
        ListState::Corrupt { a, b } => println!("corrupt; slot A: {a}; slot B: {b}"),
    }
}

/// The end of each story.
fn whole(holds: bool) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err("the file should be whole again".into()) }
}

fn entry(number: u8) -> Result<ListEntry, ParseError> {
    let vm = VmId::new(uuid(number), HOME, &format!("vm-{number}/vm-{number}.vmx"))?;
    let (protection, version, priority, intent) = (Protection::Protected, 1, 1, None);
    let (cpu_reservation_mhz, memory_overhead_mb) = (500, 64);
    Ok(ListEntry { vm, protection, version, priority, cpu_reservation_mhz, memory_overhead_mb, intent })
}

fn identity(life: u64) -> Identity {
    let number = u8::try_from(life).unwrap_or(u8::MAX);
    let (boot, incarnation) = (BootId::from_bytes([number; 16]), Incarnation::new(life));
    Identity { cluster: CLUSTER, host: ME, boot, incarnation }
}

fn machine(life: u64) -> MachineId {
    MachineId { host: ME, incarnation: Incarnation::new(life), lane: 1 }
}

fn file(kind: FileKind) -> FileName {
    FileName::new(HOME, kind)
}

fn uuid(number: u8) -> VmUuid {
    VmUuid::from_bytes([number; 16])
}

fn at(millis: u64) -> Instant {
    Instant::from_nanos(1_000_000_000_000 + millis * 1_000_000)
}
