use ha_core::Instant;
use serde::Serialize;

use super::{Millis, begun};
use crate::demo::{Finished, Setup};
use crate::protocol::manager::{Detail, EventLine};

/// What happened while the demo held and nobody killed anything. All counts should be 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quiet {
    /// The timing profile.
    pub profile: String,
    /// How many hosts there were.
    pub hosts: u32,
    /// How many virtual machines there were.
    pub vms: u32,
    /// How long the demo held.
    pub held_ms: Millis,
    /// Hosts suspected, each time counted. No fault by itself: a suspicion that ends is what suspicion is for.
    pub suspicions: usize,
    /// Hosts declared failed.
    pub declarations: usize,
    /// Changes of any agent's role. A cluster without an election has none.
    pub elections: usize,
    /// Restarts that a master ordered.
    pub orders: usize,
    /// Instances that began, of any virtual machine.
    pub restarts: usize,
    /// Virtual machines of which two instances ran at the same time.
    pub double_runs: usize,
    /// Failed binds of virtual machines whose instances never overlapped.
    pub unclear_binds: usize,
    /// Protected virtual machines without a running instance at the end.
    pub lost: usize,
}

impl Quiet {
    /// Counts what happened from `began` to `ended`, and whatever the ledgers say after that.
    #[must_use]
    pub fn new(setup: &Setup, began: Instant, ended: Instant, finished: &Finished) -> Self {
        let count = |what: fn(&EventLine) -> bool| {
            finished.events.iter().filter(|event| event.at >= began && what(event)).count()
        };
        Self {
            profile: setup.profile.to_string(),
            hosts: setup.hosts,
            vms: setup.vms,
            held_ms: Millis(ended.since(began)),
            suspicions: count(|event| matches!(event.detail, Detail::Suspected { .. })),
            declarations: count(|event| matches!(event.detail, Detail::Judged { failed: true, .. })),
            elections: count(|event| matches!(event.detail, Detail::Role { .. })),
            orders: count(|event| event.code == "order-sent"),
            restarts: begun(finished, began),
            double_runs: finished.measured.double_runs,
            unclear_binds: finished.measured.unclear_binds,
            lost: finished.measured.lost,
        }
    }

    /// Whether it was as quiet as it should be.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        let Self { declarations, elections, orders, restarts, double_runs, lost, .. } = self;
        *declarations + *elections + *orders + *restarts + *double_runs + *lost == 0
    }

    /// The counts as one JSON object on one line.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The counts as sentences.
    #[must_use]
    pub fn text(&self) -> String {
        let Self {
            held_ms, suspicions, declarations, elections, orders, restarts, double_runs, lost, ..
        } = self;
        format!(
            "Held for {held_ms} ms: {suspicions} suspicions, {declarations} declarations, {elections} changes of \
             role, {orders} restarts ordered, {restarts} restarts.\n{double_runs} ran twice at once, {lost} lost."
        )
    }
}
