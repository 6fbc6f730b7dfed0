use bytes::Bytes;
use ha_core::evidence::ContentState;
use ha_core::operation::ReadReply;
use ha_core::record::{HighWater, PairState};
use ha_core::{ClusterId, DatastoreEvidence, DatastoreId, HostId, Incarnation, Instant, StorageFault};

use super::Part;
use crate::format::{Geometry, HeartbeatRecord, PoweronRecord};

/// What one watch of one host has seen.
#[derive(Debug)]
pub(super) struct Watch {
    number: u64,
    next_heartbeat: Instant,
    next_poweron: Instant,
    /// Whether a look at the heartbeat file has ended.
    looked: bool,
    evidence: DatastoreEvidence,
    /// The bytes of the last read that was no regression.
    previous: Option<Bytes>,
    heartbeats: HighWater,
    poweron: HighWater,
    /// The isolation flag, and the life that raised or lowered it.
    flag: Option<(Incarnation, bool)>,
}

impl Watch {
    /// A watch that reads both files at `now`.
    pub(super) const fn new(host: HostId, datastore: DatastoreId, number: u64, now: Instant) -> Self {
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
            next_heartbeat: now,
            next_poweron: now,
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

    pub(super) const fn next_read(&self, part: Part) -> Instant {
        match part {
            Part::Heartbeat => self.next_heartbeat,
            Part::Poweron => self.next_poweron,
        }
    }

    pub(super) const fn read_asked(&mut self, part: Part, next: Instant) {
        match part {
            Part::Heartbeat => self.next_heartbeat = next,
            Part::Poweron => self.next_poweron = next,
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
        self.evidence.state = self.attribute(cluster, &bytes);
        if self.evidence.state == ContentState::Regressed {
            return;
        }
        match &self.previous {
            None => self.evidence.first_look = Some(started),
            Some(previous) if *previous != bytes => self.evidence.last_change = Some(started),
            Some(_) => {}
        }
        if good {
            self.evidence.last_good_round = Some(started);
        }
        self.previous = Some(bytes);
    }

    /// Who wrote these bytes. A regression leaves everything as it was.
    fn attribute(&mut self, cluster: ClusterId, bytes: &[u8]) -> ContentState {
        let (writer, state) = match HeartbeatRecord::read(bytes, cluster, self.evidence.host) {
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
