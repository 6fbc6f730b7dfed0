//! What a failover looked like, in numbers for programs and as a timeline for people.

use core::fmt::Write;
use core::time::Duration;

use ha_core::{Capability, Instant, TimingPlan};
use serde::{Serialize, Serializer};

use crate::config::timing_of;
use crate::demo::{Finished, Kill, KillHow, Setup};
use crate::failure::{Context, Failure};
use crate::protocol::manager::EventLine;
use story::{Story, first, strength};

pub use quiet::Quiet;

mod quiet;
mod story;

/// The numbers. `None` stands for what did not happen.
///
/// Times count from the moment at which the host, or its agent, fell silent: the kill, or the stop before it. Only
/// [`Numbers::all_running_ms`] always counts from the kill, because nothing may start sooner. Fields that are about
/// one way to fail are left out of the JSON object of another way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Numbers {
    /// The timing profile.
    pub profile: String,
    /// How many hosts there were.
    pub hosts: u32,
    /// How many virtual machines there were.
    pub vms: u32,
    /// The host that was killed.
    pub killed_host: String,
    /// `slave` or `master`.
    pub killed_role: &'static str,
    /// `kill`, `stop`, or `agent` if only its agent was killed.
    pub kill_how: &'static str,
    /// When it was killed, if it was stopped before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killed_ms: Option<Millis>,
    /// How many instances of any virtual machine began between stop and kill. There must be none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_while_stopped: Option<usize>,
    /// When the master had said anew of the last virtual machine that it runs and is protected, if only an agent
    /// was killed and came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected_again_ms: Option<Millis>,
    /// When the agent that ordered the restarts suspected it.
    pub suspected_ms: Option<Millis>,
    /// When that agent declared it failed.
    pub declared_ms: Option<Millis>,
    /// `strong` or `weak`: the evidence of that declaration.
    pub declared_by: Option<&'static str>,
    /// The earliest declaration that the timing plan allows.
    pub plan_min_declared_ms: Millis,
    /// The latest declaration that the timing plan allows.
    pub plan_max_declared_ms: Millis,
    /// When that agent became master; `None` if it was before the kill.
    pub new_master_ms: Option<Millis>,
    /// When the first restart was ordered.
    pub first_restart_order_ms: Option<Millis>,
    /// When the last of the dead host's virtual machines wrote its first ledger entry elsewhere. Counts from the
    /// kill, also if there was a stop before it.
    pub all_running_ms: Option<Millis>,
    /// How many of them run again under a later epoch. If only the agent was killed, how many virtual machines of
    /// any host did, and none should.
    pub restarted: usize,
    /// Virtual machines of which two instances ran at the same time.
    pub double_runs: usize,
    /// Failed binds of virtual machines whose instances never overlapped.
    pub unclear_binds: usize,
    /// Protected virtual machines of any host without a running instance at the end.
    pub lost: usize,
}

/// A span, which reads as milliseconds with one decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub Duration);

impl Millis {
    fn tenths(self) -> u128 {
        (self.0.as_micros() + 50) / 100
    }
}

impl core::fmt::Display for Millis {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let text = format!("{}.{}", self.tenths() / 10, self.tenths() % 10);
        f.pad(&text)
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tenths = u32::try_from(self.tenths()).unwrap_or(u32::MAX);
        serializer.serialize_f64(f64::from(tenths) / 10.0)
    }
}

/// The numbers and the story.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The numbers.
    pub numbers: Numbers,
    /// How many virtual machines had to run again: those of the dead host; none if only its agent died.
    pub to_restart: usize,
    timeline: Vec<(Instant, String)>,
    silent_since: Instant,
    /// Whether the agent was to be protected again by now, and is not.
    unprotected: bool,
}

impl Report {
    /// Computes the report of one kill. Where the agents' word and the ledgers could differ, the ledgers count.
    /// `protected_again` is when everything was protected anew after the death of an agent.
    ///
    /// # Errors
    ///
    /// A failure if the profile has no timing plan.
    pub fn new(
        setup: &Setup,
        kill: &Kill,
        protected_again: Option<Instant>,
        finished: &Finished,
    ) -> Result<Self, Failure> {
        let timing = timing_of(setup.profile, setup.exact, &setup.options)?;
        let plan = TimingPlan::validate(timing, Capability::SAME_KERNEL);
        let plan = plan.context(|| "planning the times".into())?;
        let story = Story::new(kill, finished);
        let since = |at: Instant| Millis(at.since(kill.silent_since));
        let at = |event: Option<&EventLine>| event.map(|event| since(event.at));
        let declared = story.declared();
        let restarts = story.restarts();
        let ran = restarts.iter().map(|(_, instance)| Millis(first(instance).since(kill.at))).max();
        let agent_only = kill.how == KillHow::Agent;
        let stopped = kill.how == KillHow::Stop;
        let restarted = if agent_only { begun(finished, kill.at) } else { restarts.len() };
        let to_restart = if agent_only { 0 } else { kill.vms.len() };
        let numbers = Numbers {
            profile: setup.profile.to_string(),
            hosts: setup.hosts,
            vms: setup.vms,
            killed_host: kill.host.to_string(),
            killed_role: kill.part.word(),
            kill_how: kill.how.word(),
            killed_ms: stopped.then(|| since(kill.at)),
            started_while_stopped: stopped
                .then(|| begun(finished, kill.silent_since) - begun(finished, kill.at)),
            protected_again_ms: protected_again.map(since),
            suspected_ms: at(story.suspected()),
            declared_ms: at(declared),
            declared_by: declared.and_then(strength),
            plan_min_declared_ms: Millis(plan.declared_min),
            plan_max_declared_ms: Millis(plan.declared_max),
            new_master_ms: at(story.new_master()),
            first_restart_order_ms: at(story.orders().next()),
            all_running_ms: ran.filter(|_| restarted == to_restart),
            restarted,
            double_runs: finished.measured.double_runs,
            unclear_binds: finished.measured.unclear_binds,
            lost: finished.measured.lost,
        };
        let mut timeline = story.timeline();
        if let Some(at) = protected_again {
            timeline.push((at, format!("all {} VMs are protected again", setup.vms)));
            timeline.sort_by_key(|(at, _)| *at);
        }
        let unprotected = agent_only && setup.restart_agent && protected_again.is_none();
        Ok(Self { numbers, to_restart, timeline, silent_since: kill.silent_since, unprotected })
    }

    /// Whether the promises were kept.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let Numbers { restarted, double_runs, lost, started_while_stopped, .. } = self.numbers;
        restarted == self.to_restart
            && (double_runs, lost) == (0, 0)
            && started_while_stopped.unwrap_or(0) == 0
            && !self.unprotected
    }

    /// The numbers as one JSON object on one line.
    #[must_use]
    pub fn json(&self) -> String {
        // Plain fields with plain names: there is nothing here that JSON could not say.
        serde_json::to_string(&self.numbers).unwrap_or_default()
    }

    /// The timeline and its sum.
    #[must_use]
    pub fn text(&self) -> String {
        let Numbers { killed_host, restarted, double_runs, unclear_binds, lost, all_running_ms, .. } =
            &self.numbers;
        let mut text = String::new();
        let mut line = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        for (at, what) in &self.timeline {
            line(format!("{:>10} ms  {what}", Millis(at.since(self.silent_since))));
        }
        line(String::new());
        let after = all_running_ms.map(|after| format!(" after {after} ms")).unwrap_or_default();
        match (self.numbers.protected_again_ms, self.numbers.killed_ms) {
            (Some(again), _) => line(format!(
                "{restarted} VMs were restarted; all were adopted and are protected again after {again} ms."
            )),
            (None, Some(_)) => line(format!(
                "{restarted} of {} VMs of {killed_host} run again{after} from the kill.",
                self.to_restart
            )),
            (None, None) if self.numbers.kill_how == KillHow::Agent.word() => {
                line(format!("{restarted} VMs were restarted."));
            }
            (None, None) => {
                line(format!("{restarted} of {} VMs of {killed_host} run again{after}.", self.to_restart));
            }
        }
        if let Some(started) = self.numbers.started_while_stopped {
            line(format!("{started} started while it was stopped."));
        }
        let mut sum = format!("{double_runs} ran twice at once, {lost} lost");
        if *unclear_binds > 0 {
            write!(sum, ", {unclear_binds} found their name still taken").ok();
        }
        line(format!("{sum}."));
        line(format!(
            "The plan allows a declaration from {} to {} ms after the last heartbeat or the stream's break.",
            self.numbers.plan_min_declared_ms, self.numbers.plan_max_declared_ms
        ));
        text.trim_end().into()
    }
}

/// How many instances of any virtual machine wrote their first entry at or after `from`.
fn begun(finished: &Finished, from: Instant) -> usize {
    finished.instances.values().flatten().filter(|instance| first(instance) >= from).count()
}
