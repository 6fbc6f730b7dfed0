//! One attempt to start one machine.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use bytes::Bytes;
use common::{CLUSTER, at, host, identity, machine, moved_to, ms, new_home, vm};
use ha_core::operation::{StartOutcome, TakeOutcome};
use ha_core::record::{Generation, PairState};
use ha_core::{
    DatastoreId, HolderId, Incarnation, Instant, Machine, StorageFault, VmCompletion, VmEpoch, VmRequest,
};
use ha_datastore::VmLock;
use ha_datastore::format::{VmLockRecord, VmLockState};
use ha_datastore::vm_lock::{
    Ended, Event, Input, Output, RefusedStart, Rejected, StartExpectation, VmLockConfig,
};

const HOLDER: HolderId = HolderId(4);
const EPOCH: VmEpoch = VmEpoch::new(17);
const EXACTLY: StartExpectation = StartExpectation::Exactly(EPOCH);
const POWER_ON: StartExpectation = StartExpectation::PowerOn { fences: false, at_least: VmEpoch::ZERO };
const POWER_ON_FENCED: StartExpectation = StartExpectation::PowerOn { fences: true, at_least: VmEpoch::ZERO };
const FREE: VmLockState = VmLockState::Free;
const RUNNING: VmLockState =
    VmLockState::Running { host: ha_core::HostId::new(9), incarnation: Incarnation::new(1) };

fn attempt(expect: StartExpectation, lane: u32) -> VmLock {
    let config = VmLockConfig {
        identity: identity(7, 3),
        machine: machine(7, lane),
        holder: HOLDER,
        vm: vm(5),
        expect,
        not_after: at(1_000),
    };
    VmLock::new(config, at(0))
}

fn slot(state: VmLockState, epoch: VmEpoch, generation: u64) -> Vec<u8> {
    let record = VmLockRecord::of(&vm(5), epoch, state);
    record.seal(&identity(9, 1), Generation::new(generation)).into()
}

/// A lock file whose newest record is of generation 8, in slot A.
fn file(state: VmLockState, epoch: VmEpoch) -> Vec<u8> {
    [slot(state, epoch, 8), slot(FREE, VmEpoch::new(1), 7)].concat()
}

fn drain(lock: &mut VmLock) -> (Vec<VmRequest>, Vec<Event>) {
    let (mut requests, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = lock.poll_output() {
        match output {
            Output::Vm(request) => requests.push(request),
            Output::Event(event) => events.push(event),
        }
    }
    (requests, events)
}

fn one(lock: &mut VmLock) -> VmRequest {
    let (requests, events) = drain(lock);
    assert!(events.iter().all(|event| matches!(event, Event::LockTaken { .. })), "{events:?}");
    let [request] = requests.try_into().unwrap();
    request
}

fn give(lock: &mut VmLock, now: Instant, done: VmCompletion) {
    lock.handle_input(now, Input::Vm(done)).unwrap();
}

fn taken(request: VmRequest, outcome: TakeOutcome) -> VmCompletion {
    let VmRequest::TakeLock { token, .. } = request else { panic!("{request:?}") };
    VmCompletion::TakeLock(token.complete(outcome))
}

fn locked(request: VmRequest, file: Vec<u8>) -> VmCompletion {
    taken(request, TakeOutcome::Locked { record: Bytes::from(file), same_file: true, file: None })
}

fn written(request: VmRequest, outcome: Result<(), StorageFault>) -> VmCompletion {
    let VmRequest::WriteRecord { token, .. } = request else { panic!("{request:?}") };
    VmCompletion::WriteRecord(token.complete(outcome))
}

fn started(request: VmRequest, outcome: StartOutcome) -> VmCompletion {
    let VmRequest::Start { token, .. } = request else { panic!("{request:?}") };
    VmCompletion::Start(token.complete(outcome))
}

/// The end of an attempt, and whether its holder was sent away.
fn end(lock: &mut VmLock) -> (Ended, bool) {
    let (requests, events) = drain(lock);
    let abandoned = match requests.as_slice() {
        [] => false,
        [VmRequest::Abandon { holder: HOLDER }] => true,
        other => panic!("{other:?}"),
    };
    let [Event::Ended(ended)] = events[..] else { panic!("{events:?}") };
    assert!(lock.is_over());
    assert_eq!(lock.poll_timeout(), None);
    (ended, abandoned)
}

/// An attempt at a startable record, up to the write of the raised epoch.
fn raising(now: Instant) -> (VmLock, VmRequest) {
    let mut lock = attempt(EXACTLY, 1);
    let take = one(&mut lock);
    give(&mut lock, now, locked(take, file(RUNNING, EPOCH)));
    let write = one(&mut lock);
    (lock, write)
}

fn starting(now: Instant) -> (VmLock, VmRequest) {
    let (mut lock, write) = raising(at(0));
    give(&mut lock, now, written(write, Ok(())));
    let start = one(&mut lock);
    (lock, start)
}

#[test]
fn take_raise_start() {
    let mut lock = attempt(EXACTLY, 1);
    let take = one(&mut lock);
    assert!(matches!(&take, VmRequest::TakeLock { holder: HOLDER, vm: named, not_after, .. }
        if *named == vm(5) && *not_after == at(1_000)));
    let mut disk = file(RUNNING, EPOCH);
    give(&mut lock, at(10), locked(take, disk.clone()));
    let write = one(&mut lock);
    let VmRequest::WriteRecord { offset: 4_096, ref bytes, not_after, .. } = write else {
        panic!("{write:?}")
    };
    assert_eq!(not_after, at(1_000));
    disk[4_096..].copy_from_slice(bytes);
    let state = VmLockRecord::read(&disk, CLUSTER);
    let PairState::Valid { record } = state else { panic!("{state:?}") };
    assert_eq!((record.generation, record.writer), (Generation::new(9), identity(7, 3)));
    let me = VmLockState::Running { host: host(7), incarnation: Incarnation::new(3) };
    assert_eq!(record.content, VmLockRecord::of(&vm(5), EPOCH.next(), me));
    give(&mut lock, at(20), written(write, Ok(())));
    let (mut requests, events) = drain(&mut lock);
    assert_eq!(events, [Event::LockTaken { epoch: EPOCH.next() }]);
    let start = requests.remove(0);
    assert!(matches!(&start, VmRequest::Start { holder: HOLDER, epoch, not_after, .. }
        if *epoch == EPOCH.next() && *not_after == at(1_000)));
    assert_eq!(lock.poll_timeout(), None, "once `Start` is out there is no time limit");
    give(&mut lock, at(2_000), started(start, StartOutcome::Running));
    assert_eq!(end(&mut lock), (Ended::Started { epoch: EPOCH.next() }, false));
}

#[test]
fn every_state_against_every_expectation() {
    let mismatch = Some(RefusedStart::EpochMismatch { found: EPOCH });
    let other_epoch = StartExpectation::Exactly(EPOCH.next());
    let lower_epoch = StartExpectation::Exactly(VmEpoch::new(16));
    let moving = VmLockState::HandingOver { target: host(7), within: ms(9_000) };
    let table = [
        (FREE, [None, mismatch, mismatch, None, None]),
        (RUNNING, [None, mismatch, mismatch, Some(RefusedStart::NotStartable), None]),
        (moving, [Some(RefusedStart::HandingOver); 5]),
        (moved_to(&new_home(5), false), [Some(RefusedStart::Moved { to: DatastoreId::new(2) }); 5]),
        (VmLockState::CleanlyOff, {
            let off = Some(RefusedStart::CleanlyOff);
            [off, off, off, None, None]
        }),
    ];
    for (state, expected) in table {
        let expectations = [EXACTLY, other_epoch, lower_epoch, POWER_ON, POWER_ON_FENCED];
        for (expect, refused) in expectations.into_iter().zip(expected) {
            let mut lock = attempt(expect, 1);
            let take = one(&mut lock);
            give(&mut lock, at(1), locked(take, file(state, EPOCH)));
            match refused {
                Some(refused) => {
                    assert_eq!(end(&mut lock), (Ended::Refused(refused), true), "{state:?} {expect:?}");
                }
                None => {
                    assert!(matches!(one(&mut lock), VmRequest::WriteRecord { .. }), "{state:?} {expect:?}")
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_relied_upon_is_not_started_from() {
    let other_vm = VmLockRecord::of(&vm(6), EPOCH, FREE);
    let other_vm = [Vec::from(other_vm.seal(&identity(9, 1), Generation::FIRST)), vec![0; 4_096]].concat();
    let copied = |state| {
        let record = VmLockRecord::of(&new_home(5), EPOCH, state);
        [Vec::from(record.seal(&identity(9, 1), Generation::FIRST)), vec![0; 4_096]].concat()
    };
    let mut corrupt = file(FREE, EPOCH);
    corrupt[90] ^= 1;
    corrupt[4_096 + 90] ^= 1;
    let inconsistent = [slot(FREE, EPOCH, 8), slot(FREE, EPOCH, 5)].concat();
    let unreadable = RefusedStart::Unreadable;
    let table = [
        ("zeros are not free", vec![0; 8_192], unreadable),
        ("corrupt", corrupt, unreadable),
        ("inconsistent", inconsistent, unreadable),
        ("short", file(FREE, EPOCH)[..4_096].to_vec(), unreadable),
        ("empty", Vec::new(), unreadable),
        ("another machine", other_vm, RefusedStart::WrongVm),
        ("a folder copied while it ran", copied(RUNNING), RefusedStart::OtherHome),
        ("a folder copied while it was off", copied(FREE), RefusedStart::OtherHome),
    ];
    for (what, file, refused) in table {
        for expect in [EXACTLY, POWER_ON, POWER_ON_FENCED, StartExpectation::Exactly(VmEpoch::ZERO)] {
            let mut lock = attempt(expect, 1);
            let take = one(&mut lock);
            give(&mut lock, at(1), locked(take, file.clone()));
            assert_eq!(end(&mut lock), (Ended::Refused(refused), true), "{what}");
        }
    }
}

#[test]
fn a_lock_on_another_file_than_the_one_at_the_path_proves_nothing() {
    let mut lock = attempt(EXACTLY, 1);
    let take = one(&mut lock);
    let record = Bytes::from(file(FREE, EPOCH));
    give(&mut lock, at(1), taken(take, TakeOutcome::Locked { record, same_file: false, file: None }));
    assert_eq!(end(&mut lock), (Ended::Refused(RefusedStart::NotSameFile), true));
}

#[test]
fn a_raise_that_a_crash_cut_short_is_done_again_in_the_same_slot() {
    let mut torn = file(FREE, EPOCH);
    torn[4_096 + 90] ^= 1;
    let mut lock = attempt(EXACTLY, 1);
    let take = one(&mut lock);
    give(&mut lock, at(1), locked(take, torn));
    assert!(matches!(one(&mut lock), VmRequest::WriteRecord { offset: 4_096, .. }), "the torn slot");
}

#[test]
fn a_new_lock_file_is_startable_at_epoch_zero() {
    let mut lock = attempt(StartExpectation::Exactly(VmEpoch::ZERO), 1);
    let take = one(&mut lock);
    give(&mut lock, at(1), locked(take, VmLockRecord::initial(&identity(9, 1), &vm(5)).into()));
    assert!(matches!(one(&mut lock), VmRequest::WriteRecord { offset: 4_096, .. }));
}

#[test]
fn the_last_epoch_is_never_repeated() {
    let last = VmEpoch::new(u64::MAX);
    let mut lock = attempt(StartExpectation::Exactly(last), 1);
    let take = one(&mut lock);
    give(&mut lock, at(1), locked(take, file(FREE, last)));
    assert_eq!(end(&mut lock), (Ended::Refused(RefusedStart::NotStartable), true));
}

#[test]
fn no_lock_no_start() {
    let table = [
        (TakeOutcome::Held, Ended::LockHeld),
        (TakeOutcome::Expired, Ended::Expired),
        (TakeOutcome::Fault(StorageFault::Io), Ended::Fault(StorageFault::Io)),
    ];
    for (outcome, ended) in table {
        let mut lock = attempt(EXACTLY, 1);
        let take = one(&mut lock);
        give(&mut lock, at(1), taken(take, outcome));
        assert_eq!(end(&mut lock), (ended, false), "no holder is left");
    }
}

#[test]
fn a_raise_that_is_not_surely_durable_starts_nothing() {
    let table = [
        (StorageFault::Expired, Ended::Expired),
        (StorageFault::Unknown, Ended::Fault(StorageFault::Unknown)),
        (StorageFault::ReadBackDiffers, Ended::Fault(StorageFault::ReadBackDiffers)),
    ];
    for (fault, ended) in table {
        let (mut lock, write) = raising(at(0));
        give(&mut lock, at(1), written(write, Err(fault)));
        assert_eq!(end(&mut lock), (ended, true));
    }
}

#[test]
fn how_a_start_ends() {
    let epoch = EPOCH.next();
    let table = [
        (StartOutcome::Running, Ended::Started { epoch }),
        (StartOutcome::Expired, Ended::Expired),
        (StartOutcome::HolderGone, Ended::HolderGone { epoch }),
    ];
    for (outcome, ended) in table {
        let (mut lock, start) = starting(at(1));
        give(&mut lock, at(2), started(start, outcome));
        assert_eq!(end(&mut lock), (ended, false));
    }
}

#[test]
fn a_failed_start_leaves_a_free_record_at_the_raised_epoch() {
    for outcome in [Ok(()), Err(StorageFault::Io)] {
        let (mut lock, start) = starting(at(1));
        give(&mut lock, at(2), started(start, StartOutcome::Failed));
        let write = one(&mut lock);
        let VmRequest::WriteRecord { offset: 0, ref bytes, .. } = write else { panic!("{write:?}") };
        let disk = [bytes.to_vec(), vec![0; 4_096]].concat();
        let PairState::Degraded { record, .. } = VmLockRecord::read(&disk, CLUSTER) else { panic!() };
        let free = VmLockRecord::of(&vm(5), EPOCH.next(), FREE);
        assert_eq!((record.generation, record.content), (Generation::new(10), free));
        give(&mut lock, at(3), written(write, outcome));
        assert_eq!(end(&mut lock), (Ended::StartFailed { epoch: EPOCH.next() }, true));
    }
}

#[test]
fn nothing_is_begun_from_not_after_on() {
    // The last moment at which each step goes on, and the first at which it does not.
    let mut lock = attempt(EXACTLY, 1);
    let take = one(&mut lock);
    give(&mut lock, at(1_000), locked(take, file(FREE, EPOCH)));
    assert_eq!(end(&mut lock), (Ended::Expired, true), "no raise");
    let just_before = Instant::from_nanos(at(1_000).as_nanos() - 1);
    drop(raising(just_before));
    let (mut lock, write) = raising(at(0));
    give(&mut lock, at(1_000), written(write, Ok(())));
    let (requests, events) = drain(&mut lock);
    assert_eq!(requests, [VmRequest::Abandon { holder: HOLDER }], "no start");
    assert_eq!(events, [Event::LockTaken { epoch: EPOCH.next() }, Event::Ended(Ended::Expired)]);
    drop(starting(just_before));
    let (mut lock, start) = starting(at(0));
    give(&mut lock, at(1_000), started(start, StartOutcome::Failed));
    assert_eq!(end(&mut lock), (Ended::StartFailed { epoch: EPOCH.next() }, true), "no second write");
}

#[test]
fn the_timer_ends_an_attempt_that_storage_does_not_answer() {
    let wait = |lock: &mut VmLock| {
        lock.handle_timeout(at(999));
        assert_eq!(drain(lock), (vec![], vec![]));
        assert_eq!(lock.poll_timeout().unwrap().at, at(1_000));
        lock.handle_timeout(at(1_000));
    };
    let mut lock = attempt(EXACTLY, 1);
    let take = one(&mut lock);
    wait(&mut lock);
    assert_eq!(end(&mut lock), (Ended::Expired, true));
    let late = lock.handle_input(at(1_001), Input::Vm(locked(take, file(FREE, EPOCH))));
    assert!(matches!(late, Err(Rejected::UnknownRequest(_))), "a late grant starts nothing");
    assert_eq!(drain(&mut lock), (vec![], vec![]));

    let (mut lock, _write) = raising(at(0));
    wait(&mut lock);
    assert_eq!(end(&mut lock), (Ended::Expired, true));

    let (mut lock, start) = starting(at(0));
    give(&mut lock, at(1), started(start, StartOutcome::Failed));
    let _freeing = one(&mut lock);
    wait(&mut lock);
    assert_eq!(end(&mut lock), (Ended::StartFailed { epoch: EPOCH.next() }, true));

    let (mut lock, start) = starting(at(0));
    lock.handle_timeout(at(100_000));
    assert_eq!(drain(&mut lock), (vec![], vec![]), "it may run: only the driver knows");
    give(&mut lock, at(100_001), started(start, StartOutcome::Running));
    assert_eq!(end(&mut lock).0, Ended::Started { epoch: EPOCH.next() });
}

#[test]
fn an_attempt_that_comes_too_late_asks_for_nothing() {
    let config = VmLockConfig {
        identity: identity(7, 3),
        machine: machine(7, 1),
        holder: HOLDER,
        vm: vm(5),
        expect: EXACTLY,
        not_after: at(1_000),
    };
    let mut lock = VmLock::new(config, at(1_000));
    assert_eq!(end(&mut lock), (Ended::Expired, false));
}

#[test]
fn answers_to_nobody_are_refused_and_change_nothing() {
    let mut other = attempt(EXACTLY, 2);
    let foreign = one(&mut other);
    let (mut lock, _write) = raising(at(0));
    let before = format!("{lock:?}");
    let refused = lock.handle_input(at(5), Input::Vm(locked(foreign, file(FREE, EPOCH))));
    assert!(matches!(refused, Err(Rejected::UnknownRequest(_))));
    assert_eq!(format!("{lock:?}"), before);
}
