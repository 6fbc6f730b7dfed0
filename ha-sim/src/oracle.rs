//! Watches a run from outside: what hosts say and do, and what is true.
//!
//! Nothing here is shared with the machines: terms are two plain numbers with an order of their own, and the truth
//! about links and lives comes from the world.

mod invariant;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use ha_core::{HostId, Instant};

pub use invariant::{Invariant, Violation};

use crate::links::place;

/// A term as the oracle knows it: the round first, then the host's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reign {
    /// The round.
    pub round: u64,
    /// The master's number.
    pub host: u32,
}

impl fmt::Display for Reign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@host-{}", self.round, self.host)
    }
}

/// What a host is, as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// It takes no part, or is down.
    Out,
    /// It looks for a master.
    Looks,
    /// It follows a master.
    Follows(Reign),
    /// It is master.
    Reigns(Reign),
}

impl fmt::Display for Stance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Out => f.write_str("out"),
            Self::Looks => f.write_str("looks"),
            Self::Follows(reign) => write!(f, "follows {reign}"),
            Self::Reigns(reign) => write!(f, "reigns {reign}"),
        }
    }
}

/// What was seen of one host.
#[derive(Clone, Debug)]
struct Seen {
    incarnation: u64,
    stance: Stance,
    /// The highest term that it reigned in or followed, and in which life.
    acknowledged: Option<(Reign, u64)>,
    /// Incarnation and sequence of the last frame to each host.
    frames: Vec<(u64, u64)>,
}

/// A set of hosts that must settle.
#[derive(Clone, Debug)]
struct Group {
    members: Vec<HostId>,
    /// Since when all of it follow one master that is in it.
    since: Option<Instant>,
    master: Option<Reign>,
}

/// The oracle of one run.
#[derive(Debug)]
pub(crate) struct Oracle {
    hosts: Vec<Seen>,
    reigned: BTreeSet<Reign>,
    groups: Vec<Group>,
    group_of: Vec<Option<usize>>,
    settling: Invariant,
    /// Groups must have settled, and may not change any more.
    closed: bool,
    violation: Option<Violation>,
}

impl Oracle {
    /// Watches this many hosts; `groups` are to settle, by which `settling` is kept.
    pub(crate) fn new(hosts: u32, groups: &[Vec<HostId>], settling: Invariant) -> Self {
        let count = usize::try_from(hosts).unwrap_or(usize::MAX);
        let seen =
            Seen { incarnation: 0, stance: Stance::Out, acknowledged: None, frames: vec![(0, 0); count] };
        let mut group_of = vec![None; count];
        for (number, group) in groups.iter().enumerate() {
            for at in group.iter().filter_map(|host| place(*host)) {
                group_of[at] = Some(number);
            }
        }
        let group = |members: &Vec<HostId>| Group { members: members.clone(), since: None, master: None };
        Self {
            hosts: vec![seen; count],
            reigned: BTreeSet::new(),
            groups: groups.iter().map(group).collect(),
            group_of,
            settling,
            closed: false,
            violation: None,
        }
    }

    /// The first invariant that was broken.
    pub(crate) const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    pub(crate) fn violated(&mut self, at: Instant, invariant: Invariant, what: String) {
        self.violation.get_or_insert(Violation { at, invariant, what });
    }

    /// A life of a host begins. S10: its incarnation was never used.
    pub(crate) fn lives(&mut self, at: Instant, host: HostId, incarnation: u64) {
        let Some(seen) = place(host).and_then(|place| self.hosts.get_mut(place)) else { return };
        let before = core::mem::replace(&mut seen.incarnation, incarnation);
        if incarnation <= before {
            self.violated(at, Invariant::LifeOnce, format!("{host} lives as {incarnation} after {before}"));
        }
    }

    /// A host has sent a frame. S10: lives and sequences only rise.
    pub(crate) fn sends(&mut self, at: Instant, from: HostId, to: HostId, frame: (u64, u64)) {
        let Some(seen) = place(from).and_then(|place| self.hosts.get_mut(place)) else { return };
        let (life, Some(last)) = (seen.incarnation, place(to).and_then(|to| seen.frames.get_mut(to))) else {
            return;
        };
        let before = core::mem::replace(last, frame);
        if frame <= before || frame.0 != life {
            let what = format!("{from} in life {life} sent {to} frame {frame:?} after {before:?}");
            self.violated(at, Invariant::FrameOnce, what);
        }
    }

    /// A host says that it begins to reign in a term.
    pub(crate) fn reigns(&mut self, at: Instant, host: HostId, reign: Reign) {
        if reign.host != host.number() {
            self.violated(at, Invariant::TermOnce, format!("{host} reigns in {reign}, another host's term"));
        }
        if !self.reigned.insert(reign) {
            self.violated(at, Invariant::TermOnce, format!("{host} reigns in {reign} for a second time"));
        }
        self.acknowledges(at, host, reign);
    }

    /// A host says that it follows a term from now on.
    pub(crate) fn follows(&mut self, at: Instant, host: HostId, reign: Reign) {
        if !self.reigned.contains(&reign) {
            self.violated(at, Invariant::KnownReign, format!("{host} follows {reign}, which nobody began"));
        }
        self.acknowledges(at, host, reign);
    }

    fn acknowledges(&mut self, at: Instant, host: HostId, reign: Reign) {
        let Some(seen) = place(host).and_then(|place| self.hosts.get_mut(place)) else { return };
        match seen.acknowledged {
            Some((before, life)) if reign < before => {
                let same = life == seen.incarnation;
                let invariant = if same { Invariant::TermsRise } else { Invariant::TermsRiseOverLives };
                self.violated(at, invariant, format!("{host} went from {before} back to {reign}"));
            }
            Some(_) | None => seen.acknowledged = Some((reign, seen.incarnation)),
        }
    }

    /// What a host is now.
    pub(crate) fn stands(&mut self, at: Instant, host: HostId, stance: Stance) {
        let Some(seen) = place(host).and_then(|place| self.hosts.get_mut(place)) else { return };
        if seen.stance == stance {
            return;
        }
        seen.stance = stance;
        if let Stance::Follows(reign) | Stance::Reigns(reign) = stance
            && seen.acknowledged.is_none_or(|(known, _)| known != reign)
        {
            self.violated(at, Invariant::TermsRise, format!("{host} {stance}, of which it told nobody"));
        }
        if let Some(group) = place(host).and_then(|place| self.group_of.get(place).copied().flatten()) {
            self.look(at, group);
            if self.closed {
                let what = format!("after the bound {host} {stance}: {}", self.picture(group));
                self.violated(at, self.settling, what);
            }
        }
    }

    /// From now on every group must be settled, and stay as it is.
    pub(crate) fn close(&mut self, at: Instant) {
        self.closed = true;
        for group in 0..self.groups.len() {
            self.look(at, group);
            if self.groups[group].since.is_none() {
                let what = format!("not settled in time: {}", self.picture(group));
                self.violated(at, self.settling, what);
            }
        }
    }

    /// Since when all groups are settled, if they are.
    pub(crate) fn settled_since(&self) -> Option<Instant> {
        self.groups
            .iter()
            .map(|group| group.since)
            .try_fold(Instant::ORIGIN, |last, since| Some(last.max(since?)))
    }

    /// The master of the first group, if it is settled.
    pub(crate) fn master(&self) -> Option<HostId> {
        self.groups.first()?.master.map(|reign| HostId::new(reign.host))
    }

    /// What a host is.
    pub(crate) fn stance(&self, host: HostId) -> Stance {
        place(host).and_then(|place| self.hosts.get(place)).map_or(Stance::Out, |seen| seen.stance)
    }

    /// Whether two hosts are to settle together.
    pub(crate) fn share_a_group(&self, one: HostId, other: HostId) -> bool {
        let group = |host| place(host).and_then(|place| self.group_of.get(place).copied().flatten());
        group(one).is_some() && group(one) == group(other)
    }

    /// Takes a host out of its group, for one that dies by a test's own hand.
    pub(crate) fn excuse(&mut self, at: Instant, host: HostId) {
        let Some(group) = place(host).and_then(|place| self.group_of.get_mut(place)?.take()) else { return };
        self.groups[group].members.retain(|member| *member != host);
        self.look(at, group);
    }

    /// Whether a group is settled now.
    fn look(&mut self, at: Instant, number: usize) {
        let group = &self.groups[number];
        let mut master = None;
        let stances = group.members.iter().map(|host| self.stance(*host));
        let settled = stances.fold(true, |settled, stance| match stance {
            Stance::Reigns(reign) => settled && master.replace(reign).is_none(),
            Stance::Follows(_) => settled,
            Stance::Out | Stance::Looks => false,
        });
        let follow = |stance: Stance| match stance {
            Stance::Follows(reign) | Stance::Reigns(reign) => Some(reign) == master,
            Stance::Out | Stance::Looks => false,
        };
        let settled = settled && group.members.iter().all(|host| follow(self.stance(*host)));
        let group = &mut self.groups[number];
        group.master = master.filter(|_| settled);
        group.since = settled.then_some(at);
    }

    fn picture(&self, group: usize) -> String {
        let members = &self.groups[group].members;
        let shown: Vec<String> =
            members.iter().take(40).map(|host| format!("{host} {}", self.stance(*host))).collect();
        shown.join("; ")
    }
}
