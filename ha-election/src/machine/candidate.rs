use core::time::Duration;

use ha_core::{Acknowledged, Deadline, HostId, Instant};

use super::asking::Asking;
use super::{Election, State};
use crate::peer::Peer;
use crate::rules::Rule;
use crate::{Event, WaitReason};

/// A running election.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Running {
    pub(super) window_ends: Instant,
    pub(super) asking: Asking,
    /// This host has won, and waits only for the round of its term to be durable.
    elected: bool,
    /// Its window has ended, and the disk has not answered since: it cannot be master, and nobody is to wait for it.
    pub(super) stuck: bool,
    /// The master that was lost, and when its silence excuses it: alive, it would have answered with its claim.
    lost: Option<Lost>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Lost {
    master: HostId,
    /// When its silence excuses it; `None` once that is so.
    excused_at: Option<Instant>,
}

impl Running {
    pub(super) fn deadline(&self) -> Option<Deadline> {
        Deadline::soonest([
            Some(Deadline::new(self.window_ends, "end of the election window")),
            Some(self.asking.deadline()),
            self.lost
                .and_then(|lost| lost.excused_at)
                .map(|at| Deadline::new(at, "lost master did not answer")),
        ])
    }

    pub(super) fn lost_master(&self) -> Option<HostId> {
        self.lost.map(|lost| lost.master)
    }
}

impl Election {
    /// Starts an election, whatever the role was.
    pub(super) fn begin_election(&mut self, now: Instant, reason: &'static str) {
        self.evidence.election_began(now);
        // A lost master's successor takes this round, whoever it is. Stored now, nobody waits for it then.
        if matches!(self.state, State::Slave(_) | State::Master(_)) {
            self.want_stored(Acknowledged::reserved(self.highest_round.next()));
        }
        let lost = match &self.state {
            State::Slave(following) if !self.is_out(following.term.host) => Some(Lost {
                master: following.term.host,
                excused_at: Some(now.after(self.config.timing.heartbeat_period)),
            }),
            State::Uninitialized | State::Candidate(_) | State::Slave(_) | State::Master(_) => None,
        };
        let (window_ends, asking) = self.new_window(now);
        self.enter(
            State::Candidate(Running { window_ends, asking, elected: false, stuck: false, lost }),
            reason,
        );
        self.ask_for_address();
        self.ask_first(now);
        self.try_early_end(now);
    }

    pub(super) fn tick_candidate(&mut self, now: Instant) {
        self.ask_when_due(now);
        self.excuse_lost_master(now);
        let State::Candidate(running) = &self.state else { return };
        if now >= running.window_ends {
            match self.outcome(now) {
                Ok(()) => self.win(now),
                Err(reason) => self.go_on(now, reason),
            }
        }
    }

    /// A window that begins now, in which nobody has been told anything yet.
    fn new_window(&mut self, now: Instant) -> (Instant, Asking) {
        for peer in self.peers.values_mut() {
            peer.begin_window();
        }
        let ends = now.after(self.config.timing.election_window);
        (ends, Asking::new(now, ends, self.config.timing.heartbeat_period))
    }

    /// After a stop: the silence of others, the lost master's too, was this host's own. Another window begins.
    pub(super) fn begin_again(&mut self, now: Instant) {
        self.restart_window(now);
        let period = self.config.timing.heartbeat_period;
        if let State::Candidate(Running { lost: Some(Lost { excused_at: Some(at), .. }), .. }) =
            &mut self.state
        {
            *at = now.after(period);
        }
        self.ask_first(now);
    }

    fn restart_window(&mut self, now: Instant) {
        let (ends, asks) = self.new_window(now);
        if let State::Candidate(Running { window_ends, asking, .. }) = &mut self.state {
            (*window_ends, *asking) = (ends, asks);
        }
    }

    /// The lost master need not be waited for once it has left a whole heartbeat period of candidacies unanswered.
    fn excuse_lost_master(&mut self, now: Instant) {
        let State::Candidate(Running { lost: Some(lost), .. }) = &mut self.state else { return };
        if lost.excused_at.is_some_and(|at| now >= at) {
            lost.excused_at = None;
            self.try_early_end(now);
        }
    }

    /// Whether this host is the lost master, and nothing was heard of it since the election began.
    fn is_excused(&self, host: HostId) -> bool {
        let State::Candidate(Running { lost: Some(lost), .. }) = &self.state else { return false };
        lost.excused_at.is_none() && lost.master == host
    }

    /// A lost master that speaks is waited for like any other host.
    pub(super) fn heard_lost_master(&mut self, from: HostId) {
        if let State::Candidate(running) = &mut self.state {
            running.lost = running.lost.filter(|lost| lost.master != from);
        }
    }

    /// Ends the election before its window does, if nobody is left to wait for and this host has won.
    pub(super) fn try_early_end(&mut self, now: Instant) {
        if !matches!(self.state, State::Candidate(_)) || !self.config.timing.early_end {
            return;
        }
        let fresh = self.fresh_for();
        let complete = self.peers.iter().all(|(host, peer)| {
            peer.dead || peer.is_out() || peer.candidacy(now, fresh).is_some() || self.is_excused(*host)
        });
        if complete && self.outcome(now).is_ok() {
            self.win(now);
        }
    }

    /// Becomes master, once the round of the term is durable: no crash makes this host claim that term again.
    fn win(&mut self, now: Instant) {
        let round = self.next_term().round;
        if self.is_durable(round) {
            self.become_master(now);
            return;
        }
        if let State::Candidate(running) = &mut self.state {
            running.elected = true;
            if now >= running.window_ends {
                running.stuck = true;
                running.window_ends = now.after(self.config.timing.election_window);
            }
        }
        self.want_stored(Acknowledged::reserved(round));
    }

    /// The round that a victory waited for is durable. What was heard meanwhile may have ended that victory.
    pub(super) fn resume_victory(&mut self, now: Instant) {
        let State::Candidate(running) = &mut self.state else { return };
        running.stuck = false;
        if core::mem::take(&mut running.elected) && self.outcome(now).is_ok() {
            self.win(now);
        }
    }

    /// A master is found: the votes that led to it are no votes in the next election.
    pub(super) fn close_election(&mut self) {
        for peer in self.peers.values_mut() {
            peer.withdraw_candidacy();
        }
    }

    /// The window has ended without a result. If a better candidate is waited for, then only until it must have
    /// claimed; else the whole election is held again, a little out of step with the others.
    fn go_on(&mut self, now: Instant, reason: WaitReason) {
        let period = self.config.timing.heartbeat_period;
        let better = self.better_candidate_until(now);
        self.restart_window(now);
        let jitter = self.random.span_below(period / 4);
        if let State::Candidate(Running { window_ends, asking, .. }) = &mut self.state {
            match better {
                Some(until) => {
                    asking.put_off(until);
                    *window_ends = until.after(period.saturating_mul(2));
                    asking.confirm_before(*window_ends, period);
                }
                None => asking.put_off(now.after(jitter)),
            }
        }
        self.tell(Event::ElectionGoesOn { reason });
        self.ask_when_due(now);
    }

    /// Whether this host is to be master by what it knows at `now`; if not, why.
    fn outcome(&self, now: Instant) -> Result<(), WaitReason> {
        if self.isolated {
            return Err(WaitReason::Isolated);
        }
        let fresh = self.fresh_for();
        let recent = |at: Option<Instant>| at.is_some_and(|at| now.since(at) <= fresh);
        let heard = self.peers.values().any(|peer| recent(peer.heard));
        let both_ways = self.peers.values().any(|peer| recent(peer.contact));
        if heard && !both_ways {
            return Err(WaitReason::NotHeard);
        }
        // A master that this host cannot hear is not to be unseated by the minority of those that it does hear.
        let candidates = self.peers.values().filter(|peer| peer.candidacy(now, fresh).is_some()).count() + 1;
        let mut followed = self.peers.values().filter_map(|peer| {
            peer.following(now, fresh)
                .map(|term| term.host)
                .filter(|master| *master != self.config.me && !self.is_gone(*master))
        });
        if self.keeps(Rule::Stickiness)
            && let Some(master) = followed.next()
            && followed.count() + 1 >= candidates
        {
            return Err(WaitReason::OthersFollow { master });
        }
        match self.better_candidate(now) {
            Some((host, _)) => Err(WaitReason::BetterCandidate { host }),
            None => Ok(()),
        }
    }

    /// The best candidate that is better than this host, and until when its last message counts: its own window
    /// ends by then, and it has claimed.
    fn better_candidate(&self, now: Instant) -> Option<(HostId, Instant)> {
        let counts_for = self.candidacy_counts_for();
        let mine = self.rank();
        let candidates = self.peers.iter().filter_map(|(host, peer)| {
            let (rank, until) = peer.candidacy_until(counts_for)?;
            (now <= until && *rank > mine).then_some((rank, *host, until))
        });
        candidates.max_by_key(|(rank, ..)| *rank).map(|(_, host, until)| (host, until))
    }

    /// How long a better candidate is waited for after its last message.
    pub(super) fn candidacy_counts_for(&self) -> Duration {
        let timing = &self.config.timing;
        timing.election_window.saturating_add(timing.heartbeat_period.saturating_mul(2))
    }

    pub(super) fn better_candidate_until(&self, now: Instant) -> Option<Instant> {
        self.better_candidate(now).map(|(_, until)| until)
    }

    /// Whether it cannot be master: it is dead, or takes no part.
    fn is_gone(&self, host: HostId) -> bool {
        self.is_out(host) || self.peers.get(&host).is_some_and(|peer| peer.dead)
    }

    fn is_out(&self, host: HostId) -> bool {
        self.peers.get(&host).is_some_and(Peer::is_out)
    }
}

#[cfg(feature = "model")]
impl Running {
    pub(super) fn move_instants(&mut self, moved: impl Fn(Instant) -> Instant) {
        self.window_ends = moved(self.window_ends);
        self.asking.move_instants(&moved);
        if let Some(lost) = &mut self.lost {
            lost.excused_at = lost.excused_at.map(&moved);
        }
    }
}
