use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use ha_core::{Deadline, HostId, Instant, Moid};

use super::candidate::Running;
use super::{Election, State};
use crate::peer::Peer;
use crate::{Candidacy, Message, Output, Probe};

/// How much larger each wave of asks is than the one before.
const GROWTH: usize = 4;

/// When a candidate asks whom for votes within one window.
///
/// The host that expects to win asks everybody at once. Any other lets an eighth of a heartbeat period pass, in
/// which the better one's ask is to arrive, and then asks in waves, the expected best first, until it hears of a
/// better candidate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Asking {
    window_began: Instant,
    due: Instant,
    /// How many hosts the next wave asks.
    wave: usize,
    /// After how many heartbeat periods those that are still silent are asked again; doubled each time.
    pause: u32,
    /// When those that have spoken are asked once more, because the window ends soon and what they said is old.
    confirm: Option<Instant>,
    /// Whether a better candidate that has not heard this host has put its asks off; once in each window.
    deferred: bool,
    /// Nobody has spoken in this window, so the next wave waits for the window's last asks: hosts that come up one by
    /// one would ask each other before they are there.
    alone: bool,
}

impl Asking {
    pub(super) fn new(now: Instant, window_ends: Instant, period: Duration) -> Self {
        let due = now.after(period / 8);
        let mut asking =
            Self { window_began: now, due, wave: 1, pause: 1, confirm: None, deferred: false, alone: false };
        asking.confirm_before(window_ends, period);
        asking
    }

    pub(super) fn deadline(&self) -> Deadline {
        match self.confirm {
            Some(confirm) if confirm < self.due => Deadline::new(confirm, "votes are confirmed"),
            Some(_) | None => Deadline::new(self.due, "votes are asked for"),
        }
    }

    /// Whether the last asks of the window have gone out.
    pub(super) const fn has_confirmed(&self) -> bool {
        self.confirm.is_none()
    }

    /// Nobody is asked before `until` has passed.
    pub(super) fn put_off(&mut self, until: Instant) {
        self.due = self.due.max(until.after(Duration::from_nanos(1)));
    }

    /// Plans the last round of asks for the window's last two periods, or its second half if it is that short.
    pub(super) fn confirm_before(&mut self, window_ends: Instant, period: Duration) {
        let half = window_ends.since(self.window_began) / 2;
        self.confirm = Some(window_ends.before(period.saturating_mul(2).min(half)));
    }
}

impl Election {
    pub(super) fn candidacy(&self) -> Message {
        Message::Candidacy(Candidacy { rank: self.rank() })
    }

    /// An election has begun: the lost master hears of it, which claims if it is alive; so does the best host that
    /// has asked for this host's vote before it had one to give; and everybody, if this host expects to win.
    pub(super) fn ask_first(&mut self, now: Instant) {
        let State::Candidate(running) = &self.state else { return };
        let lost = running.lost_master();
        let asked = |peer: &Peer| peer.stood.is_some_and(|stood| now.since(stood) <= self.fresh_for());
        let best = self
            .peers
            .iter()
            .filter(|(_, peer)| asked(peer) && self.is_expected_better(peer))
            .max_by_key(|(_, peer)| self.expected(peer))
            .map(|(host, _)| *host);
        if self.expects_to_win() {
            self.ask_at_once(now);
        }
        for host in [lost, best].into_iter().flatten() {
            if self.peers.get(&host).is_some_and(|peer| peer.told.is_none()) {
                self.tell_candidacy(now, host);
            }
        }
    }

    fn ask_at_once(&mut self, now: Instant) {
        if let State::Candidate(running) = &mut self.state {
            running.asking.due = now;
        }
        self.ask_when_due(now);
    }

    pub(super) fn ask_when_due(&mut self, now: Instant) {
        let better = self.better_candidate_until(now);
        let State::Candidate(running) = &mut self.state else { return };
        let asking = &mut running.asking;
        if let Some(until) = better {
            asking.put_off(until);
        }
        let asks = now >= asking.due;
        let confirms = asking.confirm.is_some_and(|confirm| now >= confirm);
        if confirms {
            asking.confirm = None;
        }
        let mut hosts = if asks { self.next_wave(now) } else { Vec::new() };
        self.await_first_answers(now, &hosts);
        if confirms && better.is_none() {
            hosts.extend(self.to_confirm(now));
        }
        for host in hosts {
            self.tell_candidacy(now, host);
        }
    }

    /// The window does not end before those that are asked for the first time have had a heartbeat period to answer: one
    /// of them may follow a master that this host does not hear.
    fn await_first_answers(&mut self, now: Instant, asked: &[HostId]) {
        let first = |host: &HostId| self.peers.get(host).is_some_and(|peer| peer.told.is_none());
        if !asked.iter().any(first) {
            return;
        }
        let answered = now.after(self.config.timing.heartbeat_period);
        if let State::Candidate(running) = &mut self.state {
            running.window_ends = running.window_ends.max(answered);
        }
    }

    /// A better candidate that has not heard this host yet has asked for its vote. Our own asks wait, once in each
    /// window, until the last asks of that one, which will echo this host, should have come.
    pub(super) fn defer(&mut self) {
        let period = self.config.timing.heartbeat_period;
        let State::Candidate(Running { asking, .. }) = &mut self.state else { return };
        if let Some(confirm) = asking.confirm
            && !core::mem::replace(&mut asking.deferred, true)
        {
            let later = confirm.after(period / 2);
            asking.confirm = Some(later);
            asking.put_off(later.after(period / 8));
        }
    }

    pub(super) fn tell_candidacy(&mut self, now: Instant, to: HostId) {
        let State::Candidate(running) = &self.state else { return };
        let message = if running.stuck { Message::Probe(Probe::TakesNoPart) } else { self.candidacy() };
        let fresh = self.fresh_for();
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.tell(now, fresh);
            self.out.push(Output::Transmit { to, message });
        }
    }

    /// Whom to ask now: the next of those that were not told yet, or those that keep silent. Plans the next time.
    fn next_wave(&mut self, now: Instant) -> Vec<HostId> {
        let mut untold: Vec<_> = self.peers.iter().filter(|(_, peer)| peer.told.is_none()).collect();
        untold.sort_by_key(|(_, peer)| Reverse(self.expected(peer)));
        let mut hosts: Vec<HostId> = untold.into_iter().map(|(host, _)| *host).collect();
        let (all, again) = (self.expects_to_win(), hosts.is_empty());
        let silent = if again { self.silent() } else { Vec::new() };
        let period = self.config.timing.heartbeat_period;
        // Hosts that were woken by one event do not ask in step for ever.
        let jitter = self.random.span_below(period / 4);
        let State::Candidate(running) = &self.state else { return Vec::new() };
        let began = running.asking.window_began;
        let alone = !self.peers.values().any(|peer| peer.spoke(began));
        let State::Candidate(running) = &mut self.state else { return Vec::new() };
        let asking = &mut running.asking;
        let wave = if all { hosts.len() } else { asking.wave };
        asking.wave = asking.wave.saturating_mul(GROWTH);
        let pause = if again { asking.pause.saturating_mul(2) } else { asking.pause };
        asking.pause = pause;
        let whole = period.saturating_mul(pause) - period / 8;
        asking.due = now.after(if hosts.len() > wave { period / 8 } else { whole.saturating_add(jitter) });
        asking.alone = alone && hosts.len() > wave;
        if let Some(confirm) = asking.confirm.filter(|_| asking.alone) {
            asking.due = asking.due.max(confirm);
        }
        hosts.truncate(wave);
        hosts.extend(silent);
        hosts
    }

    /// Somebody has spoken: it is worth while to ask the others too.
    pub(super) fn not_alone(&mut self, now: Instant) {
        let soon = now.after(self.config.timing.heartbeat_period / 8);
        let State::Candidate(Running { asking, .. }) = &mut self.state else { return };
        if core::mem::take(&mut asking.alone) {
            asking.due = asking.due.min(soon);
        }
    }

    /// Those that were told and have not answered. They are asked again only by a host that most others answer:
    /// where hardly anybody is there, repeating would be all that n hosts do.
    fn silent(&self) -> Vec<HostId> {
        let State::Candidate(running) = &self.state else { return Vec::new() };
        let since = running.asking.window_began;
        let expected = || self.peers.iter().filter(|(_, peer)| !peer.dead);
        let silent: Vec<_> =
            expected().filter(|(_, peer)| !peer.spoke(since)).map(|(host, _)| *host).collect();
        if silent.len() * 2 <= expected().count() { silent } else { Vec::new() }
    }

    /// Those that have said what they stand for, but not lately; and those that would win and have not, if anybody has
    /// spoken at all: only those that stood without an echo, if there are any, because one of them is to win.
    fn to_confirm(&self, now: Instant) -> Vec<HostId> {
        let period = self.config.timing.heartbeat_period;
        let State::Candidate(running) = &self.state else { return Vec::new() };
        let since = running.asking.window_began;
        let in_window = |at: Option<Instant>| at.is_some_and(|at| at >= since);
        // What was said just before the window began need not have been said again in it.
        let lately = since.before(self.fresh_for());
        let stand = |peer: &Peer| peer.stand.as_ref().map(|(at, _)| *at).filter(|at| *at >= lately);
        let old = |peer: &Peer| !peer.is_out() && stand(peer).is_some_and(|at| now.since(at) >= period);
        let may_stand = |peer: &Peer| stand(peer).is_none() && !peer.dead && !peer.is_out();
        let better = |peer: &Peer| may_stand(peer) && self.is_expected_better(peer);
        let anybody = self.peers.values().any(|peer| in_window(peer.heard));
        let deferred = self.peers.values().any(|peer| better(peer) && in_window(peer.stood));
        let unclear = |peer: &Peer| better(peer) && anybody && (!deferred || in_window(peer.stood));
        // It wants a vote and has none of ours that counts, or its own has been lost.
        let unheard = |peer: &Peer| stand(peer).is_none() && in_window(peer.stood);
        let wanted = self.peers.iter().filter(|(_, peer)| old(peer) || unclear(peer) || unheard(peer));
        wanted.map(|(host, _)| *host).collect()
    }

    /// Whether nobody that may take part is expected to be a better candidate.
    fn expects_to_win(&self) -> bool {
        let State::Candidate(running) = &self.state else { return false };
        let lost = running.lost_master();
        let takes_part = |host: &HostId, peer: &Peer| !peer.dead && !peer.is_out() && lost != Some(*host);
        !self.peers.iter().any(|(host, peer)| takes_part(host, peer) && self.is_expected_better(peer))
    }

    fn is_expected_better(&self, peer: &Peer) -> bool {
        self.expected(peer) > (self.goodness(), &self.moid)
    }

    /// How good a candidate it will be: as good as it last was, or as good as this host.
    fn expected<'a>(&self, peer: &'a Peer) -> (i64, &'a Moid) {
        (peer.goodness.unwrap_or_else(|| self.goodness()), &peer.moid)
    }
}

#[cfg(feature = "model")]
impl Election {
    /// When the window began in which this host is a candidate; `now` if it is none.
    pub(super) fn window_began(&self, now: Instant) -> Instant {
        let State::Candidate(running) = &self.state else { return now };
        running.asking.window_began
    }
}

#[cfg(feature = "model")]
impl Asking {
    pub(super) fn move_instants(&mut self, moved: impl Fn(Instant) -> Instant) {
        self.window_began = moved(self.window_began);
        self.due = moved(self.due);
        self.confirm = self.confirm.map(moved);
        // More hosts than a model has: the same as all of them.
        self.wave = self.wave.min(GROWTH * GROWTH);
    }
}
