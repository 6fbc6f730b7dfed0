//! The faults of a scenario, planned for a world of whole agents.

use ha_core::HostId;

use super::{Happening, World};
use crate::scenario::{Fault, Trouble};

/// What troubles of one host add up within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Down,
    Stopped,
    Suspended,
    AddressLost,
}

impl World {
    /// Plans a fault; its times count from now. Answers whether agents can have it: how many lists one owns and whether
    /// it is fit are its own affair.
    pub fn plan(&mut self, fault: &Fault) -> bool {
        let possible = matches!(fault.what, Trouble::Cut(_)) || kind(&fault.what).is_some();
        if possible {
            self.after(fault.at, Happening::TroubleBegins(fault.what.clone()));
            self.after(fault.at.saturating_add(fault.lasts), Happening::TroubleEnds(fault.what.clone()));
        }
        possible
    }

    pub(super) fn trouble_begins(&mut self, trouble: &Trouble) {
        if let Trouble::Cut(links) = trouble {
            return links.iter().for_each(|(from, to)| self.cut_link(*from, *to));
        }
        let Some((host, kind)) = kind(trouble) else { return };
        let count = self.faults.troubled.entry((host, kind)).or_default();
        *count += 1;
        if *count > 1 {
            return;
        }
        match kind {
            Kind::Down => self.power_off(host),
            Kind::Stopped => self.stop_agent(host),
            Kind::Suspended => self.suspend_host(host),
            Kind::AddressLost => {
                self.faults.no_address.insert(host);
            }
        }
    }

    pub(super) fn trouble_ends(&mut self, trouble: &Trouble) {
        if let Trouble::Cut(links) = trouble {
            return links.iter().for_each(|(from, to)| self.mend_link(*from, *to));
        }
        let Some((host, kind)) = kind(trouble) else { return };
        let Some(count) = self.faults.troubled.get_mut(&(host, kind)) else { return };
        *count = count.saturating_sub(1);
        if *count > 0 {
            return;
        }
        match kind {
            Kind::Down => {
                let booted = self.boot(host);
                debug_assert!(booted.is_ok(), "the same configuration was valid before");
            }
            // Whichever ends last lets the agent go on; that it was suspended it is told in either case.
            Kind::Stopped if self.is_troubled(host, Kind::Suspended) => {}
            Kind::Stopped if self.faults.suspended.contains_key(&host) => self.resume_host(host),
            Kind::Stopped => self.continue_agent(host),
            Kind::Suspended if self.is_troubled(host, Kind::Stopped) => {}
            Kind::Suspended => self.resume_host(host),
            Kind::AddressLost => {
                self.faults.no_address.remove(&host);
            }
        }
    }

    fn is_troubled(&self, host: HostId, kind: Kind) -> bool {
        self.faults.troubled.get(&(host, kind)).is_some_and(|count| *count > 0)
    }
}

const fn kind(trouble: &Trouble) -> Option<(HostId, Kind)> {
    match trouble {
        Trouble::Down(host) => Some((*host, Kind::Down)),
        Trouble::Stopped(host) => Some((*host, Kind::Stopped)),
        Trouble::Suspended(host) => Some((*host, Kind::Suspended)),
        Trouble::AddressLost(host) => Some((*host, Kind::AddressLost)),
        Trouble::Cut(_) | Trouble::Unfit(_) | Trouble::OwnsLists(..) => None,
    }
}
