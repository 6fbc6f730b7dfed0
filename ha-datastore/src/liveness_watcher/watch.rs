use alloc::boxed::Box;

use ha_core::evidence::ContentState;
use ha_core::operation::ReadReply;
use ha_core::record::{HighWater, PairState, is_zero};
use ha_core::{ClusterId, DatastoreEvidence, DatastoreId, HostId, Incarnation, Instant, StorageFault};

use super::Part;
use crate::format::{Geometry, HeartbeatRecord, PoweronRecord};

/// What one watch of one host has seen.
#[derive(Debug)]
pub(super) struct Watch {
    number: u64,
    /// When the heartbeat file is to be read, and the poweron file; none for one that is being read.
    due: [Option<Instant>; 2],
    /// Whether a look at the heartbeat file has ended.
    looked: bool,
    evidence: DatastoreEvidence,
    /// What the last read showed that was no regression, and who wrote it.
    previous: Option<(Seen, ContentState)>,
    heartbeats: HighWater,
    poweron: HighWater,
    /// The isolation flag, and the life that raised or lowered it.
    flag: Option<(Incarnation, bool)>,
}

impl Watch {
    /// A watch that has seen nothing yet.
    pub(super) const fn new(host: HostId, datastore: DatastoreId, number: u64) -> Self {
        let evidence = DatastoreEvidence {
            host,
            datastore,
            boot: None,
            incarnation: None,
            first_look: None,
            last_change: None,
            last_good_round: None,
            state: ContentState::NeverWritten,
            isolated: None,
        };
        Self {
            number,
            due: [None; 2],
            looked: false,
            evidence,
            previous: None,
            heartbeats: HighWater::NOTHING,
            poweron: HighWater::NOTHING,
            flag: None,
        }
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) const fn host(&self) -> HostId {
        self.evidence.host
    }

    /// When the file is to be read; none while it is being read.
    pub(super) const fn due(&mut self, part: Part) -> &mut Option<Instant> {
        let [heartbeat, poweron] = &mut self.due;
        match part {
            Part::Heartbeat => heartbeat,
            Part::Poweron => poweron,
        }
    }

    pub(super) fn evidence(&self) -> Option<DatastoreEvidence> {
        let of_this_life = |life: &(Incarnation, bool)| match self.evidence.incarnation {
            Some(incarnation) => life.0 == incarnation,
            None => true,
        };
        let isolated = self.flag.filter(of_this_life).map(|(_, isolated)| isolated);
        self.looked.then_some(DatastoreEvidence { isolated, ..self.evidence })
    }

    pub(super) fn on_heartbeat(
        &mut self,
        cluster: ClusterId,
        outcome: Result<ReadReply, StorageFault>,
        good: bool,
    ) {
        self.looked = true;
        let ReadReply { bytes, started } = match outcome {
            Ok(reply) => reply,
            Err(fault) => {
                self.evidence.state = ContentState::Unreadable(fault);
                return;
            }
        };
        match &self.previous {
            Some((seen, state)) if seen.is(&bytes) => self.evidence.state = *state,
            previous => {
                let changed = previous.is_some();
                self.evidence.state = self.attribute(cluster, &bytes);
                if self.evidence.state == ContentState::Regressed {
                    return;
                }
                if changed {
                    self.evidence.last_change = Some(started);
                } else {
                    self.evidence.first_look = Some(started);
                }
                self.previous = Some((Seen::new(&bytes), self.evidence.state));
            }
        }
        if good {
            self.evidence.last_good_round = Some(started);
        }
    }

    /// Who wrote these bytes. A regression leaves everything as it was.
    fn attribute(&mut self, cluster: ClusterId, bytes: &[u8]) -> ContentState {
        let (writer, state) = match HeartbeatRecord::read_polled(bytes, cluster, self.evidence.host) {
            PairState::Valid { record } | PairState::Degraded { record, .. } => {
                if self.heartbeats.admit(&record.writer, record.generation).is_err() {
                    return ContentState::Regressed;
                }
                (Some(record.writer), ContentState::Valid)
            }
            // Zeros again, after a record was there.
            PairState::NeverWritten if !self.heartbeats.is_nothing() => return ContentState::Regressed,
            PairState::NeverWritten => (None, ContentState::NeverWritten),
            PairState::Inconsistent { .. } | PairState::Corrupt { .. } => {
                (None, ContentState::Unattributable)
            }
        };
        self.evidence.boot = writer.map(|writer| writer.boot);
        self.evidence.incarnation = writer.map(|writer| writer.incarnation);
        state
    }

    pub(super) fn on_poweron(
        &mut self,
        cluster: ClusterId,
        geometry: &Geometry,
        outcome: Result<ReadReply, StorageFault>,
    ) {
        self.flag = None;
        let Ok(reply) = outcome else { return };
        let found = PoweronRecord::read(&reply.bytes, cluster, self.evidence.host, geometry);
        if let Some(record) = found.record()
            && self.poweron.admit(&record.writer, record.generation).is_ok()
        {
            self.flag = Some((record.writer.incarnation, record.content.isolated));
        }
    }
}

/// The bytes of a file of two slots, without the zeros at the end of each, which are most of it.
#[derive(Debug)]
struct Seen {
    length: usize,
    slots: [Box<[u8]>; 2],
}

impl Seen {
    fn new(bytes: &[u8]) -> Self {
        let (a, b) = bytes.split_at(HeartbeatRecord::AREA.min(bytes.len()));
        let content = |slot: &[u8]| {
            let end = slot.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            Box::from(&slot[..end])
        };
        Self { length: bytes.len(), slots: [content(a), content(b)] }
    }

    /// Whether these are the same bytes, every one of them.
    fn is(&self, bytes: &[u8]) -> bool {
        let (a, b) = bytes.split_at(HeartbeatRecord::AREA.min(bytes.len()));
        let same = |slot: &[u8], content: &[u8]| {
            slot.split_at_checked(content.len())
                .is_some_and(|(begins, rest)| begins == content && is_zero(rest))
        };
        bytes.len() == self.length && same(a, &self.slots[0]) && same(b, &self.slots[1])
    }
}
