mod admit;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use ha_core::{
    BootId, Capability, DatastoreId, Deadline, Evidence, HostId, HostState, Incarnation, Instant, Machine,
    MachineId, MonotonicNow, Verdict,
};

use crate::desk::Desk;
use crate::host::Host;
use crate::{Config, Input, Output, Rejected, Stats};

/// The only judge of hosts: takes in every sign of life and of death, and says what each host is.
///
/// See the [crate's documentation](crate) for the rules it judges by.
#[derive(Debug)]
pub struct HostMonitor {
    machine: MachineId,
    clock: MonotonicNow,
    hosts: BTreeMap<HostId, Host>,
    /// Every host that waits for time, by its deadline.
    deadlines: BTreeSet<(Deadline, HostId)>,
    desk: Desk,
}

impl HostMonitor {
    /// A monitor that watches nobody yet.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            machine: config.machine,
            clock: MonotonicNow::new(now),
            hosts: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            desk: Desk::new(config.machine, config.plan),
        }
    }

    /// What the host is, by the last verdict; `None` if it is not watched.
    #[must_use]
    pub fn state(&self, host: HostId) -> Option<HostState> {
        self.verdict(host).map(|verdict| verdict.state)
    }

    /// The last verdict, as it was reached then; `None` if the host is not watched.
    ///
    /// A host that was never heard is `Unknown` without reasons.
    #[must_use]
    pub fn verdict(&self, host: HostId) -> Option<&Verdict> {
        self.hosts.get(&host).map(Host::verdict)
    }

    /// When the suspicion began under which the host is now; `None` if it is under none.
    #[must_use]
    pub fn suspected(&self, host: HostId) -> Option<Instant> {
        self.hosts.get(&host).and_then(Host::suspected)
    }

    /// The last known life of the host, which a confirmation of its end must name.
    #[must_use]
    pub fn life(&self, host: HostId) -> Option<(BootId, Incarnation)> {
        self.hosts.get(&host).and_then(Host::life)
    }

    /// Every watched host with its last verdict, by number.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.hosts.values().map(Host::verdict)
    }

    /// What the monitor has counted.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.desk.stats
    }

    /// How often the embedder's clock went back.
    #[must_use]
    pub const fn clock_regressions(&self) -> u64 {
        self.clock.regressions()
    }

    fn watch(
        &mut self,
        now: Instant,
        id: HostId,
        datastores: &[(DatastoreId, Capability)],
        heard: Option<Instant>,
    ) {
        let mut merged: BTreeMap<DatastoreId, Capability> = BTreeMap::new();
        for &(datastore, capability) in datastores {
            merged
                .entry(datastore)
                .and_modify(|known| *known = Capability::weakest([*known, capability]))
                .or_insert(capability);
        }
        let desk = &self.desk;
        self.hosts.entry(id).or_insert_with(|| Host::new(now, id, heard, desk));
        self.with(id, |host, desk| host.set_datastores(now, merged, desk));
    }

    fn unwatch(&mut self, id: HostId) {
        if let Some(host) = self.hosts.remove(&id) {
            host.leave(&mut self.desk);
            if let Some(filed) = host.filed {
                self.deadlines.remove(&(filed, id));
            }
        }
    }

    /// Lets `act` change one host, and files the host under its next deadline.
    fn with(&mut self, id: HostId, act: impl FnOnce(&mut Host, &mut Desk)) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        act(host, &mut self.desk);
        let due = host.due(&self.desk);
        if due != host.filed {
            if let Some(filed) = host.filed {
                self.deadlines.remove(&(filed, id));
            }
            self.deadlines.extend(due.map(|deadline| (deadline, id)));
            host.filed = due;
        }
    }

    /// Takes in the time. A monitor that was itself stopped past a deadline, for more than a heartbeat period,
    /// has missed what happened meanwhile: it widens every judgement by as much, so that what is waiting to be
    /// heard is heard before anybody is judged.
    fn arrive(&mut self, now: Instant) -> Instant {
        let before = self.clock.latest();
        let now = self.clock.advance(now);
        let Some(&(due, _)) = self.deadlines.first() else { return now };
        // A deadline may lie in the past because an input put it there; lateness begins with the call after.
        let lateness = now.since(due.at.max(before));
        self.desk.stats.late_max = self.desk.stats.late_max.max(lateness);
        if lateness > self.desk.plan.config.heartbeat_period {
            self.desk.stats.widened.count();
            let all: Vec<HostId> = self.hosts.keys().copied().collect();
            for id in all {
                self.with(id, |host, desk| host.widen(now, lateness, desk));
            }
        }
        now
    }
}

impl Machine for HostMonitor {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        self.admit(&input)?;
        let now = self.arrive(now);
        match input {
            Input::Watch { host, datastores, heard } => self.watch(now, host, &datastores, heard),
            Input::Unwatch { host } => self.unwatch(host),
            Input::Heard { host, boot, incarnation } => {
                self.with(host, |host, desk| host.heard(now, boot, incarnation, desk));
            }
            Input::StreamOpened { host } => self.with(host, |host, _| host.stream_opened()),
            Input::StreamBroken { host } => self.with(host, |host, desk| host.stream_broke(now, desk)),
            Input::Datastore(evidence) => {
                self.with(evidence.host, |host, desk| host.evidence(now, evidence, desk));
            }
            Input::Pinged(done) => {
                let (id, outcome) = (done.id(), *done.outcome());
                match self.desk.close_ping(id).filter(|host| self.hosts.contains_key(host)) {
                    Some(host) => self.with(host, |host, desk| host.pinged(now, id, outcome, desk)),
                    None => self.desk.stats.superseded.count(),
                }
            }
            Input::Looked(done) => {
                let looked = self.desk.close_look(done.id());
                let outcome = *done.outcome();
                match looked.filter(|(host, _)| self.hosts.contains_key(host)) {
                    Some((host, datastore)) => {
                        self.with(host, |host, desk| host.looked(now, datastore, outcome, desk));
                    }
                    None => self.desk.stats.superseded.count(),
                }
            }
            Input::CleanShutdown { host } => {
                self.with(host, |host, desk| host.ended(now, Evidence::CleanShutdown, desk));
            }
            Input::Confirmed { host, .. } => {
                self.with(host, |host, desk| host.ended(now, Evidence::Confirmed, desk));
            }
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.arrive(now);
        let due = self.deadlines.iter().take_while(|(deadline, _)| deadline.at <= now);
        let due: Vec<HostId> = due.map(|(_, host)| *host).collect();
        for host in due {
            self.with(host, |host, desk| host.tick(now, desk));
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.desk.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let own = self.deadlines.first().map(|(deadline, _)| *deadline);
        self.desk.outbox.deadline(self.clock.latest(), own)
    }
}
