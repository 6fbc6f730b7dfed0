//! The own heartbeat: lock, read, write, read back.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{CLUSTER, Disk, HOME, TIMING, at, host, identity, machine, ms};
use ha_core::operation::LockOutcome;
use ha_core::record::Generation;
use ha_core::{
    FileKind, FileName, Incarnation, Instant, Machine, StorageCompletion, StorageFault, StorageRequest,
};
use ha_datastore::HeartbeatWriter;
use ha_datastore::format::HeartbeatRecord;
use ha_datastore::heartbeat_writer::{Event, HeartbeatWriterConfig, Input, Output, Rejected};

fn name() -> FileName {
    FileName::new(HOME, FileKind::Heartbeat(host(7)))
}

fn writer(incarnation: u64) -> HeartbeatWriter {
    let config = HeartbeatWriterConfig {
        identity: identity(7, incarnation),
        machine: machine(7, 1),
        datastore: HOME,
        timing: TIMING,
        ttl: ms(2_000),
        watchdog: ms(20_000),
    };
    HeartbeatWriter::new(config, at(0))
}

/// Takes one round of outputs apart.
fn drain(writer: &mut HeartbeatWriter) -> (Vec<StorageRequest>, Vec<Event>) {
    let (mut requests, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = writer.poll_output() {
        match output {
            Output::Storage(request) => requests.push(request),
            Output::Event(event) => events.push(event),
        }
    }
    (requests, events)
}

/// Carries everything out at `now` until nothing is asked for.
fn settle(writer: &mut HeartbeatWriter, disk: &mut Disk, now: Instant) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let (requests, mut more) = drain(writer);
        events.append(&mut more);
        if requests.is_empty() {
            return events;
        }
        for request in requests {
            if let Some(done) = disk.serve(now, request) {
                writer.handle_input(now, Input::Storage(done)).unwrap();
            }
        }
    }
}

fn tick(writer: &mut HeartbeatWriter, disk: &mut Disk, now: Instant) -> Vec<Event> {
    writer.handle_timeout(now);
    settle(writer, disk, now)
}

/// The newest record on disk: its generation and counter.
fn on_disk(disk: &mut Disk) -> Option<(u64, u64)> {
    let state = HeartbeatRecord::read(disk.file(&name()), CLUSTER, host(7));
    state.record().map(|record| (record.generation.number(), record.content.counter))
}

#[test]
fn the_first_beat_follows_lock_and_read() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    let steps = |writer: &mut HeartbeatWriter| drain(writer).0;
    let [lock] = steps(&mut writer).try_into().unwrap();
    assert!(matches!(&lock, StorageRequest::Lock { file, not_after, .. }
        if *file == name() && *not_after == at(2_000)));
    writer.handle_input(at(1), Input::Storage(disk.serve(at(1), lock).unwrap())).unwrap();
    let [read] = steps(&mut writer).try_into().unwrap();
    assert!(matches!(read, StorageRequest::Read { offset: 0, length: 8_192, .. }));
    writer.handle_input(at(2), Input::Storage(disk.serve(at(2), read).unwrap())).unwrap();
    let [write] = steps(&mut writer).try_into().unwrap();
    assert!(matches!(&write, StorageRequest::Write { offset: 0, bytes, not_after, .. }
        if bytes.len() == 4_096 && *not_after == at(2_002)));
    writer.handle_input(at(10), Input::Storage(disk.serve(at(10), write).unwrap())).unwrap();
    assert_eq!(writer.proven(at(10)), None, "durable, but not read back");
    let [back] = steps(&mut writer).try_into().unwrap();
    assert!(matches!(back, StorageRequest::Read { offset: 0, length: 4_096, .. }));
    writer.handle_input(at(11), Input::Storage(disk.serve(at(11), back).unwrap())).unwrap();
    assert_eq!(drain(&mut writer).1, [Event::Ready, Event::Proven { started: at(2) }]);
    assert_eq!(writer.proven(at(11)), Some(at(2)), "from the start of the write");
    assert_eq!(on_disk(&mut disk), Some((0, 0)));
}

#[test]
fn a_beat_each_period_in_alternate_slots() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    settle(&mut writer, &mut disk, at(0));
    assert_eq!(writer.poll_timeout().unwrap().at, at(200));
    assert_eq!(tick(&mut writer, &mut disk, at(199)), []);
    for beat in 1..5 {
        assert_eq!(tick(&mut writer, &mut disk, at(200 * beat)), [Event::Proven { started: at(200 * beat) }]);
        assert_eq!(on_disk(&mut disk), Some((beat, beat)));
    }
}

#[test]
fn a_later_life_goes_on_where_the_older_one_ended() {
    let (mut older, mut disk) = (writer(1), Disk::default());
    settle(&mut older, &mut disk, at(0));
    tick(&mut older, &mut disk, at(200));
    disk.free_lock(&name());
    let mut later = writer(2);
    let events = settle(&mut later, &mut disk, at(300));
    assert_eq!(
        events,
        [
            Event::OlderLife { incarnation: Incarnation::new(1) },
            Event::Ready,
            Event::Proven { started: at(300) }
        ]
    );
    assert_eq!(on_disk(&mut disk), Some((2, 2)));
}

#[test]
fn a_repeated_incarnation_writes_nothing_ever() {
    for stored in [3, 4] {
        let mut disk = Disk::default();
        settle(&mut writer(stored), &mut disk, at(0));
        disk.free_lock(&name());
        let (before, writes) = (disk.file(&name()).clone(), disk.writes);
        let mut repeated = writer(3);
        let events = settle(&mut repeated, &mut disk, at(0));
        assert_eq!(events, [Event::IncarnationRepeated { found: Incarnation::new(stored) }]);
        assert!(repeated.is_halted() && !disk.is_locked(&name()));
        assert_eq!(repeated.poll_timeout(), None);
        repeated.handle_timeout(at(100_000));
        assert_eq!(settle(&mut repeated, &mut disk, at(100_000)), []);
        assert_eq!((disk.writes, disk.file(&name()).clone()), (writes, before));
    }
}

#[test]
fn nothing_is_written_while_an_older_agent_holds_the_lock() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    disk.hold_lock(&name(), machine(9, 9));
    assert_eq!(settle(&mut writer, &mut disk, at(0)), [Event::LockHeld]);
    assert_eq!(tick(&mut writer, &mut disk, at(199)), []);
    assert_eq!(tick(&mut writer, &mut disk, at(200)), [], "told once");
    assert_eq!(disk.writes, 0);
    disk.free_lock(&name());
    assert_eq!(tick(&mut writer, &mut disk, at(400)), [Event::Ready, Event::Proven { started: at(400) }]);
}

#[test]
fn after_a_fault_the_same_bytes_go_to_the_same_slot() {
    for lands in [false, true] {
        let (mut writer, mut disk) = (writer(1), Disk::default());
        settle(&mut writer, &mut disk, at(0));
        disk.fail_write = Some((name(), StorageFault::Io, lands));
        let trouble = Event::Trouble { fault: StorageFault::Io };
        assert_eq!(tick(&mut writer, &mut disk, at(200)), [trouble]);
        assert_eq!(writer.poll_timeout().unwrap().at, at(300), "again after the I/O timeout");
        assert_eq!(tick(&mut writer, &mut disk, at(299)), []);
        assert_eq!(tick(&mut writer, &mut disk, at(300)), [trouble]);
        assert_eq!(writer.proven(at(300)), Some(at(0)), "the last proven beat stays proven");
        let slot_a = disk.file(&name())[..4_096].to_vec();
        disk.fail_write = None;
        assert_eq!(
            tick(&mut writer, &mut disk, at(400)),
            [Event::Recovered, Event::Proven { started: at(400) }]
        );
        assert_eq!(on_disk(&mut disk), Some((1, 1)), "the generation was not used up");
        assert_eq!(disk.file(&name())[..4_096], slot_a, "the other slot was never touched");
        // The beat that fell due meanwhile goes out at once.
        assert_eq!(tick(&mut writer, &mut disk, at(401)), [Event::Proven { started: at(401) }]);
    }
}

/// A host's lock can be lost with its descriptor; no retry through that one would ever succeed.
#[test]
fn after_a_fault_the_lock_is_taken_afresh_before_anything_is_written() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    settle(&mut writer, &mut disk, at(0));
    disk.fail_write = Some((name(), StorageFault::Io, false));
    tick(&mut writer, &mut disk, at(200));
    disk.fail_write = None;

    // Somebody took it meanwhile.
    disk.hold_lock(&name(), machine(9, 9));
    let writes = disk.writes;
    assert_eq!(tick(&mut writer, &mut disk, at(300)), [Event::LockHeld]);
    assert_eq!(writer.poll_timeout().unwrap().at, at(500), "it looks again");
    assert_eq!(tick(&mut writer, &mut disk, at(499)), []);
    assert_eq!(disk.writes, writes);
    disk.free_lock(&name());
    assert_eq!(tick(&mut writer, &mut disk, at(500)), [Event::Recovered, Event::Proven { started: at(500) }]);
    assert_eq!(on_disk(&mut disk), Some((1, 1)), "the generation in doubt, not the next one");
}

#[test]
fn a_life_that_wrote_while_the_lock_was_lost_is_not_written_over() {
    // A later life, or one that took the same incarnation.
    for (life, generation) in [(2, 1), (1, 2)] {
        let (mut writer, mut disk) = (writer(1), Disk::default());
        settle(&mut writer, &mut disk, at(0));
        disk.fail_write = Some((name(), StorageFault::Io, false));
        tick(&mut writer, &mut disk, at(200));
        disk.fail_write = None;
        let found = HeartbeatRecord::read(disk.file(&name()), CLUSTER, host(7)).record().unwrap().content;
        let bytes = found.seal(&identity(7, life), Generation::new(generation));
        let offset = usize::try_from(HeartbeatRecord::offset(Generation::new(generation))).unwrap();
        disk.file(&name())[offset..][..4_096].copy_from_slice(&bytes);
        let (before, writes) = (disk.file(&name()).clone(), disk.writes);

        let events = tick(&mut writer, &mut disk, at(300));
        assert_eq!(events, [Event::IncarnationRepeated { found: Incarnation::new(life) }]);
        assert!(writer.is_halted() && !disk.is_locked(&name()));
        assert_eq!(tick(&mut writer, &mut disk, at(100_000)), []);
        assert_eq!((disk.writes, disk.file(&name()).clone(), writer.poll_timeout()), (writes, before, None));
    }
}

#[test]
fn other_bytes_read_back_are_a_fault() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    settle(&mut writer, &mut disk, at(0));
    writer.handle_timeout(at(200));
    let [write] = drain(&mut writer).0.try_into().unwrap();
    writer.handle_input(at(200), Input::Storage(disk.serve(at(200), write).unwrap())).unwrap();
    let [back] = drain(&mut writer).0.try_into().unwrap();
    disk.file(&name())[4_096 + 90] ^= 1;
    writer.handle_input(at(201), Input::Storage(disk.serve(at(201), back).unwrap())).unwrap();
    assert_eq!(drain(&mut writer).1, [Event::Trouble { fault: StorageFault::ReadBackDiffers }]);
    assert_eq!(writer.proven(at(201)), Some(at(0)));
}

#[test]
fn overdue_is_a_state_and_a_stall_is_told_once() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    settle(&mut writer, &mut disk, at(0));
    writer.handle_timeout(at(200));
    let [write] = drain(&mut writer).0.try_into().unwrap();
    assert!(!writer.is_overdue(at(300)));
    assert!(writer.is_overdue(at(301)));
    writer.handle_timeout(at(2_199));
    assert_eq!(drain(&mut writer), (vec![], vec![]), "one write at a time, however late");
    assert_eq!(writer.poll_timeout().unwrap().at, at(2_200));
    writer.handle_timeout(at(2_200));
    assert_eq!(drain(&mut writer), (vec![], vec![Event::Stalled]));
    assert_eq!(writer.poll_timeout(), None, "nothing to do until storage answers");
    writer.handle_input(at(3_000), Input::Storage(disk.serve(at(2_100), write).unwrap())).unwrap();
    let events = settle(&mut writer, &mut disk, at(3_000));
    assert_eq!(
        events,
        [Event::Recovered, Event::Proven { started: at(200) }],
        "from the start of that write"
    );
}

#[test]
fn a_damaged_own_file_is_written_anew_and_a_torn_slot_is_replaced() {
    let (mut older, mut disk) = (writer(1), Disk::default());
    settle(&mut older, &mut disk, at(0));
    tick(&mut older, &mut disk, at(200));
    disk.file(&name())[4_096 + 100] ^= 1;
    disk.free_lock(&name());
    settle(&mut writer(2), &mut disk, at(300));
    assert_eq!(on_disk(&mut disk), Some((1, 1)), "the torn slot, not the one that is whole");
    disk.file(&name())[100] ^= 1;
    disk.file(&name())[4_096 + 100] ^= 1;
    disk.free_lock(&name());
    settle(&mut writer(3), &mut disk, at(400));
    assert_eq!(on_disk(&mut disk), Some((Generation::FIRST.number(), 0)));
}

#[test]
fn a_failed_read_or_lock_is_tried_again() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    disk.fail_read = Some((name(), StorageFault::Missing));
    let missing = Event::Trouble { fault: StorageFault::Missing };
    assert_eq!(settle(&mut writer, &mut disk, at(0)), [missing]);
    assert_eq!(tick(&mut writer, &mut disk, at(200)), [missing]);
    disk.fail_read = None;
    let events = tick(&mut writer, &mut disk, at(400));
    assert_eq!(events, [Event::Ready, Event::Recovered, Event::Proven { started: at(400) }]);
    assert!(disk.is_locked(&name()), "the lock was kept");
}

#[test]
fn answers_to_nobody_are_refused_and_change_nothing() {
    let (mut writer, mut disk) = (writer(1), Disk::default());
    let mut stranger = {
        let config = HeartbeatWriterConfig {
            identity: identity(7, 1),
            machine: machine(7, 2),
            datastore: HOME,
            timing: TIMING,
            ttl: ms(0),
            watchdog: ms(0),
        };
        HeartbeatWriter::new(config, at(0))
    };
    let [foreign] = drain(&mut stranger).0.try_into().unwrap();
    let [own] = drain(&mut writer).0.try_into().unwrap();
    let before = format!("{writer:?}");
    let refused = writer.handle_input(at(5), Input::Storage(disk.serve(at(5), foreign).unwrap()));
    assert!(matches!(refused, Err(Rejected::UnknownRequest(_))));
    assert_eq!(format!("{writer:?}"), before);
    writer.handle_input(at(5), Input::Storage(disk.serve(at(5), own).unwrap())).unwrap();
}

#[test]
fn a_lock_that_expired_is_asked_for_again() {
    let mut writer = writer(1);
    let [lock] = drain(&mut writer).0.try_into().unwrap();
    let StorageRequest::Lock { token, .. } = lock else { panic!("{lock:?}") };
    let expired = StorageCompletion::Lock(token.complete(LockOutcome::Expired));
    writer.handle_input(at(2_001), Input::Storage(expired)).unwrap();
    assert_eq!(drain(&mut writer).1, [Event::Trouble { fault: StorageFault::Expired }]);
    writer.handle_timeout(at(2_201));
    assert!(matches!(drain(&mut writer).0[..], [StorageRequest::Lock { .. }]));
}
