//! A marker that another host writes while this one is away from the datastore.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{CLUSTER, Disk, HOME, TIMING, at, identity, machine, uuid};
use ha_core::record::{Generation, PairState};
use ha_core::{FileKind, FileName, Instant, Machine, StorageFault, StorageRequest, VmEpoch};
use ha_datastore::MarkerWriter;
use ha_datastore::format::{MarkerState, PowerOffMarker};
use ha_datastore::marker_writer::{Event, Input, Mark, MarkerWriterConfig, NotForward, Output};

const TROUBLE: Event = Event::Trouble { fault: StorageFault::Io };
const INTENDED: Mark = Mark { epoch: VmEpoch::new(17), state: MarkerState::Intended };
const DONE: Mark = Mark { epoch: VmEpoch::new(17), state: MarkerState::Done };
/// What the other host writes.
const THEIRS: Mark = Mark { epoch: VmEpoch::new(18), state: MarkerState::Intended };
/// What this host writes once the machine runs here again.
const RETURNED: Mark = Mark { epoch: VmEpoch::new(19), state: MarkerState::Intended };

/// A writer and the datastore that it writes to.
struct Host {
    writer: MarkerWriter,
    disk: Disk,
}

fn name() -> FileName {
    FileName::new(HOME, FileKind::PoweredOff(uuid(5)))
}

impl Host {
    /// A host that has written `INTENDED`, in generation 0, at 0 ms.
    fn that_stops() -> Self {
        let config = MarkerWriterConfig {
            identity: identity(7, 3),
            machine: machine(7, 1),
            datastore: HOME,
            vm: uuid(5),
            timing: TIMING,
        };
        let mut host = Self { writer: MarkerWriter::new(config, at(0)), disk: Disk::default() };
        let events = host.mark(at(0), INTENDED);
        assert_eq!(events, [Event::Opened { found: None }, Event::Durable(INTENDED)]);
        host
    }

    /// The same, with `DONE` in doubt.
    fn in_doubt() -> Self {
        let mut host = Self::that_stops();
        host.disk.fail_write = Some((name(), StorageFault::Io, false));
        assert_eq!(host.mark(at(0), DONE), [TROUBLE]);
        host
    }

    fn mark(&mut self, now: Instant, given: Mark) -> Vec<Event> {
        self.writer.handle_input(now, Input::Mark(given)).unwrap();
        self.run(now)
    }

    fn tick(&mut self, now: Instant) -> Vec<Event> {
        self.writer.handle_timeout(now);
        self.run(now)
    }

    fn run(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(output) = self.writer.poll_output() {
            match output {
                Output::Storage(request) => {
                    let done = self.disk.serve(now, request).unwrap();
                    self.writer.handle_input(now, Input::Storage(done)).unwrap();
                }
                Output::Event(event) => events.push(event),
            }
        }
        events
    }

    fn lose_datastore(&mut self) {
        self.disk.fail_write = Some((name(), StorageFault::Io, false));
        self.disk.fail_read = Some((name(), StorageFault::Io));
    }

    fn regain_datastore(&mut self) {
        (self.disk.fail_write, self.disk.fail_read) = (None, None);
    }

    /// Another host writes these, from generation `from` on.
    fn others_write(&mut self, from: u64, marks: &[Mark]) {
        for (generation, &Mark { epoch, state }) in (from..).map(Generation::new).zip(marks) {
            let slot = PowerOffMarker { vm: uuid(5), epoch, state }.seal(&identity(9, 1), generation);
            let offset = usize::try_from(PowerOffMarker::offset(generation)).unwrap();
            self.disk.file(&name())[offset..][..slot.len()].copy_from_slice(&slot);
        }
    }

    fn stands(&mut self) -> (u64, Mark) {
        let state = PowerOffMarker::read(self.disk.file(&name()), CLUSTER);
        let PairState::Valid { record } = state else { panic!("{state:?}") };
        let PowerOffMarker { epoch, state, .. } = record.content;
        (record.generation.number(), Mark { epoch, state })
    }
}

#[test]
fn a_mark_in_doubt_does_not_take_the_place_of_another_host_s() {
    // One generation was written over the doubtful one, or two, of which the second shows.
    for (writes, theirs) in [(1, THEIRS), (2, Mark { state: MarkerState::Done, ..THEIRS })] {
        let mut host = Host::in_doubt();
        host.lose_datastore();
        assert_eq!(host.tick(at(5_000)), [TROUBLE], "it cannot be read");
        host.others_write(1, &[THEIRS, theirs][..writes]);
        assert_eq!(host.tick(at(6_000)), [TROUBLE]);
        host.regain_datastore();
        let dropped = Event::Dropped(NotForward { given: DONE, last: theirs });
        assert_eq!(host.tick(at(60_000)), [Event::Opened { found: Some(theirs) }, dropped]);
        let generation = u64::try_from(writes).unwrap();
        assert_eq!((host.stands(), host.writer.durable()), ((generation, theirs), Some(theirs)));
        assert_eq!(host.writer.poll_timeout(), None, "nothing is in doubt any more");

        // The machine comes back, and the same writer goes on.
        assert_eq!(host.mark(at(70_000), RETURNED), [Event::Recovered, Event::Durable(RETURNED)]);
        assert_eq!(host.stands(), (generation + 1, RETURNED));
    }
}

#[test]
fn a_mark_in_doubt_that_was_left_alone_is_repeated_to_the_same_slot() {
    for lands in [false, true] {
        let mut host = Host::that_stops();
        host.disk.fail_write = Some((name(), StorageFault::Io, lands));
        assert_eq!(host.mark(at(0), DONE), [TROUBLE]);
        host.lose_datastore();
        assert_eq!(host.tick(at(5_000)), [TROUBLE]);
        host.regain_datastore();
        assert_eq!(host.tick(at(60_000)), [Event::Recovered, Event::Durable(DONE)], "{lands}");
        assert_eq!(host.stands(), (1, DONE));
    }
}

#[test]
fn an_epoch_begins_with_what_the_other_host_left() {
    let mut host = Host::that_stops();
    let theirs = [THEIRS, Mark { state: MarkerState::Done, ..THEIRS }];
    host.others_write(1, &theirs);
    let opened = Event::Opened { found: Some(theirs[1]) };
    assert_eq!(host.mark(at(1), RETURNED), [opened, Event::Durable(RETURNED)], "however soon");
    assert_eq!(host.stands(), (3, RETURNED), "the newest generation, not the writer's own next one");
}

#[test]
fn a_mark_that_comes_too_late_is_dropped_even_if_the_loss_went_unnoticed() {
    let mut host = Host::that_stops();
    host.others_write(1, &[THEIRS]);
    let late = at(0).after(TIMING.storage_stall_max);
    let dropped = Event::Dropped(NotForward { given: DONE, last: THEIRS });
    assert_eq!(host.mark(late, DONE), [Event::Opened { found: Some(THEIRS) }, dropped]);
    assert_eq!(host.stands(), (1, THEIRS));
}

#[test]
fn what_is_known_is_built_upon_until_it_is_as_old_as_a_stall() {
    let max = TIMING.storage_stall_max;
    let before = Instant::from_nanos(at(0).after(max).as_nanos() - 1);
    let is_read =
        |request: Option<Output>| matches!(request, Some(Output::Storage(StorageRequest::Read { .. })));
    for (now, reads) in [(before, false), (at(0).after(max), true)] {
        let mut repeats = Host::in_doubt().writer;
        repeats.handle_timeout(now);
        assert_eq!(is_read(repeats.poll_output()), reads, "a write in doubt at {now:?}");
        let mut goes_on = Host::that_stops().writer;
        goes_on.handle_input(now, Input::Mark(DONE)).unwrap();
        assert_eq!(is_read(goes_on.poll_output()), reads, "a mark at {now:?}");
    }
}

#[test]
fn a_reading_that_hung_for_as_long_as_a_stall_shows_nothing() {
    let max = TIMING.storage_stall_max;
    let before = Instant::from_nanos(at(5_000).after(max).as_nanos() - 1);
    for (answered, reads) in [(before, false), (at(5_000).after(max), true)] {
        let mut host = Host::in_doubt();
        host.regain_datastore();
        host.writer.handle_timeout(at(5_000));
        let Some(Output::Storage(hangs)) = host.writer.poll_output() else { panic!("it reads again") };
        // It was carried out at once; its answer came late.
        let done = host.disk.serve(at(5_000), hangs).unwrap();
        host.writer.handle_input(answered, Input::Storage(done)).unwrap();
        let next = host.writer.poll_output();
        let is_read = matches!(next, Some(Output::Storage(StorageRequest::Read { .. })));
        assert_eq!(is_read, reads, "{next:?}");
    }
}

#[test]
fn marks_that_wait_for_the_datastore_s_return_follow_on_each_other() {
    let mut host = Host::that_stops();
    host.lose_datastore();
    let done = Mark { state: MarkerState::Done, ..RETURNED };
    assert_eq!(host.mark(at(5_000), RETURNED), [TROUBLE]);
    assert_eq!(host.mark(at(5_001), done), []);
    host.others_write(1, &[THEIRS]);
    host.regain_datastore();
    let events = host.tick(at(60_000));
    assert_eq!(events, [Event::Opened { found: Some(THEIRS) }, Event::Recovered, Event::Durable(done)]);
    assert_eq!(host.stands(), (2, done));
}

#[test]
fn a_marker_that_was_damaged_meanwhile_is_written_anew() {
    let mut host = Host::that_stops();
    host.disk.file(&name()).fill(0xff);
    let events = host.mark(at(60_000), DONE);
    assert_eq!(
        events,
        [Event::Opened { found: None }, Event::Durable(DONE)],
        "it follows on what stood there"
    );
}
