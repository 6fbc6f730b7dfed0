use core::time::Duration;

use crate::noise::Noise;
use ha_core::{BootId, Capability, HostId, TimingConfig};

/// What a world is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Hosts, numbered from 1.
    pub hosts: u32,
    /// Every random choice follows from this.
    pub seed: u64,
    /// The agents' spans of time.
    pub timing: TimingConfig,
    /// Of a thousand datagrams, how many are lost.
    pub loss_per_mille: u16,
    /// Of a thousand datagrams that are not lost, how many arrive twice.
    pub duplicate_per_mille: u16,
    /// Of a thousand datagrams, how many travel for longer, up to `tail`.
    pub tail_per_mille: u16,
    /// The longest travel of those.
    pub tail: Duration,
    /// How long a datagram or a stream's bytes travel at least.
    pub delay: Duration,
    /// How much longer they may travel.
    pub jitter: Duration,
    /// What is declared of the datastore.
    pub capability: Capability,
    /// Whether all hosts have one boot id, as agents on one kernel do.
    pub one_kernel: bool,
    /// Whether the locks of virtual machines bind. `false` shows that the check of *never twice* can fail.
    pub locks_bind: bool,
}

impl Options {
    /// A quiet world: no loss, a tenth of a millisecond of delay.
    #[must_use]
    pub const fn quiet(hosts: u32, seed: u64, timing: TimingConfig) -> Self {
        Self {
            hosts,
            seed,
            timing,
            loss_per_mille: 0,
            duplicate_per_mille: 0,
            tail_per_mille: 0,
            tail: Duration::ZERO,
            delay: Duration::from_micros(100),
            jitter: Duration::from_micros(50),
            capability: Capability::SAME_KERNEL,
            one_kernel: true,
            locks_bind: true,
        }
    }

    /// What every link does to datagrams.
    #[must_use]
    pub fn noise(&self) -> Noise {
        Noise {
            loss_per_mille: self.loss_per_mille,
            duplicate_per_mille: self.duplicate_per_mille,
            tail_per_mille: self.tail_per_mille,
            tail: self.tail,
            ..Noise::calm(self.delay, self.jitter)
        }
    }

    /// The boot id of a host: one for all on one kernel, else each its own.
    #[must_use]
    pub fn boot(&self, host: HostId) -> BootId {
        let mut bytes = [0xB0; 16];
        if !self.one_kernel {
            bytes[12..].copy_from_slice(&host.number().to_be_bytes());
        }
        BootId::from_bytes(bytes)
    }
}
