use std::collections::BTreeMap;

use ha_core::record::PairState;
use ha_core::{FileKind, FileName, Machine, VmEpoch};
use ha_datastore::PoweronWriter;
use ha_datastore::format::PoweronRecord;
use ha_datastore::poweron_writer::{Event, Input, Output, PoweronWriterConfig};

use crate::common::{CLUSTER, GEOMETRY, HOME, TIMING, at, host, identity, machine, uuid};
use crate::images::Tearing;
use crate::journal::{Files, Journal};
use crate::rig::{Fault, Rig, check};

fn name() -> FileName {
    FileName::new(HOME, FileKind::Poweron(host(7)))
}

fn read(file: &[u8]) -> PairState<PoweronRecord> {
    let slots = usize::try_from(PoweronRecord::SLOTS_AT).unwrap();
    PoweronRecord::read(&file[slots..], CLUSTER, host(7), &GEOMETRY)
}

/// Enough machines for every sector of a slot.
fn inventory(number: u64) -> PoweronRecord {
    let vms = (0..100).map(|vm| (uuid(vm), VmEpoch::new(number + 1))).collect::<BTreeMap<_, _>>();
    PoweronRecord { inventory: number, isolated: number % 2 == 1, inventory_complete: true, vms }
}

/// A life of a writer that is given the inventories with these numbers, one after the other.
fn live(before: Files, incarnation: u64, inventories: &[u64], fault: Option<Fault>) -> Rig {
    let config = PoweronWriterConfig {
        identity: identity(7, incarnation),
        machine: machine(7, 1),
        datastore: HOME,
        geometry: GEOMETRY,
        timing: TIMING,
    };
    let mut rig = Rig::new(before, fault);
    let mut writer = PoweronWriter::new(config, at(0));
    for (given, number) in inventories.iter().enumerate() {
        writer.handle_input(at(0), Input::Inventory(inventory(*number))).unwrap();
        // A failed write is repeated after the I/O timeout.
        for tick in 0..4 {
            let now = at((given as u64 * 4 + tick) * 100);
            writer.handle_timeout(now);
            while let Some(output) = writer.poll_output() {
                match output {
                    Output::Storage(request) => {
                        let done = rig.serve(now, request).unwrap();
                        writer.handle_input(now, Input::Storage(done)).unwrap();
                    }
                    Output::Event(Event::Durable { .. }) => rig.journal.acknowledge(),
                    Output::Event(_) => {}
                }
            }
        }
    }
    rig
}

#[test]
fn every_image_of_an_inventory_opens_and_goes_on() {
    let created = Rig::created(&GEOMETRY, &[name()]);
    let run = |fault| live(created.clone(), 1, &[1, 2, 3], fault).journal;
    let journals: Vec<Journal> = Fault::each(run(None).writes.len()).into_iter().map(run).collect();
    let mut images = 0;
    for journal in journals {
        images += check(&journal, Tearing::OldOrNew, &name(), read, |image, _| {
            let rig = live(image.clone(), 2, &[9], None);
            let opened = read(rig.file(&name()));
            assert_eq!(opened.record().map(|record| &record.content), Some(&inventory(9)), "{opened:?}");
        });
        images += check(&journal, Tearing::OrGarbage, &name(), read, |_, _| {});
    }
    eprintln!("poweron: {images} images");
    assert!(images > 100_000, "{images}");
}
