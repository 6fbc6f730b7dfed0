//! What a poll of a heartbeat file sees without reading all of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::time::Duration;

use common::{CLUSTER, host, identity};
use ha_core::Instant;
use ha_core::record::{Generation, PairState};
use ha_datastore::format::HeartbeatRecord;

const POLLED: usize = HeartbeatRecord::POLLED as usize;

fn record(counter: u64) -> HeartbeatRecord {
    HeartbeatRecord {
        counter,
        write_period: Duration::from_millis(200),
        io_timeout: Duration::from_millis(100),
        ttl: Duration::ZERO,
        watchdog: Duration::ZERO,
        written_at: Instant::from_nanos(counter),
    }
}

/// The file after these generations were written, each into its slot.
fn file(generations: &[u64]) -> Vec<u8> {
    let mut file = vec![0; HeartbeatRecord::FILE as usize];
    for number in generations {
        let generation = Generation::new(*number);
        let area = record(*number).seal(&identity(7, 1), generation);
        let at = usize::try_from(HeartbeatRecord::offset(generation)).unwrap();
        file[at..at + area.len()].copy_from_slice(&area);
    }
    file
}

fn whole(file: &[u8]) -> PairState<HeartbeatRecord> {
    HeartbeatRecord::read(file, CLUSTER, host(7))
}

fn polled(file: &[u8]) -> PairState<HeartbeatRecord> {
    HeartbeatRecord::read_polled(&file[..POLLED], CLUSTER, host(7))
}

#[test]
fn a_poll_says_of_every_file_what_the_whole_file_says() {
    for generations in [&[][..], &[0], &[1], &[0, 1], &[1, 2], &[6, 7], &[7, 8]] {
        let intact = file(generations);
        assert_eq!(polled(&intact), whole(&intact), "{generations:?}");
        // Every byte that a poll reads, damaged; so also the zeros behind the first record.
        for at in
            (0..128).chain((128..4_096).step_by(61)).chain(4_096..4_224).chain((4_224..POLLED).step_by(7))
        {
            let mut damaged = intact.clone();
            damaged[at] ^= 0x40;
            assert_eq!(polled(&damaged), whole(&damaged), "{generations:?}, byte {at}");
        }
    }
}

#[test]
fn what_lies_behind_the_second_record_does_not_count() {
    for at in [POLLED - 1, POLLED, POLLED + 1, 8_191] {
        let mut damaged = file(&[0, 1]);
        damaged[at] = 1;
        let seen = matches!(polled(&damaged), PairState::Degraded { .. });
        assert_eq!(seen, at < POLLED, "byte {at}");
        assert!(matches!(whole(&damaged), PairState::Degraded { .. }), "a reader of the whole file sees it");
    }
}

#[test]
fn a_read_of_another_length_is_no_poll() {
    let file = file(&[0, 1]);
    for length in [0, 4_096, POLLED - 1, POLLED + 1] {
        let state = HeartbeatRecord::read_polled(&file[..length], CLUSTER, host(7));
        assert_eq!(state, whole(&file[..length]), "{length} bytes");
        assert!(!matches!(state, PairState::Valid { .. } | PairState::Degraded { .. }), "{state:?}");
    }
    assert_eq!(HeartbeatRecord::read_polled(&file, CLUSTER, host(7)), whole(&file));
}
