use core::time::Duration;

use bytes::Bytes;
use ha_core::record::{
    BLOCK, Generation, HEADER, PairExpectation, PairState, RecordFault, RecordKind, read_pair, seal_block,
};
use ha_core::{ClusterId, HostId, Identity, Instant};

use super::cursor::{Reader, nanos};
use super::geometry::slot_offset;

/// One beat of a host on a datastore, in `host-<n>-hb`: two slots of one block.
///
/// It says by which numbers its writer lives, so that observers compute with the writer's own (reliability 4,
/// rule 6). Whether the host lives follows from the bytes changing, never from what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatRecord {
    /// One more than in the beat before; never repeats within a life.
    pub counter: u64,
    /// Between two beats.
    pub write_period: Duration,
    /// After this a beat that is not durable is overdue.
    pub io_timeout: Duration,
    /// Without a durable beat for this long, the writer stops the machines that live by this file.
    pub ttl: Duration,
    /// After this a host whose agent no longer ticks is reset; zero where there is no watchdog.
    pub watchdog: Duration,
    /// The writer's own clock at this beat. For people: nobody may compare it with another host's clock.
    pub written_at: Instant,
}

impl HeartbeatRecord {
    /// The slot area, in bytes.
    pub const AREA: usize = BLOCK;
    /// The file, in bytes: both slots.
    pub const FILE: u32 = 2 * 4096;

    /// What others read of the file in each poll, in bytes: the first slot, and as much of the second as its record has.
    /// The zeros behind that would be more than a third of the cost of a poll.
    pub const POLLED: u32 = 4096 + 512;

    const PAYLOAD: usize = 48;

    /// Where in the file the generation's slot begins, in bytes.
    #[must_use]
    pub const fn offset(generation: Generation) -> u64 {
        slot_offset(generation, Self::AREA)
    }

    /// The bytes of the generation's slot.
    #[must_use]
    pub fn seal(&self, writer: &Identity, generation: Generation) -> Bytes {
        let fields = [
            self.counter,
            nanos(self.write_period),
            nanos(self.io_timeout),
            nanos(self.ttl),
            nanos(self.watchdog),
            self.written_at.as_nanos(),
        ];
        let mut payload = [0; Self::PAYLOAD];
        for (bytes, field) in payload.chunks_exact_mut(8).zip(fields) {
            bytes.copy_from_slice(&field.to_le_bytes());
        }
        seal_block(RecordKind::Heartbeat, writer, generation, &payload)
    }

    /// What the whole file of `host` says.
    #[must_use]
    pub fn read(file: &[u8], cluster: ClusterId, host: HostId) -> PairState<Self> {
        let expected = PairExpectation { kind: RecordKind::Heartbeat, cluster, writer: Some(host) };
        read_pair(file, Self::AREA, &expected, Self::decode)
    }

    /// What the first [`POLLED`](Self::POLLED) bytes of `host`'s file say: as [`read`](Self::read), with what was not read
    /// taken for the zeros that it should be.
    #[must_use]
    pub fn read_polled(polled: &[u8], cluster: ClusterId, host: HostId) -> PairState<Self> {
        const {
            assert!(
                HEADER + Self::PAYLOAD <= Self::POLLED as usize - Self::AREA,
                "the second record is polled"
            )
        };
        let mut file = [0; Self::FILE as usize];
        match file.get_mut(..polled.len()) {
            Some(begin) if polled.len() == Self::POLLED as usize => begin.copy_from_slice(polled),
            Some(_) | None => return Self::read(polled, cluster, host),
        }
        Self::read(&file, cluster, host)
    }

    fn decode(payload: &[u8]) -> Result<Self, RecordFault> {
        let mut reader = Reader::new(payload);
        let record = Self {
            counter: reader.u64("counter")?,
            write_period: reader.duration("write period")?,
            io_timeout: reader.duration("I/O timeout")?,
            ttl: reader.duration("TTL")?,
            watchdog: reader.duration("watchdog")?,
            written_at: Instant::from_nanos(reader.u64("written at")?),
        };
        reader.end()?;
        Ok(record)
    }
}
