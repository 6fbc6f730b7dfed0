use core::fmt::Write;

use ha_core::{HostId, Instant};

use crate::demo::{DemoVm, Finished, Kill, KillHow};
use crate::ledger::Instance;
use crate::protocol::manager::{Detail, EventLine};

/// In a timeline, more virtual machines than this are told of by their first and last only.
const TOLD_ONE_BY_ONE: usize = 8;

/// The events that matter after one kill.
pub(super) struct Story<'a> {
    kill: &'a Kill,
    finished: &'a Finished,
    events: Vec<&'a EventLine>,
    /// Who ordered the restarts.
    judge: Option<HostId>,
}

impl<'a> Story<'a> {
    pub(super) fn new(kill: &'a Kill, finished: &'a Finished) -> Self {
        // A dead host says nothing; what it still said was on its way before. An agent may come back.
        let matters = |event: &EventLine| kill.how == KillHow::Agent || event.host != kill.host;
        let mut events: Vec<&EventLine> =
            finished.events.iter().filter(|event| event.at >= kill.silent_since && matters(event)).collect();
        events.sort_by_key(|event| event.at);
        let mut story = Self { kill, finished, events, judge: None };
        let judge = story.orders().next().map(|order| order.host);
        story.judge = judge;
        story
    }

    fn by_judge(&self) -> impl Iterator<Item = &'a EventLine> {
        self.events.iter().copied().filter(|event| self.judge.is_none_or(|judge| event.host == judge))
    }

    pub(super) fn suspected(&self) -> Option<&'a EventLine> {
        let number = self.kill.host.number();
        self.by_judge().find(|event| event.detail == Detail::Suspected { host: number })
    }

    pub(super) fn declared(&self) -> Option<&'a EventLine> {
        let number = self.kill.host.number();
        let verdict = |event: &&EventLine| matches!(event.detail, Detail::Judged { host, failed: true, .. } if host == number);
        self.by_judge().find(verdict)
    }

    pub(super) fn new_master(&self) -> Option<&'a EventLine> {
        let is_master =
            |event: &&EventLine| matches!(&event.detail, Detail::Role { role, .. } if role == "master");
        self.by_judge().find(is_master)
    }

    fn owned(&self) -> Option<&'a EventLine> {
        self.by_judge().find(|event| event.detail == Detail::Owned)
    }

    pub(super) fn orders(&self) -> impl Iterator<Item = &'a EventLine> {
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
    pub(super) fn restarts(&self) -> Vec<(&'a DemoVm, &'a Instance)> {
        let of = |(vm, epoch): &'a (DemoVm, u64)| {
            let instances = self.finished.instances.get(&vm.id.uuid().to_string())?;
            let later = instances.iter().filter(|instance| instance.epoch > *epoch);
            later.min_by_key(|instance| instance.first_ns).map(|instance| (vm, instance))
        };
        self.kill.vms.iter().filter_map(of).collect()
    }

    pub(super) fn timeline(&self) -> Vec<(Instant, String)> {
        let Kill { host, part, how, silent_since, at, vms } = self.kill;
        let who = format!("{host}, {} with {} VMs,", part.word(), vms.len());
        let mut lines = match how {
            KillHow::Kill => vec![(*at, format!("{who} is killed as a whole"))],
            KillHow::Stop => vec![
                (*silent_since, format!("{who} is stopped as a whole")),
                (*at, format!("{host} is killed as a whole")),
            ],
            KillHow::Agent => vec![(*at, format!("the agent of {who} is killed"))],
        };
        // Only an agent can come back. What makes it the judge is told below.
        let told = self.new_master();
        let back = |event: &&&EventLine| {
            event.host == *host && matches!(event.detail, Detail::Role { .. }) && Some(**event) != told
        };
        let returned = self.events.iter().filter(back);
        lines.extend(returned.map(|event| (event.at, format!("{host} is back as {}", event.text))));
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

pub(super) fn strength(verdict: &EventLine) -> Option<&'static str> {
    let Detail::Judged { strong, .. } = verdict.detail else { return None };
    Some(if strong { "strong" } else { "weak" })
}

pub(super) fn first(instance: &Instance) -> Instant {
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
