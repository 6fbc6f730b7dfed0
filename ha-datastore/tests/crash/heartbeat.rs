use ha_core::record::PairState;
use ha_core::{FileKind, FileName, Incarnation, Instant, Machine};
use ha_datastore::HeartbeatWriter;
use ha_datastore::format::HeartbeatRecord;
use ha_datastore::heartbeat_writer::{Event, HeartbeatWriterConfig, Input, Output};

use crate::common::{CLUSTER, GEOMETRY, HOME, TIMING, at, host, identity, machine, ms};
use crate::images::Tearing;
use crate::journal::{Files, Journal};
use crate::rig::{Fault, Rig, check};

const BEATS: u64 = 4;

fn name() -> FileName {
    FileName::new(HOME, FileKind::Heartbeat(host(7)))
}

fn read(file: &[u8]) -> PairState<HeartbeatRecord> {
    HeartbeatRecord::read(file, CLUSTER, host(7))
}

fn settle(writer: &mut HeartbeatWriter, rig: &mut Rig, now: Instant) {
    while let Some(output) = writer.poll_output() {
        match output {
            Output::Storage(request) => {
                if let Some(done) = rig.serve(now, request) {
                    writer.handle_input(now, Input::Storage(done)).unwrap();
                }
            }
            Output::Event(Event::Proven { .. }) => rig.journal.acknowledge(),
            Output::Event(_) => {}
        }
    }
}

/// A life of a writer over some files: so many beats, and longer where one fails.
fn live(before: Files, incarnation: u64, beats: u64, fault: Option<Fault>) -> Rig {
    let config = HeartbeatWriterConfig {
        identity: identity(7, incarnation),
        machine: machine(7, 1),
        datastore: HOME,
        timing: TIMING,
        ttl: ms(2_000),
        watchdog: ms(20_000),
    };
    let mut rig = Rig::new(before, fault);
    let mut writer = HeartbeatWriter::new(config, at(0));
    for tick in 0..=beats * 2 + 4 {
        let now = at(tick * 100);
        writer.handle_timeout(now);
        settle(&mut writer, &mut rig, now);
    }
    rig
}

/// A new life goes on: it writes, and its counter was never seen before.
fn goes_on(image: &Files, found: Option<&HeartbeatRecord>) {
    let rig = live(image.clone(), 9, 1, None);
    let PairState::Valid { record } = read(rig.file(&name())) else { panic!("not valid") };
    assert_eq!(record.writer.incarnation, Incarnation::new(9));
    assert!(found.is_none_or(|found| record.content.counter > found.counter), "{record:?} {found:?}");
}

fn journals() -> Vec<Journal> {
    let created = Rig::created(&GEOMETRY, &[name()]);
    let writes = live(created.clone(), 1, BEATS, None).journal.writes.len();
    Fault::each(writes).into_iter().map(|fault| live(created.clone(), 1, BEATS, fault).journal).collect()
}

#[test]
fn every_image_of_a_heartbeat_opens_and_goes_on() {
    let mut images = 0;
    for journal in journals() {
        images += check(&journal, Tearing::OldOrNew, &name(), read, goes_on);
        images += check(&journal, Tearing::OrGarbage, &name(), read, |_, _| {});
    }
    eprintln!("heartbeat: {images} images");
    assert!(images > 50_000, "{images}");
}

#[test]
fn a_crash_of_the_life_after_a_crash() {
    let mut images = 0;
    for journal in journals() {
        let mut first = Vec::new();
        check(&journal, Tearing::OldOrNew, &name(), read, |image, _| {
            if !first.contains(image) {
                first.push(image.clone());
            }
        });
        for image in first {
            let before = read(&image[&name()]).record().map(|record| record.content.counter);
            let second = live(image, 2, 2, None).journal;
            images += check(&second, Tearing::OrGarbage, &name(), read, |_, found| {
                let counter = found.map(|found| found.counter);
                assert!(counter >= before, "{counter:?} after {before:?}");
            });
        }
    }
    eprintln!("heartbeat, second life: {images} images");
    assert!(images > 300_000, "{images}");
}
