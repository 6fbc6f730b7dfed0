//! One heartbeat slot, encoded and checked.

use core::hint::black_box;
use core::time::Duration;

use ha_core::record::Generation;
use ha_core::{BootId, ClusterId, HostId, Identity, Incarnation, Instant};
use ha_datastore::format::HeartbeatRecord;

use super::Measured;

const SLOTS: usize = 2_000;
const ROUNDS: usize = 31;

pub(super) fn measure() {
    let writer = Identity {
        cluster: ClusterId::from_bytes([1; 16]),
        host: HostId::new(7),
        boot: BootId::from_bytes([2; 16]),
        incarnation: Incarnation::new(3),
    };
    let record = |counter| HeartbeatRecord {
        counter,
        write_period: Duration::from_millis(200),
        io_timeout: Duration::from_millis(100),
        ttl: Duration::ZERO,
        watchdog: Duration::ZERO,
        written_at: Instant::from_nanos(counter),
    };
    let mut slot = [0_u8; 4_096];
    slot.copy_from_slice(&record(0).seal(&writer, Generation::FIRST));
    let mut file = Vec::from(slot);
    file.extend_from_slice(&record(1).seal(&writer, Generation::FIRST.next()));

    let (mut encoded, mut checked) = (Measured::default(), Measured::default());
    for _ in 0..ROUNDS {
        let mut copy = [0_u8; 4_096];
        encoded.round(
            || {
                for counter in 0..SLOTS as u64 {
                    black_box(record(counter).seal(&writer, Generation::new(counter)));
                }
            },
            || {
                for _ in 0..SLOTS {
                    copy.copy_from_slice(black_box(&slot));
                    black_box(crc32fast::hash(&copy));
                }
            },
        );
        let mut copy = [0_u8; 8_192];
        checked.round(
            || {
                for _ in 0..SLOTS {
                    let state = HeartbeatRecord::read(black_box(&file), writer.cluster, writer.host);
                    assert!(state.record().is_some());
                }
            },
            || {
                for _ in 0..SLOTS {
                    copy.copy_from_slice(black_box(&file));
                    black_box(crc32fast::hash(&copy));
                }
            },
        );
    }
    encoded.tell(&format!("{SLOTS} heartbeat slots encoded (memcpy + CRC)"), 2.0);
    checked.tell(&format!("{SLOTS} heartbeat files checked (memcpy + CRC)"), 2.0);
}
