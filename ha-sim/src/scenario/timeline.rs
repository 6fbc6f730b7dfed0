use core::fmt;
use core::time::Duration;

use ha_core::HostId;

use super::{Ending, Fault, Scenario, Trouble};

/// How many links or hosts of one fault are written out.
const SHOWN: usize = 6;

/// A readable timeline.
impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, hosts, pace, noise, .. } = self;
        writeln!(f, "seed {seed}, {hosts} hosts, pace `{pace}`, datastores {:?}", self.datastores)?;
        let address = if self.isolation_address { "an" } else { "no" };
        writeln!(
            f,
            "{address} isolation address; {:?} of travel, and up to {:?} more",
            noise.delay, noise.jitter
        )?;
        let [lost, doubled, late] = [noise.loss_per_mille, noise.duplicate_per_mille, noise.tail_per_mille]
            .map(|n| f64::from(n) / 10.0);
        writeln!(f, "lost {lost} %, doubled {doubled} %, late {late} % by up to {:?}", noise.tail)?;
        if !self.store_takes.is_zero() {
            writeln!(f, "a round is durable {:?} after it was stored", self.store_takes)?;
        }
        for Fault { at, lasts, what } in &self.faults {
            writeln!(f, "{}  for {lasts:?}: {what}", Seconds(*at))?;
        }
        writeln!(f, "{}  the faults stop; {}", Seconds(self.calm_at), self.ending)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(links) => {
                f.write_str("cut are ")?;
                write_links(f, links)
            }
            Self::Down(host) => write!(f, "{host} is down"),
            Self::Stopped(host) => write!(f, "the agent of {host} is stopped"),
            Self::Suspended(host) => write!(f, "{host} is suspended"),
            Self::AddressLost(host) => write!(f, "no isolation address answers {host}"),
            Self::Unfit(host) => write!(f, "{host} is in maintenance"),
            Self::OwnsLists(host, count) => write!(f, "{host} owns {count} lists"),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("to settle:")?;
        for group in &self.groups {
            f.write_str(" {")?;
            write_list(f, group, |f, host| write!(f, "{}", host.number()))?;
            f.write_str("}")?;
        }
        if !self.cut.is_empty() {
            f.write_str("; cut for ever are ")?;
            write_links(f, &self.cut)?;
        }
        if !self.dead.is_empty() {
            f.write_str("; dead for ever are ")?;
            write_list(f, &self.dead, |f, host| write!(f, "{}", host.number()))?;
        }
        Ok(())
    }
}

fn write_links(f: &mut fmt::Formatter<'_>, links: &[(HostId, HostId)]) -> fmt::Result {
    write_list(f, links, |f, (from, to)| write!(f, "{}->{}", from.number(), to.number()))
}

fn write_list<T>(
    f: &mut fmt::Formatter<'_>,
    list: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    // The alternate form writes everything: what a unit test is made from must be whole.
    let shown = if f.alternate() { list.len() } else { SHOWN.min(list.len()) };
    for (n, item) in list.iter().take(shown).enumerate() {
        if n > 0 {
            f.write_str(" ")?;
        }
        write(f, item)?;
    }
    match list.len() - shown {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}.{:09} s", self.0.as_secs(), self.0.subsec_nanos())
    }
}
