//! Which file a lock is on: a lock file that was unlinked and made anew, or restored, is not the one that it was.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use bytes::Bytes;
use common::{CLUSTER, at, identity, machine, moved_to, new_home, vm};
use ha_core::operation::{ShareOutcome, TakeOutcome};
use ha_core::record::{Generation, PairState};
use ha_core::{FileIdentity, HolderId, HostId, Incarnation, Machine, VmCompletion, VmEpoch, VmId, VmRequest};
use ha_datastore::format::{LockRecordFault, VmLockRecord, VmLockState};
use ha_datastore::vm_lock::{
    Change, ChangeEnded, Ended, Event, Input, JobOutput, MoveEnded, Output, RecordChange, RecordChangeConfig,
    RefusedChange, RefusedMove, RefusedStart, Relocation, RelocationConfig, Side, StartExpectation, Unfit,
    VmLock, VmLockConfig,
};

const EPOCH: VmEpoch = VmEpoch::new(17);
const FIRST: Option<FileIdentity> = FileIdentity::new(1);
const OTHER: Option<FileIdentity> = FileIdentity::new(2);
const FREE: VmLockState = VmLockState::Free;
const OFF: VmLockState = VmLockState::CleanlyOff;
const RUNNING: VmLockState = VmLockState::Running { host: HostId::new(7), incarnation: Incarnation::new(3) };
const LEAVING: VmLockState =
    VmLockState::HandingOver { target: HostId::new(8), within: core::time::Duration::ZERO };
const RESTART: StartExpectation = StartExpectation::Exactly(EPOCH);

const fn power_on(at_least: u64) -> StartExpectation {
    StartExpectation::PowerOn { fences: true, at_least: VmEpoch::new(at_least) }
}

/// A lock file whose record was written by host 7 and names `file`.
fn naming(file: Option<FileIdentity>, state: VmLockState) -> Bytes {
    let record = VmLockRecord { file, ..VmLockRecord::of(&vm(5), EPOCH, state) };
    let slot = |number| record.seal(&identity(7, 3), Generation::new(number));
    Bytes::from([slot(8), slot(7)].concat())
}

/// The file after a write.
fn written_over(before: &Bytes, request: &VmRequest) -> Bytes {
    let VmRequest::WriteRecord { offset, bytes, .. } = request else { panic!("{request:?}") };
    let mut file = before.to_vec();
    let at = usize::try_from(*offset).unwrap();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    Bytes::from(file)
}

/// The record in a file after a write.
fn after(before: &Bytes, request: &VmRequest) -> VmLockRecord {
    let file = written_over(before, request);
    let (PairState::Valid { record } | PairState::Degraded { record, .. }) =
        VmLockRecord::read(&file, CLUSTER)
    else {
        panic!("nothing can be read")
    };
    record.content
}

fn locked(request: VmRequest, record: Bytes, file: Option<FileIdentity>) -> Input {
    Input::Vm(match request {
        VmRequest::TakeLock { token, .. } => {
            VmCompletion::TakeLock(token.complete(TakeOutcome::Locked { record, same_file: true, file }))
        }
        VmRequest::ShareLock { token, .. } => {
            VmCompletion::ShareLock(token.complete(ShareOutcome::Shared { record, same_file: true, file }))
        }
        VmRequest::WriteRecord { .. }
        | VmRequest::Start { .. }
        | VmRequest::Resume { .. }
        | VmRequest::Abandon { .. }
        | VmRequest::Stop { .. } => panic!("{request:?}"),
    })
}

fn written(request: VmRequest) -> Input {
    let VmRequest::WriteRecord { token, .. } = request else { panic!("{request:?}") };
    Input::Vm(VmCompletion::WriteRecord(token.complete(Ok(()))))
}

/// The record that a start writes first, or why it does not.
fn start(
    expect: StartExpectation,
    record: Bytes,
    file: Option<FileIdentity>,
) -> Result<VmLockRecord, RefusedStart> {
    let config = VmLockConfig {
        identity: identity(7, 4),
        machine: machine(7, 1),
        holder: HolderId(4),
        vm: vm(5),
        expect,
        not_after: at(1_000),
    };
    let mut lock = VmLock::new(config, at(0));
    let Some(Output::Vm(take)) = lock.poll_output() else { panic!("nothing is asked") };
    lock.handle_input(at(1), locked(take, record.clone(), file)).unwrap();
    match lock.poll_output().unwrap() {
        Output::Vm(VmRequest::Abandon { .. }) => {
            let Some(Output::Event(Event::Ended(Ended::Refused(refused)))) = lock.poll_output() else {
                panic!("it is not over")
            };
            Err(refused)
        }
        Output::Vm(write) => Ok(after(&record, &write)),
        Output::Event(event) => panic!("{event:?}"),
    }
}

/// The record that a change writes, or how it ends without a write.
fn change(change: Change, record: Bytes, file: Option<FileIdentity>) -> Result<VmLockRecord, ChangeEnded> {
    let config = RecordChangeConfig {
        identity: identity(7, 3),
        machine: machine(7, 1),
        holder: HolderId(4),
        vm: vm(5),
        epoch: EPOCH,
        change,
        not_after: at(1_000),
    };
    let mut job = RecordChange::new(config, at(0));
    let Some(JobOutput::Vm(request)) = job.poll_output() else { panic!("nothing is asked") };
    job.handle_input(at(1), locked(request, record.clone(), file)).unwrap();
    match job.poll_output().unwrap() {
        JobOutput::Vm(VmRequest::Abandon { .. }) => match job.poll_output().unwrap() {
            JobOutput::Ended(ended) => Err(ended),
            JobOutput::Vm(request) => panic!("{request:?}"),
        },
        JobOutput::Vm(write) => Ok(after(&record, &write)),
        JobOutput::Ended(ended) => panic!("{ended:?}"),
    }
}

fn unfit<T>(unfit: Unfit) -> Result<T, ChangeEnded> {
    Err(ChangeEnded::Refused(RefusedChange::Unfit(unfit)))
}

fn other_file() -> Unfit {
    Unfit::OtherFile { recorded: FIRST.unwrap(), locked: OTHER.unwrap() }
}

#[test]
fn nothing_starts_from_a_record_of_another_file() {
    let refused = Err(RefusedStart::OtherFile { recorded: FIRST.unwrap(), locked: OTHER.unwrap() });
    let starts = [
        (RESTART, [FREE, RUNNING].as_slice()),
        (power_on(0), &[FREE, OFF, RUNNING]),
        (StartExpectation::HandedOver(EPOCH), &[LEAVING]),
    ];
    for (expect, states) in starts {
        for state in states {
            assert_eq!(start(expect, naming(FIRST, *state), OTHER), refused, "{expect:?} of {state:?}");
        }
    }
}

#[test]
fn a_start_names_the_file_that_it_locked_and_the_unknown_is_not_compared() {
    for (recorded, found) in
        [(FIRST, FIRST), (None, FIRST), (FIRST, None), (None, None), (None, OTHER), (OTHER, OTHER)]
    {
        for expect in [RESTART, power_on(0)] {
            let raised = start(expect, naming(recorded, RUNNING), found).unwrap();
            assert_eq!((raised.file, raised.epoch), (found, EPOCH.next()), "{recorded:?} {found:?}");
        }
    }
}

#[test]
fn a_copied_folder_is_another_home_before_it_is_another_file() {
    let record = VmLockRecord { file: FIRST, ..VmLockRecord::of(&new_home(5), EPOCH, FREE) };
    let slot = |number| record.seal(&identity(7, 3), Generation::new(number));
    let copied = Bytes::from([slot(8), slot(7)].concat());
    assert_eq!(start(RESTART, copied.clone(), OTHER), Err(RefusedStart::OtherHome));
    // A folder moved within its file system keeps its files; one moved to another does not. Either is adopted.
    for file in [FIRST, OTHER, None] {
        let adopted = change(Change::Adopt, copied.clone(), file).unwrap();
        assert_eq!(adopted, VmLockRecord { file, ..VmLockRecord::of(&vm(5), EPOCH, FREE) });
    }
}

#[test]
fn a_person_starts_nothing_below_the_epoch_that_is_known() {
    let least = EPOCH.number();
    for state in [FREE, OFF, RUNNING] {
        for at_least in [0, 1, least - 1, least] {
            let raised = start(power_on(at_least), naming(FIRST, state), FIRST);
            assert_eq!(raised.unwrap().epoch, EPOCH.next(), "{state:?} {at_least}");
        }
        for above in [least + 1, u64::MAX] {
            let refused = RefusedStart::EpochTooLow { found: EPOCH, least: VmEpoch::new(above) };
            assert_eq!(start(power_on(above), naming(FIRST, state), FIRST), Err(refused), "{state:?}");
        }
    }
    // What must not start at all is told first.
    let moved = RefusedStart::Moved { to: new_home(5).home() };
    assert_eq!(start(power_on(least + 1), naming(FIRST, moved_to(&new_home(5), false)), FIRST), Err(moved));
}

#[test]
fn a_lock_file_that_is_made_anew_is_refused_below_the_known_epoch_and_accepted_at_it() {
    let found = VmEpoch::ZERO;
    let fresh = || VmLockRecord::initial(&identity(7, 3), &vm(5));
    let refused = RefusedStart::EpochTooLow { found, least: EPOCH };
    assert_eq!(start(power_on(EPOCH.number()), fresh(), OTHER), Err(refused));
    assert_eq!(start(RESTART, fresh(), OTHER), Err(RefusedStart::EpochMismatch { found }));
    assert_eq!(start(power_on(0), fresh(), OTHER).unwrap().epoch, VmEpoch::new(1), "nobody knows of another");

    for (renewed, starts) in [(16, false), (17, true), (18, true)] {
        let file = VmLockRecord::renewed(&identity(7, 3), &vm(5), VmEpoch::new(renewed));
        assert_eq!(file.len(), VmLockRecord::FILE as usize);
        assert_eq!(start(power_on(17), file.clone(), OTHER).is_ok(), starts, "{renewed}");
        assert_eq!(start(RESTART, file, OTHER).is_ok(), renewed == 17);
    }
}

#[test]
fn only_a_persons_word_changes_a_record_of_another_file() {
    let hand_over = Change::HandOver { target: HostId::new(8), within: core::time::Duration::ZERO };
    for (wanted, state) in [(Change::CleanOff, RUNNING), (hand_over, RUNNING), (Change::TakeBack, LEAVING)] {
        assert_eq!(change(wanted, naming(FIRST, state), OTHER), unfit(other_file()), "{wanted:?}");
        for (recorded, file) in [(FIRST, FIRST), (None, FIRST), (FIRST, None)] {
            let changed = change(wanted, naming(recorded, state), file).unwrap();
            assert_eq!(changed.file, file, "{wanted:?}: whoever writes says where");
        }
    }
    for state in [FREE, OFF] {
        let adopted = change(Change::Adopt, naming(FIRST, state), OTHER).unwrap();
        assert_eq!(adopted, VmLockRecord { file: OTHER, ..VmLockRecord::of(&vm(5), EPOCH, state) });
        assert_eq!(change(Change::Adopt, naming(OTHER, state), OTHER), Err(ChangeEnded::AlreadySo));
    }
    for found in [RUNNING, LEAVING, moved_to(&new_home(5), false)] {
        let differs = ChangeEnded::Refused(RefusedChange::Differs { found });
        assert_eq!(change(Change::Adopt, naming(FIRST, found), OTHER), Err(differs));
    }
}

#[test]
fn a_restored_lock_file_starts_once_it_is_adopted() {
    let restored = naming(FIRST, FREE);
    assert!(start(RESTART, restored.clone(), OTHER).is_err());
    let adopted = change(Change::Adopt, restored, OTHER).unwrap();
    let file = [adopted.seal(&identity(7, 3), Generation::FIRST).as_ref(), &[0; 4_096]].concat();
    assert_eq!(start(RESTART, Bytes::from(file), OTHER).unwrap().epoch, EPOCH.next());
}

fn relocation(from: VmId, to: VmId) -> Relocation {
    let config = RelocationConfig {
        identity: identity(7, 3),
        machine: machine(7, 1),
        old_holder: HolderId(1),
        new_holder: HolderId(2),
        from,
        to,
        epoch: EPOCH,
        not_after: at(1_000),
    };
    Relocation::new(config, at(0))
}

fn asked(job: &mut Relocation) -> VmRequest {
    let Some(JobOutput::Vm(request)) = job.poll_output() else { panic!("nothing is asked") };
    request
}

#[test]
fn a_move_names_the_file_of_each_home() {
    let zeros = Bytes::from(vec![0; 8_192]);
    let mut job = relocation(vm(5), new_home(5));
    let take = asked(&mut job);
    let mut old = naming(None, FREE);
    job.handle_input(at(1), locked(take, old.clone(), FIRST)).unwrap();
    let take = asked(&mut job);
    job.handle_input(at(2), locked(take, zeros.clone(), OTHER)).unwrap();
    for _ in 0..2 {
        let write = asked(&mut job);
        assert!(matches!(write, VmRequest::WriteRecord { holder: HolderId(1), .. }));
        assert_eq!(after(&old, &write).file, FIRST);
        old = written_over(&old, &write);
        job.handle_input(at(3), written(write)).unwrap();
    }
    let write = asked(&mut job);
    let arrived = after(&zeros, &write);
    assert_eq!(arrived, VmLockRecord { file: OTHER, ..VmLockRecord::of(&new_home(5), EPOCH.next(), FREE) });
}

#[test]
fn a_home_whose_file_was_replaced_is_neither_left_nor_arrived_at() {
    let mut job = relocation(vm(5), new_home(5));
    let take = asked(&mut job);
    job.handle_input(at(1), locked(take, naming(FIRST, FREE), OTHER)).unwrap();
    assert!(matches!(asked(&mut job), VmRequest::Abandon { .. }));
    let refused = MoveEnded::Refused(RefusedMove::Unfit(Side::Old, other_file()));
    assert_eq!(job.poll_output(), Some(JobOutput::Ended(refused)));

    // The move has come to its end, and then the new home's file was restored.
    let mut job = relocation(vm(5), new_home(5));
    let take = asked(&mut job);
    let moved = naming(None, moved_to(&new_home(5), false));
    job.handle_input(at(1), locked(take, moved, FIRST)).unwrap();
    let take = asked(&mut job);
    let arrived = VmLockRecord { file: FIRST, ..VmLockRecord::of(&new_home(5), EPOCH.next(), FREE) };
    let slot = |number| arrived.seal(&identity(7, 3), Generation::new(number));
    let restored = Bytes::from([slot(2), slot(1)].concat());
    job.handle_input(at(2), locked(take, restored, OTHER)).unwrap();
    let refused = MoveEnded::Refused(RefusedMove::Unfit(Side::New, other_file()));
    let ended = core::iter::from_fn(|| job.poll_output()).last();
    assert_eq!(ended, Some(JobOutput::Ended(refused)));
}

#[test]
fn readers_without_the_lock_compare_no_files() {
    let found =
        VmLockRecord::read_of(&naming(FIRST, FREE), CLUSTER, &vm(5)).map(|record| record.content.file);
    assert_eq!(found, Ok(FIRST));
    let other = VmLockRecord::read_of(&naming(FIRST, FREE), CLUSTER, &new_home(5));
    assert_eq!(other.map(drop), Err(LockRecordFault::OtherHome));
}
