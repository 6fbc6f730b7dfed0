//! Every golden file, cut at every length and with every single bit flipped: a typed fault each time, and the record
//! of the other slot or none.
//!
//! No bit of a slot is exempt: even the reserved field stands under the header's sum. Only the text for people before
//! the slots of a poweron file is not read by programs.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::fmt::Debug;

use common::golden::all as golden_files;
use common::{CLUSTER, GEOMETRY, host, pair_of};
use ha_core::record::{PairState, RecordFault, Slot};
use ha_datastore::format::{
    HeartbeatRecord, ListOwnerRecord, PowerOffMarker, PoweronRecord, ProbeRecord, ProtectedList, VmLockRecord,
};

const AREA: usize = 4096;

#[test]
fn every_golden_file_is_refused_in_every_damaged_form() {
    for (name, file) in golden_files() {
        match name.as_str() {
            "heartbeat" => damage(&file, |file| HeartbeatRecord::read(file, CLUSTER, host(7))),
            "poweron" => {
                damage(&file[AREA..], |slots| PoweronRecord::read(slots, CLUSTER, host(7), &GEOMETRY))
            }
            "protectedlist" => damage(&file, |file| ListOwnerRecord::read(file, CLUSTER)),
            "protectedlist.7" => {
                damage(&file, |file| pair_of(ProtectedList::read(file, CLUSTER, host(7), &GEOMETRY)));
            }
            // Lists with a log have states of their own: `format_list_log.rs` damages them.
            "protectedlist.7-log"
            | "protectedlist.7-log-bad-twin"
            | "protectedlist.7-log-hole"
            | "protectedlist.7-log-lost-base" => {}
            "poweredoff" => damage(&file, |file| PowerOffMarker::read(file, CLUSTER)),
            "probe" => damage(&file, |file| ProbeRecord::read(file, CLUSTER, host(7))),
            "ha-lock" | "ha-lock-initial" | "ha-lock-handing-over" | "ha-lock-moved" => {
                damage(&file, |file| VmLockRecord::read(file, CLUSTER))
            }
            // One record without slots: `format_local.rs` damages them.
            "clusterconfig" | "hostlist" | "vmmetadata" | "fdm.cfg" => {}
            other => panic!("no test damages {other}"),
        }
    }
}

fn damage<T: Clone + PartialEq + Debug>(file: &[u8], read: impl Fn(&[u8]) -> PairState<T>) {
    let PairState::Valid { record: newest } = read(file) else { panic!("not golden") };
    for length in 0..file.len() {
        let fault = RecordFault::WrongSize { found: length };
        assert_eq!(read(&file[..length]), PairState::Corrupt { a: fault, b: fault });
    }
    let other_written = file.chunks(AREA).all(|slot| slot.iter().any(|byte| *byte != 0));
    let newest_slot = if newest.generation.slot() == Slot::A { 0 } else { 1 };
    let mut flipped = file.to_vec();
    for bit in 0..file.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        let in_newest = bit / 8 / AREA == newest_slot;
        match read(&flipped) {
            PairState::Degraded { record, .. } if in_newest => {
                assert!(other_written && record.generation < newest.generation, "bit {bit}");
            }
            PairState::Degraded { record, .. } => assert_eq!(record, newest, "bit {bit}"),
            PairState::Corrupt { .. } => assert!(in_newest && !other_written, "bit {bit}"),
            state @ (PairState::NeverWritten | PairState::Valid { .. } | PairState::Inconsistent { .. }) => {
                panic!("bit {bit}: {state:?}")
            }
        }
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}
