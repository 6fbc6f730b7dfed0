use core::fmt;
use core::time::Duration;

use super::TimingPlan;

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
        row(f, "first election after a master's death ends", Some(self.master_replaced), "its last heartbeat")
    }
}

fn row(f: &mut fmt::Formatter<'_>, what: &str, bound: Option<Duration>, from: &str) -> fmt::Result {
    match bound {
        Some(bound) => writeln!(f, "{what:<52}{bound:>12?}  {from}"),
        None => writeln!(f, "{what:<52}{:>12}  {from}", "never"),
    }
}
