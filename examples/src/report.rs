//! What a failover looked like, in numbers for programs and as a timeline for people.

use core::fmt::Write;
use core::time::Duration;

use ha_core::{Capability, HostId, Instant, TimingConfig, TimingPlan};
use serde::{Serialize, Serializer};

use crate::demo::{DemoVm, Finished, Kill, Setup};
use crate::failure::{Context, Failure};
use crate::ledger::Instance;
use crate::protocol::manager::{Detail, EventLine};

/// In a timeline, more virtual machines than this are told of by their first and last only.
const TOLD_ONE_BY_ONE: usize = 8;

/// The numbers. Times count from the kill; `None` stands for what did not happen.
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
    /// How it was made to fail.
    pub kill_how: &'static str,
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
    /// When the last of the dead host's virtual machines wrote its first ledger entry elsewhere.
    pub all_running_ms: Option<Millis>,
    /// How many of them run again.
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
    /// How many virtual machines ran on the dead host.
    pub to_restart: usize,
    timeline: Vec<(Instant, String)>,
    killed_at: Instant,
}

impl Report {
    /// Computes the report of one kill. Where the agents' word and the ledgers could differ, the ledgers count.
    ///
    /// # Errors
    ///
    /// A failure if the profile has no timing plan.
    pub fn new(setup: &Setup, kill: &Kill, finished: &Finished) -> Result<Self, Failure> {
        let plan = TimingPlan::validate(TimingConfig::profile(setup.profile), Capability::SAME_KERNEL);
        let plan = plan.context(|| "planning the times".into())?;
        let story = Story::new(kill, finished);
        let since = |at: Instant| Millis(at.since(kill.at));
        let at = |event: Option<&EventLine>| event.map(|event| since(event.at));
        let declared = story.declared();
        let restarts = story.restarts();
        let all = restarts.len() == kill.vms.len();
        let numbers = Numbers {
            profile: setup.profile.to_string(),
            hosts: setup.hosts,
            vms: setup.vms,
            killed_host: kill.host.to_string(),
            killed_role: kill.part.word(),
            kill_how: "kill",
            suspected_ms: at(story.suspected()),
            declared_ms: at(declared),
            declared_by: declared.and_then(strength),
            plan_min_declared_ms: Millis(plan.declared_min),
            plan_max_declared_ms: Millis(plan.declared_max),
            new_master_ms: at(story.new_master()),
            first_restart_order_ms: at(story.orders().next()),
            all_running_ms: restarts.iter().map(|(_, instance)| since(first(instance))).max().filter(|_| all),
            restarted: restarts.len(),
            double_runs: finished.measured.double_runs,
            unclear_binds: finished.measured.unclear_binds,
            lost: finished.measured.lost,
        };
        let (to_restart, killed_at) = (kill.vms.len(), kill.at);
        Ok(Self { numbers, to_restart, timeline: story.timeline(), killed_at })
    }

    /// Whether the promises were kept.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.numbers.restarted == self.to_restart && self.numbers.double_runs == 0 && self.numbers.lost == 0
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
            line(format!("{:>10} ms  {what}", Millis(at.since(self.killed_at))));
        }
        line(String::new());
        let after = all_running_ms.map(|after| format!(" after {after} ms")).unwrap_or_default();
        line(format!("{restarted} of {} VMs of {killed_host} run again{after}.", self.to_restart));
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

/// The events that matter after one kill.
struct Story<'a> {
    kill: &'a Kill,
    finished: &'a Finished,
    events: Vec<&'a EventLine>,
    /// Who ordered the restarts.
    judge: Option<HostId>,
}

impl<'a> Story<'a> {
    fn new(kill: &'a Kill, finished: &'a Finished) -> Self {
        let mut events: Vec<&EventLine> =
            finished.events.iter().filter(|event| event.at >= kill.at && event.host != kill.host).collect();
        events.sort_by_key(|event| event.at);
        let mut story = Self { kill, finished, events, judge: None };
        let judge = story.orders().next().map(|order| order.host);
        story.judge = judge;
        story
    }

    fn by_judge(&self) -> impl Iterator<Item = &'a EventLine> {
        self.events.iter().copied().filter(|event| self.judge.is_none_or(|judge| event.host == judge))
    }

    fn suspected(&self) -> Option<&'a EventLine> {
        let number = self.kill.host.number();
        self.by_judge().find(|event| event.detail == Detail::Suspected { host: number })
    }

    fn declared(&self) -> Option<&'a EventLine> {
        let number = self.kill.host.number();
        let verdict = |event: &&EventLine| matches!(event.detail, Detail::Judged { host, failed: true, .. } if host == number);
        self.by_judge().find(verdict)
    }

    fn new_master(&self) -> Option<&'a EventLine> {
        let is_master =
            |event: &&EventLine| matches!(&event.detail, Detail::Role { role, .. } if role == "master");
        self.by_judge().find(is_master)
    }

    fn owned(&self) -> Option<&'a EventLine> {
        self.by_judge().find(|event| event.detail == Detail::Owned)
    }

    fn orders(&self) -> impl Iterator<Item = &'a EventLine> {
        self.of_vms("order-sent")
    }

    fn of_vms(&self, code: &'static str) -> impl Iterator<Item = &'a EventLine> {
        let concerns = |event: &EventLine| event.detail.vm().is_some_and(|vm| self.name_of(vm).is_some());
        self.events.iter().copied().filter(move |event| event.code == code && concerns(event))
    }

    fn name_of(&self, vm: ha_core::VmUuid) -> Option<&'a str> {
        self.kill.vms.iter().find(|(known, _)| known.id.uuid() == vm).map(|(known, _)| known.name.as_str())
    }

    /// The first instance of each of the dead host's virtual machines that began under a later epoch.
    fn restarts(&self) -> Vec<(&'a DemoVm, &'a Instance)> {
        let of = |(vm, epoch): &'a (DemoVm, u64)| {
            let instances = self.finished.instances.get(&vm.id.uuid().to_string())?;
            let later = instances.iter().filter(|instance| instance.epoch > *epoch);
            later.min_by_key(|instance| instance.first_ns).map(|instance| (vm, instance))
        };
        self.kill.vms.iter().filter_map(of).collect()
    }

    fn timeline(&self) -> Vec<(Instant, String)> {
        let Kill { host, part, at, vms } = self.kill;
        let killed = format!("{host}, {} with {} VMs, is killed as a whole", part.word(), vms.len());
        let mut lines = vec![(*at, killed)];
        let said = |event: Option<&EventLine>, verb: &str| {
            event.map(|event| (event.at, format!("{} {verb}{}", event.host, event.text)))
        };
        lines.extend(self.suspected().map(|event| (event.at, format!("{} suspects {host}", event.host))));
        lines.extend(said(self.declared(), "declares: "));
        lines.extend(said(self.new_master(), "becomes "));
        lines.extend(said(self.owned(), ""));
        let vm_line = |event: &EventLine, what: &str| {
            let name = event.detail.vm().and_then(|vm| self.name_of(vm)).unwrap_or_default();
            let target = match event.detail {
                Detail::Vm { target: Some(target), .. } => format!(" on {}", HostId::new(target)),
                Detail::Vm { target: None, .. }
                | Detail::None
                | Detail::Role { .. }
                | Detail::Suspected { .. }
                | Detail::Judged { .. }
                | Detail::Owned => String::new(),
            };
            (event.at, format!("{} {what} {name}{target}", event.host))
        };
        lines.extend(shortened(self.orders().map(|event| vm_line(event, "orders the start of")).collect()));
        let refused = self.of_vms("order-refused").map(|event| (event.at, event.text.clone()));
        lines.extend(shortened(refused.collect()));
        let locks = self.of_vms("vm-lock-taken").map(|event| vm_line(event, "has the lock of"));
        lines.extend(shortened(locks.collect()));
        let runs = self.restarts().into_iter().map(|(vm, instance)| {
            let running = |event: &&EventLine| event.detail.vm() == Some(vm.id.uuid());
            let place = self.of_vms("vm-running").find(running).map(|event| format!(" on {}", event.host));
            let place = place.unwrap_or_default();
            (first(instance), format!("{} runs{place}, epoch {}", vm.name, instance.epoch))
        });
        let mut runs: Vec<_> = runs.collect();
        runs.sort();
        lines.extend(shortened(runs));
        lines.sort_by_key(|(at, _)| *at);
        lines
    }
}

fn strength(verdict: &EventLine) -> Option<&'static str> {
    let Detail::Judged { strong, .. } = verdict.detail else { return None };
    Some(if strong { "strong" } else { "weak" })
}

fn first(instance: &Instance) -> Instant {
    Instant::from_nanos(instance.first_ns)
}

/// The first and the last of many lines.
fn shortened(mut lines: Vec<(Instant, String)>) -> Vec<(Instant, String)> {
    let left_out = lines.len().saturating_sub(2);
    if lines.len() > TOLD_ONE_BY_ONE {
        lines.drain(1..=left_out);
        if let Some((_, line)) = lines.first_mut() {
            write!(line, " (and {left_out} more until the next such line)").ok();
        }
    }
    lines
}
