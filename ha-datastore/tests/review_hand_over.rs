//! A hand-over whose write was in doubt, begun again otherwise: the same generation says something else.

mod common;

use bytes::Bytes;
use common::{CLUSTER, at, host, identity, ms, vm};
use core::time::Duration;
use ha_core::operation::ReadReply;
use ha_core::record::Generation;
use ha_core::{HostId, VmEpoch};
use ha_datastore::format::{VmLockRecord, VmLockState};
use ha_datastore::vm_lock::HandOverWatch;

/// Host 1 hands the machine over; a read that began and ended at this moment.
fn read(millis: u64, target: HostId, within: Duration) -> ReadReply {
    let state = VmLockState::HandingOver { target, within };
    let record = VmLockRecord::of(&vm(5), VmEpoch::new(7), state);
    let mut file = vec![0; 2 * VmLockRecord::AREA];
    let slot = record.seal(&identity(1, 1), Generation::FIRST);
    file[..slot.len()].copy_from_slice(&slot);
    ReadReply { bytes: Bytes::from(file), started: at(millis) }
}

#[test]
fn the_span_is_that_of_the_record_that_stands() {
    let mut watch = HandOverWatch::new(CLUSTER, vm(5));
    assert_eq!(watch.observe(at(0), &read(0, host(2), ms(1_000))), None);
    assert_eq!(watch.observe(at(2_000), &read(2_000, host(2), ms(60_000))), None, "another span");
    assert_eq!(watch.lapses_at(), Some(at(62_000)));
    assert_eq!(watch.observe(at(61_999), &read(61_999, host(2), ms(60_000))), None);
    assert!(watch.observe(at(62_000), &read(62_000, host(2), ms(60_000))).is_some());
}

#[test]
fn a_hand_over_to_another_target_is_another() {
    let mut watch = HandOverWatch::new(CLUSTER, vm(5));
    assert_eq!(watch.observe(at(0), &read(0, host(2), ms(1_000))), None);
    assert_eq!(watch.observe(at(2_000), &read(2_000, host(3), ms(1_000))), None);
    let lapsed = watch.observe(at(3_000), &read(3_000, host(3), ms(1_000)));
    assert_eq!(lapsed.map(|lapsed| lapsed.hosts()), Some([host(1), host(3)]));
}
