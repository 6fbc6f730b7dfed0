//! Heartbeats on a failing datastore, by the real clock: written, watched, and back when the fault is over.
#![cfg(feature = "fs")]

mod common;
mod fs_common;
mod fuse_common;

use common::{CLUSTER, GEOMETRY, HOME, TIMING, host, identity, machine, ms};
use fuse_common::rig::Rig;
use fuse_common::{Lab, Node};
use ha_core::evidence::ContentState;
use ha_core::{DatastoreEvidence, FileKind, Incarnation, Instant, StorageFault};
use ha_datastore::format::{HeartbeatRecord, file_size};
use ha_datastore::fs::boot_clock;
use ha_datastore::heartbeat_writer::{self, HeartbeatWriterConfig};
use ha_datastore::liveness_watcher::{self, LivenessWatcherConfig};
use ha_datastore::{HeartbeatWriter, LivenessWatcher};

fn two_hosts(lab: &Lab) -> [Node; 2] {
    let kinds = [FileKind::Heartbeat(host(1)), FileKind::Poweron(host(1))];
    lab.datastore(&kinds.map(|kind| (kind.clone(), file_size(&kind, &GEOMETRY))))
}

type Beats = Rig<HeartbeatWriter, heartbeat_writer::Event>;

fn beats(node: &Node, number: u32, incarnation: u64) -> Beats {
    let config = HeartbeatWriterConfig {
        identity: identity(number, incarnation),
        machine: machine(number, 1),
        datastore: HOME,
        timing: TIMING,
        ttl: ms(2_000),
        watchdog: ms(20_000),
    };
    let machine = HeartbeatWriter::new(config, boot_clock());
    Rig::new(node, HOME, machine, heartbeat_writer::Input::Storage, |output| match output {
        heartbeat_writer::Output::Storage(request) => Ok(request),
        heartbeat_writer::Output::Event(event) => Err(event),
    })
}

impl Beats {
    /// The start of a beat that was proven after this was asked.
    fn beat(&mut self) -> Instant {
        self.events.clear();
        let event = self.until("beat", |event| matches!(event, heartbeat_writer::Event::Proven { .. }));
        let heartbeat_writer::Event::Proven { started } = event else { unreachable!("that was asked for") };
        started
    }

    fn trouble(&mut self) -> StorageFault {
        let event = self.until("trouble", |event| matches!(event, heartbeat_writer::Event::Trouble { .. }));
        let heartbeat_writer::Event::Trouble { fault } = event else { unreachable!("that was asked for") };
        fault
    }

    fn recovered(&mut self) {
        self.until("recovery", |event| *event == heartbeat_writer::Event::Recovered);
    }
}

/// The newest whole record on disk: its generation and counter.
fn newest(node: &Node, number: u32) -> (u64, u64) {
    let bytes = node.on_disk(&FileKind::Heartbeat(host(number)));
    let state = HeartbeatRecord::read(&bytes, CLUSTER, host(number));
    let record = state.record().unwrap_or_else(|| panic!("{state:?}"));
    (record.generation.number(), record.content.counter)
}

#[test]
fn a_heartbeat_tells_each_fault_and_goes_on_after_it() {
    let Some(lab) = Lab::open() else { return };
    let [here, _] = two_hosts(&lab);
    let mut beats = beats(&here, 1, 1);
    beats.beat();
    let cases = [
        ("eio_read", StorageFault::Io),
        ("eio_write", StorageFault::Io),
        ("enospc", StorageFault::NoSpace),
        ("torn 100", StorageFault::ReadBackDiffers),
        ("stale", StorageFault::ReadBackDiffers),
    ];
    for (fault, told) in cases {
        let before = newest(&here, 1);
        here.tell(fault);
        assert_eq!(beats.trouble(), told, "{fault}");
        let proven = beats.machine.proven(boot_clock());
        beats.go_on_for(ms(300));
        assert_eq!(beats.machine.proven(boot_clock()), proven, "{fault}: nothing is proven meanwhile");
        let during = newest(&here, 1);
        assert!(during.0 <= before.0 + 2, "{fault}: one generation in doubt, {before:?} to {during:?}");
        here.tell("clear");
        beats.events.clear();
        beats.recovered();
        beats.beat();
    }
}

#[test]
fn a_stalled_heartbeat_is_overdue_then_stalled_then_there_once() {
    let Some(lab) = Lab::open() else { return };
    let [here, _] = two_hosts(&lab);
    let mut beats = beats(&here, 1, 1);
    beats.beat();
    here.tell("stall_write");
    beats.until("stall", |event| *event == heartbeat_writer::Event::Stalled);
    assert!(beats.machine.is_overdue(boot_clock()));
    assert_eq!(here.stalled(), 1, "one write at a time, however late");
    let (before, written) = (newest(&here, 1), here.writes());
    here.tell("clear");
    beats.recovered();
    assert_eq!(newest(&here, 1), (before.0 + 1, before.1 + 1), "the late one, not those that it held up");
    assert_eq!(here.writes(), written + 1);
    beats.beat();
}

#[test]
fn a_heartbeat_comes_back_after_its_lock_was_lost_with_the_descriptor() {
    let Some(lab) = Lab::open() else { return };
    let [here, _] = two_hosts(&lab);
    let mut beats = beats(&here, 1, 1);
    beats.beat();
    let before = newest(&here, 1);
    here.tell("droplocks");
    assert_eq!(beats.trouble(), StorageFault::Io);
    beats.recovered();
    beats.beat();
    assert!(newest(&here, 1).1 > before.1);
}

#[test]
fn a_heartbeat_whose_lock_a_later_life_has_taken_writes_nothing_more() {
    let Some(lab) = Lab::open() else { return };
    let [here, _] = two_hosts(&lab);
    let mut older = beats(&here, 1, 1);
    older.beat();
    here.tell("droplocks");
    let mut later = beats(&here, 1, 2);
    later.beat();
    assert_eq!(older.trouble(), StorageFault::Io);
    older.until("refusal", |event| *event == heartbeat_writer::Event::LockHeld);
    drop(later);
    let taken = here.on_disk(&FileKind::Heartbeat(host(1)));
    let found = Incarnation::new(2);
    older.until("an end", |event| *event == heartbeat_writer::Event::IncarnationRepeated { found });
    assert!(older.machine.is_halted());
    older.go_on_for(ms(300));
    assert_eq!(here.on_disk(&FileKind::Heartbeat(host(1))), taken);
}

type Watched = Rig<LivenessWatcher, DatastoreEvidence>;

/// Host 2 watches host 1, and has the proof of its own beats.
fn watcher(node: &Node) -> Watched {
    let config = LivenessWatcherConfig {
        cluster: CLUSTER,
        machine: machine(2, 2),
        datastore: HOME,
        geometry: GEOMETRY,
        timing: TIMING,
    };
    let machine = LivenessWatcher::new(config, boot_clock());
    let mut rig = Rig::new(node, HOME, machine, liveness_watcher::Input::Storage, |output| match output {
        liveness_watcher::Output::Storage(request) => Ok(request),
        liveness_watcher::Output::Evidence(evidence) => Err(evidence),
    });
    rig.give(liveness_watcher::Input::Watch { host: host(1) });
    rig
}

impl Watched {
    fn sees(&mut self, what: &str, fits: impl Fn(&DatastoreEvidence) -> bool) -> DatastoreEvidence {
        self.events.clear();
        self.until(what, fits)
    }
}

#[test]
fn a_stale_or_unreadable_heartbeat_is_never_life() {
    let Some(lab) = Lab::open() else { return };
    let [here, there] = two_hosts(&lab);
    let mut beats = beats(&here, 1, 1);
    let mut watcher = watcher(&there);
    beats.beat();
    watcher.sees("a first look", |evidence| evidence.state == ContentState::Valid);
    beats.beat();
    let moved = watcher.sees("life", |evidence| evidence.last_change.is_some());
    assert_eq!(moved.incarnation, Some(Incarnation::new(1)));

    // The cache of host 2 stands still while host 1 goes on.
    there.tell("stale");
    watcher.sees("the cache", |_| true);
    let frozen = watcher.sees("stillness", |_| true);
    for _ in 0..3 {
        beats.beat();
        let seen = watcher.sees("stillness", |_| true);
        assert_eq!((seen.last_change, seen.state), (frozen.last_change, ContentState::Valid));
    }
    there.tell("clear");
    let moved = watcher.sees("life again", |evidence| evidence.last_change > frozen.last_change);

    // It goes back to what it was when it stood still: no information at all.
    there.tell("stale");
    let old = watcher.sees("the old content", |evidence| evidence.state == ContentState::Regressed);
    assert_eq!((old.last_change, old.incarnation), (moved.last_change, moved.incarnation));
    there.tell("clear");
    beats.beat();
    let moved = watcher.sees("life again", |evidence| evidence.last_change > old.last_change);

    there.tell("eio_read");
    let fault = ContentState::Unreadable(StorageFault::Io);
    let blind = watcher.sees("blindness", |evidence| evidence.state == fault);
    assert_eq!(blind.last_change, moved.last_change);
    there.tell("clear");

    here.tell("torn 100");
    assert_eq!(beats.trouble(), StorageFault::ReadBackDiffers);
    let told = watcher.sees("a torn slot", |evidence| evidence.last_change > blind.last_change);
    assert!(told.incarnation.is_none_or(|life| life == Incarnation::new(1)), "never another life: {told:?}");
}
