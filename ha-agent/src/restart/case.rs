use alloc::collections::BTreeSet;
use alloc::string::String;
use core::time::Duration;

use ha_core::operation::Read;
use ha_core::{HostId, Instant, RequestId, VmEpoch, VmId};
use ha_datastore::format::OrderId;

use crate::RefusedOrder;

/// A protected virtual machine that no live host's complete inventory lists, on its way back.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) vm: VmId,
    pub(crate) stage: Stage,
    /// When it was first found down; the look-again period slows down after a while.
    pub(crate) opened: Instant,
    /// The intent in the list, if one was made durable.
    pub(crate) intent: Option<OpenIntent>,
    /// Starts that failed; decides how long the next one waits.
    pub(crate) failed_starts: u32,
    /// Where it ran before, by its lock record.
    pub(crate) failed_host: Option<HostId>,
    /// Targets that did not start it although nothing was in the way; the next order goes elsewhere if it can.
    pub(crate) avoid: BTreeSet<HostId>,
    /// Whether the last answer already led to a look at once: the next one waits for its turn.
    pub(crate) hurried: bool,
    /// The last refusal that was told; the same one again is no news.
    pub(crate) told: Option<(HostId, RefusedOrder)>,
    /// How often in a row its record was found below the epoch that is known of; the second time is told. Once may
    /// be a read that was under way while it was started.
    pub(crate) too_low: u32,
    /// The operator was asked for the end of the host on which it may still run.
    pub(crate) operator_asked: bool,
}

/// What is recorded, or about to be recorded, in the protected list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenIntent {
    pub(crate) order: OrderId,
    pub(crate) target: HostId,
    pub(crate) expected: VmEpoch,
}

/// What a case waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its lock record is read at this time, or later if many are.
    Look { at: Instant },
    /// Its lock record is being read; an answer that has not come by `until` is not waited for.
    Looking { request: RequestId<Read>, until: Instant },
    /// The intent is being made durable; the order follows.
    Persisting {
        change: u64,
        /// The verdict behind the order, if the order is news.
        why: Option<String>,
    },
    /// The target has the order until `until`; after that it can no longer start it.
    Ordered { until: Instant },
    /// The target reported the start; its inventory has to list it by `until`.
    Started { epoch: VmEpoch, until: Instant },
}

impl Case {
    pub(crate) const fn new(vm: VmId, now: Instant, failed_starts: u32) -> Self {
        Self {
            vm,
            stage: Stage::Look { at: now },
            opened: now,
            intent: None,
            failed_starts,
            failed_host: None,
            avoid: BTreeSet::new(),
            hurried: false,
            told: None,
            too_low: 0,
            operator_asked: false,
        }
    }

    /// When something is due for this case.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Look { at } => Some(at),
            Stage::Persisting { .. } => None,
            Stage::Looking { until, .. } | Stage::Ordered { until } | Stage::Started { until, .. } => {
                Some(until)
            }
        }
    }

    /// Whether this target counts against a host's free slots.
    pub(crate) const fn busy_target(&self) -> Option<HostId> {
        match (&self.stage, self.intent) {
            (Stage::Persisting { .. } | Stage::Ordered { .. } | Stage::Started { .. }, Some(intent)) => {
                Some(intent.target)
            }
            (Stage::Look { .. } | Stage::Looking { .. }, _)
            | (Stage::Persisting { .. } | Stage::Ordered { .. } | Stage::Started { .. }, None) => None,
        }
    }
}

/// How long to wait after a failed start, by how many have failed (fdm-facts 11.7: starts at 0, 2, 6, 14 and
/// 30 minutes). The last interval repeats for ever.
pub(crate) const fn retry_delay(failed_starts: u32) -> Duration {
    Duration::from_secs(match failed_starts {
        0 => 0,
        1 => 2 * 60,
        2 => 4 * 60,
        3 => 8 * 60,
        _ => 16 * 60,
    })
}
