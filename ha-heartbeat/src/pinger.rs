//! Rounds of three pings.

use alloc::vec::Vec;
use core::time::Duration;

use ha_core::evidence::PingEvidence;
use ha_core::operation::{Ping, PingOutcome};
use ha_core::{Deadline, HostId, Instant, RequestId};

use crate::desk::Desk;

/// Architecture 5 asks for at least three pings in every round.
const PINGS: u32 = 3;

/// Runs one ping round after another against one host, as it is told, and keeps what the last one showed.
#[derive(Clone, Debug)]
pub(crate) struct Pinger {
    spacing: Duration,
    length: Duration,
    next: Option<Instant>,
    round: Option<Round>,
    result: Option<PingEvidence>,
    /// Whether a round was put off or given up since the last restart.
    fruitless: bool,
}

#[derive(Clone, Debug)]
struct Round {
    began: Instant,
    ends: Instant,
    next_ping: Instant,
    sent: u32,
    open: Vec<RequestId<Ping>>,
}

impl Pinger {
    /// Rounds of `length`, their pings `spacing` apart; both positive, `2 x spacing < length`.
    pub(crate) const fn new(spacing: Duration, length: Duration) -> Self {
        Self { spacing, length, next: None, round: None, result: None, fruitless: false }
    }

    /// Three pings spread evenly over `window`.
    pub(crate) fn spread_over(window: Duration) -> Self {
        Self::new((window / PINGS).max(Duration::from_nanos(1)), window)
    }

    /// What the last completed round showed; an answer in a later one counts as soon as it arrives.
    pub(crate) const fn result(&self) -> Option<PingEvidence> {
        self.result
    }

    /// Forgets what was found and drops the running round; the next begins at `at`, if ever.
    pub(crate) fn restart(&mut self, at: Option<Instant>) {
        self.next = at;
        self.round = None;
        self.result = None;
        self.fruitless = false;
    }

    /// Begins the next round at `at`, unless one runs then; keeps what was found.
    pub(crate) const fn again_at(&mut self, at: Instant) {
        self.next = Some(at);
    }

    /// Begins a round now, unless too many pings are open.
    pub(crate) fn begin(&mut self, now: Instant, host: HostId, desk: &mut Desk) {
        self.next = Some(now);
        self.begin_if_due(now, host, desk);
        if let Some(round) = &mut self.round {
            round.ping_if_due(now, self.spacing, host, desk);
        }
    }

    /// Whether the embedder keeps the pings from showing anything.
    pub(crate) const fn is_fruitless(&self) -> bool {
        self.fruitless
    }

    pub(crate) const fn is_idle(&self) -> bool {
        self.round.is_none()
    }

    /// Whether neither a round runs nor one is to come, so that somebody has to ask for the next.
    pub(crate) const fn is_spent(&self) -> bool {
        self.round.is_none() && self.next.is_none()
    }

    /// Another pinger of the same host was answered, which is newer than an unanswered round of this one.
    pub(crate) fn overrule(&mut self, at: Instant) {
        if self.result.is_some() {
            self.result = Some(PingEvidence::Answered { at });
        }
    }

    /// The embedder is given this long after a round's end to complete its pings.
    fn patience(desk: &Desk) -> Duration {
        desk.plan.config.dead_ping_interval
    }

    pub(crate) fn due(&self, desk: &Desk) -> Option<Deadline> {
        let Some(round) = &self.round else {
            return self.next.map(|at| Deadline::new(at, "ping round begins"));
        };
        Some(if round.sent < PINGS {
            Deadline::new(round.next_ping, "ping")
        } else if round.open.is_empty() {
            Deadline::new(round.ends, "ping round ends")
        } else {
            Deadline::new(round.ends.after(Self::patience(desk)), "pings never completed")
        })
    }

    /// Does what is due. Answers what a round showed if it ends now.
    pub(crate) fn tick(&mut self, now: Instant, host: HostId, desk: &mut Desk) -> Option<PingEvidence> {
        self.abandon_if_stuck(now, desk);
        self.begin_if_due(now, host, desk);
        if let Some(round) = &mut self.round {
            round.ping_if_due(now, self.spacing, host, desk);
        }
        self.conclude_if_over(now)
    }

    /// Takes in the end of one ping. `None` if it is none of the running round's, or if the round goes on.
    pub(crate) fn completed(
        &mut self,
        now: Instant,
        id: RequestId<Ping>,
        outcome: PingOutcome,
    ) -> Option<PingEvidence> {
        let round = self.round.as_mut().filter(|round| round.open.contains(&id))?;
        round.open.retain(|open| *open != id);
        match outcome {
            PingOutcome::Answered => {
                self.round = None;
                self.result = Some(PingEvidence::Answered { at: now });
                self.result
            }
            PingOutcome::Unanswered => self.conclude_if_over(now),
        }
    }

    /// Whether the running round sent this ping.
    pub(crate) fn sent(&self, id: RequestId<Ping>) -> bool {
        self.round.as_ref().is_some_and(|round| round.open.contains(&id))
    }

    fn begin_if_due(&mut self, now: Instant, host: HostId, desk: &mut Desk) {
        if self.round.is_some() || self.next.is_none_or(|at| at > now) {
            return;
        }
        if !desk.may_ping(host) {
            desk.stats.rounds_withheld.count();
            self.fruitless = true;
            self.next = Some(now.after(Self::patience(desk)));
            return;
        }
        self.next = None;
        let ends = now.after(self.length);
        self.round = Some(Round { began: now, ends, next_ping: now, sent: 0, open: Vec::new() });
    }

    fn abandon_if_stuck(&mut self, now: Instant, desk: &mut Desk) {
        let stuck = |round: &Round| now >= round.ends.after(Self::patience(desk)) && !round.open.is_empty();
        if self.round.as_ref().is_some_and(stuck) {
            desk.stats.rounds_abandoned.count();
            self.fruitless = true;
            self.round = None;
            self.next = Some(now);
        }
    }

    fn conclude_if_over(&mut self, now: Instant) -> Option<PingEvidence> {
        let round = self.round.as_ref()?;
        if round.sent < PINGS || !round.open.is_empty() || now < round.ends {
            return None;
        }
        self.result = Some(PingEvidence::Unanswered { began: round.began, ended: now, pings: round.sent });
        self.round = None;
        self.result
    }
}

impl Round {
    fn ping_if_due(&mut self, now: Instant, spacing: Duration, host: HostId, desk: &mut Desk) {
        if self.sent >= PINGS || self.next_ping > now {
            return;
        }
        // A ping that goes out late would have less time to be answered: the round ends later by as much.
        self.ends = self.ends.after(now.since(self.next_ping));
        self.next_ping = now.after(spacing);
        self.sent += 1;
        self.open.push(desk.ping(host, self.ends.since(now)));
    }
}
