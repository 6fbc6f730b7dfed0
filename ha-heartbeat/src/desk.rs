//! What every handler writes to: requests, events, counters.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use ha_core::operation::{LookAtLock, Ping};
use ha_core::{
    DatastoreId, FileKind, FileName, HostId, Limits, MachineId, Outbox, RequestId, StorageRequest,
    TimingPlan, TokenMint,
};

use crate::{Event, Output, Stats};

/// The two rounds that may run at once, and as many superseded ones whose answers are still on their way.
const OPEN_PINGS_PER_HOST: u32 = 12;

#[derive(Clone, Debug)]
struct OpenPings {
    hosts: BTreeMap<RequestId<Ping>, HostId>,
    per_host: BTreeMap<HostId, u32>,
}

/// The plan, the outbox, and every request that is not completed yet, also those that no longer matter.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) plan: TimingPlan,
    pub(crate) limits: Limits,
    pub(crate) outbox: Outbox<Output>,
    pub(crate) stats: Stats,
    mint: TokenMint,
    pings: OpenPings,
    looks: BTreeMap<RequestId<LookAtLock>, (HostId, DatastoreId)>,
    looked_at: BTreeSet<(HostId, DatastoreId)>,
}

impl Desk {
    pub(crate) fn new(machine: MachineId, plan: TimingPlan) -> Self {
        Self {
            plan,
            limits: Limits::DEFAULT,
            outbox: Outbox::new(),
            stats: Stats::default(),
            mint: TokenMint::new(machine),
            pings: OpenPings { hosts: BTreeMap::new(), per_host: BTreeMap::new() },
            looks: BTreeMap::new(),
            looked_at: BTreeSet::new(),
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outbox.push(Output::Event(event));
    }

    /// Whether another ping round to `host` keeps the number of open requests within bounds.
    pub(crate) fn may_ping(&self, host: HostId) -> bool {
        let open = self.pings.per_host.get(&host).copied().unwrap_or(0);
        let total = u64::from(self.limits.hosts) * u64::from(OPEN_PINGS_PER_HOST);
        open < OPEN_PINGS_PER_HOST && u64::try_from(self.pings.hosts.len()).is_ok_and(|open| open < total)
    }

    pub(crate) fn ping(&mut self, host: HostId, timeout: Duration) -> RequestId<Ping> {
        let (token, id) = self.mint.issue();
        self.pings.hosts.insert(id, host);
        let open = self.pings.per_host.entry(host).or_insert(0);
        *open = open.saturating_add(1);
        self.outbox.push(Output::Ping { token, host, timeout });
        id
    }

    pub(crate) fn knows_ping(&self, id: RequestId<Ping>) -> bool {
        self.pings.hosts.contains_key(&id)
    }

    pub(crate) fn close_ping(&mut self, id: RequestId<Ping>) -> Option<HostId> {
        let host = self.pings.hosts.remove(&id)?;
        if let Some(open) = self.pings.per_host.get_mut(&host) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.pings.per_host.remove(&host);
            }
        }
        Some(host)
    }

    /// Asks for a look at the lock of a heartbeat file, unless an earlier look there has not come back.
    pub(crate) fn look(&mut self, host: HostId, datastore: DatastoreId) {
        if !self.looked_at.insert((host, datastore)) {
            return;
        }
        let (token, id) = self.mint.issue();
        self.looks.insert(id, (host, datastore));
        let file = FileName::new(datastore, FileKind::Heartbeat(host));
        self.outbox.push(Output::Storage(StorageRequest::LookAtLock { token, file }));
    }

    pub(crate) fn knows_look(&self, id: RequestId<LookAtLock>) -> bool {
        self.looks.contains_key(&id)
    }

    pub(crate) fn close_look(&mut self, id: RequestId<LookAtLock>) -> Option<(HostId, DatastoreId)> {
        let looked = self.looks.remove(&id)?;
        self.looked_at.remove(&looked);
        Some(looked)
    }
}
