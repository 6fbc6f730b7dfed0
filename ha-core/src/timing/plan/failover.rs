use core::time::Duration;

use super::{LocksDecide, TakeoverPlan, won_by};
use crate::timing::TimingConfig;

/// What follows the death of the master's host, until the first order to restart a virtual machine.
///
/// Bounds count from its last network heartbeat (those by a broken stream, which are the earliest, from the
/// break). *Expected* is what happens when every survivor answers the election, the dead hosts' locks are free in
/// time and storage answers at once; the *maxima* hold when each survivor hears each other and storage answers
/// within its timeout. Repeated elections add their windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailoverPlan {
    /// Nobody is elected sooner.
    pub elected_min: Duration,
    /// When somebody should be elected (fdm-facts 7.2: T+25 s with every early end switched off).
    pub elected_expected: Duration,
    /// The first election has ended.
    pub elected_max: Duration,
    /// The dead master's protected list is locked by the new one. `None`: not before somebody confirms its end.
    pub list_locked_max: Option<Duration>,
    /// The same if the master's host lives on, and its agent hangs until the process watchdog ends it.
    pub list_locked_after_hang: Option<Duration>,
    /// No order is given sooner.
    pub ordered_min: Duration,
    /// When the first order should be given. `None` as above.
    pub ordered_expected: Option<Duration>,
    /// The first order has been given, if anything is to be restarted and has room somewhere. `None` as above.
    pub ordered_max: Option<Duration>,
}

impl FailoverPlan {
    /// The operations on storage from the lock to the right, one after the other: read the owner record, read all
    /// lists, write the merged list, write the owner record; and the lock itself.
    pub const LIST_OPERATIONS: u32 = 5;

    pub(super) fn of(config: &TimingConfig, takeover: &TakeoverPlan, decide: &LocksDecide) -> Self {
        let window = if config.early_end { Duration::ZERO } else { config.election_window };
        let noticed_min = decide.strong_min.unwrap_or(config.master_lost).min(config.master_lost);
        let elected_min = noticed_min.saturating_add(window);
        let elected_max = config.master_lost.saturating_add(config.election_window);
        // The lost master is excused after one period in which it answered no candidacy.
        let all_voted = config.master_lost.saturating_add(config.heartbeat_period);
        let elected_expected = if config.early_end { all_voted.min(elected_max) } else { elected_max };

        let locked = |elected_max: Duration, free: Duration| {
            let tried_by = takeover.tried_by?;
            let waits = !decide.by_lock_alone;
            let last = if waits { elected_max.max(tried_by) } else { elected_max };
            Some(won_by(config, (elected_min, last), free))
        };
        let list_locked_max = locked(elected_max, decide.lock_free);
        let operations = config.datastore_io_timeout.saturating_mul(Self::LIST_OPERATIONS);
        let ordered = |list_locked: Option<Duration>, operations: Duration| {
            Some(list_locked?.saturating_add(operations).max(takeover.tried_by?))
        };
        Self {
            elected_min,
            elected_expected,
            elected_max,
            list_locked_max,
            list_locked_after_hang: locked(elected_max, config.agent_watchdog),
            ordered_min: elected_min.max(decide.declared_min),
            ordered_expected: ordered(locked(elected_expected, Duration::ZERO), Duration::ZERO),
            ordered_max: ordered(list_locked_max, operations),
        }
    }
}
