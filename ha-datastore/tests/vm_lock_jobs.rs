//! The changes of a lock record, the target's side of a live migration, the wait for a lapsed one, and moves.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use bytes::Bytes;
use common::{CLUSTER, at, host, identity, machine, moved_to, ms, new_home, uuid, vm};
use ha_core::operation::{ReadReply, ShareOutcome, StartOutcome, TakeOutcome};
use ha_core::record::{Generation, PairState};
use ha_core::{
    BootId, DatastoreId, HolderId, HostId, Identity, Incarnation, Instant, Machine, StorageFault,
    VmCompletion, VmEpoch, VmId, VmRequest,
};
use ha_datastore::format::{HomeSum, VmLockRecord, VmLockState};
use ha_datastore::vm_lock::{
    Change, ChangeEnded, Ended, Event, HandOverWatch, Incoming, IncomingConfig, IncomingInput, Input,
    JobOutput, LapsedHandOver, MoveEnded, Output, RecordChange, RecordChangeConfig, RefusedChange,
    RefusedMove, RefusedStart, Relocation, RelocationConfig, Side, StartExpectation, Unfit, VmLock,
    VmLockConfig,
};

const HOLDER: HolderId = HolderId(4);
const EPOCH: VmEpoch = VmEpoch::new(17);
const FREE: VmLockState = VmLockState::Free;
const OFF: VmLockState = VmLockState::CleanlyOff;
const LEAVING: VmLockState = VmLockState::HandingOver { target: HostId::new(8), within: ms_30() };
const HAND_OVER: Change = Change::HandOver { target: HostId::new(8), within: ms_30() };

const fn ms_30() -> core::time::Duration {
    core::time::Duration::from_millis(30)
}

const fn running(number: u32, incarnation: u64) -> VmLockState {
    VmLockState::Running { host: HostId::new(number), incarnation: Incarnation::new(incarnation) }
}

fn moved() -> VmLockState {
    moved_to(&new_home(5), false)
}

/// A lock file whose newest record, of generation 8, was written by `writer`.
fn file_by(writer: &Identity, state: VmLockState, epoch: VmEpoch) -> Bytes {
    let record = VmLockRecord::of(&vm(5), epoch, state);
    let older = VmLockRecord::of(&vm(5), VmEpoch::new(1), FREE);
    let slots = [record.seal(writer, Generation::new(8)), older.seal(writer, Generation::new(7))];
    Bytes::from(slots.concat())
}

fn file(state: VmLockState) -> Bytes {
    file_by(&identity(7, 2), state, EPOCH)
}

fn change(change: Change) -> RecordChange {
    let config = RecordChangeConfig {
        identity: identity(7, 3),
        machine: machine(7, 1),
        holder: HOLDER,
        vm: vm(5),
        epoch: EPOCH,
        change,
        not_after: at(1_000),
    };
    RecordChange::new(config, at(0))
}

fn next<E: PartialEq + core::fmt::Debug>(job: &mut impl Machine<Output = JobOutput<E>>) -> VmRequest {
    let Some(JobOutput::Vm(request)) = job.poll_output() else { panic!("nothing is asked") };
    request
}

/// The end of a job, and how many holders were sent away before it.
fn end<E: PartialEq + core::fmt::Debug>(job: &mut impl Machine<Output = JobOutput<E>>) -> (E, usize) {
    let mut abandoned = 0;
    loop {
        match job.poll_output().unwrap() {
            JobOutput::Vm(VmRequest::Abandon { .. }) => abandoned += 1,
            JobOutput::Vm(other) => panic!("{other:?}"),
            JobOutput::Ended(ended) => {
                assert!(job.poll_output().is_none() && job.poll_timeout().is_none());
                return (ended, abandoned);
            }
        }
    }
}

/// The answer to a request for the lock, won or shared.
fn locked(request: VmRequest, record: Bytes, same_file: bool) -> Input {
    Input::Vm(match request {
        VmRequest::TakeLock { token, .. } => {
            VmCompletion::TakeLock(token.complete(TakeOutcome::Locked { record, same_file, file: None }))
        }
        VmRequest::ShareLock { token, .. } => {
            VmCompletion::ShareLock(token.complete(ShareOutcome::Shared { record, same_file, file: None }))
        }
        VmRequest::WriteRecord { .. }
        | VmRequest::Start { .. }
        | VmRequest::Resume { .. }
        | VmRequest::Abandon { .. }
        | VmRequest::Stop { .. } => panic!("{request:?}"),
    })
}

fn written(request: VmRequest, outcome: Result<(), StorageFault>) -> Input {
    let VmRequest::WriteRecord { token, .. } = request else { panic!("{request:?}") };
    Input::Vm(VmCompletion::WriteRecord(token.complete(outcome)))
}

/// What a change makes of a record: the state it writes, or how it ends without writing.
fn outcome(wanted: Change, file: Bytes) -> Result<VmLockState, ChangeEnded> {
    let mut job = change(wanted);
    let take = next(&mut job);
    let shared = matches!(wanted, Change::HandOver { .. } | Change::TakeBack);
    assert_eq!(matches!(take, VmRequest::ShareLock { epoch: EPOCH, .. }), shared);
    job.handle_input(at(1), locked(take, file.clone(), true)).unwrap();
    let Some(output) = job.poll_output() else { panic!("neither a write nor an end") };
    match output {
        JobOutput::Vm(write @ VmRequest::WriteRecord { .. }) => {
            let VmRequest::WriteRecord { offset: 4_096, ref bytes, .. } = write else { panic!("{write:?}") };
            let after = [&file[..4_096], bytes].concat();
            let PairState::Valid { record } = VmLockRecord::read(&after, CLUSTER) else { panic!() };
            let state = record.content.state;
            assert_eq!(
                (record.generation, record.content),
                (Generation::new(9), VmLockRecord::of(&vm(5), EPOCH, state))
            );
            job.handle_input(at(2), written(write, Ok(()))).unwrap();
            assert_eq!(end(&mut job), (ChangeEnded::Changed, 1));
            Ok(record.content.state)
        }
        JobOutput::Vm(VmRequest::Abandon { holder: HOLDER }) => Err(end(&mut job).0),
        JobOutput::Vm(_) | JobOutput::Ended(_) => panic!("{output:?}"),
    }
}

#[test]
fn every_change_of_every_state() {
    let differs = |found| Err(ChangeEnded::Refused(RefusedChange::Differs { found }));
    let back = running(7, 3);
    let same = Err(ChangeEnded::AlreadySo);
    let moved = moved();
    let (ours, later, foreign) = (running(7, 2), running(7, 4), running(9, 2));
    let table = [
        (FREE, [differs(FREE), differs(FREE), differs(FREE)]),
        (ours, [Ok(OFF), Ok(LEAVING), same]),
        (running(7, 3), [Ok(OFF), Ok(LEAVING), same]),
        (later, [differs(later), differs(later), differs(later)]),
        (foreign, [differs(foreign), differs(foreign), differs(foreign)]),
        (LEAVING, [differs(LEAVING), differs(LEAVING), Ok(back)]),
        (moved, [differs(moved); 3]),
        (OFF, [same, differs(OFF), differs(OFF)]),
    ];
    for (state, expected) in table {
        for (wanted, expected) in [Change::CleanOff, HAND_OVER, Change::TakeBack].into_iter().zip(expected) {
            assert_eq!(outcome(wanted, file(state)), expected, "{wanted:?} of {state:?}");
        }
    }
}

#[test]
fn a_folder_moved_by_hand_is_adopted_once_it_is_off() {
    let found_at = |home: &VmId, state| {
        let slot =
            |number| VmLockRecord::of(home, EPOCH, state).seal(&identity(9, 1), Generation::new(number));
        Bytes::from([slot(8), slot(7)].concat())
    };
    let differs = |found| Err(ChangeEnded::Refused(RefusedChange::Differs { found }));
    let (moved, runs) = (moved(), running(7, 2));
    for (state, there, here) in [
        (FREE, Ok(FREE), Err(ChangeEnded::AlreadySo)),
        (OFF, Ok(OFF), Err(ChangeEnded::AlreadySo)),
        (runs, differs(runs), differs(runs)),
        (LEAVING, differs(LEAVING), differs(LEAVING)),
        (moved, differs(moved), differs(moved)),
    ] {
        assert_eq!(outcome(Change::Adopt, found_at(&new_home(5), state)), there);
        assert_eq!(outcome(Change::Adopt, found_at(&vm(5), state)), here);
    }
    let unfit = |unfit| Err(ChangeEnded::Refused(RefusedChange::Unfit(unfit)));
    assert_eq!(outcome(Change::Adopt, found_at(&vm(6), FREE)), unfit(Unfit::WrongVm));
    assert_eq!(outcome(Change::Adopt, Bytes::from(vec![0; 8_192])), unfit(Unfit::Unreadable));
    for other in [Change::CleanOff, HAND_OVER, Change::TakeBack] {
        assert_eq!(outcome(other, found_at(&new_home(5), runs)), unfit(Unfit::OtherHome), "{other:?}");
    }
}

#[test]
fn another_epoch_boot_or_writer_is_not_changed() {
    for wanted in [Change::CleanOff, HAND_OVER, Change::TakeBack] {
        let state = if wanted == Change::TakeBack { LEAVING } else { running(7, 2) };
        for found in [EPOCH.number() - 1, EPOCH.number() + 1].map(VmEpoch::new) {
            let refused = ChangeEnded::Refused(RefusedChange::EpochMismatch { found });
            assert_eq!(outcome(wanted, file_by(&identity(7, 2), state, found)), Err(refused));
        }
        let other_boot = Identity { boot: BootId::from_bytes([1; 16]), ..identity(7, 2) };
        for writer in [other_boot, identity(9, 2)] {
            let refused = ChangeEnded::Refused(RefusedChange::Differs { found: state });
            assert_eq!(outcome(wanted, file_by(&writer, state, EPOCH)), Err(refused), "{wanted:?}");
        }
        let unfit = ChangeEnded::Refused(RefusedChange::Unfit(Unfit::Unreadable));
        assert_eq!(outcome(wanted, Bytes::from(vec![0; 8_192])), Err(unfit), "zeros");
    }
    let to_me = Change::HandOver { target: host(7), within: ms(30) };
    assert_eq!(outcome(to_me, file(running(7, 2))), Err(ChangeEnded::Refused(RefusedChange::ToItself)));
}

#[test]
fn a_change_that_goes_wrong_says_whether_it_may_have_happened() {
    let mut job = change(Change::CleanOff);
    let VmRequest::TakeLock { token, .. } = next(&mut job) else { panic!() };
    job.handle_input(at(1), Input::Vm(VmCompletion::TakeLock(token.complete(TakeOutcome::Held)))).unwrap();
    assert_eq!(end(&mut job), (ChangeEnded::LockHeld, 0), "somebody runs it again");

    let mut job = change(HAND_OVER);
    let VmRequest::ShareLock { token, .. } = next(&mut job) else { panic!() };
    let done = VmCompletion::ShareLock(token.complete(ShareOutcome::NotRunning));
    job.handle_input(at(1), Input::Vm(done)).unwrap();
    assert_eq!(end(&mut job), (ChangeEnded::NotRunning, 0));

    let mut job = change(HAND_OVER);
    let share = next(&mut job);
    job.handle_input(at(1), locked(share, file(running(7, 3)), false)).unwrap();
    let unfit = ChangeEnded::Refused(RefusedChange::Unfit(Unfit::NotSameFile));
    assert_eq!(end(&mut job), (unfit, 1));

    let just_before = Instant::from_nanos(at(1_000).as_nanos() - 1);
    for (fault, ended) in [
        (StorageFault::Expired, ChangeEnded::Expired),
        (StorageFault::Io, ChangeEnded::InDoubt(StorageFault::Io)),
    ] {
        let mut job = change(HAND_OVER);
        let share = next(&mut job);
        job.handle_input(just_before, locked(share, file(running(7, 3)), true)).unwrap();
        let write = next(&mut job);
        job.handle_input(at(2), written(write, Err(fault))).unwrap();
        assert_eq!(end(&mut job), (ended, 1));
    }
    let mut job = change(HAND_OVER);
    let share = next(&mut job);
    job.handle_input(at(1_000), locked(share, file(running(7, 3)), true)).unwrap();
    assert_eq!(end(&mut job), (ChangeEnded::Expired, 1), "no write from `not_after` on");

    let mut job = change(HAND_OVER);
    let share = next(&mut job);
    job.handle_input(at(1), locked(share, file(running(7, 3)), true)).unwrap();
    let _hangs = next(&mut job);
    job.handle_timeout(just_before);
    assert!(job.poll_output().is_none());
    job.handle_timeout(at(1_000));
    assert_eq!(end(&mut job), (ChangeEnded::InDoubt(StorageFault::Unknown), 1));
}

fn reply(started: Instant, bytes: Bytes) -> ReadReply {
    ReadReply { bytes, started }
}

fn lapsed(bytes: &Bytes) -> LapsedHandOver {
    let mut watch = HandOverWatch::new(CLUSTER, vm(5));
    assert_eq!(watch.observe(at(0), &reply(at(0), bytes.clone())), None);
    watch.observe(at(30), &reply(at(30), bytes.clone())).unwrap()
}

#[test]
fn a_hand_over_lapses_between_the_end_of_one_read_and_the_beginning_of_another() {
    let mut watch = HandOverWatch::new(CLUSTER, vm(5));
    let nanos = |instant: Instant, more: u64| Instant::from_nanos(instant.as_nanos() + more);
    assert_eq!(watch.lapses_at(), None);
    assert_eq!(watch.observe(at(10), &reply(at(0), file(LEAVING))), None);
    assert_eq!(watch.lapses_at(), Some(at(40)));
    let early = Instant::from_nanos(at(40).as_nanos() - 1);
    assert_eq!(watch.observe(at(90), &reply(early, file(LEAVING))), None, "begun too early");
    let found = watch.observe(at(91), &reply(at(40), file(LEAVING))).unwrap();
    assert_eq!((found.epoch(), found.hosts()), (EPOCH, [host(7), host(8)]));
    assert!(watch.observe(nanos(at(91), 1), &reply(nanos(at(40), 1), file(LEAVING))).is_some());

    // Anything else in between starts the wait anew, also a hand-over of the same words by another write.
    let again = file_by(&identity(7, 3), LEAVING, EPOCH);
    for other in [file(running(7, 3)), Bytes::from(vec![0; 8_192]), again] {
        let mut watch = HandOverWatch::new(CLUSTER, vm(5));
        assert_eq!(watch.observe(at(0), &reply(at(0), file(LEAVING))), None);
        assert_eq!(watch.observe(at(20), &reply(at(20), other)), None);
        assert_eq!(watch.observe(at(40), &reply(at(40), file(LEAVING))), None);
        assert!(watch.observe(at(70), &reply(at(70), file(LEAVING))).is_some());
    }
}

/// What an attempt makes of a record: whether it raises, or why not.
fn judged(expect: StartExpectation, me: u32, file: Bytes) -> Option<RefusedStart> {
    let config = VmLockConfig {
        identity: identity(me, 1),
        machine: machine(me, 1),
        holder: HOLDER,
        vm: vm(5),
        expect,
        not_after: at(1_000),
    };
    let mut lock = VmLock::new(config, at(0));
    let Some(Output::Vm(take)) = lock.poll_output() else { panic!() };
    lock.handle_input(at(1), locked(take, file, true)).unwrap();
    loop {
        let output = lock.poll_output().unwrap();
        match output {
            Output::Vm(VmRequest::WriteRecord { .. }) => return None,
            Output::Event(Event::Ended(Ended::Refused(refused))) => return Some(refused),
            Output::Vm(VmRequest::Abandon { .. }) => {}
            Output::Vm(_) | Output::Event(_) => panic!("{output:?}"),
        }
    }
}

#[test]
fn who_may_start_out_of_a_hand_over() {
    let handed = StartExpectation::HandedOver(EPOCH);
    let after = StartExpectation::AfterHandOver(lapsed(&file(LEAVING)));
    let raised = |state| file_by(&identity(7, 2), state, EPOCH.next());
    let mismatch = Some(RefusedStart::EpochMismatch { found: EPOCH.next() });
    let table = [
        (file(LEAVING), [None, None]),
        (raised(LEAVING), [mismatch, Some(RefusedStart::HandingOver)]),
        (file(running(7, 2)), [Some(RefusedStart::NotStartable); 2]),
        (file(FREE), [Some(RefusedStart::NotStartable); 2]),
        (raised(running(9, 1)), [mismatch; 2]),
        (raised(FREE), [mismatch; 2]),
        (file(OFF), [Some(RefusedStart::CleanlyOff); 2]),
        (file(moved()), [Some(RefusedStart::Moved { to: DatastoreId::new(2) }); 2]),
    ];
    for (file, expected) in table {
        assert_eq!([judged(handed, 8, file.clone()), judged(after, 9, file.clone())], expected);
    }
    assert_eq!(judged(handed, 9, file(LEAVING)), Some(RefusedStart::HandingOver), "not to this host");
    let again = file_by(&identity(7, 3), LEAVING, EPOCH);
    assert_eq!(judged(after, 9, again), Some(RefusedStart::HandingOver), "another hand-over");
}

fn incoming(fences: bool) -> Incoming {
    let config = IncomingConfig {
        identity: identity(8, 1),
        machine: machine(8, 1),
        first_holder: HolderId(40),
        vm: vm(5),
        from: EPOCH,
        fences,
        look_again: ms(200),
        not_after: at(1_000),
    };
    Incoming::new(config, at(0))
}

fn asked(incoming: &mut Incoming) -> VmRequest {
    let Some(Output::Vm(request)) = incoming.poll_output() else { panic!("nothing is asked") };
    request
}

fn give(incoming: &mut Incoming, now: Instant, input: Input) {
    let Input::Vm(done) = input;
    incoming.handle_input(now, IncomingInput::Vm(done)).unwrap();
}

#[test]
fn the_target_tries_again_until_the_source_has_ended() {
    let mut target = incoming(true);
    for (number, now) in [(40, 0), (41, 200)] {
        let VmRequest::TakeLock { token, holder, .. } = asked(&mut target) else { panic!() };
        assert_eq!(holder, HolderId(number), "each try has a holder of its own");
        let held = VmCompletion::TakeLock(token.complete(TakeOutcome::Held));
        give(&mut target, at(now), Input::Vm(held));
        assert_eq!(target.poll_output(), None, "nothing is told while it can still succeed");
        assert_eq!(target.poll_timeout().unwrap().at, at(now + 200));
        target.handle_timeout(Instant::from_nanos(at(now + 200).as_nanos() - 1));
        assert_eq!(target.poll_output(), None);
        target.handle_timeout(at(now + 200));
    }
    let take = asked(&mut target);
    give(&mut target, at(401), locked(take, file(LEAVING), true));
    let write = asked(&mut target);
    give(&mut target, at(402), written(write, Ok(())));
    let epoch = EPOCH.next();
    assert_eq!(target.poll_output(), Some(Output::Event(Event::LockTaken { epoch })));
    let VmRequest::Resume { token, holder: HolderId(42), epoch: raised, .. } = asked(&mut target) else {
        panic!("the copy that came in is let run, nothing new is started")
    };
    assert_eq!(raised, epoch);
    give(&mut target, at(403), Input::Vm(VmCompletion::Start(token.complete(StartOutcome::Running))));
    let started = Event::Ended(Ended::Started { epoch });
    assert_eq!((target.poll_output(), target.poll_output()), (Some(Output::Event(started)), None));
    assert!(target.is_over());
}

#[test]
fn below_f3_the_target_waits_for_the_word_of_the_source() {
    let mut target = incoming(false);
    target.handle_timeout(at(500));
    assert_eq!((target.poll_output(), target.poll_timeout().unwrap().at), (None, at(1_000)));
    target.handle_input(at(600), IncomingInput::SourceStopped).unwrap();
    assert!(matches!(asked(&mut target), VmRequest::TakeLock { .. }));
    target.handle_input(at(601), IncomingInput::SourceStopped).unwrap();
    assert_eq!(target.poll_output(), None, "said twice is said once");

    let mut late = incoming(false);
    late.handle_timeout(at(1_000));
    let expired = Output::Event(Event::Ended(Ended::Expired));
    assert_eq!((late.poll_output(), late.poll_output()), (Some(expired), None));
    late.handle_input(at(1_001), IncomingInput::SourceStopped).unwrap();
    assert_eq!(late.poll_output(), None, "the copy has been ended");
}

fn relocation(to: VmId) -> Relocation {
    let config = RelocationConfig {
        identity: identity(7, 3),
        machine: machine(7, 1),
        old_holder: HolderId(1),
        new_holder: HolderId(2),
        from: vm(5),
        to,
        epoch: EPOCH,
        not_after: at(1_000),
    };
    Relocation::new(config, at(0))
}

#[test]
fn a_move_is_refused_before_anything_is_written() {
    let zeros = || Bytes::from(vec![0; 8_192]);
    let refused = MoveEnded::Refused;
    let lock_file_of = |vm: &VmId| VmLockRecord::initial(&identity(9, 1), vm);
    let arrived = |epoch| {
        let record = VmLockRecord::of(&new_home(5), epoch, FREE);
        Bytes::from([&record.seal(&identity(9, 1), Generation::FIRST)[..], &[0; 4_096]].concat())
    };
    let aside = VmId::new(uuid(5), DatastoreId::new(2), "vm-5_1/vm-5.vmx").unwrap();
    let elsewhere = |new: &VmId| RefusedMove::MovedElsewhere { home: new.home(), sum: HomeSum::of(new) };
    let (torn, other) = {
        let mut torn = arrived(EPOCH.next()).to_vec();
        torn[90] ^= 1;
        torn[4_096..].fill(0);
        (Bytes::from(torn), lock_file_of(&vm(6)))
    };
    let unreadable = refused(RefusedMove::Unfit(Side::New, Unfit::Unreadable));
    let table = [
        (file(running(7, 3)), zeros(), refused(RefusedMove::NotAtRest { found: running(7, 3) })),
        (file(LEAVING), zeros(), refused(RefusedMove::NotAtRest { found: LEAVING })),
        (file(moved_to(&vm(5), false)), zeros(), refused(elsewhere(&vm(5)))),
        // The very datastore, and another folder on it.
        (file(moved_to(&aside, false)), zeros(), refused(elsewhere(&aside))),
        (zeros(), zeros(), refused(RefusedMove::Unfit(Side::Old, Unfit::Unreadable))),
        (file(FREE), lock_file_of(&new_home(5)), refused(RefusedMove::NewHomeInUse)),
        // Not even a higher epoch there counts while the old home has not been left.
        (file(FREE), arrived(EPOCH.next()), refused(RefusedMove::NewHomeInUse)),
        (file(FREE), torn.clone(), unreadable),
        // A lock file that was copied along with the disks.
        (file(FREE), lock_file_of(&vm(5)), refused(RefusedMove::Unfit(Side::New, Unfit::OtherHome))),
        (lock_file_of(&new_home(5)), zeros(), refused(RefusedMove::Unfit(Side::Old, Unfit::OtherHome))),
        (file(FREE), other, refused(RefusedMove::Unfit(Side::New, Unfit::WrongVm))),
        (file(moved()), arrived(EPOCH.next()), MoveEnded::AlreadyMoved),
        (file(moved()), arrived(EPOCH), refused(RefusedMove::NewHomeInUse)),
    ];
    for (old, new, expected) in table {
        let mut job = relocation(new_home(5));
        let take = next(&mut job);
        job.handle_input(at(1), locked(take, old.clone(), true)).unwrap();
        let output = job.poll_output().unwrap();
        match output {
            JobOutput::Vm(take @ VmRequest::TakeLock { .. }) => {
                job.handle_input(at(2), locked(take, new, true)).unwrap();
                assert_eq!(end(&mut job), (expected, 2), "{old:?}");
            }
            JobOutput::Vm(VmRequest::Abandon { .. }) => assert_eq!(end(&mut job), (expected, 0)),
            JobOutput::Vm(_) | JobOutput::Ended(_) => panic!("{output:?}"),
        }
    }
    // Torn at its first record, after the machine had left: gone on with.
    let mut job = relocation(new_home(5));
    let take = next(&mut job);
    job.handle_input(at(1), locked(take, file(moved()), true)).unwrap();
    let take = next(&mut job);
    job.handle_input(at(2), locked(take, torn, true)).unwrap();
    assert!(matches!(next(&mut job), VmRequest::WriteRecord { holder: HolderId(1), offset: 4_096, .. }));

    let not_two = (refused(RefusedMove::NotTwoHomes), 0);
    assert_eq!(end(&mut relocation(vm(5))), not_two);
    assert_eq!(end(&mut relocation(vm(6))), not_two);
}

#[test]
fn a_home_is_its_datastore_and_its_path() {
    let named =
        |datastore, path| HomeSum::of(&VmId::new(uuid(5), DatastoreId::new(datastore), path).unwrap());
    let here = named(2, "vm-5/vm-5.vmx");
    assert_eq!(here, HomeSum::of(&new_home(5)));
    for other in [named(1, "vm-5/vm-5.vmx"), named(2, "vm-5_1/vm-5.vmx"), named(2, "vm-5/vm-5_1.vmx")] {
        assert_ne!(here, other);
    }
}
