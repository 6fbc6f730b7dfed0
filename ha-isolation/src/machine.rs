use alloc::vec::Vec;
use core::time::Duration;

use ha_core::operation::{Ping, PingOutcome};
use ha_core::{
    Completion, Deadline, Instant, Machine, MonotonicNow, Outbox, RequestId, TokenMint, UnknownRequest,
};

use crate::address::{Address, Open};
use crate::{CancelReason, ConfigError, Event, Input, IsolationConfig, Output, Rejected};

/// One host's check of its own isolation. The crate's documentation has the rules.
#[derive(Debug)]
pub struct IsolationCheck {
    config: IsolationConfig,
    clock: MonotonicNow,
    out: Outbox<Output>,
    mint: TokenMint,
    addresses: Vec<Address>,
    alone: Option<Alone>,
}

/// Contact with all other agents is lost.
#[derive(Debug)]
struct Alone {
    as_master: bool,
    /// The last sign that the host was not cut off.
    quiet_since: Instant,
    isolation: Isolation,
}

#[derive(Clone, Copy, Debug)]
enum Isolation {
    None,
    Declared { response_due: Instant },
    ResponseTold,
}

impl IsolationCheck {
    /// A check that is idle until [`Input::Alone`] or [`Input::Check`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the rule that the configuration breaks.
    pub fn new(now: Instant, config: IsolationConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            clock: MonotonicNow::new(now),
            out: Outbox::new(),
            mint: TokenMint::new(config.machine),
            addresses: (0..config.addresses).map(|_| Address::NEW).collect(),
            alone: None,
            config,
        })
    }

    /// Whether this host is declared isolated.
    #[must_use]
    pub const fn isolated(&self) -> bool {
        match &self.alone {
            Some(alone) => !matches!(alone.isolation, Isolation::None),
            None => false,
        }
    }

    /// How long a ping may wait for its answer: half of `master_isolated_after`, so that a whole round fits into
    /// it (2.5 s of FDM's 5 s, fdm-facts 8.9).
    #[must_use]
    pub fn ping_timeout(&self) -> Duration {
        self.config.timing.master_isolated_after / 2
    }

    /// From one ping of an address to the next: two heartbeat periods, or when the first has ended if that is
    /// later.
    #[must_use]
    pub fn ping_period(&self) -> Duration {
        self.config.timing.heartbeat_period.saturating_mul(2)
    }

    /// When the declaration is due, if nothing answers.
    fn declaration_due(&self, alone: &Alone) -> Instant {
        alone.quiet_since.after(if alone.as_master {
            self.config.timing.master_isolated_after
        } else {
            self.config.timing.slave_isolated_after
        })
    }

    /// Whether every address has left a ping of this wait unanswered. Without addresses there is no evidence.
    fn all_silent(&self, alone: &Alone) -> bool {
        !self.addresses.is_empty() && self.addresses.iter().all(|a| a.silent_since(alone.quiet_since))
    }

    /// When an address is to be pinged next; never while its last ping is under way.
    fn ping_due(&self, address: &Address, now: Instant) -> Option<Instant> {
        if self.alone.is_none() || address.open.is_some() {
            return None;
        }
        Some(address.last_sent.map_or(now, |sent| sent.after(self.ping_period())))
    }

    fn own_deadline(&self) -> Option<Deadline> {
        let alone = self.alone.as_ref()?;
        let latest = self.clock.latest();
        let pings = self.addresses.iter().filter_map(|address| self.ping_due(address, latest));
        let then = match alone.isolation {
            Isolation::None => self
                .all_silent(alone)
                .then(|| Deadline::new(self.declaration_due(alone), "declaration of isolation")),
            Isolation::Declared { response_due } => Some(Deadline::new(response_due, "isolation response")),
            Isolation::ResponseTold => None,
        };
        Deadline::soonest([pings.min().map(|at| Deadline::new(at, "isolation ping")), then])
    }

    /// Takes in the time of a call. If it is far later than the next thing that was to happen (also the end of a
    /// ping, which is the driver's to tell) the agent was stopped, and answers may lie unread: wait anew.
    fn begin_call(&mut self, now: Instant) -> Instant {
        let before = self.clock.latest();
        let ping_ends = self.addresses.iter().filter_map(|a| a.open.as_ref());
        let ping_ends = ping_ends.map(|open| open.sent.after(self.ping_timeout())).min();
        let expected = ping_ends.into_iter().chain(self.own_deadline().map(|deadline| deadline.at)).min();
        let now = self.clock.advance(now);
        let limit = self.config.timing.master_lost / 2;
        let stopped = expected.is_some_and(|expected| now.since(expected.max(before)) > limit);
        let delay = self.config.timing.isolation_policy_delay;
        if let Some(alone) = self.alone.as_mut().filter(|_| stopped) {
            alone.quiet_since = alone.quiet_since.max(now);
            if let Isolation::Declared { response_due } = &mut alone.isolation {
                *response_due = now.after(delay);
            }
        }
        now
    }

    fn take_alone(&mut self, now: Instant, as_master: bool, since: Instant) {
        if self.alone.is_some() {
            return;
        }
        self.alone = Some(Alone { as_master, quiet_since: since.min(now), isolation: Isolation::None });
        if self.addresses.is_empty() {
            self.tell(Event::NoAddressConfigured);
        }
        self.ping_all(now);
    }

    fn take_contact(&mut self) {
        let was_isolated = self.isolated();
        if self.alone.take().is_some() {
            self.tell(Event::Cancelled { reason: CancelReason::Contact, was_isolated });
        }
    }

    fn take_check(&mut self, now: Instant) {
        if self.addresses.is_empty() {
            self.tell(Event::NoAddressConfigured);
        }
        self.ping_all(now);
    }

    /// Finds the ping that a completion answers. Changes nothing.
    fn open_ping(&self, id: RequestId<Ping>) -> Option<(u32, Instant)> {
        (0_u32..).zip(&self.addresses).find_map(|(number, address)| {
            let open = address.open.as_ref()?;
            (open.id == id).then_some((number, open.sent))
        })
    }

    fn take_ping(&mut self, now: Instant, number: u32, asked: Instant, outcome: PingOutcome) {
        if let Some((_, address)) = (0_u32..).zip(&mut self.addresses).find(|(n, _)| *n == number) {
            address.open = None;
            if outcome == PingOutcome::Unanswered {
                address.unanswered = Some(asked);
            }
        }
        match outcome {
            PingOutcome::Unanswered => {}
            PingOutcome::Answered => self.take_answer(now, number, asked),
        }
    }

    fn take_answer(&mut self, now: Instant, address: u32, asked: Instant) {
        let was_isolated = self.isolated();
        self.tell(Event::AddressAnswered { address, asked });
        if let Some(alone) = &mut self.alone {
            alone.quiet_since = now;
            alone.isolation = Isolation::None;
        }
        if was_isolated {
            self.tell(Event::Cancelled { reason: CancelReason::AddressAnswered, was_isolated });
        }
    }

    /// Takes the next step of an isolation if it is due; whether it was.
    fn tick_isolation(&mut self, now: Instant) -> bool {
        let Some(alone) = &self.alone else { return false };
        let event = match alone.isolation {
            Isolation::None if self.all_silent(alone) && now >= self.declaration_due(alone) => {
                Event::DeclaredIsolated { after: now.since(alone.quiet_since) }
            }
            Isolation::Declared { response_due } if now >= response_due => Event::ResponseDue,
            Isolation::None | Isolation::Declared { .. } | Isolation::ResponseTold => return false,
        };
        let response_due = now.after(self.config.timing.isolation_policy_delay);
        if let Some(alone) = &mut self.alone {
            alone.isolation = match alone.isolation {
                Isolation::None => Isolation::Declared { response_due },
                Isolation::Declared { .. } | Isolation::ResponseTold => Isolation::ResponseTold,
            };
        }
        self.tell(event);
        true
    }

    /// Pings every address that has no ping under way.
    fn ping_all(&mut self, now: Instant) {
        let timeout = self.ping_timeout();
        for (number, address) in (0..).zip(&mut self.addresses) {
            if address.open.is_none() {
                self.out.push(ping(&mut self.mint, address, number, timeout, now));
            }
        }
    }

    fn ping_due_addresses(&mut self, now: Instant) {
        let due: Vec<bool> =
            self.addresses.iter().map(|a| self.ping_due(a, now).is_some_and(|at| at <= now)).collect();
        let timeout = self.ping_timeout();
        for ((number, address), due) in (0..).zip(&mut self.addresses).zip(due) {
            if due {
                self.out.push(ping(&mut self.mint, address, number, timeout, now));
            }
        }
    }

    fn tell(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    fn open(&self, completion: Completion<Ping>) -> Result<(u32, Instant, PingOutcome), UnknownRequest> {
        let (id, outcome) = completion.open(&self.mint)?;
        let (number, asked) = self.open_ping(id).ok_or(UnknownRequest)?;
        Ok((number, asked, outcome))
    }
}

fn ping(mint: &mut TokenMint, address: &mut Address, number: u32, timeout: Duration, now: Instant) -> Output {
    let (token, id) = mint.issue();
    address.open = Some(Open { id, sent: now });
    address.last_sent = Some(now);
    Output::Ping { token, address: number, timeout }
}

impl Machine for IsolationCheck {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        match input {
            Input::Pinged(completion) => {
                let (number, asked, outcome) = self.open(completion)?;
                let now = self.begin_call(now);
                self.take_ping(now, number, asked, outcome);
            }
            Input::Alone { as_master, since } => {
                let now = self.begin_call(now);
                self.take_alone(now, as_master, since);
            }
            Input::Contact => {
                self.begin_call(now);
                self.take_contact();
            }
            Input::Check => {
                let now = self.begin_call(now);
                self.take_check(now);
            }
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.begin_call(now);
        // Without a policy delay the response is due together with the declaration.
        if self.tick_isolation(now) {
            self.tick_isolation(now);
        }
        self.ping_due_addresses(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.out.deadline(self.clock.latest(), self.own_deadline())
    }
}
