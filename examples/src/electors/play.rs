//! Carrying out commands.

use core::ops::ControlFlow;
use core::time::Duration;

use ha_core::HostId;
use ha_datastore::fs::boot_clock;
use serde_json::json;

use super::links::Links;
use super::manager::{Manager, Slot};
use super::protocol::Order;
use super::script::{COMMANDS, Command, Expectation, Step, parse_line};
use super::story::Entry;
use super::words::{Who, list};
use crate::failure::Failure;

/// How long hosts have to tell their status.
const STATUS_LIMIT: Duration = Duration::from_secs(1);

/// The longest wait for a line, after which the manager just waits again.
const IDLE: Duration = Duration::from_secs(3_600);

/// Why a command was not carried out.
enum Obstacle {
    /// It cannot be now, or what it expects did not come true.
    Command(String),
    /// The demo itself is broken.
    Demo(Failure),
}

impl From<Failure> for Obstacle {
    fn from(failure: Failure) -> Self {
        Self::Demo(failure)
    }
}

impl Manager {
    /// Carries out a script, up to the first command that fails. An expectation that names no time waits for as long
    /// as `patience`.
    pub(super) fn play(&mut self, steps: &[Step], patience: Duration) -> Result<(), Failure> {
        for step in steps {
            match self.carry_out(step, patience) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(Obstacle::Command(why)) => {
                    self.failed.push(format!("line {}: `{}`: {why}", step.line, step.text));
                    break;
                }
                Err(Obstacle::Demo(failure)) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Carries out commands as they are typed. Only an expectation that is not met makes the run fail.
    pub(super) fn obey(&mut self, patience: Duration) -> Result<(), Failure> {
        self.listen()?;
        let hosts = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        loop {
            let Some(line) = self.next_typed()? else { return Ok(()) };
            let steps = match parse_line(&line, hosts) {
                Ok(steps) => steps,
                Err(error) => {
                    eprintln!("{error}");
                    continue;
                }
            };
            for step in steps {
                match self.carry_out(&step, patience) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return Ok(()),
                    Err(Obstacle::Command(why)) => {
                        let text = format!("`{}`: {why}", step.text);
                        eprintln!("{text}");
                        if matches!(step.command, Command::Expect(_)) {
                            self.failed.push(text);
                        }
                        break;
                    }
                    Err(Obstacle::Demo(failure)) => return Err(failure),
                }
            }
        }
    }

    /// The next line that is typed; `None` when there will be no more.
    fn next_typed(&mut self) -> Result<Option<String>, Failure> {
        while !self.typing_ended && self.typed.is_empty() {
            self.pump(boot_clock().after(IDLE), |manager| manager.typing_ended || !manager.typed.is_empty())?;
        }
        Ok(self.typed.pop_front())
    }

    /// Breaks if that was the last command.
    fn carry_out(&mut self, step: &Step, patience: Duration) -> Result<ControlFlow<()>, Obstacle> {
        let now = boot_clock();
        self.story.command(now);
        let told = Entry::new("command", format!("> {}", step.text), json!({ "command": step.text }));
        self.story.tell(now, &told);
        match &step.command {
            Command::Kill(who) => {
                let host = self.find_running(*who)?;
                self.kill_host(host)?;
            }
            Command::Start(who) => self.start_again(*who)?,
            Command::Pause(who) => self.pause(*who)?,
            Command::Resume(who) => self.resume(*who)?,
            Command::Leave(who) => self.change(*who, |slot| slot.in_service = false)?,
            Command::Join(who) => self.change(*who, |slot| slot.in_service = true)?,
            Command::Datastores(who, number) => self.change(*who, |slot| slot.datastores = *number)?,
            Command::Expect(expectation) => self.expect(expectation, patience)?,
            Command::Wait(span) => {
                self.pump(now.after(*span), |_| false)?;
            }
            Command::Status => self.status()?,
            Command::Help => self.story.remark(&format!("Commands:\n{COMMANDS}")),
            Command::Quit => return Ok(ControlFlow::Break(())),
            Command::Cut { .. }
            | Command::Partition(_)
            | Command::Isolate(_)
            | Command::HealAll
            | Command::HealHost(_)
            | Command::Heal(..) => self.change_links(&step.command)?,
        }
        Ok(ControlFlow::Continue(()))
    }

    fn find(&self, who: Who) -> Result<HostId, Obstacle> {
        match who {
            Who::Host(host) => Ok(host),
            Who::Master => {
                let leader = self.picture.leader().map(|(host, _)| host);
                leader.ok_or_else(|| Obstacle::Command("nobody is master now".into()))
            }
        }
    }

    fn find_all(&self, group: &[Who]) -> Result<Vec<HostId>, Obstacle> {
        group.iter().map(|who| self.find(*who)).collect()
    }

    fn find_running(&self, who: Who) -> Result<HostId, Obstacle> {
        let host = self.find(who)?;
        let runs = self.hosts.get(&host).is_some_and(|slot| slot.process.is_some());
        if runs { Ok(host) } else { Err(Obstacle::Command(format!("{host} does not run"))) }
    }

    fn start_again(&mut self, who: Who) -> Result<(), Obstacle> {
        let host = self.find(who)?;
        if self.hosts.get(&host).is_some_and(|slot| slot.process.is_some()) {
            return Err(Obstacle::Command(format!("{host} runs already")));
        }
        Ok(self.start_host(host)?)
    }

    fn pause(&mut self, who: Who) -> Result<(), Obstacle> {
        let host = self.find_running(who)?;
        if let Some(slot) = self.hosts.get_mut(&host)
            && let Some(process) = &slot.process
        {
            process.stop()?;
            slot.paused = true;
        }
        Ok(self.order_settings()?)
    }

    fn resume(&mut self, who: Who) -> Result<(), Obstacle> {
        let host = self.find(who)?;
        if self.hosts.get(&host).is_none_or(|slot| !slot.paused) {
            return Err(Obstacle::Command(format!("{host} is not paused")));
        }
        self.order_settings_of(host)?;
        if let Some(slot) = self.hosts.get_mut(&host)
            && let Some(process) = &slot.process
        {
            process.go_on()?;
            slot.paused = false;
        }
        self.review(host);
        Ok(())
    }

    /// Changes what a host is fit for, also if it does not run.
    fn change(&mut self, who: Who, change: impl FnOnce(&mut Slot)) -> Result<(), Obstacle> {
        let host = self.find(who)?;
        if let Some(slot) = self.hosts.get_mut(&host) {
            change(slot);
        }
        Ok(self.order_settings()?)
    }

    fn change_links(&mut self, command: &Command) -> Result<(), Obstacle> {
        let all: Vec<HostId> = self.hosts.keys().copied().collect();
        match command {
            Command::Cut { from, to, both_ways } => {
                let (from, to) = (self.find(*from)?, self.find(*to)?);
                if from == to {
                    return Err(Obstacle::Command(format!("{from} has no link to itself")));
                }
                self.links.cut(from, to);
                if *both_ways {
                    self.links.cut(to, from);
                }
            }
            Command::Partition(group) => {
                let group = self.find_all(group)?;
                self.links.part(&group, &all);
            }
            Command::Isolate(who) => {
                let host = self.find(*who)?;
                self.links.isolate(host, &all);
            }
            Command::HealAll => self.links = Links::default(),
            Command::HealHost(who) => {
                let host = self.find(*who)?;
                self.links.heal_host(host);
            }
            Command::Heal(one, other) => {
                let (one, other) = (self.find(*one)?, self.find(*other)?);
                self.links.heal(one, other);
            }
            Command::Kill(_)
            | Command::Start(_)
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::Leave(_)
            | Command::Join(_)
            | Command::Datastores(..)
            | Command::Expect(_)
            | Command::Wait(_)
            | Command::Status
            | Command::Help
            | Command::Quit => {}
        }
        Ok(self.order_settings()?)
    }

    fn expect(&mut self, expectation: &Expectation, patience: Duration) -> Result<(), Obstacle> {
        let Expectation { master, of, within } = expectation;
        let master = master.map(|who| self.find(who)).transpose()?;
        let of = of.as_ref().map(|group| self.find_all(group)).transpose()?;
        let group = |manager: &Self| of.clone().unwrap_or_else(|| manager.picture.counting());
        let leader = |manager: &Self| manager.picture.master_of(&group(manager)).map(|(host, _)| host);
        let came_true = |manager: &Self| {
            leader(manager).is_some_and(|leader| master.is_none_or(|master| leader == master))
        };
        let began = boot_clock();
        let met = self.pump(began.after(within.unwrap_or(patience)), came_true)?;
        let (now, group) = (boot_clock(), group(self));
        let fields = json!({
            "met": met,
            "master": leader(self).map(|host| host.to_string()),
            "of": group.iter().map(HostId::to_string).collect::<Vec<_>>(),
        });
        let text = if met { "the expectation is met" } else { "the expectation is not met" };
        self.story.tell(now, &Entry::new("expectation", text, fields));
        if met { Ok(()) } else { Err(Obstacle::Command(self.how_it_is(&group, now.since(began)))) }
    }

    fn how_it_is(&self, group: &[HostId], waited: Duration) -> String {
        let roles = group.iter().filter_map(|host| Some(format!("{host} is {}", self.picture.role(*host)?)));
        let roles: Vec<String> = roles.collect();
        format!("not so after {} ms among {}: {}", waited.as_millis(), list(group), roles.join(", "))
    }

    fn status(&mut self) -> Result<(), Obstacle> {
        let number = self.statuses.values().map(|(number, _)| number + 1).max().unwrap_or(1);
        let listens = |slot: &Slot| slot.process.is_some() && !slot.paused;
        for slot in self.hosts.values().filter(|slot| listens(slot)) {
            if let Some(process) = &slot.process {
                process.order(&Order::Status(number))?;
            }
        }
        let answered = |manager: &Self, host: &HostId| {
            manager.statuses.get(host).is_some_and(|(answered, _)| *answered == number)
        };
        self.pump(boot_clock().after(STATUS_LIMIT), |manager| {
            manager.hosts.iter().all(|(host, slot)| !listens(slot) || answered(manager, host))
        })?;
        let now = boot_clock();
        for (host, slot) in &self.hosts {
            let state = match (&slot.process, slot.paused) {
                (None, _) => "down",
                (Some(_), true) => "paused",
                (Some(_), false) => "running",
            };
            let status = self.statuses.get(host).filter(|_| listens(slot) && answered(self, host));
            self.story.tell(now, &Entry::status(*host, state, status.map(|(_, status)| status)));
        }
        Ok(())
    }
}

/// The longest wait for an expectation that names none: twice what the timing promises.
pub(super) fn patience(settled: Duration) -> Duration {
    settled.saturating_mul(2)
}
