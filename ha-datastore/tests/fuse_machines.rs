//! Inventory, ownership and VM locks on a failing datastore, by the real clock: what is promised stays promised.
#![cfg(feature = "fs")]
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
mod fs_common;
mod fuse_common;

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

use common::{CLUSTER, GEOMETRY, HOME, TIMING, host, identity, machine, ms, term, uuid, vm};
use fuse_common::rig::Rig;
use fuse_common::{Lab, Node, SOON, pause};
use ha_core::operation::{StartOutcome, TakeOutcome};
use ha_core::{
    FileKind, HolderId, Incarnation, Instant, Machine, StorageFault, VmCompletion, VmEpoch, VmRequest, VmUuid,
};
use ha_datastore::format::{
    ListEntry, ListOwnerRecord, OwnerState, PoweronRecord, ProtectedList, Protection, VmLockRecord,
    VmLockState, file_size,
};
use ha_datastore::fs::{InodeNumbers, LockTry, VmLockFile, boot_clock, fault_of, layout};
use ha_datastore::ownership::{self, LostReason, OwnershipConfig};
use ha_datastore::poweron_writer::{self, PoweronWriterConfig};
use ha_datastore::vm_lock::{self, Ended, RefusedStart, StartExpectation, VmLockConfig};
use ha_datastore::{ChangeId, ListChange, Ownership, PoweronWriter, VmLock};

const LIST: FileKind = FileKind::ProtectedList;

/// Within this an attempt to start a virtual machine must be over.
const ATTEMPT: Duration = Duration::from_secs(2);

fn two_hosts(lab: &Lab) -> [Node; 2] {
    let of_hosts = [host(1), host(2)].map(FileKind::ProtectedListOf);
    let kinds = of_hosts.into_iter().chain([LIST, FileKind::Poweron(host(1))]);
    let files: Vec<_> = kinds.map(|kind| (kind.clone(), file_size(&kind, &GEOMETRY))).collect();
    lab.datastore(&files)
}

type Inventory = Rig<PoweronWriter, poweron_writer::Event>;

fn inventory(node: &Node) -> Inventory {
    let config = PoweronWriterConfig {
        identity: identity(1, 1),
        machine: machine(1, 3),
        datastore: HOME,
        geometry: GEOMETRY,
        timing: TIMING,
    };
    let machine = PoweronWriter::new(config, boot_clock());
    Rig::new(node, HOME, machine, poweron_writer::Input::Storage, |output| match output {
        poweron_writer::Output::Storage(request) => Ok(request),
        poweron_writer::Output::Event(event) => Err(event),
    })
}

#[test]
fn the_last_inventory_gets_there_and_what_was_durable_stays() {
    let Some(lab) = Lab::open() else { return };
    let [here, there] = two_hosts(&lab);
    let mut rig = inventory(&here);
    let kind = FileKind::Poweron(host(1));
    let on_disk = || {
        let bytes = there.on_disk(&kind);
        let slots = &bytes[usize::try_from(PoweronRecord::SLOTS_AT).unwrap_or(0)..];
        PoweronRecord::read(slots, CLUSTER, host(1), &GEOMETRY).record().map(|found| found.content.inventory)
    };
    let give = |rig: &mut Inventory, inventory| {
        let vms = BTreeMap::from([(uuid(1), VmEpoch::new(inventory))]);
        let record = PoweronRecord { inventory, isolated: false, inventory_complete: true, vms };
        rig.give(poweron_writer::Input::Inventory(record));
    };
    let durable = |rig: &mut Inventory, inventory| {
        rig.until("durable inventory", |event| *event == poweron_writer::Event::Durable { inventory });
    };
    give(&mut rig, 1);
    durable(&mut rig, 1);
    for (fault, told, next) in [("eio_write", StorageFault::Io, 2), ("enospc", StorageFault::NoSpace, 4)] {
        here.tell(fault);
        give(&mut rig, next);
        let trouble = poweron_writer::Event::Trouble { fault: told };
        rig.until("trouble", |event| *event == trouble);
        assert_eq!(on_disk(), Some(next - 1), "{fault}: what was durable");
        give(&mut rig, next + 1);
        here.tell("clear");
        durable(&mut rig, next + 1);
        assert_eq!(on_disk(), Some(next + 1), "after {fault}");
    }
    here.tell("droplocks");
    give(&mut rig, 6);
    durable(&mut rig, 6);
    assert!(rig.events.is_empty(), "no lock, no loss: {:?}", rig.events);
}

type Owner = Rig<Ownership, ownership::Event>;

fn owner(node: &Node, number: u32) -> Owner {
    let config = OwnershipConfig {
        identity: identity(number, 1),
        machine: machine(number, 4),
        datastore: HOME,
        hosts: vec![host(1), host(2)],
        geometry: GEOMETRY,
        timing: TIMING,
    };
    let machine = Ownership::new(config, boot_clock());
    Rig::new(node, HOME, machine, ownership::Input::Storage, |output| match output {
        ownership::Output::Storage(request) => Ok(request),
        ownership::Output::Event(event) => Err(event),
    })
}

impl Owner {
    fn claim(&mut self, round: u64, number: u32) {
        self.give(ownership::Input::Claim { term: term(round, number), may_take: true });
    }

    fn owns(&mut self) {
        self.until("ownership", |event| matches!(event, ownership::Event::Owned { .. }));
        assert!(self.machine.may_act(boot_clock()));
    }

    fn loses(&mut self) -> LostReason {
        let event = self.until("loss", |event| matches!(event, ownership::Event::RightLost { .. }));
        let ownership::Event::RightLost { reason } = event else { unreachable!("that was asked for") };
        assert!(!self.machine.may_act(boot_clock()));
        reason
    }
}

#[test]
fn an_owner_that_loses_its_lock_knows_it_and_begins_again() {
    let Some(lab) = Lab::open() else { return };
    let [here, there] = two_hosts(&lab);
    let (mut first, mut second) = (owner(&here, 1), owner(&there, 2));
    first.claim(1, 1);
    first.owns();

    here.tell("droplocks");
    assert_eq!(first.loses(), LostReason::Fault(StorageFault::Io));
    first.owns();

    here.tell("droplocks");
    // Not a turn for the first: it may be held up for any reason.
    second.claim(2, 2);
    second.owns();
    assert_eq!(first.loses(), LostReason::Fault(StorageFault::Io));
    first.until("refusal", |event| *event == ownership::Event::LockHeld);
    let owner = ListOwnerRecord::read(&here.on_disk(&LIST), CLUSTER);
    let owner = owner.record().map(|record| record.content);
    assert!(owner.is_some_and(|owner| owner.term == term(2, 2) && owner.state == OwnerState::Owned));
}

#[test]
fn an_owner_without_its_datastore_loses_the_right_and_gets_it_back() {
    let Some(lab) = Lab::open() else { return };
    let [here, _] = two_hosts(&lab);
    let mut owner = owner(&here, 1);
    owner.claim(1, 1);
    owner.owns();
    for (fault, told) in [("eio_write", StorageFault::Io), ("enospc", StorageFault::NoSpace)] {
        here.tell(fault);
        assert_eq!(owner.loses(), LostReason::Fault(told), "{fault}");
        here.tell("clear");
        owner.owns();
    }
    here.tell("stall");
    assert_eq!(owner.loses(), LostReason::Stalled);
    here.tell("clear");
    owner.owns();
}

fn protect(number: u8) -> ownership::Input {
    let entry = ListEntry {
        vm: vm(number),
        protection: Protection::Protected,
        version: 1,
        priority: 3,
        cpu_reservation_mhz: 500,
        memory_overhead_mb: 64,
        intent: None,
    };
    ownership::Input::Change { id: ChangeId(number.into()), change: ListChange::Protect(entry) }
}

/// What host 1's list says to whoever reads it now.
fn listed(node: &Node) -> Vec<VmUuid> {
    let bytes = node.on_disk(&FileKind::ProtectedListOf(host(1)));
    let state = ProtectedList::read(&bytes, CLUSTER, host(1), &GEOMETRY);
    let record = state.record().unwrap_or_else(|| panic!("{state:?}"));
    record.content.entries.keys().copied().collect()
}

#[test]
fn a_change_that_was_told_durable_is_in_the_list_whatever_fails_next() {
    let Some(lab) = Lab::open() else { return };
    let [here, _] = two_hosts(&lab);
    let mut owner = owner(&here, 1);
    owner.claim(1, 1);
    owner.owns();
    let durable = |id| ownership::Event::Durable { ids: vec![ChangeId(id)] };
    owner.give(protect(1));
    owner.until("durable change", |event| *event == durable(1));
    for fault in ["eio_write", "enospc"] {
        here.tell(&format!("{fault} in protectedlist.1"));
        owner.give(protect(2));
        owner.until("drop", |event| *event == ownership::Event::Dropped { ids: vec![ChangeId(2)] });
        assert_eq!(listed(&here), [uuid(1)], "{fault}");
        here.tell("clear");
        owner.owns();
    }
    // Storage that lies: it tears the list and says that all is well. The list before stands, not a mixture.
    here.tell("torn 200 in protectedlist.1");
    owner.give(protect(3));
    owner.until("durable change, as storage said", |event| *event == durable(3));
    assert_eq!(listed(&here), [uuid(1)]);
    here.tell("clear");
    owner.give(protect(4));
    owner.until("durable change", |event| *event == durable(4));
    assert_eq!(listed(&here), [uuid(1), uuid(3), uuid(4)], "the next snapshot brings it all");
}

/// The lock is gone and the owner cannot know: below F3 nobody may try it, so that this harms nobody.
#[test]
fn a_careful_taker_does_not_try_the_lock_of_an_owner_that_lost_it_silently() {
    let Some(lab) = Lab::open() else { return };
    let [here, there] = two_hosts(&lab);
    let (mut first, mut second) = (owner(&here, 1), owner(&there, 2));
    first.claim(1, 1);
    first.owns();
    here.tell("droplocks_lax");
    second.give(ownership::Input::Caution { cautious: true });
    second.claim(2, 2);
    second.until("care", |event| *event == ownership::Event::OwnerUnproven { host: host(1) });
    first.go_on_for(Duration::from_millis(500));
    second.go_on_for(SOON / 5);
    first.go_on_for(Duration::from_millis(300));
    assert!(first.machine.may_act(boot_clock()), "{:?}", first.events);
    assert_eq!(second.machine.list().map(drop), None, "{:?}", second.events);
}

/// The process that holds one virtual machine's lock, as far as storage can tell.
struct Holder {
    path: PathBuf,
    file: Option<VmLockFile>,
}

impl Holder {
    fn serve(&mut self, request: VmRequest) -> Option<VmCompletion> {
        Some(match request {
            VmRequest::TakeLock { token, not_after, .. } => {
                VmCompletion::TakeLock(token.complete(self.take(not_after)))
            }
            VmRequest::WriteRecord { token, offset, bytes, not_after, .. } => {
                let file = self.file.as_ref().unwrap();
                VmCompletion::WriteRecord(token.complete(file.write_record(offset, &bytes, not_after)))
            }
            VmRequest::Start { token, .. } => VmCompletion::Start(token.complete(StartOutcome::Running)),
            VmRequest::Abandon { .. } => {
                self.file = None;
                return None;
            }
            VmRequest::Stop { .. } | VmRequest::ShareLock { .. } | VmRequest::Resume { .. } => {
                panic!("an attempt to start asks for nothing else")
            }
        })
    }

    fn take(&mut self, not_after: Instant) -> TakeOutcome {
        match VmLockFile::open_and_lock(&self.path, not_after) {
            Ok(LockTry::Locked(file)) => {
                let record = file.read_record(VmLockRecord::FILE).unwrap();
                let same_file = file.same_file().unwrap();
                let identity = file.identity(InodeNumbers::ByFileSystem).unwrap();
                assert_eq!(identity, None, "behind FUSE nobody knows");
                self.file = Some(file);
                TakeOutcome::Locked { record, same_file, file: identity }
            }
            Ok(LockTry::Held) => TakeOutcome::Held,
            Ok(LockTry::Expired) => TakeOutcome::Expired,
            Err(error) => TakeOutcome::Fault(fault_of(&error)),
        }
    }
}

/// A host's try to start the machine; `between` comes after the lock and before the raised epoch.
fn attempt(node: &Node, number: u32, epoch: u64, between: impl FnOnce()) -> (Holder, Ended) {
    let config = VmLockConfig {
        identity: identity(number, 1),
        machine: machine(number, 5),
        holder: HolderId(number.into()),
        vm: vm(1),
        expect: StartExpectation::Exactly(VmEpoch::new(epoch)),
        not_after: boot_clock().after(ATTEMPT),
    };
    let mut lock = VmLock::new(config, boot_clock());
    let mut holder = Holder { path: node.mount(HOME).path_of(&FileKind::VmLock(vm(1))), file: None };
    let mut between = Some(between);
    loop {
        let Some(output) = lock.poll_output() else { panic!("it neither asks nor ends") };
        let request = match output {
            vm_lock::Output::Event(vm_lock::Event::Ended(ended)) => return (holder, ended),
            vm_lock::Output::Event(_) => continue,
            vm_lock::Output::Vm(request) => request,
        };
        if matches!(request, VmRequest::WriteRecord { .. })
            && let Some(between) = between.take()
        {
            between();
        }
        if let Some(done) = holder.serve(request) {
            lock.handle_input(boot_clock(), vm_lock::Input::Vm(done)).unwrap();
        }
    }
}

fn record(node: &Node) -> (u64, VmLockState) {
    let found = VmLockRecord::read_of(&node.on_disk(&FileKind::VmLock(vm(1))), CLUSTER, &vm(1)).unwrap();
    (found.content.epoch.number(), found.content.state)
}

fn running(number: u32) -> VmLockState {
    VmLockState::Running { host: host(number), incarnation: Incarnation::new(1) }
}

fn with_vm(lab: &Lab) -> [Node; 2] {
    let nodes = two_hosts(lab);
    let initial = VmLockRecord::initial(&identity(1, 1), &vm(1));
    layout::create_vm_home(nodes[0].root(), &vm(1), &initial).unwrap();
    nodes
}

#[test]
fn a_machine_starts_elsewhere_only_once_its_lock_is_lost_and_at_the_next_epoch() {
    let Some(lab) = Lab::open() else { return };
    let [here, there] = with_vm(&lab);
    let (holder, ended) = attempt(&here, 1, 0, || {});
    assert_eq!(ended, Ended::Started { epoch: VmEpoch::new(1) });
    assert_eq!(attempt(&there, 2, 1, || {}).1, Ended::LockHeld);

    here.tell("droplocks");
    let (_taker, ended) = attempt(&there, 2, 1, || {});
    assert_eq!(ended, Ended::Started { epoch: VmEpoch::new(2) });
    assert_eq!(record(&here), (2, running(2)));
    let old = holder.file.unwrap();
    assert_eq!(old.write_record(0, &[9; 4096], boot_clock().after(SOON)), Err(StorageFault::Io));
    assert_eq!(attempt(&here, 1, 1, || {}).1, Ended::LockHeld, "nor by a new try there");
}

#[test]
fn a_lock_lost_before_the_epoch_is_raised_starts_nothing() {
    let Some(lab) = Lab::open() else { return };
    let [here, there] = with_vm(&lab);
    let (_, ended) = attempt(&here, 1, 0, || here.tell("droplocks"));
    assert_eq!(ended, Ended::Fault(StorageFault::Io));
    assert_eq!(record(&here), (0, VmLockState::Free));
    assert_eq!(attempt(&there, 2, 0, || {}).1, Ended::Started { epoch: VmEpoch::new(1) });
}

#[test]
fn an_epoch_raised_too_late_starts_nothing_and_is_seen_by_the_next() {
    let Some(lab) = Lab::open() else { return };
    let [here, there] = with_vm(&lab);
    let ended = thread::scope(|scope| {
        let late = scope.spawn(|| attempt(&here, 1, 0, || here.tell("stall_write")).1);
        here.await_stalled(1);
        assert_eq!(attempt(&there, 2, 0, || {}).1, Ended::LockHeld, "the late write may land yet");
        pause(ATTEMPT + ms(50));
        here.tell("clear");
        late.join().unwrap()
    });
    assert_eq!(ended, Ended::Expired);
    assert_eq!(record(&here), (1, running(1)), "raised, though nothing runs");
    let found = VmEpoch::new(1);
    assert_eq!(attempt(&there, 2, 0, || {}).1, Ended::Refused(RefusedStart::EpochMismatch { found }));
    assert_eq!(attempt(&there, 2, 1, || {}).1, Ended::Started { epoch: VmEpoch::new(2) });
}
