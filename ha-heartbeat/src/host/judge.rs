//! The verdict: what the evidence adds up to, and the words for it.

use alloc::vec::Vec;

use ha_core::evidence::PingEvidence;
use ha_core::{Deadline, Evidence, HostState, Instant, Strength, TimingPlan, Verdict};

use super::Host;
use super::file::Standing;
use crate::desk::Desk;
use crate::{Event, SuspicionReason};

impl Host {
    /// Whether the host's end rests on proof. Such a verdict waits for no clock and needs no more pings.
    pub(super) fn is_proven(&self) -> bool {
        self.verdict.state == HostState::Failed && self.verdict.strength == Strength::Strong
    }

    /// Judges what is known at `now`, and says so if it is news.
    pub(super) fn judge(&mut self, now: Instant, desk: &mut Desk) {
        self.judged_at = now;
        if self.is_proven() {
            return;
        }
        if let Some((state, strength)) = self.find(now, desk) {
            self.pronounce(now, state, strength, None, desk);
        }
        self.hand_over_if_due(now, desk);
    }

    /// The decision table of fdm-facts 6.1, with architecture 6. `None`: nothing can be said yet, so the verdict
    /// stays what it is.
    fn find(&self, now: Instant, desk: &Desk) -> Option<(HostState, Strength)> {
        let plan = &desk.plan;
        let suspected = self.suspicion?.counts_from;
        if self.locks_are_free(now, desk) {
            return Some((HostState::Failed, Strength::Strong));
        }
        let silence = now.since(self.silent_since);
        if silence < plan.declared_weak_without {
            return None;
        }
        if self.any_file_moves(now, suspected, plan) {
            return Some((self.alive_but_silent(now, suspected, plan), Strength::Weak));
        }
        let still = || {
            let long_enough = silence >= plan.declared_weak_with_datastores;
            self.files.is_empty() || long_enough && self.all_files_still(now, suspected, plan)
        };
        let state = match self.weak.result() {
            Some(PingEvidence::Answered { .. }) => HostState::AgentDown,
            Some(PingEvidence::Unanswered { .. }) if still() => HostState::Failed,
            // Blindness is no sign of life: it takes no `Failed` back.
            Some(PingEvidence::Unanswered { .. }) | None => {
                let undecided = self.was_pinged() && now >= self.undecided_from(suspected, plan);
                return (undecided && self.verdict.state != HostState::Failed)
                    .then_some((HostState::Unknown, Strength::Weak));
            }
        };
        Some((state, Strength::Weak))
    }

    /// Takes a proven end back if a heartbeat file moves on. A change found by the first read after the
    /// verdict may be an older write; one found later cannot.
    pub(super) fn withdraw_if_contradicted(&mut self, now: Instant, desk: &mut Desk) {
        let config = &desk.plan.config;
        let settled = self.verdict.at.after(config.datastore_poll).after(config.datastore_io_timeout);
        if !self.files.values().any(|file| file.last_change().is_some_and(|change| change > settled)) {
            return;
        }
        let suspected = self.suspicion.map_or(settled, |suspicion| suspicion.counts_from);
        let state = self.alive_but_silent(now, suspected, &desk.plan);
        self.files.values_mut().for_each(super::HeartbeatFile::forget_lock);
        self.suspect(now, SuspicionReason::StillMoves, desk);
        self.pronounce(now, state, Strength::Weak, None, desk);
        self.ping_by_silence(desk);
    }

    /// The next moment at which time alone can change the verdict of a suspected host.
    pub(super) fn next_judgement(&self, plan: &TimingPlan) -> Option<Deadline> {
        let suspicion = self.suspicion?;
        let suspected = suspicion.counts_from;
        let handed_over = suspected.after(plan.lock_decides_after);
        let moments = [
            Some((self.silent_since.after(plan.declared_weak_without), "verdict without datastores")),
            Some((self.silent_since.after(plan.declared_weak_with_datastores), "verdict with datastores")),
            Some((self.undecided_from(suspected, plan), "verdict is overdue")),
            (!suspicion.handed_over).then_some((handed_over, "locks decide")),
        ];
        let files =
            self.files.values().map(|file| (file.tells_by(suspected, plan), "heartbeat file is still"));
        let all = moments.into_iter().flatten().chain(files);
        all.filter(|(at, _)| *at > self.judged_at).map(|(at, reason)| Deadline::new(at, reason)).min()
    }

    /// Makes a verdict known, if it differs from the last one.
    pub(super) fn pronounce(
        &mut self,
        now: Instant,
        state: HostState,
        strength: Strength,
        proof: Option<Evidence>,
        desk: &mut Desk,
    ) {
        // The first verdict of a host that was never heard has no reasons; one that has some is news.
        let same = self.verdict.state == state && self.verdict.strength == strength;
        // So is a proof that was not among them: takeover below F3 asks for it.
        let proven_anew = proof.is_some_and(|proof| !self.verdict.evidence.contains(&proof));
        if same && !proven_anew && !self.verdict.evidence.is_empty() {
            return;
        }
        let evidence = self.reasons(now, state, strength, proof, &desk.plan);
        let suspected = self.suspected();
        self.verdict = Verdict { host: self.id, state, strength, at: now, suspected, evidence };
        if self.is_proven() {
            self.weak.restart(None);
            if let Some(strong) = &mut self.strong {
                strong.restart(None);
            }
        }
        desk.event(Event::Judged(self.verdict.clone()));
    }

    fn reasons(
        &self,
        now: Instant,
        state: HostState,
        strength: Strength,
        proof: Option<Evidence>,
        plan: &TimingPlan,
    ) -> Vec<Evidence> {
        let age = now.since(self.silent_since);
        if state == HostState::Running {
            return [Evidence::HeartbeatHeard { age }].into();
        }
        let mut reasons = Vec::from([Evidence::HeartbeatSilent { age }]);
        reasons.extend(self.stream_broken.map(|at| Evidence::StreamBroken { age: now.since(at) }));
        if proof.is_some() {
            reasons.extend(proof);
            return reasons;
        }
        let strong_pings = self.strong.as_ref().and_then(super::Pinger::result);
        let locks = || self.files.iter().filter_map(|(datastore, file)| file.lock_reason(*datastore, now));
        match strength {
            Strength::Strong => {
                reasons.extend(strong_pings.map(|pings| ping_reason(pings, now)));
                reasons.extend(locks());
            }
            Strength::Weak => {
                let pings = self.weak.result().or(strong_pings);
                reasons.extend(pings.map(|pings| ping_reason(pings, now)));
                let suspected = self.suspicion.map_or(now, |suspicion| suspicion.counts_from);
                let files = self.files.iter();
                reasons.extend(files.map(|(datastore, file)| file.reason(*datastore, now, suspected, plan)));
                reasons.extend(locks());
                reasons.extend((state == HostState::Isolated).then_some(Evidence::SaysIsolated));
            }
        }
        reasons
    }

    /// After the plan's bound nobody waits for this monitor any longer: locks decide where they may, else the
    /// operator (architecture 6). The verdict stays what it is.
    fn hand_over_if_due(&mut self, now: Instant, desk: &mut Desk) {
        let open = match self.verdict.state {
            HostState::AgentDown | HostState::Unknown => true,
            HostState::Running | HostState::Isolated | HostState::Partitioned | HostState::Failed => false,
        };
        let pinged = self.was_pinged();
        let Some(suspicion) = self.suspicion.as_mut().filter(|suspicion| open && !suspicion.handed_over)
        else {
            return;
        };
        if !pinged || now < suspicion.counts_from.after(desk.plan.lock_decides_after) {
            return;
        }
        suspicion.handed_over = true;
        let by_plan = desk.plan.capability.rating.fences();
        let none = self.files.is_empty();
        if none && by_plan || self.files.values().any(super::HeartbeatFile::fences) {
            desk.event(Event::LockDecides { host: self.id });
        }
        if none && !by_plan || self.files.values().any(|file| !file.fences()) {
            desk.event(Event::OperatorDecides { host: self.id });
        }
    }

    /// Whether a ping round has shown something, or none will. A first round that still runs, also after the
    /// judge itself was stopped, is worth waiting for; one that never completes is not.
    fn was_pinged(&self) -> bool {
        self.weak.result().is_some() || self.weak.is_fruitless()
    }

    fn any_file_moves(&self, now: Instant, suspected: Instant, plan: &TimingPlan) -> bool {
        self.files.values().any(|file| file.standing(now, suspected, plan) == Standing::Moves)
    }

    /// Isolated if a file that moves says so, else partitioned.
    fn alive_but_silent(&self, now: Instant, suspected: Instant, plan: &TimingPlan) -> HostState {
        let says_isolated = |file: &super::HeartbeatFile| {
            file.says_isolated() && file.standing(now, suspected, plan) == Standing::Moves
        };
        if self.files.values().any(says_isolated) { HostState::Isolated } else { HostState::Partitioned }
    }

    /// Dead only if all configured files stand still, and at least one of them proves something.
    fn all_files_still(&self, now: Instant, suspected: Instant, plan: &TimingPlan) -> bool {
        let mut proven = false;
        let all = self.files.values().all(|file| match file.standing(now, suspected, plan) {
            Standing::Still { .. } => {
                proven = true;
                true
            }
            Standing::NeverWritten => true,
            Standing::Moves | Standing::Blind => false,
        });
        all && proven
    }

    /// From here on evidence that would decide is overdue: one more poll and its I/O timeout are granted.
    fn undecided_from(&self, suspected: Instant, plan: &TimingPlan) -> Instant {
        let grace = plan.config.datastore_poll + plan.config.datastore_io_timeout;
        let files = self.files.values().map(|file| file.tells_by(suspected, plan).after(grace));
        files.fold(self.silent_since.after(plan.declared_max), Instant::max)
    }
}

const fn ping_reason(pings: PingEvidence, now: Instant) -> Evidence {
    match pings {
        PingEvidence::Answered { at } => Evidence::PingAnswered { age: now.since(at) },
        PingEvidence::Unanswered { began, pings, .. } => {
            Evidence::PingsUnanswered { pings, age: now.since(began) }
        }
    }
}
