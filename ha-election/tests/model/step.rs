//! What may happen next, and what comes of it. Every decision of a host is the production machine's.

use std::sync::Arc;

use core::time::Duration;

use ha_core::{Acknowledged, Term};
use ha_election::{Event, Input, Message, ModelElection, Output, Role};

use crate::state::{Broken, Frame, Host, LOST, OLD, PERIOD, Payload, Size, State, host_id, index};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Boot(usize),
    Deliver(usize, usize, Payload),
    /// A period of this host's clock passes.
    Tick(usize),
    /// The time until a slave's master is lost, or a candidate's window ends, passes at once.
    Lapse(usize),
    Stored(usize),
    /// The monitor of the first host proves that the second is down.
    Prove(usize, usize),
    AddressAnswers(usize),
    Isolate(usize),
    Grant(usize),
    Write(usize),
    Resume(usize, Gap),
    Heal,
    // Faults.
    Crash(usize),
    Pause(usize),
    Cut(usize, usize),
    AddressFails(usize),
    LoseLock,
}

/// How a host that was stopped learns of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Gap {
    /// It is told.
    Told,
    /// It sees that a call is late.
    Seen,
}

impl State {
    pub(crate) fn actions(&self, size: &Size, actions: &mut Vec<Action>) {
        for (host, it) in self.hosts.iter().enumerate() {
            let Some(machine) = &it.machine else {
                actions.push(Action::Boot(host));
                continue;
            };
            if it.paused {
                actions.extend([Action::Resume(host, Gap::Told), Action::Resume(host, Gap::Seen)]);
                continue;
            }
            actions.push(Action::Tick(host));
            if lapse(machine).is_some_and(|span| span > PERIOD) {
                actions.push(Action::Lapse(host));
            }
            if it.storing.is_some() {
                actions.push(Action::Stored(host));
            }
            if !it.address {
                actions.push(Action::AddressAnswers(host));
                if !it.isolated {
                    actions.push(Action::Isolate(host));
                }
            }
            let may_act = machine.election().may_act(ModelElection::NOW);
            if size.kinds.list && may_act && self.list.owner.is_none() {
                actions.push(Action::Grant(host));
            }
            if self.list.owner == Some(host) && may_act {
                actions.push(Action::Write(host));
            }
        }
        for (from, to) in self.pairs() {
            if self.is_awake(to) {
                let kinds = self.link(from, to).frames.keys();
                actions.extend(kinds.map(|kind| Action::Deliver(from, to, *kind)));
                if self.hosts[from].machine.is_none() && size.kinds.crash {
                    actions.push(Action::Prove(to, from));
                }
            }
        }
        if self.links.iter().any(|link| link.cut) && size.kinds.cut {
            actions.push(Action::Heal);
        }
        if self.faults > 0 {
            self.faults(size, actions);
        }
    }

    fn faults(&self, size: &Size, actions: &mut Vec<Action>) {
        for host in (0..self.hosts.len()).filter(|host| self.is_awake(*host)) {
            if size.kinds.crash {
                actions.push(Action::Crash(host));
            }
            if size.kinds.pause {
                actions.push(Action::Pause(host));
            }
            if size.kinds.isolation && self.hosts[host].address {
                actions.push(Action::AddressFails(host));
            }
        }
        if size.kinds.cut {
            let whole = self.pairs().filter(|(from, to)| !self.link(*from, *to).cut);
            actions.extend(whole.map(|(from, to)| Action::Cut(from, to)));
        }
        if self.list.owner.is_some() {
            actions.push(Action::LoseLock);
        }
    }

    fn is_awake(&self, host: usize) -> bool {
        self.hosts[host].machine.is_some() && !self.hosts[host].paused
    }

    pub(crate) fn apply(&mut self, size: &Size, action: Action) {
        match action {
            Action::Boot(host) => self.boot(size, host),
            Action::Deliver(from, to, kind) => self.deliver(size, from, to, kind),
            Action::Tick(host) => self.pass(size, host, PERIOD),
            Action::Lapse(host) => {
                let span = self.hosts[host].machine.as_deref().and_then(lapse);
                self.pass(size, host, span.unwrap_or(PERIOD));
            }
            Action::Stored(host) => self.stored(size, host),
            Action::Prove(host, dead) => {
                self.hosts[host].witness.heard[dead] = OLD;
                self.hosts[host].witness.echoed[dead] = OLD;
                self.input(size, host, Input::HostDead { host: host_id(dead) });
            }
            Action::AddressAnswers(host) => self.address_answers(size, host),
            Action::Isolate(host) => {
                self.hosts[host].isolated = true;
                self.hosts[host].witness.vouched = false;
                self.input(size, host, Input::Isolated { isolated: true });
            }
            Action::Grant(host) => {
                self.list.owner = Some(host);
                self.input(size, host, Input::ListsOwned { count: 1 });
                if let Some((term, _)) = self.list.written {
                    self.input(size, host, Input::RoundSeen { round: term.round });
                }
            }
            Action::Write(host) => self.write(host),
            Action::Resume(host, gap) => self.resume(size, host, gap),
            Action::Heal => self.links.iter_mut().for_each(|link| link.cut = false),
            Action::Crash(_)
            | Action::Pause(_)
            | Action::Cut(..)
            | Action::AddressFails(_)
            | Action::LoseLock => {
                self.faults -= 1;
                self.suffer(size, action);
            }
        }
        self.release_what_may_not_be_kept(size);
    }

    fn suffer(&mut self, size: &Size, fault: Action) {
        match fault {
            Action::Crash(host) => {
                self.hosts[host].machine = None;
                self.hosts[host].storing = None;
                self.hosts[host].isolated = false;
                self.age_frames_of(host, u32::from(OLD));
                if self.list.owner == Some(host) {
                    self.list.owner = None;
                }
            }
            Action::Pause(host) => self.hosts[host].paused = true,
            Action::Cut(from, to) => {
                self.link_mut(from, to).cut = true;
                self.link_mut(from, to).frames.clear();
            }
            Action::AddressFails(host) => self.hosts[host].address = false,
            Action::LoseLock => {
                if let Some(owner) = self.list.owner.take()
                    && self.is_awake(owner)
                {
                    self.input(size, owner, Input::ListsOwned { count: 0 });
                }
            }
            _ => unreachable!("only faults are suffered"),
        }
    }

    pub(crate) fn boot(&mut self, size: &Size, host: usize) {
        let config = size.config(host, self.hosts[host].stored);
        let it = &mut self.hosts[host];
        it.life += 1;
        it.machine = Some(Arc::new(ModelElection::new(config, size.without).unwrap()));
        it.heard.fill(None);
        it.witness.heard.fill(OLD);
        it.witness.echoed.fill(OLD);
        it.witness.vouched = false;
        // What was not durable yet is forgotten; with a disk that is as quick as the crash nothing is.
        let Acknowledged { round, host: durable } = it.stored;
        if size.kinds.slow_disk && it.witness.acknowledged.is_some_and(|term| it.stored < term.into()) {
            it.witness.acknowledged = durable.map(|host| Term::new(round, host));
        }
        it.witness.gave_way_to = None;
        self.input(size, host, Input::Standing { connected_datastores: 1, eligible: true });
    }

    pub(crate) fn deliver(&mut self, size: &Size, from: usize, to: usize, kind: Payload) {
        let Some(frame) = self.link_mut(from, to).frames.remove(&kind) else { return };
        let Frame { message, sent, echo, round } = frame;
        if self.hosts[to].machine.is_none() {
            return;
        }
        let it = &mut self.hosts[to];
        if sent <= LOST {
            it.heard[from] = Some(it.heard[from].map_or(sent, |age| age.min(sent)));
        }
        // What is no election message and echoes nothing never reaches the machine.
        if message.is_some() || echo.is_some() {
            it.witness.heard[from] = 0;
        }
        if echo.is_some() {
            it.witness.echoed[from] = 0;
            it.witness.vouched = true;
            if core::mem::take(&mut it.isolated) {
                self.input(size, to, Input::Isolated { isolated: false });
            }
        }
        let echoes = echo.map(|age| ModelElection::NOW.before(u32::from(age) * PERIOD));
        let (from, known_round) = (host_id(from), Some(round));
        match (message, echoes) {
            (Some(message), echoes) => {
                self.input(size, to, Input::Receive { from, message, echoes, known_round });
            }
            (None, Some(echoes)) => self.input(size, to, Input::Contact { from, echoes, known_round }),
            (None, None) => {}
        }
    }

    /// Time passes on one host: its frames grow older, its timers fire, and a slave beats.
    pub(crate) fn pass(&mut self, size: &Size, host: usize, span: Duration) {
        let periods = u32::try_from(span.as_nanos() / PERIOD.as_nanos()).unwrap();
        self.grow_older(host, periods);
        let Some(machine) = &mut self.hosts[host].machine else { return };
        let outputs = Arc::make_mut(machine).pass(span);
        self.carry_out(size, host, outputs);
        let role = self.hosts[host].machine.as_ref().map(|machine| machine.election().role());
        if let Some(Role::Slave { master, .. }) = role {
            self.send(host, index(master), None);
        }
    }

    fn grow_older(&mut self, host: usize, periods: u32) {
        let more = u8::try_from(periods).unwrap_or(OLD);
        let witness = &mut self.hosts[host].witness;
        for age in witness.heard.iter_mut().chain(&mut witness.echoed) {
            *age = age.saturating_add(more).min(OLD);
        }
        self.age_frames_of(host, periods);
    }

    /// Its frames, and all echoes of them, are this much older.
    fn age_frames_of(&mut self, host: usize, periods: u32) {
        let more = u8::try_from(periods).unwrap_or(OLD);
        let aged = |age: u8| age.saturating_add(more).min(OLD);
        for other in (0..self.hosts.len()).filter(|other| *other != host) {
            let heard = &mut self.hosts[other].heard[host];
            *heard = heard.map(aged).filter(|age| *age <= LOST);
            for frame in self.link_mut(host, other).frames.values_mut() {
                frame.sent = aged(frame.sent);
            }
            for frame in self.link_mut(other, host).frames.values_mut() {
                frame.echo = frame.echo.map(aged).filter(|age| *age <= LOST);
            }
        }
    }

    fn resume(&mut self, size: &Size, host: usize, gap: Gap) {
        self.hosts[host].paused = false;
        self.hosts[host].witness.vouched = false;
        self.grow_older(host, u32::from(OLD));
        match gap {
            Gap::Told => self.input(size, host, Input::Resumed),
            Gap::Seen => {
                if let Some(machine) = &mut self.hosts[host].machine {
                    Arc::make_mut(machine).sleep(2 * u32::from(LOST) * PERIOD);
                }
                self.pass(size, host, Duration::ZERO);
            }
        }
    }

    fn stored(&mut self, size: &Size, host: usize) {
        if let Some(acknowledged) = self.hosts[host].storing.take() {
            self.hosts[host].stored = acknowledged;
            self.input(size, host, Input::TermStored { acknowledged });
        }
    }

    pub(crate) fn address_answers(&mut self, size: &Size, host: usize) {
        let it = &mut self.hosts[host];
        it.address = true;
        if core::mem::take(&mut it.asked) {
            it.witness.vouched = true;
            self.input(size, host, Input::AddressAnswered { asked: ModelElection::NOW });
        }
        if core::mem::take(&mut self.hosts[host].isolated) {
            self.input(size, host, Input::Isolated { isolated: false });
        }
    }

    fn write(&mut self, host: usize) {
        let life = self.hosts[host].life;
        let Some(term) = self.hosts[host].machine.as_ref().and_then(|machine| machine.election().term())
        else {
            return;
        };
        match self.list.written {
            // The taker of a list has not raised its term above the list's yet; it reads that and waits.
            Some((before, _)) if before > term => {}
            Some((before, by)) if before == term && by != life => {
                self.broken = Some(Broken::ListWrittenUnderOldTerm);
            }
            before => {
                self.list.handed_over |= before.is_some_and(|(before, _)| before.host != term.host);
                self.list.written = Some((term, life));
            }
        }
    }

    /// A lock is released by whoever is no longer master, as the agent does.
    fn release_what_may_not_be_kept(&mut self, size: &Size) {
        let Some(owner) = self.list.owner.filter(|owner| self.is_awake(*owner)) else { return };
        let reigns = |host: &Host| {
            let role = host.machine.as_ref().map(|machine| machine.election().role());
            matches!(role, Some(Role::Master { .. })) && !host.isolated
        };
        if !reigns(&self.hosts[owner]) {
            self.list.owner = None;
            self.input(size, owner, Input::ListsOwned { count: 0 });
        }
    }

    pub(crate) fn input(&mut self, size: &Size, host: usize, input: Input) {
        let Some(machine) = &mut self.hosts[host].machine else { return };
        let outputs = Arc::make_mut(machine).input(input).unwrap();
        self.carry_out(size, host, outputs);
    }

    fn carry_out(&mut self, size: &Size, host: usize, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Transmit { to, message } => {
                    if self.hosts[host].isolated && matches!(message, Message::Claim(_)) {
                        self.broken = Some(Broken::IsolatedClaim);
                    }
                    self.send(host, index(to), Some(message));
                }
                Output::StoreTerm { acknowledged } => {
                    self.hosts[host].storing = Some(acknowledged);
                    if !size.kinds.slow_disk {
                        self.stored(size, host);
                    }
                }
                Output::Event(event) => self.witness(size, host, event),
            }
        }
    }

    fn witness(&mut self, size: &Size, host: usize, event: Event) {
        let it = &mut self.hosts[host];
        match event {
            Event::AddressCheckWanted => {
                it.asked = true;
                if it.address {
                    self.address_answers(size, host);
                }
            }
            Event::Reigning { term } => {
                if it.witness.reigned.is_some_and(|before| before >= term) {
                    self.broken = Some(Broken::TermRepeated);
                }
                it.witness.reigned = Some(term);
                it.witness.acknowledged = it.witness.acknowledged.max(Some(term));
                it.witness.gave_way_to = None;
            }
            Event::Following { term, .. } => {
                if it.witness.acknowledged.is_some_and(|before| before > term) {
                    self.broken = Some(Broken::FollowedLower);
                }
                it.witness.acknowledged = it.witness.acknowledged.max(Some(term));
            }
            Event::RoleChanged { to: Role::Master { .. }, .. } => {
                let fresh = |ages: &[u8]| ages.iter().any(|age| *age < LOST);
                if fresh(&it.witness.heard) && !fresh(&it.witness.echoed) {
                    self.broken = Some(Broken::UnheardMaster);
                }
            }
            Event::Yielded { to, .. } => {
                // One that is isolated has claimed nothing, so nobody gives way to it.
                it.witness.gave_way_to = (!it.isolated).then_some(index(to));
                let isolated = it.isolated;
                let mutual = self.hosts[index(to)].witness.gave_way_to == Some(host);
                if mutual && !isolated {
                    self.broken = Some(Broken::BothGaveWay);
                }
            }
            _ => {}
        }
    }

    fn send(&mut self, from: usize, to: usize, message: Option<Message>) {
        if self.link(from, to).cut {
            return;
        }
        let Some(machine) = &self.hosts[from].machine else { return };
        let round = machine.election().highest_round();
        let frame = Frame { sent: 0, echo: self.hosts[from].heard[to], round, message };
        let kind = frame.message.as_ref().map(Message::kind);
        self.link_mut(from, to).frames.insert(kind, frame);
    }
}

/// How long until the end of a slave's patience or of a candidate's window.
fn lapse(machine: &ModelElection) -> Option<Duration> {
    match machine.election().role() {
        Role::Slave { .. } => machine.due_in(),
        // One period late for a candidacy is no stop of the agent.
        Role::Candidate => Some(2 * PERIOD),
        Role::Uninitialized | Role::Master { .. } => None,
    }
}
