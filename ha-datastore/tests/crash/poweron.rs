use std::collections::BTreeMap;

use ha_core::record::PairState;
use ha_core::{FileKind, FileName, Limits, Machine, VmEpoch, VmUuid};
use ha_datastore::PoweronWriter;
use ha_datastore::format::{Geometry, PoweronRecord};
use ha_datastore::poweron_writer::{Event, Input, Output, PoweronWriterConfig};

use crate::common::{CLUSTER, GEOMETRY, HOME, TIMING, at, host, identity, machine};
use crate::images::Tearing;
use crate::journal::Files;
use crate::rig::{Fault, Rig, check};

fn name() -> FileName {
    FileName::new(HOME, FileKind::Poweron(host(7)))
}

/// As large as an agent accepts: slots of 80 sectors.
const LARGE: Geometry = Geometry::new(Limits { vms_per_host: 1_600, ..Limits::DEFAULT });

fn reader(geometry: &Geometry) -> impl Fn(&[u8]) -> PairState<PoweronRecord> {
    let slots = usize::try_from(PoweronRecord::SLOTS_AT).unwrap();
    move |file| PoweronRecord::read(&file[slots..], CLUSTER, host(7), geometry)
}

/// Enough machines for every sector of a slot.
fn inventory(geometry: &Geometry, number: u64) -> PoweronRecord {
    let vms = 1..=u128::from(geometry.limits.vms_per_host);
    let vms = vms.map(|vm| (VmUuid::from_bytes(vm.to_be_bytes()), VmEpoch::new(number + 1)));
    let vms = vms.collect::<BTreeMap<_, _>>();
    PoweronRecord { inventory: number, isolated: number % 2 == 1, inventory_complete: true, vms }
}

/// A life of a writer that is given the inventories with these numbers, one after the other.
fn live(
    geometry: &Geometry,
    before: Files,
    incarnation: u64,
    inventories: &[u64],
    fault: Option<Fault>,
) -> Rig {
    let config = PoweronWriterConfig {
        identity: identity(7, incarnation),
        machine: machine(7, 1),
        datastore: HOME,
        geometry: *geometry,
        timing: TIMING,
    };
    let mut rig = Rig::new(before, fault);
    let mut writer = PoweronWriter::new(config, at(0));
    for (given, number) in inventories.iter().enumerate() {
        writer.handle_input(at(0), Input::Inventory(inventory(geometry, *number))).unwrap();
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

/// Every image of a life with this fault opens; with `go_on` a new life goes on from it. How many those were.
fn open_every_image(geometry: &Geometry, fault: Option<Fault>, tearing: Tearing, go_on: bool) -> u64 {
    let created = Rig::created(geometry, &[name()]);
    let journal = live(geometry, created, 1, &[1, 2, 3], fault).journal;
    let read = reader(geometry);
    check(&journal, tearing, &name(), &read, |image, _| {
        if go_on {
            let rig = live(geometry, image.clone(), 2, &[9], None);
            let opened = read(rig.file(&name()));
            let expected = inventory(geometry, 9);
            assert_eq!(opened.record().map(|record| &record.content), Some(&expected), "{opened:?}");
        }
    })
}

#[test]
fn every_image_of_an_inventory_opens_and_goes_on() {
    let created = Rig::created(&GEOMETRY, &[name()]);
    let writes = live(&GEOMETRY, created, 1, &[1, 2, 3], None).journal.writes.len();
    let mut images = 0;
    for fault in Fault::each(writes) {
        images += open_every_image(&GEOMETRY, fault, Tearing::OldOrNew, true);
        images += open_every_image(&GEOMETRY, fault, Tearing::OrGarbage, false);
    }
    eprintln!("poweron: {images} images");
    assert!(images > 100_000, "{images}");
}

#[test]
fn inventories_of_real_size_are_cut_short_at_each_sector() {
    let images = open_every_image(&LARGE, None, Tearing::OldOrNew, true)
        + open_every_image(&LARGE, None, Tearing::OrGarbage, false);
    eprintln!("poweron, 1,600 machines: {images} images");
    assert!(images > 1_000, "{images}");
}
