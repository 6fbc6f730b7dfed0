//! The power-off marker of one virtual machine.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{CLUSTER, Disk, HOME, TIMING, at, identity, machine, ms, uuid};
use ha_core::record::{Generation, PairState};
use ha_core::{FileKind, FileName, Instant, Machine, StorageFault, StorageRequest, VmEpoch};
use ha_datastore::MarkerWriter;
use ha_datastore::format::{MarkerState, PowerOffMarker};
use ha_datastore::marker_writer::{Event, Input, Mark, MarkerWriterConfig, NotForward, Output, Rejected};

const STATES: [MarkerState; 4] =
    [MarkerState::None, MarkerState::Intended, MarkerState::Done, MarkerState::Cancelled];

fn mark(epoch: u64, state: MarkerState) -> Mark {
    Mark { epoch: VmEpoch::new(epoch), state }
}

fn writer() -> MarkerWriter {
    let config = MarkerWriterConfig {
        identity: identity(7, 3),
        machine: machine(7, 1),
        datastore: HOME,
        vm: uuid(5),
        timing: TIMING,
    };
    MarkerWriter::new(config, at(0))
}

fn name() -> FileName {
    FileName::new(HOME, FileKind::PoweredOff(uuid(5)))
}

/// A disk whose marker says this, in generation 6 and, the same, 5.
fn disk_with(found: Option<Mark>) -> Disk {
    let mut disk = Disk::default();
    let file = disk.file(&name());
    if let Some(Mark { epoch, state }) = found {
        let marker = PowerOffMarker { vm: uuid(5), epoch, state };
        file[..4_096].copy_from_slice(&marker.seal(&identity(9, 1), Generation::new(6)));
        file[4_096..].copy_from_slice(&marker.seal(&identity(9, 1), Generation::new(5)));
    }
    disk
}

/// Carries out all that is asked, and what follows from it; what was told.
fn run(writer: &mut MarkerWriter, disk: &mut Disk, now: Instant) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(output) = writer.poll_output() {
        match output {
            Output::Storage(request) => {
                let done = disk.serve(now, request).unwrap();
                writer.handle_input(now, Input::Storage(done)).unwrap();
            }
            Output::Event(event) => events.push(event),
        }
    }
    events
}

fn stands(disk: &mut Disk) -> (u64, Mark) {
    let state = PowerOffMarker::read(disk.file(&name()), CLUSTER);
    let PairState::Valid { record } = state else { panic!("{state:?}") };
    assert_eq!(record.content.vm, uuid(5));
    let PowerOffMarker { epoch, state, .. } = record.content;
    (record.generation.number(), Mark { epoch, state })
}

/// Whether `given` may follow on `last`, as the format's words say it.
fn is_forward(last: Option<Mark>, given: Mark) -> bool {
    let last = last.unwrap_or(mark(given.epoch.number(), MarkerState::None));
    let begins = matches!(given.state, MarkerState::None | MarkerState::Intended);
    if given.epoch != last.epoch {
        return given.epoch > last.epoch && begins;
    }
    match last.state {
        MarkerState::None => begins,
        MarkerState::Intended => given.state != MarkerState::None,
        MarkerState::Done | MarkerState::Cancelled => given.state == last.state,
    }
}

#[test]
fn every_mark_on_every_marker() {
    let (mut taken, mut refused) = (0, 0);
    let known = [16, 17, 18].into_iter().flat_map(|epoch| STATES.map(|state| Some(mark(epoch, state))));
    for found in known.chain([None]) {
        for given in STATES.map(|state| mark(17, state)) {
            let forward = is_forward(found, given);
            let (mut writer, mut disk) = (writer(), disk_with(found));
            assert_eq!(run(&mut writer, &mut disk, at(1)), [Event::Opened { found }]);
            let before = format!("{writer:?}");
            let result = writer.handle_input(at(2), Input::Mark(given));
            if forward {
                taken += 1;
                result.unwrap();
                assert_eq!(run(&mut writer, &mut disk, at(3)), [Event::Durable(given)], "{found:?}");
                assert_eq!((writer.durable(), stands(&mut disk).1), (Some(given), given));
            } else {
                refused += 1;
                assert!(matches!(result, Err(Rejected::NotForward(_))), "{found:?} {given:?}");
                assert_eq!(format!("{writer:?}"), before, "unchanged");
            }
        }
    }
    // Over epoch 16 and over nothing: 2 of 4 each. Over 17: 2, 3, 1 and 1. Over 18: none.
    assert_eq!((taken, refused), (4 * 2 + 7 + 2, 4 * 2 + 9 + 16 + 2));
}

#[test]
fn a_mark_before_the_file_was_read_is_judged_by_what_stands_there() {
    for (found, given) in [
        (mark(17, MarkerState::Intended), mark(17, MarkerState::Done)),
        (mark(16, MarkerState::Done), mark(17, MarkerState::Intended)),
        (mark(17, MarkerState::Done), mark(17, MarkerState::Intended)),
        (mark(18, MarkerState::None), mark(17, MarkerState::Intended)),
    ] {
        let (mut writer, mut disk) = (writer(), disk_with(Some(found)));
        writer.handle_input(at(0), Input::Mark(given)).unwrap();
        let told = if is_forward(Some(found), given) {
            Event::Durable(given)
        } else {
            Event::Dropped(NotForward { given, last: found })
        };
        let opened = Event::Opened { found: Some(found) };
        assert_eq!(run(&mut writer, &mut disk, at(1)), [opened, told], "{found:?} {given:?}");
        assert_eq!(writer.durable(), Some(if told == Event::Durable(given) { given } else { found }));
    }
}

#[test]
fn a_stop_from_intended_to_done() {
    let (mut writer, mut disk) = (writer(), disk_with(Some(mark(16, MarkerState::Cancelled))));
    run(&mut writer, &mut disk, at(1));
    for (generation, state) in [(7, MarkerState::Intended), (8, MarkerState::Done)] {
        writer.handle_input(at(2), Input::Mark(mark(17, state))).unwrap();
        assert_eq!(run(&mut writer, &mut disk, at(3)), [Event::Durable(mark(17, state))]);
        assert_eq!(stands(&mut disk), (generation, mark(17, state)));
    }
    let writes = disk.writes;
    writer.handle_input(at(4), Input::Mark(mark(17, MarkerState::Done))).unwrap();
    assert_eq!(run(&mut writer, &mut disk, at(5)), [Event::Durable(mark(17, MarkerState::Done))]);
    assert_eq!(disk.writes, writes, "the same again needs no write");
    assert_eq!(writer.poll_timeout(), None);
}

#[test]
fn in_doubt_the_same_slot_again_and_read_back_before_anything_else() {
    let (mut writer, mut disk) = (writer(), disk_with(None));
    run(&mut writer, &mut disk, at(1));
    let (intended, done) = (mark(17, MarkerState::Intended), mark(17, MarkerState::Done));
    disk.fail_write = Some((name(), StorageFault::Io, false));
    writer.handle_input(at(2), Input::Mark(intended)).unwrap();
    assert_eq!(run(&mut writer, &mut disk, at(2)), [Event::Trouble { fault: StorageFault::Io }]);
    writer.handle_input(at(3), Input::Mark(done)).unwrap();
    assert_eq!(writer.poll_output(), None, "`done` waits until `intended` is settled");
    assert_eq!(writer.durable(), None);

    disk.fail_write = None;
    let due = at(2).after(TIMING.datastore_io_timeout);
    writer.handle_timeout(Instant::from_nanos(due.as_nanos() - 1));
    assert_eq!(writer.poll_output(), None);
    writer.handle_timeout(due);
    let Some(Output::Storage(write @ StorageRequest::Write { offset: 0, .. })) = writer.poll_output() else {
        panic!("generation 0 goes to slot A again")
    };
    writer.handle_input(due, Input::Storage(disk.serve(due, write).unwrap())).unwrap();
    let Some(Output::Storage(read @ StorageRequest::Read { offset: 0, length: 4_096, .. })) =
        writer.poll_output()
    else {
        panic!("and is read back")
    };
    writer.handle_input(due, Input::Storage(disk.serve(due, read).unwrap())).unwrap();
    let events = run(&mut writer, &mut disk, due);
    assert_eq!(events, [Event::Recovered, Event::Durable(intended), Event::Durable(done)]);
    assert_eq!(stands(&mut disk), (1, done));
}

#[test]
fn a_read_that_fails_is_repeated_and_a_write_that_hangs_is_told_once() {
    let (mut writer, mut disk) = (writer(), disk_with(None));
    disk.fail_read = Some((name(), StorageFault::Io));
    assert_eq!(run(&mut writer, &mut disk, at(1)), [Event::Trouble { fault: StorageFault::Io }]);
    disk.fail_read = None;
    let again = writer.poll_timeout().unwrap().at;
    assert_eq!(again, at(1).after(TIMING.look_again));
    writer.handle_timeout(again);
    assert_eq!(run(&mut writer, &mut disk, again), [Event::Opened { found: None }]);

    writer.handle_input(again, Input::Mark(mark(17, MarkerState::Intended))).unwrap();
    let _hangs = writer.poll_output().unwrap();
    let stalls = again.after(TIMING.storage_stall_max);
    writer.handle_timeout(Instant::from_nanos(stalls.as_nanos() - 1));
    assert_eq!(writer.poll_output(), None);
    writer.handle_timeout(stalls);
    assert_eq!(writer.poll_output(), Some(Output::Event(Event::Stalled)));
    writer.handle_timeout(stalls.after(ms(10_000)));
    assert_eq!((writer.poll_output(), writer.poll_timeout()), (None, None));
}

#[test]
fn the_marker_of_another_machine_is_left_alone() {
    let mut disk = Disk::default();
    let other = PowerOffMarker { vm: uuid(6), epoch: VmEpoch::new(1), state: MarkerState::None };
    disk.file(&name())[..4_096].copy_from_slice(&other.seal(&identity(9, 1), Generation::FIRST));
    let mut writer = writer();
    writer.handle_input(at(0), Input::Mark(mark(17, MarkerState::Intended))).unwrap();
    assert_eq!(run(&mut writer, &mut disk, at(1)), [Event::WrongVm { found: uuid(6) }]);
    let refused = writer.handle_input(at(2), Input::Mark(mark(17, MarkerState::Intended)));
    assert!(matches!(refused, Err(Rejected::Halted)));
    assert_eq!((disk.writes, writer.poll_output()), (0, None));
}

#[test]
fn a_damaged_marker_starts_anew_and_a_torn_one_goes_on() {
    let mut disk = disk_with(Some(mark(17, MarkerState::Intended)));
    disk.file(&name())[4_096 + 90] ^= 1;
    let mut torn = writer();
    let found = Some(mark(17, MarkerState::Intended));
    assert_eq!(run(&mut torn, &mut disk, at(1)), [Event::Opened { found }]);
    disk.file(&name())[90] ^= 1;
    let mut damaged = writer();
    assert_eq!(run(&mut damaged, &mut disk, at(1)), [Event::Opened { found: None }]);
    damaged.handle_input(at(2), Input::Mark(mark(17, MarkerState::Intended))).unwrap();
    let durable = Event::Durable(mark(17, MarkerState::Intended));
    assert_eq!(run(&mut damaged, &mut disk, at(3)), [durable]);
}
