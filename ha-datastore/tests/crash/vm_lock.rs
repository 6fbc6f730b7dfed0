use ha_core::operation::{StartOutcome, TakeOutcome};
use ha_core::record::PairState;
use ha_core::{FileIdentity, FileKind, FileName, HolderId, Machine, VmCompletion, VmEpoch, VmRequest};
use ha_datastore::VmLock;
use ha_datastore::format::VmLockRecord;
use ha_datastore::vm_lock::{Event, Input, Output, StartExpectation, VmLockConfig};

use crate::common::{CLUSTER, HOME, at, identity, machine, vm};
use crate::images::Tearing;
use crate::journal::{Files, Journal};
use crate::rig::{Fault, Rig, check};

fn name() -> FileName {
    FileName::new(HOME, FileKind::VmLock(vm(5)))
}

fn read(file: &[u8]) -> PairState<VmLockRecord> {
    VmLockRecord::read(file, CLUSTER)
}

fn new_file() -> Files {
    [(name(), VmLockRecord::initial(&identity(7, 1), &vm(5)).to_vec())].into()
}

/// One attempt of a host to start the machine; its start fails if `fails`. The epoch it ran with.
fn attempt(rig: &mut Rig, number: u32, fails: bool) -> Option<VmEpoch> {
    let config = VmLockConfig {
        identity: identity(number, 1),
        machine: machine(number, 1),
        holder: HolderId(1),
        vm: vm(5),
        expect: StartExpectation::PowerOn { fences: true, at_least: VmEpoch::ZERO },
        not_after: at(1_000),
    };
    let mut lock = VmLock::new(config, at(0));
    let mut ran = None;
    while let Some(output) = lock.poll_output() {
        let done = match output {
            Output::Vm(VmRequest::TakeLock { token, .. }) => {
                let record = rig.read(&name());
                VmCompletion::TakeLock(token.complete(TakeOutcome::Locked {
                    record,
                    same_file: true,
                    file: FileIdentity::new(1),
                }))
            }
            Output::Vm(VmRequest::WriteRecord { token, offset, bytes, .. }) => {
                let outcome = rig.write(name(), offset, bytes);
                VmCompletion::WriteRecord(token.complete(outcome))
            }
            Output::Vm(VmRequest::Start { token, epoch, .. }) => {
                let outcome = if fails { StartOutcome::Failed } else { StartOutcome::Running };
                ran = Some(epoch);
                VmCompletion::Start(token.complete(outcome))
            }
            Output::Event(Event::LockTaken { .. }) => {
                rig.journal.acknowledge();
                continue;
            }
            Output::Vm(_) | Output::Event(_) => continue,
        };
        lock.handle_input(at(0), Input::Vm(done)).unwrap();
    }
    ran
}

fn run(fault: Option<Fault>) -> Journal {
    let mut rig = Rig::new(new_file(), fault);
    for (number, fails) in [(1, false), (2, true), (3, false), (1, false)] {
        attempt(&mut rig, number, fails);
    }
    rig.journal
}

#[test]
fn every_image_of_a_lock_record_opens_and_no_epoch_runs_twice() {
    let mut images = 0;
    for fault in Fault::each(run(None).writes.len()) {
        let journal = run(fault);
        for tearing in [Tearing::OldOrNew, Tearing::OrGarbage] {
            images += check(&journal, tearing, &name(), read, |image, found| {
                let found = found.unwrap().epoch;
                let mut rig = Rig::new(image.clone(), None);
                assert_eq!(attempt(&mut rig, 4, false), Some(found.next()), "whoever comes next starts it");
            });
        }
    }
    eprintln!("VM lock record: {images} images");
    assert!(images > 30_000, "{images}");
}
