use ha_core::record::PairState;
use ha_core::{FileKind, FileName, Machine, VmEpoch};
use ha_datastore::MarkerWriter;
use ha_datastore::format::{MarkerState, PowerOffMarker};
use ha_datastore::marker_writer::{Event, Input, Mark, MarkerWriterConfig, Output};

use crate::common::{CLUSTER, GEOMETRY, HOME, TIMING, at, identity, machine, uuid};
use crate::images::Tearing;
use crate::journal::Files;
use crate::rig::{Fault, Rig, check};

fn name() -> FileName {
    FileName::new(HOME, FileKind::PoweredOff(uuid(5)))
}

fn read(file: &[u8]) -> PairState<PowerOffMarker> {
    PowerOffMarker::read(file, CLUSTER)
}

fn mark(epoch: u64, state: MarkerState) -> Mark {
    Mark { epoch: VmEpoch::new(epoch), state }
}

/// A life of a writer that is given these marks, one after the other.
fn live(before: Files, marks: &[Mark], fault: Option<Fault>) -> Rig {
    let config = MarkerWriterConfig {
        identity: identity(7, 3),
        machine: machine(7, 1),
        datastore: HOME,
        vm: uuid(5),
        timing: TIMING,
    };
    let mut rig = Rig::new(before, fault);
    let mut writer = MarkerWriter::new(config, at(0));
    for (given, mark) in (0_u64..).zip(marks) {
        writer.handle_input(at(given * 400), Input::Mark(*mark)).unwrap();
        // A failed write is repeated after the I/O timeout.
        for tick in 0..4 {
            let now = at(given * 400 + tick * 100);
            writer.handle_timeout(now);
            while let Some(output) = writer.poll_output() {
                match output {
                    Output::Storage(request) => {
                        let done = rig.serve(now, request).unwrap();
                        writer.handle_input(now, Input::Storage(done)).unwrap();
                    }
                    Output::Event(Event::Durable(_)) => rig.journal.acknowledge(),
                    Output::Event(_) => {}
                }
            }
        }
    }
    rig
}

#[test]
fn every_image_of_a_marker_opens_and_goes_on() {
    let created = Rig::created(&GEOMETRY, &[name()]);
    let marks = [
        mark(4, MarkerState::Intended),
        mark(4, MarkerState::Done),
        mark(6, MarkerState::Intended),
        mark(6, MarkerState::Cancelled),
    ];
    let run = |fault| live(created.clone(), &marks, fault).journal;
    let mut images = 0;
    for journal in Fault::each(run(None).writes.len()).into_iter().map(run) {
        images += check(&journal, Tearing::OldOrNew, &name(), read, |image, _| {
            let next = mark(9, MarkerState::Intended);
            let rig = live(image.clone(), &[next], None);
            let opened = read(rig.file(&name()));
            let found = opened.record().map(|record| (record.content.epoch, record.content.state));
            assert_eq!(found, Some((next.epoch, next.state)), "{opened:?}");
        });
        images += check(&journal, Tearing::OrGarbage, &name(), read, |_, _| {});
    }
    eprintln!("power-off marker: {images} images");
    assert!(images > 10_000, "{images}");
}
