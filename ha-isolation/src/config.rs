use core::time::Duration;

use ha_core::{MachineId, TimingConfig};

/// What an [`IsolationCheck`](crate::IsolationCheck) is made from. New options need a new machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsolationConfig {
    /// The machine's place in the agent, for its pings' completions.
    pub machine: MachineId,
    /// How many isolation addresses there are: the default gateway unless `das.usedefaultisolationaddress` is
    /// false, and each `das.isolationaddress[n]`. At most [`IsolationConfig::MAX_ADDRESSES`]. The machine names
    /// them 0, 1, 2, ...; the embedder knows which is which.
    pub addresses: u32,
    /// The spans of time; the check uses `heartbeat_period`, `master_lost`, `slave_isolated_after`,
    /// `master_isolated_after` and `isolation_policy_delay`.
    pub timing: TimingConfig,
}

/// A configuration that no check can be made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// More addresses than the options can name.
    #[error(
        "{found} isolation addresses are configured: at most {} are possible",
        IsolationConfig::MAX_ADDRESSES
    )]
    TooManyAddresses {
        /// How many were given.
        found: u32,
    },
    /// A span so short that the machine would ping without end.
    #[error("`{option}` is too short: at least 2 ns are needed")]
    SpanTooShort {
        /// The name of the field in [`TimingConfig`].
        option: &'static str,
    },
}

impl IsolationConfig {
    /// The gateway and ten addresses of `das.isolationaddress` (fdm-facts 8.5, 8.6).
    pub const MAX_ADDRESSES: u32 = 11;

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.addresses > Self::MAX_ADDRESSES {
            return Err(ConfigError::TooManyAddresses { found: self.addresses });
        }
        for (span, option) in [
            (self.timing.heartbeat_period, "heartbeat_period"),
            (self.timing.master_isolated_after, "master_isolated_after"),
        ] {
            if span < Duration::from_nanos(2) {
                return Err(ConfigError::SpanTooShort { option });
            }
        }
        Ok(())
    }
}
