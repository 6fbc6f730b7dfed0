//! One watched host: what is known of it, what is due for it, what follows.

mod file;
mod judge;
mod life;
mod strong;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use ha_core::evidence::PingEvidence;
use ha_core::operation::{LookOutcome, Ping, PingOutcome};
use ha_core::{
    BootId, Capability, DatastoreEvidence, DatastoreId, Deadline, Evidence, HostId, HostState, Incarnation,
    Instant, RequestId, Strength, Verdict,
};

use crate::desk::Desk;
use crate::pinger::Pinger;
use crate::{Event, Output, SuspicionReason};

use file::HeartbeatFile;

/// Everything known of one watched host.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    id: HostId,
    life: Option<(BootId, Incarnation)>,
    /// The last heartbeat, or the begin of the watch; moved on by the judge's own lateness.
    silent_since: Instant,
    stream_broken: Option<Instant>,
    suspicion: Option<Suspicion>,
    files: BTreeMap<DatastoreId, HeartbeatFile>,
    /// Pings for strong evidence; `None` where no strong evidence can be had.
    strong: Option<Pinger>,
    /// Pings for the verdict by time.
    weak: Pinger,
    first_look: Option<Instant>,
    verdict: Verdict,
    /// Every moment up to this one that could change the verdict has been judged.
    judged_at: Instant,
    /// The deadline under which the monitor has filed this host.
    pub(crate) filed: Option<Deadline>,
}

#[derive(Clone, Copy, Debug)]
struct Suspicion {
    /// As it is reported.
    since: Instant,
    /// As it is computed with: moved on by the judge's own lateness.
    counts_from: Instant,
    /// Whether the decision was left to locks or operator already.
    handed_over: bool,
}

impl Host {
    /// A host to judge from `now` on, silent since it was `heard`, else since now.
    pub(crate) fn new(now: Instant, id: HostId, heard: Option<Instant>, desk: &Desk) -> Self {
        let known = heard.map(|at| at.min(now));
        let state = if known.is_some() { HostState::Running } else { HostState::Unknown };
        let evidence = known.map(|at| Evidence::HeartbeatHeard { age: now.since(at) });
        let mut host = Self {
            id,
            life: None,
            silent_since: known.unwrap_or(now),
            stream_broken: None,
            suspicion: None,
            files: BTreeMap::new(),
            strong: None,
            weak: Pinger::spread_over(desk.plan.config.ping_window),
            first_look: None,
            verdict: Verdict {
                host: id,
                state,
                strength: Strength::Weak,
                at: now,
                suspected: None,
                evidence: evidence.into_iter().collect(),
            },
            judged_at: now,
            filed: None,
        };
        host.ping_by_silence(desk);
        host
    }

    pub(crate) const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    pub(crate) const fn life(&self) -> Option<(BootId, Incarnation)> {
        self.life
    }

    pub(crate) fn suspected(&self) -> Option<Instant> {
        self.suspicion.map(|suspicion| suspicion.since)
    }

    /// Replaces the datastores that carry the host's heartbeat files; what is known of those that stay is kept.
    pub(crate) fn set_datastores(
        &mut self,
        now: Instant,
        datastores: BTreeMap<DatastoreId, Capability>,
        desk: &mut Desk,
    ) {
        let before: Vec<DatastoreId> = self.files.keys().copied().collect();
        self.files.retain(|datastore, _| datastores.contains_key(datastore));
        for (datastore, capability) in datastores {
            let file = self.files.entry(datastore).or_insert_with(|| HeartbeatFile::new(capability, now));
            file.set_capability(capability);
        }
        self.set_strong(desk);
        if self.suspicion.is_some() && !before.iter().eq(self.files.keys()) {
            if self.files.is_empty() {
                desk.outbox.push(Output::UnwatchDatastores { host: self.id });
            } else {
                self.watch_files(desk);
            }
        }
    }

    /// Tells the embedder that this host is watched no longer.
    pub(crate) fn leave(&self, desk: &mut Desk) {
        if self.suspicion.is_some() && !self.files.is_empty() {
            desk.outbox.push(Output::UnwatchDatastores { host: self.id });
        }
    }

    /// One more look at a heartbeat file.
    pub(crate) fn evidence(&mut self, now: Instant, evidence: DatastoreEvidence, desk: &mut Desk) {
        let Some(file) = self.files.get_mut(&evidence.datastore) else {
            desk.stats.foreign_evidence.count();
            return;
        };
        file.seen_content(evidence);
        if let Some((boot, incarnation)) = evidence.boot.zip(evidence.incarnation) {
            self.life_on_disk(now, boot, incarnation, desk);
        }
        if self.is_proven() {
            self.withdraw_if_contradicted(now, desk);
        } else {
            self.judge(now, desk);
        }
    }

    /// The end of one ping, if it still matters.
    pub(crate) fn pinged(
        &mut self,
        now: Instant,
        id: RequestId<Ping>,
        outcome: PingOutcome,
        desk: &mut Desk,
    ) {
        let strong = self.strong.as_ref().is_some_and(|strong| strong.sent(id));
        if !strong && !self.weak.sent(id) {
            desk.stats.superseded.count();
            return;
        }
        if let Some(shown) = self.strong.as_mut().and_then(|strong| strong.completed(now, id, outcome)) {
            self.strong_round_showed(now, shown, desk);
        }
        if let Some(shown) = self.weak.completed(now, id, outcome) {
            self.weak_round_showed(shown, desk);
        }
        self.judge(now, desk);
    }

    /// What a look at the lock of a heartbeat file saw.
    pub(crate) fn looked(
        &mut self,
        now: Instant,
        datastore: DatastoreId,
        outcome: LookOutcome,
        desk: &mut Desk,
    ) {
        let asked = self.suspicion.is_some() && !self.is_proven();
        let Some(file) = self.files.get_mut(&datastore).filter(|_| asked) else {
            desk.stats.superseded.count();
            return;
        };
        file.seen_lock(outcome);
        self.judge(now, desk);
    }

    /// Does everything that is due.
    pub(crate) fn tick(&mut self, now: Instant, desk: &mut Desk) {
        if self.is_proven() {
            return;
        }
        if self.suspicion.is_none() && now.since(self.silent_since) >= desk.plan.suspected_max {
            self.suspect(now, SuspicionReason::Silence, desk);
        }
        // A round that is over may make room for the next at once; that one cannot be over before it is answered.
        while let Some(shown) = self.strong.as_mut().and_then(|strong| strong.tick(now, self.id, desk)) {
            self.strong_round_showed(now, shown, desk);
        }
        while let Some(shown) = self.weak.tick(now, self.id, desk) {
            self.weak_round_showed(shown, desk);
        }
        self.judge(now, desk);
    }

    /// The judge itself was stopped for `lateness`: whatever it holds from before proves nothing by time alone.
    pub(crate) fn widen(&mut self, now: Instant, lateness: Duration, desk: &Desk) {
        if self.is_proven() {
            return;
        }
        self.silent_since = self.silent_since.after(lateness).min(now);
        if let Some(suspicion) = &mut self.suspicion {
            suspicion.counts_from = suspicion.counts_from.after(lateness).min(now);
        }
        for file in self.files.values_mut() {
            file.widen(now, lateness);
        }
        let suspected = self.suspicion.is_some();
        self.ping_by_silence(desk);
        if let Some(strong) = self.strong.as_mut().filter(|_| suspected) {
            strong.again_at(now);
        }
    }

    /// When this host needs a tick next. Nothing is ever due at the end of time.
    pub(crate) fn due(&self, desk: &Desk) -> Option<Deadline> {
        if self.is_proven() {
            return None;
        }
        let suspicion = match self.suspicion {
            None => Some(Deadline::new(self.silent_since.after(desk.plan.suspected_max), "suspicion")),
            Some(_) => self.next_judgement(&desk.plan),
        };
        let strong = self.strong.as_ref().and_then(|strong| strong.due(desk));
        Deadline::soonest([suspicion, strong, self.weak.due(desk)])
            .filter(|deadline| deadline.at < Instant::from_nanos(u64::MAX))
    }

    /// Starts suspicion, unless it has begun.
    fn suspect(&mut self, now: Instant, reason: SuspicionReason, desk: &mut Desk) {
        if self.suspicion.is_some() {
            return;
        }
        self.suspicion = Some(Suspicion { since: now, counts_from: now, handed_over: false });
        desk.event(Event::Suspected { host: self.id, at: now, reason });
        self.watch_files(desk);
        self.look_if_unanswered(now, desk);
    }

    fn watch_files(&self, desk: &mut Desk) {
        if !self.files.is_empty() {
            let datastores = self.files.keys().copied().collect();
            desk.outbox.push(Output::WatchDatastores { host: self.id, datastores });
        }
    }

    /// Forgets every ping and has the next ones sent when silence has lasted long enough.
    fn ping_by_silence(&mut self, desk: &Desk) {
        let config = &desk.plan.config;
        if let Some((strong, spans)) = self.strong.as_mut().zip(config.strong_evidence) {
            strong.restart(Some(self.silent_since.after(spans.ping_after_silence)));
        }
        self.weak.restart(Some(self.silent_since.after(config.host_timeout)));
    }

    fn weak_round_showed(&mut self, shown: PingEvidence, desk: &Desk) {
        let began = match shown {
            PingEvidence::Answered { at } => {
                if let Some(strong) = &mut self.strong {
                    strong.overrule(at);
                }
                at
            }
            PingEvidence::Unanswered { began, .. } => began,
        };
        self.weak.again_at(began.after(desk.plan.config.dead_ping_interval));
    }
}
