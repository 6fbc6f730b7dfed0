//! Marks that are given while the marker cannot be read yet.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Disk, HOME, TIMING, at, identity, machine, uuid};
use ha_core::record::Generation;
use ha_core::{FileKind, FileName, Instant, Machine, StorageFault, VmEpoch};
use ha_datastore::MarkerWriter;
use ha_datastore::format::{MarkerState, PowerOffMarker};
use ha_datastore::marker_writer::{Event, Input, Mark, MarkerWriterConfig, Output};

fn mark(epoch: u64, state: MarkerState) -> Mark {
    Mark { epoch: VmEpoch::new(epoch), state }
}

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

/// A writer whose file cannot be read at first, and what it tells, once it can be, of these marks.
fn given_early(found: Option<Mark>, given: &[Mark]) -> Vec<Event> {
    let (name, mut disk) = (FileName::new(HOME, FileKind::PoweredOff(uuid(5))), Disk::default());
    if let Some(Mark { epoch, state }) = found {
        let slot = PowerOffMarker { vm: uuid(5), epoch, state }.seal(&identity(9, 1), Generation::FIRST);
        disk.file(&name)[..slot.len()].copy_from_slice(&slot);
    }
    let (identity, machine) = (identity(7, 3), machine(7, 1));
    let config = MarkerWriterConfig { identity, machine, datastore: HOME, vm: uuid(5), timing: TIMING };
    let mut writer = MarkerWriter::new(config, at(0));
    disk.fail_read = Some((name, StorageFault::Io));
    assert_eq!(run(&mut writer, &mut disk, at(0)), [Event::Trouble { fault: StorageFault::Io }]);
    for &given in given {
        writer.handle_input(at(1), Input::Mark(given)).unwrap();
    }
    disk.fail_read = None;
    writer.handle_timeout(at(60_000));
    let mut events = run(&mut writer, &mut disk, at(60_000));
    assert_eq!(events.remove(0), Event::Opened { found });
    events
}

#[test]
fn a_stop_that_went_on_without_its_datastore_is_told_when_that_is_back() {
    let (intended, done) = (mark(17, MarkerState::Intended), mark(17, MarkerState::Done));
    for found in [None, Some(mark(16, MarkerState::Done)), Some(mark(17, MarkerState::None)), Some(intended)]
    {
        let events = given_early(found, &[intended, done]);
        assert_eq!(events.last(), Some(&Event::Durable(done)), "{found:?}");
        assert!(!events.iter().any(|event| matches!(event, Event::Dropped(_))), "{events:?}");
    }
}

#[test]
fn marks_that_the_file_contradicts_are_dropped_still() {
    let (intended, done) = (mark(17, MarkerState::Intended), mark(17, MarkerState::Done));
    for found in [mark(17, MarkerState::Cancelled), mark(18, MarkerState::None), mark(18, MarkerState::Done)]
    {
        let events = given_early(Some(found), &[intended, done]);
        assert!(matches!(events[..], [Event::Dropped(_)]), "{found:?} {events:?}");
    }
    let events = given_early(None, &[done]);
    assert!(matches!(events[..], [Event::Dropped(_)]), "nothing was intended: {events:?}");
}
