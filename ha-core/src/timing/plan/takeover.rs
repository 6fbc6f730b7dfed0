use core::time::Duration;

use super::{LocksDecide, won_by};
use crate::Capability;
use crate::takeover::{LocksNotShared, Takeover, TakeoverCase};
use crate::timing::TimingConfig;

/// When the virtual machines of a host that fell silent are taken over, by a master that lives and reaches their
/// datastore.
///
/// It is the worst case: nothing is known of the host but its silence, and its own numbers cannot be read. A
/// cooperative proof of the stop ends the wait at once. Bounds count from the silent host's last network heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeoverPlan {
    /// What the rule of architecture 8 says of it.
    pub rule: Takeover,
    /// By then the virtual machines' locks are tried for the first time. `None`: not before somebody confirms the
    /// host's end.
    pub tried_by: Option<Duration>,
    /// By then they are won, if the host died with its last heartbeat or within a period of it. `None` as above.
    pub won_by: Option<Duration>,
}

impl TakeoverPlan {
    pub(super) fn of(
        config: &TimingConfig,
        capability: &Capability,
        decide: &LocksDecide,
    ) -> Result<Self, LocksNotShared> {
        let rule = Takeover::rule(&TakeoverCase {
            capability: *capability,
            owner: None,
            maxima: config.owner_maxima(),
            largest_read: None,
            proof: None,
            poll: config.datastore_poll,
            drift: config.lease.clock_drift,
        })?;
        let tried_by = match rule {
            Takeover::AtOnceByLock => Some(decide.declared_max),
            // The observer's first good read begins at the latest with the watch, and ends within its timeout.
            Takeover::AfterSilence(wait) => {
                let watched = config.suspicion_after.saturating_add(config.datastore_io_timeout);
                Some(watched.saturating_add(wait).max(decide.declared_max))
            }
            Takeover::OperatorOnly => None,
        };
        let won = |tried_by| won_by(config, (decide.declared_min, tried_by), decide.lock_free);
        Ok(Self { rule, tried_by, won_by: tried_by.map(won) })
    }
}
