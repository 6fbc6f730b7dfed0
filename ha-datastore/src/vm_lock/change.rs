use core::time::Duration;

use ha_core::record::Sealed;
use ha_core::{FileIdentity, HostId, Identity, VmEpoch};

use super::examine::Unfit;
use crate::format::{HomeSum, VmLockRecord, VmLockState};

/// A change of what the record says of an instance, at its own epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was stopped on purpose, and its end was seen: only a person starts it again. The lock is won again.
    CleanOff,
    /// A live migration begins while it runs. The lock is shared with it.
    HandOver {
        /// To this host.
        target: HostId,
        /// For how long nobody else starts it after its end.
        within: Duration,
    },
    /// The live migration was called off while it runs. The lock is shared with it.
    TakeBack,
    /// A person has moved or renamed the folder by hand, or restored it or its lock file from a copy, while the
    /// machine was off, and says that no other folder or lock file of it is left in use: the record names this home
    /// and this file from now on. Nothing else in it changes. Said of a *copy*, with the first folder still there,
    /// it lets the machine be started at both; no record can tell that.
    Adopt,
}

/// Why the record was left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedChange {
    /// The lock or its file cannot be relied upon.
    Unfit(Unfit),
    /// The record is of another epoch.
    EpochMismatch {
        /// The recorded epoch.
        found: VmEpoch,
    },
    /// The record says something else of this instance, or another host or boot says it.
    Differs {
        /// What it says.
        found: VmLockState,
    },
    /// A host cannot hand a machine over to itself.
    ToItself,
}

impl Change {
    /// Whether the lock is shared with the running machine, instead of won after its end.
    pub(super) const fn is_shared(&self) -> bool {
        match self {
            Self::CleanOff | Self::Adopt => false,
            Self::HandOver { .. } | Self::TakeBack => true,
        }
    }

    /// The record to write, or `None` if it stands there already.
    pub(super) fn apply(
        &self,
        me: &Identity,
        epoch: VmEpoch,
        found: &Sealed<VmLockRecord>,
        home: HomeSum,
        file: Option<FileIdentity>,
    ) -> Result<Option<VmLockRecord>, RefusedChange> {
        let now = |state| Ok(Some(VmLockRecord { state, home, file, ..found.content }));
        let state = found.content.state;
        let differs = Err(RefusedChange::Differs { found: state });
        if found.content.epoch != epoch {
            return Err(RefusedChange::EpochMismatch { found: found.content.epoch });
        }
        // An older life on this boot may have started it; of another boot nothing runs here any more.
        let is_ours = found.writer.host == me.host && found.writer.boot == me.boot;
        let runs_here = match state {
            VmLockState::Running { host, incarnation } => {
                is_ours && host == me.host && incarnation <= me.incarnation
            }
            VmLockState::Free
            | VmLockState::HandingOver { .. }
            | VmLockState::Moved { .. }
            | VmLockState::CleanlyOff => false,
        };
        match *self {
            Self::CleanOff => match state {
                VmLockState::Running { .. } if runs_here => now(VmLockState::CleanlyOff),
                VmLockState::CleanlyOff => Ok(None),
                VmLockState::Running { .. }
                | VmLockState::Free
                | VmLockState::HandingOver { .. }
                | VmLockState::Moved { .. } => differs,
            },
            Self::HandOver { target, .. } if target == me.host => Err(RefusedChange::ToItself),
            Self::HandOver { target, within } => {
                if runs_here {
                    now(VmLockState::HandingOver { target, within })
                } else {
                    differs
                }
            }
            Self::TakeBack => match state {
                VmLockState::Running { .. } if runs_here => Ok(None),
                VmLockState::HandingOver { .. } if is_ours => {
                    now(VmLockState::Running { host: me.host, incarnation: me.incarnation })
                }
                VmLockState::Running { .. }
                | VmLockState::HandingOver { .. }
                | VmLockState::Free
                | VmLockState::Moved { .. }
                | VmLockState::CleanlyOff => differs,
            },
            Self::Adopt => match state {
                VmLockState::Free | VmLockState::CleanlyOff => {
                    let is_so = (found.content.home, found.content.file) == (home, file);
                    if is_so { Ok(None) } else { now(state) }
                }
                VmLockState::Running { .. } | VmLockState::HandingOver { .. } | VmLockState::Moved { .. } => {
                    differs
                }
            },
        }
    }
}
