//! Elections alone, for clusters too large to run whole agents in.

mod counts;
mod elector;
mod intruder;
mod ledger;
mod node;
mod outcome;
mod slot;
mod troubles;
mod watch;
mod watched;

use alloc::vec::Vec;
use core::time::Duration;

use ha_core::operation::{LookAtLock, Ping};
use ha_core::wire::FrameKind;
use ha_core::{Acknowledged, Completion, HostId, Instant};

pub use counts::Counts;
pub use elector::{Elector, Frame};
pub use intruder::Intruder;
pub use ledger::PlainFrame;
pub use node::{Act, Life, News, Node};
pub use outcome::{Outcome, StartError};

use crate::draw::Draws;
use crate::links::{Links, place};
use crate::oracle::Oracle;
use crate::queue::{Queue, Tie};
use crate::scenario::all_hosts;
use crate::trace::Trace;
use crate::{Invariant, Scenario, Stance};
use slot::Slot;

/// After the bound a group must stay settled for this many times the bound (L1).
const STABLE: u32 = 10;

/// A cluster of electors on virtual time, run by a [`Scenario`] and watched by an oracle.
///
/// `N` is what a host runs: [`Elector`] in earnest. Time starts at a thousand seconds, so that nothing can hide
/// behind the clock's origin.
#[derive(Debug)]
pub struct Elections<N: Node = Elector> {
    scenario: Scenario,
    start: Instant,
    now: Instant,
    queue: Queue<Happening<N::Frame>>,
    slots: Vec<Slot<N>>,
    links: Links,
    draws: Draws,
    calm: bool,
    oracle: Oracle,
    trace: Trace,
    counts: Counts,
    intruder: Option<Intruder<N>>,
}

/// What is planned.
#[derive(Debug)]
enum Happening<F> {
    FaultBegins(usize),
    FaultEnds(usize),
    Calm,
    Boot(HostId),
    Arrives(HostId, F),
    /// For one life of the host.
    Intrudes(HostId, u64, F),
    Answered(HostId, u64, Instant),
    Pinged(HostId, u64, Completion<Ping>),
    Looked(HostId, u64, Completion<LookAtLock>),
    Stored(HostId, u64, Acknowledged),
    Wake(HostId),
}

impl<F> Happening<F> {
    /// Who comes first of two at one moment: faults, then lives, then what travels, then wake-ups.
    const fn class(&self) -> u8 {
        match self {
            Self::FaultBegins(_) => 0,
            Self::FaultEnds(_) => 1,
            Self::Calm => 2,
            Self::Boot(_) => 3,
            Self::Arrives(..) => 4,
            Self::Intrudes(..) => 5,
            Self::Answered(..) => 6,
            Self::Pinged(..) => 7,
            Self::Looked(..) => 8,
            Self::Stored(..) => 9,
            Self::Wake(_) => 10,
        }
    }
}

impl<N: Node> Elections<N> {
    /// The cluster in its first moment, before any host has started.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let start = Instant::from_nanos(1_000_000_000_000);
        let settling = if scenario.ending.has_outsiders(scenario.hosts) {
            Invariant::CoreSettles
        } else {
            Invariant::OneMaster
        };
        let mut world = Self {
            start,
            now: start,
            queue: Queue::new(),
            slots: all_hosts(scenario.hosts).into_iter().map(Slot::new).collect(),
            links: Links::new(scenario.seed, scenario.hosts),
            draws: Draws::new(scenario.seed),
            calm: false,
            oracle: Oracle::new(scenario.hosts, &scenario.ending.groups, settling),
            trace: Trace::new(),
            counts: Counts::new(start, scenario.pace.timing().election_window),
            intruder: None,
            scenario: scenario.clone(),
        };
        for host in all_hosts(scenario.hosts) {
            world.plan(Duration::ZERO, u64::from(host.number()), Happening::Boot(host));
        }
        for (number, fault) in scenario.faults.iter().enumerate() {
            world.plan(fault.at, number as u64, Happening::FaultBegins(number));
            world.plan(fault.at.saturating_add(fault.lasts), number as u64, Happening::FaultEnds(number));
        }
        world.plan(scenario.calm_at, 0, Happening::Calm);
        world
    }

    /// Runs a scenario to its end, or to the first violation.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the scenario's configuration is none.
    pub fn run(scenario: &Scenario) -> Result<Outcome, StartError> {
        Self::new(scenario).finish()
    }

    /// The same with an intruder on the network.
    ///
    /// # Errors
    ///
    /// As [`Elections::run`].
    pub fn run_with(scenario: &Scenario, intruder: Intruder<N>) -> Result<Outcome, StartError> {
        let mut world = Self::new(scenario);
        world.intruder = Some(intruder);
        world.finish()
    }

    fn finish(mut self) -> Result<Outcome, StartError> {
        let bound = self.scenario.settled_within()?;
        let due = self.start.after(self.scenario.calm_at).after(bound);
        self.run_to(due)?;
        let settled_after = self.settled_after();
        if self.oracle.violation().is_none() {
            self.oracle.close(self.now);
            self.run_to(due.after(bound.saturating_mul(STABLE)))?;
        }
        Ok(Outcome {
            violation: self.oracle.violation().cloned().map(|violation| violation.since(self.start)),
            settled_after,
            bound,
            trace_hash: self.trace.hash(),
            counts: self.counts,
            intrusions: self.intruder.map_or(0, |intruder| intruder.count()),
        })
    }

    /// Lets time pass.
    ///
    /// # Errors
    ///
    /// [`StartError`] if a host that starts meanwhile has no configuration.
    pub fn run_for(&mut self, span: Duration) -> Result<(), StartError> {
        self.run_to(self.now.after(span))
    }

    fn run_to(&mut self, end: Instant) -> Result<(), StartError> {
        while self.oracle.violation().is_none() {
            let Some((at, happening)) = self.queue.next_until(end) else { break };
            self.now = at;
            self.happen(happening)?;
        }
        self.now = self.now.max(end);
        Ok(())
    }

    /// Lets time pass until something holds, at most for `limit`; how long it took, to the moment, or `None` if it
    /// never held.
    ///
    /// # Errors
    ///
    /// As [`Elections::run_for`].
    pub fn run_until(
        &mut self,
        limit: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<Option<Duration>, StartError> {
        let (began, end) = (self.now, self.now.after(limit));
        while !holds(self) {
            let Some((at, happening)) = self.queue.next_until(end) else {
                self.now = end;
                return Ok(None);
            };
            self.now = at;
            self.happen(happening)?;
        }
        Ok(Some(self.now.since(began)))
    }

    /// Lets time pass until all groups are settled, as [`Elections::run_until`].
    ///
    /// # Errors
    ///
    /// As [`Elections::run_for`].
    pub fn run_until_settled(&mut self, limit: Duration) -> Result<Option<Duration>, StartError> {
        self.run_until(limit, |world| world.oracle.settled_since().is_some())
    }

    /// The virtual time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.since(self.start)
    }

    /// How long before its last settling the faults stopped, if all groups are settled now.
    #[must_use]
    pub fn settled_after(&self) -> Option<Duration> {
        Some(self.oracle.settled_since()?.since(self.start.after(self.scenario.calm_at)))
    }

    /// The master of the first group, if it is settled.
    #[must_use]
    pub fn master(&self) -> Option<HostId> {
        self.oracle.master()
    }

    /// What a host is.
    #[must_use]
    pub fn stance(&self, host: HostId) -> Stance {
        self.oracle.stance(host)
    }

    /// The datagrams so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Counts datagrams anew.
    pub fn count_anew(&mut self) {
        self.counts = Counts::new(self.now, self.scenario.pace.timing().election_window);
    }

    /// Ends a host for ever, and expects nothing of it any more.
    pub fn kill(&mut self, host: HostId) {
        self.take_down(host);
        self.oracle.excuse(self.now, host);
    }

    fn plan(&mut self, after: Duration, ids: u64, happening: Happening<N::Frame>) {
        // Requests of one host to another that are answered at one moment are answered in the order of asking.
        let tie = Tie { class: happening.class(), ids, counter: self.now.as_nanos() };
        self.queue.plan(self.now.after(after), tie, happening);
    }

    fn happen(&mut self, happening: Happening<N::Frame>) -> Result<(), StartError> {
        match happening {
            Happening::FaultBegins(number) => self.fault_begins(number),
            Happening::FaultEnds(number) => return self.fault_ends(number),
            Happening::Calm => self.calm_down(),
            Happening::Boot(host) => return self.boot(host),
            Happening::Arrives(host, frame) => {
                self.overhear(host, &frame);
                self.tell(host, News::Frame(frame));
            }
            Happening::Intrudes(host, life, frame) => {
                let reaches =
                    |now| self.intruder.as_ref().is_some_and(|intruder| intruder.reaches(life, now));
                if self.slot(host).is_some_and(|slot| reaches(slot.incarnation)) {
                    self.intrude(host, frame);
                }
            }
            Happening::Answered(host, life, asked) => {
                self.tell_life(host, life, News::AddressAnswered(asked));
            }
            Happening::Pinged(host, life, done) => self.tell_life(host, life, News::Pinged(done)),
            Happening::Looked(host, life, done) => self.tell_life(host, life, News::Looked(done)),
            Happening::Stored(host, life, stored) => self.stored(host, life, stored),
            Happening::Wake(host) => self.wake(host),
        }
        Ok(())
    }

    /// Begins a life, unless the host is down.
    fn boot(&mut self, host: HostId) -> Result<(), StartError> {
        let now = self.now;
        let Some(slot) = place(host).and_then(|place| self.slots.get_mut(place)) else { return Ok(()) };
        if slot.down > 0 || slot.node.is_some() {
            return Ok(());
        }
        slot.incarnation += 1;
        let (incarnation, stored) = (slot.incarnation, slot.stored);
        let life = Life { scenario: &self.scenario, host, incarnation, stored };
        slot.node = Some(N::start(&life, now)?);
        slot.armed = None;
        let (fit, lists) = (slot.unfit == 0, slot.lists);
        self.oracle.lives(now, host, incarnation);
        if !fit {
            self.tell(host, News::Fit(false));
        }
        if lists > 0 {
            self.tell(host, News::OwnsLists(lists));
        }
        self.after_step(host);
        Ok(())
    }

    /// Hands news to a host if it still lives the life that asked for them.
    fn tell_life(&mut self, host: HostId, life: u64, news: News<N::Frame>) {
        if self.slot(host).is_some_and(|slot| slot.incarnation == life) {
            self.tell(host, news);
        }
    }

    /// Hands news to a host, or keeps them for a stopped one.
    fn tell(&mut self, host: HostId, news: News<N::Frame>) {
        let now = self.now;
        let Some(slot) = place(host).and_then(|place| self.slots.get_mut(place)) else { return };
        if let Some(news) = slot.admit(news)
            && let Some(node) = &mut slot.node
        {
            node.tell(now, news);
            self.after_step(host);
        }
    }

    fn wake(&mut self, host: HostId) {
        let now = self.now;
        let Some(slot) = place(host).and_then(|place| self.slots.get_mut(place)) else { return };
        if slot.armed.take_if(|armed| *armed <= now).is_none() || slot.is_held() {
            return;
        }
        let Some(node) = &mut slot.node else { return };
        if node.deadline().is_some_and(|deadline| deadline <= now) {
            node.tick(now);
        }
        self.after_step(host);
    }

    /// Carries out what a host does, looks at what it is now, and plans its next wake-up.
    fn after_step(&mut self, host: HostId) {
        let now = self.now;
        let Some(at) = place(host) else { return };
        while let Some(act) = self.slots.get_mut(at).and_then(|slot| slot.node.as_mut()?.act()) {
            self.carry_out(host, act);
        }
        let Some(slot) = self.slots.get_mut(at) else { return };
        let Some(node) = &slot.node else { return };
        let stance = node.stance();
        if self.oracle.stance(host) != stance {
            let (kind, reign) = match stance {
                Stance::Out => (0, None),
                Stance::Looks => (1, None),
                Stance::Follows(reign) => (2, Some(reign)),
                Stance::Reigns(reign) => (3, Some(reign)),
            };
            let (round, of) = reign.map_or((0, 0), |reign| (reign.round, u64::from(reign.host)));
            self.trace.words(&[now.as_nanos(), u64::from(host.number()), kind, round, of]);
            self.oracle.stands(now, host, stance);
        }
        if let Some(deadline) = node.deadline()
            && slot.armed.is_none_or(|armed| deadline < armed)
        {
            slot.armed = Some(deadline);
            self.plan(deadline.since(now), u64::from(host.number()), Happening::Wake(host));
        }
    }

    fn carry_out(&mut self, from: HostId, act: Act<N::Frame>) {
        let now = self.now;
        match act {
            Act::Send { to, kind, frame } => self.send(from, to, kind, frame),
            Act::Reigns(reign) => self.oracle.reigns(now, from, reign),
            Act::Follows(reign) => self.oracle.follows(now, from, reign),
            Act::Stores(stored) => {
                let life = self.slot(from).map_or(0, |slot| slot.incarnation);
                let (takes, ids) = (self.scenario.store_takes, u64::from(from.number()));
                self.plan(takes, ids, Happening::Stored(from, life, stored));
            }
            Act::PingsAddress => {
                let travel = self.scenario.calm.max_delay() * 2;
                if let Some((life, true)) =
                    self.slot(from).map(|slot| (slot.incarnation, slot.address_lost == 0))
                {
                    self.plan(travel, u64::from(from.number()), Happening::Answered(from, life, now));
                }
            }
            Act::Pings { token, host, timeout } => self.ping(from, host, token, timeout),
            Act::Looks { token, host } => self.look(from, host, token),
        }
    }

    /// A term is durable, if the life that asked for it still lives: what is on its way when a host crashes is lost.
    fn stored(&mut self, host: HostId, life: u64, stored: Acknowledged) {
        if let Some(slot) = place(host).and_then(|place| self.slots.get_mut(place))
            && slot.incarnation == life
            && slot.node.is_some()
        {
            slot.stored = slot.stored.max(stored);
            self.tell(host, News::Stored(stored));
        }
    }

    fn send(&mut self, from: HostId, to: HostId, kind: FrameKind, frame: N::Frame) {
        let now = self.now;
        let (life, sequence) = N::name(&frame);
        let link = u64::from(from.number()) << 32 | u64::from(to.number());
        self.counts.count(now, kind);
        self.trace.words(&[now.as_nanos(), link, life, sequence, u64::from(kind.code())]);
        self.oracle.sends(now, from, to, (life, sequence));
        let noise = if self.is_calm(from, to) { &self.scenario.calm } else { &self.scenario.noise };
        let (number, arrivals) = self.links.datagram(from, to, noise);
        let both = [arrivals.copy.map(|span| (1, span)), arrivals.first.map(|span| (0, span))];
        let mut frame = Some(frame);
        for (which, span) in both.into_iter().flatten() {
            let copy = if which == 0 { frame.take() } else { frame.clone() };
            let tie = Tie { class: 4, ids: link, counter: 2 * number + which };
            if let Some(copy) = copy {
                self.queue.plan(now.after(span), tie, Happening::Arrives(to, copy));
            }
        }
    }

    /// Whether the faults of this link have stopped.
    fn is_calm(&self, from: HostId, to: HostId) -> bool {
        self.calm && self.oracle.share_a_group(from, to)
    }

    fn slot(&self, host: HostId) -> Option<&Slot<N>> {
        self.slots.get(place(host)?)
    }
}
