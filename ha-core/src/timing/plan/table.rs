use core::fmt;
use core::time::Duration;

use super::{FailoverPlan, TimingPlan};
use crate::takeover::Takeover;

/// The chain as a table, one bound a line, for people.
impl fmt::Display for TimingPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strong = "host declared dead, strong evidence";
        writeln!(f, "{:<52}{:>12}  counted from", "what", "bound")?;
        row(f, "host suspected", Some(self.suspected_max), "its last heartbeat")?;
        row(f, strong, self.declared_strong_by_stream, "the break of its stream, at the earliest")?;
        row(f, strong, self.declared_strong_by_silence, "its last heartbeat, at the earliest")?;
        row(f, "heartbeat file counts as standing still", Some(self.still_after), "its last change")?;
        let weak = "host declared dead by time, heartbeat datastores";
        row(f, weak, Some(self.declared_weak_with_datastores), "its last heartbeat")?;
        let weak = "host declared dead by time, no heartbeat datastore";
        row(f, weak, Some(self.declared_weak_without), "its last heartbeat")?;
        row(f, "no host is declared dead before", Some(self.declared_min), "its last sign of life")?;
        row(f, "every dead host is declared by", Some(self.declared_max), "its last heartbeat")?;
        // Below F3 an operator decides what a lock may not.
        let decides = Some(self.lock_decides_after).filter(|_| self.capability.rating.fences());
        row(f, "locks decide for an unknown host's machines", decides, "its suspicion")?;
        takeover(f, self)?;
        failover(f, &self.failover)?;
        let from = "the end of all faults, plus twice the longest travel";
        row(f, "one master in each set of hosts in touch", Some(self.settled_max), from)
    }
}

fn takeover(f: &mut fmt::Formatter<'_>, plan: &TimingPlan) -> fmt::Result {
    let wait = match plan.takeover.rule {
        Takeover::AtOnceByLock => None,
        Takeover::AfterSilence(wait) => Some(Some(wait)),
        Takeover::OperatorOnly => Some(None),
    };
    if let Some(wait) = wait {
        confirmed(f, "silence after which an owner must have stopped", wait, "the observer's first read")?;
    }
    let from = "its last heartbeat";
    confirmed(f, "its virtual machines' locks are tried by", plan.takeover.tried_by, from)?;
    confirmed(f, "its virtual machines' locks are won by", plan.takeover.won_by, from)
}

fn failover(f: &mut fmt::Formatter<'_>, plan: &FailoverPlan) -> fmt::Result {
    let (from, life) = ("the master's last heartbeat", "the master's last sign of life");
    row(f, "no new master before", Some(plan.elected_min), life)?;
    row(f, "new master, if every survivor answers", Some(plan.elected_expected), from)?;
    row(f, "first election ends", Some(plan.elected_max), from)?;
    confirmed(f, "its protected list is locked by", plan.list_locked_max, from)?;
    confirmed(f, "the same, if only its agent hangs", plan.list_locked_after_hang, from)?;
    row(f, "no restart is ordered before", Some(plan.ordered_min), life)?;
    confirmed(f, "first restart order, if all answer at once", plan.ordered_expected, from)?;
    confirmed(f, "first restart order by", plan.ordered_max, from)
}

/// A bound that, where there is none, an operator or a fence device sets by confirming the host's end.
fn confirmed(f: &mut fmt::Formatter<'_>, what: &str, bound: Option<Duration>, from: &str) -> fmt::Result {
    match bound {
        Some(_) => row(f, what, bound, from),
        None => writeln!(f, "{what:<52}{:>12}  an operator's confirmation", "none"),
    }
}

fn row(f: &mut fmt::Formatter<'_>, what: &str, bound: Option<Duration>, from: &str) -> fmt::Result {
    match bound {
        Some(bound) => writeln!(f, "{what:<52}{bound:>12?}  {from}"),
        None => writeln!(f, "{what:<52}{:>12}  {from}", "never"),
    }
}
