//! What the tests share: configurations, and [`Bench`], a cluster driven by hand.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

mod bench;
mod garble;
mod rogue;

use core::num::NonZeroU16;
use core::time::Duration;

use ha_agent::{AgentConfig, Command, DatastoreEntry, HostEntry};
use ha_core::wire::{Key, KeyRing, Security};
use ha_core::{
    Acknowledged, BootId, Capability, ClusterId, DatastoreId, HostId, Identity, Incarnation, Limits, Profile,
    Round, TimingConfig, VmId, VmUuid,
};

pub(crate) use bench::{Bench, Habit};
pub(crate) use garble::Garble;
pub(crate) use rogue::{Rogue, almost};

pub(crate) const CLUSTER: ClusterId = ClusterId::from_bytes([0xC1; 16]);
pub(crate) const BOOT: BootId = BootId::from_bytes([0xB0; 16]);
pub(crate) const DATASTORE: DatastoreId = DatastoreId::new(1);
pub(crate) const SWIFT: TimingConfig = TimingConfig::profile(Profile::Swift);
pub(crate) const MILLI: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) const fn host(number: u32) -> HostId {
    HostId::new(number)
}

pub(crate) const fn identity(number: u32) -> Identity {
    Identity { cluster: CLUSTER, host: host(number), boot: BOOT, incarnation: Incarnation::new(1) }
}

pub(crate) fn key(byte: u8) -> Security {
    Security::Keyed(KeyRing::new(NonZeroU16::MIN, Key::from_bytes([byte; 16])))
}

/// The configuration of one of `hosts` hosts on one kernel, with one datastore and one isolation address.
pub(crate) fn config(number: u32, hosts: u32) -> AgentConfig {
    let entry =
        |number: u32| HostEntry { host: host(number), moid: format!("host-{number}").parse().unwrap() };
    AgentConfig {
        identity: identity(number),
        acknowledged: Acknowledged::NONE,
        hosts: (1..=hosts).map(entry).collect(),
        datastores: vec![DatastoreEntry {
            datastore: DATASTORE,
            capability: Capability::SAME_KERNEL,
            heartbeat: true,
        }],
        isolation_addresses: 1,
        node_goodness: None,
        timing: SWIFT,
        security: key(7),
        limits: Limits { vms_per_list: 64, vms_per_host: 32, ..Limits::DEFAULT },
        seed: u64::from(number),
    }
}

pub(crate) fn vm(number: u8) -> VmId {
    let path = format!("vm-{number}/vm-{number}.vmx");
    VmId::new(VmUuid::from_bytes([number; 16]), DATASTORE, &path).unwrap()
}

pub(crate) const fn protect(vm: VmId) -> Command {
    Command::Protect { vm, version: 1, priority: 3, cpu_reservation_mhz: 0, memory_overhead_mb: 0 }
}
