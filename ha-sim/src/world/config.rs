//! What every agent of a world is configured with.

use alloc::format;
use core::num::NonZeroU16;

use ha_agent::{AgentConfig, DatastoreEntry, HostEntry};
use ha_core::wire::{Key, KeyRing, Security};
use ha_core::{Acknowledged, HostId, Identity, Incarnation, Limits};

use super::{CLUSTER, DATASTORE};
use crate::Options;

pub(super) const fn limits() -> Limits {
    Limits { vms_per_list: 64, vms_per_host: 32, ..Limits::DEFAULT }
}

pub(super) fn config(options: &Options, host: HostId) -> AgentConfig {
    let entry = |number: u32| HostEntry {
        host: HostId::new(number),
        moid: format!("host-{number}").parse().unwrap_or_else(|_| unreachable!("the text is well formed")),
    };
    let key = KeyRing::new(NonZeroU16::MIN, Key::from_bytes([7; 16]));
    AgentConfig {
        identity: Identity {
            cluster: CLUSTER,
            host,
            boot: options.boot(host),
            incarnation: Incarnation::new(1),
        },
        acknowledged: Acknowledged::NONE,
        hosts: (1..=options.hosts).map(entry).collect(),
        datastores: alloc::vec![DatastoreEntry {
            datastore: DATASTORE,
            capability: options.capability,
            heartbeat: true,
        }],
        isolation_addresses: 1,
        node_goodness: None,
        timing: options.timing,
        security: Security::Keyed(key),
        limits: limits(),
        seed: options.seed ^ u64::from(host.number()),
    }
}
