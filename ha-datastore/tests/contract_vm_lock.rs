//! The rules that every machine keeps (`ha_core::contract`), for the jobs at a virtual machine's lock record.
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use bytes::Bytes;
use common::vm_subject::{start_outcome, vm_facts, vm_stray, write_outcome};
use common::{identity, machine, moved_to, ms, new_home, uuid, vm};
use ha_core::contract::{self, Ending, Facts, Subject};
use ha_core::operation::{ShareOutcome, StopOutcome, TakeOutcome};
use ha_core::record::Generation;
use ha_core::{
    DatastoreId, FileIdentity, HolderId, HostId, Incarnation, Instant, Random, StorageFault, VmCompletion,
    VmEpoch, VmId, VmRequest,
};
use ha_datastore::format::{VmLockRecord, VmLockState};
use ha_datastore::vm_lock::{
    Change, ChangeEnded, Incoming, IncomingConfig, IncomingInput, Input, JobOutput, MoveEnded, Output,
    RecordChange, RecordChangeConfig, Rejected, Relocation, RelocationConfig,
};

const EPOCH: VmEpoch = VmEpoch::new(17);

/// A driver over one lock file; a second one, of zeros, is that of the new home.
struct Driver {
    record: Vec<u8>,
}

impl Driver {
    fn new(state: VmLockState) -> Self {
        let record = VmLockRecord::of(&vm(5), EPOCH, state);
        let slots = [Generation::new(8), Generation::new(7)].map(|at| record.seal(&identity(1, 1), at));
        Self { record: slots.concat() }
    }

    fn read(
        &self,
        random: &mut Random,
        home: DatastoreId,
        ending: Ending,
    ) -> (Bytes, bool, Option<FileIdentity>) {
        let zeros = vec![0; 8_192];
        let mut bytes = if home == DatastoreId::new(2) { zeros } else { self.record.clone() };
        if ending == Ending::Junk {
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            match random.below(4) {
                0 => bytes.iter_mut().for_each(|byte| *byte = random.next_u64().to_le_bytes()[0]),
                1 => bytes[at] ^= 1 << random.below(8),
                2 => bytes.truncate(at),
                _ => bytes.rotate_left(at),
            }
        }
        let well = ending == Ending::Well;
        let file = FileIdentity::new(if well { 1 } else { random.below(3) });
        (Bytes::from(bytes), well || random.below(2) == 0, file)
    }

    fn carry(
        &mut self,
        random: &mut Random,
        now: Instant,
        request: VmRequest,
        ending: Ending,
    ) -> Option<VmCompletion> {
        let io = StorageFault::Io;
        Some(match request {
            VmRequest::TakeLock { token, vm, not_after, .. } => {
                let (record, same_file, file) = self.read(random, vm.home(), ending);
                VmCompletion::TakeLock(token.complete(match ending {
                    _ if now > not_after => TakeOutcome::Expired,
                    Ending::Fault if random.below(2) == 0 => TakeOutcome::Held,
                    Ending::Fault => TakeOutcome::Fault(io),
                    Ending::Well | Ending::Junk => TakeOutcome::Locked { record, same_file, file },
                }))
            }
            VmRequest::ShareLock { token, vm, not_after, .. } => {
                let (record, same_file, file) = self.read(random, vm.home(), ending);
                VmCompletion::ShareLock(token.complete(match ending {
                    _ if now > not_after => ShareOutcome::Expired,
                    Ending::Fault if random.below(2) == 0 => ShareOutcome::NotRunning,
                    Ending::Fault => ShareOutcome::Fault(io),
                    Ending::Well | Ending::Junk => ShareOutcome::Shared { record, same_file, file },
                }))
            }
            VmRequest::WriteRecord { token, not_after, .. } => {
                VmCompletion::WriteRecord(token.complete(write_outcome(now, not_after, ending, || {})))
            }
            VmRequest::Start { token, not_after, .. } | VmRequest::Resume { token, not_after, .. } => {
                VmCompletion::Start(token.complete(start_outcome(now, not_after, ending)))
            }
            VmRequest::Stop { token, .. } => VmCompletion::Stop(token.complete(StopOutcome::NotHere)),
            VmRequest::Abandon { .. } => return None,
        })
    }
}

/// What is the same for every job: how its outputs are carried out.
macro_rules! subject {
    ($output:ty, $vm:path, $told:pat, $input:path) => {
        const MAX_OUTPUTS: usize = 3;
        const MAX_OPEN: usize = 2;

        fn answer(
            &mut self,
            random: &mut Random,
            now: Instant,
            output: $output,
            ending: Ending,
        ) -> Option<contract::Input<Self>> {
            let $vm(request) = output else { return None };
            self.0.carry(random, now, request, ending).map($input)
        }

        fn stray(&mut self, random: &mut Random) -> Option<contract::Input<Self>> {
            Some($input(vm_stray(random)))
        }

        fn is_unknown_request(rejected: &Rejected) -> bool {
            matches!(rejected, Rejected::UnknownRequest(_))
        }

        fn facts(output: &$output) -> Facts {
            match output {
                $vm(request) => vm_facts(request),
                $told => Facts::TOLD,
            }
        }
    };
}

fn running() -> VmLockState {
    VmLockState::Running { host: HostId::new(1), incarnation: Incarnation::new(1) }
}

fn leaving(target: u32) -> VmLockState {
    VmLockState::HandingOver { target: HostId::new(target), within: ms(30) }
}

fn end_of(seed: u64, now: Instant) -> Instant {
    now.after(ms(20 * (seed % 40)))
}

struct Changing(Driver);

impl Changing {
    fn change(seed: u64) -> Change {
        match seed % 3 {
            0 => Change::CleanOff,
            1 => Change::HandOver { target: HostId::new(2), within: ms(30) },
            _ => Change::TakeBack,
        }
    }
}

impl Subject for Changing {
    type Machine = RecordChange;

    fn world(seed: u64) -> Self {
        let takes_back = matches!(Self::change(seed), Change::TakeBack);
        Self(Driver::new(if takes_back { leaving(2) } else { running() }))
    }

    fn make(seed: u64, now: Instant) -> RecordChange {
        let config = RecordChangeConfig {
            identity: identity(1, 1),
            machine: machine(1, 1),
            holder: HolderId(1),
            vm: vm(5),
            epoch: EPOCH,
            change: Self::change(seed),
            not_after: end_of(seed, now),
        };
        RecordChange::new(config, now)
    }

    fn sample(&mut self, _: &mut Random, _: Instant) -> Option<Input> {
        None
    }

    subject!(JobOutput<ChangeEnded>, JobOutput::Vm, JobOutput::Ended(_), Input::Vm);
}

struct ComingIn(Driver);

impl Subject for ComingIn {
    type Machine = Incoming;

    fn world(_: u64) -> Self {
        Self(Driver::new(leaving(1)))
    }

    fn make(seed: u64, now: Instant) -> Incoming {
        let config = IncomingConfig {
            identity: identity(1, 1),
            machine: machine(1, 1),
            first_holder: HolderId(1),
            vm: vm(5),
            from: EPOCH,
            fences: seed.is_multiple_of(2),
            // Zero too: no loop may come of it.
            look_again: ms(seed % 100),
            not_after: now.after(ms(50 * (seed % 40))),
        };
        Incoming::new(config, now)
    }

    fn sample(&mut self, _: &mut Random, _: Instant) -> Option<IncomingInput> {
        Some(IncomingInput::SourceStopped)
    }

    subject!(Output, Output::Vm, Output::Event(_), IncomingInput::Vm);
}

struct Moving(Driver);

impl Subject for Moving {
    type Machine = Relocation;

    fn world(seed: u64) -> Self {
        let moved = moved_to(&new_home(5), false);
        let states = [VmLockState::Free, VmLockState::CleanlyOff, moved];
        Self(Driver::new(states[usize::try_from(seed % 3).unwrap()]))
    }

    fn make(seed: u64, now: Instant) -> Relocation {
        let config = RelocationConfig {
            identity: identity(1, 1),
            machine: machine(1, 1),
            old_holder: HolderId(1),
            new_holder: HolderId(2),
            from: vm(5),
            to: VmId::new(uuid(5), DatastoreId::new(2), "vm-5/vm-5.vmx").unwrap(),
            epoch: EPOCH,
            not_after: now.after(ms(50 * (seed % 40))),
        };
        Relocation::new(config, now)
    }

    fn sample(&mut self, _: &mut Random, _: Instant) -> Option<Input> {
        None
    }

    subject!(JobOutput<MoveEnded>, JobOutput::Vm, JobOutput::Ended(_), Input::Vm);
}

fn check<S: Subject>(seeds: u64) {
    contract::all::<S>(seeds).unwrap_or_else(|violation| panic!("{violation}"));
}

#[test]
fn a_change_of_the_record_keeps_the_contract() {
    check::<Changing>(120);
}

#[test]
fn the_target_of_a_live_migration_keeps_the_contract() {
    check::<ComingIn>(120);
}

#[test]
fn a_move_keeps_the_contract() {
    check::<Moving>(120);
}
