//! What faults do to the world, and how they end.

use ha_core::HostId;

use super::node::{News, Node};
use super::slot::Slot;
use super::{Elections, StartError};
use crate::links::place;
use crate::scenario::Trouble;
use crate::{Scenario, Stance};

impl<N: Node> Elections<N> {
    pub(super) fn fault_begins(&mut self, number: usize) {
        let Some(fault) = self.scenario.faults.get(number).cloned() else { return };
        match fault.what {
            Trouble::Cut(links) => links.iter().for_each(|(from, to)| self.links.cut(*from, *to)),
            Trouble::Down(host) => self.take_down(host),
            Trouble::Stopped(host) => self.with(host, |slot| slot.stopped += 1),
            Trouble::Suspended(host) => self.with(host, |slot| slot.suspended += 1),
            Trouble::AddressLost(host) => self.with(host, |slot| slot.address_lost += 1),
            Trouble::Unfit(host) => {
                self.with(host, |slot| slot.unfit += 1);
                self.tell(host, News::Fit(false));
            }
            Trouble::OwnsLists(host, count) => self.own_lists(host, count),
        }
    }

    pub(super) fn fault_ends(&mut self, number: usize) -> Result<(), StartError> {
        let Some(fault) = self.scenario.faults.get(number).cloned() else { return Ok(()) };
        match fault.what {
            Trouble::Cut(links) => links.iter().for_each(|(from, to)| self.links.mend(*from, *to)),
            Trouble::Down(host) => {
                self.with(host, |slot| slot.down = slot.down.saturating_sub(1));
                return self.boot(host);
            }
            Trouble::Stopped(host) => {
                self.with(host, |slot| slot.stopped = slot.stopped.saturating_sub(1));
                self.go_on(host, false);
            }
            Trouble::Suspended(host) => {
                self.with(host, |slot| slot.suspended = slot.suspended.saturating_sub(1));
                self.go_on(host, true);
            }
            Trouble::AddressLost(host) => {
                self.with(host, |slot| slot.address_lost = slot.address_lost.saturating_sub(1));
            }
            Trouble::Unfit(host) => {
                self.with(host, |slot| slot.unfit = slot.unfit.saturating_sub(1));
                if self.slot(host).is_some_and(|slot| slot.unfit == 0) {
                    self.tell(host, News::Fit(true));
                }
            }
            Trouble::OwnsLists(host, _) => self.own_lists(host, 0),
        }
        Ok(())
    }

    /// The faults are over; what stays broken breaks now.
    pub(super) fn calm_down(&mut self) {
        self.calm = true;
        let Scenario { ending, .. } = &self.scenario;
        for (from, to) in &ending.cut {
            self.links.cut(*from, *to);
        }
        for host in ending.dead.clone() {
            self.take_down(host);
        }
    }

    /// Ends a life. What was not stored is gone.
    pub(super) fn take_down(&mut self, host: HostId) {
        self.with(host, |slot| {
            slot.down += 1;
            slot.node = None;
            slot.waiting.clear();
            slot.armed = None;
        });
        self.oracle.stands(self.now, host, Stance::Out);
    }

    /// A held agent runs again: it reads what has waited, then lets time pass, as an embedder's loop does. Only a
    /// suspend is told to it; that it was stopped it can only notice by the clock.
    fn go_on(&mut self, host: HostId, suspended: bool) {
        if self.slot(host).is_none_or(Slot::is_held) {
            return;
        }
        if suspended {
            self.tell(host, News::Resumed);
        }
        let mut waiting = Default::default();
        self.with(host, |slot| core::mem::swap(&mut waiting, &mut slot.waiting));
        for news in waiting {
            self.tell(host, news);
        }
        let now = self.now;
        self.with(host, |slot| {
            slot.armed = None;
            if let Some(node) = slot.node.as_mut().filter(|node| node.deadline().is_some_and(|at| at <= now))
            {
                node.tick(now);
            }
        });
        self.after_step(host);
    }

    fn own_lists(&mut self, host: HostId, count: u32) {
        self.with(host, |slot| slot.lists = count);
        self.tell(host, News::OwnsLists(count));
    }

    fn with(&mut self, host: HostId, change: impl FnOnce(&mut Slot<N>)) {
        if let Some(slot) = place(host).and_then(|place| self.slots.get_mut(place)) {
            debug_assert_eq!(slot.host, host, "a slot stands at its host's place");
            change(slot);
        }
    }
}
