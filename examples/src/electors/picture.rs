use alloc::collections::BTreeMap;
use core::time::Duration;

use ha_core::{HostId, Instant, Term};
use ha_election::Role;

/// Who leads and who follows, by what the hosts have told; and whether a promise was broken.
///
/// It shares no code with the election, and hears of nothing but roles and terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    hosts: BTreeMap<HostId, View>,
    /// Whose reign each term was: a host, in one life.
    reigns: BTreeMap<Term, (HostId, u64)>,
    findings: Findings,
    /// Since when there has been no agreement, if there was one before.
    without_since: Option<Instant>,
    agreed: bool,
}

/// What was found over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Reigns that began or were raised: each has a term of its own.
    pub(super) reigns: u64,
    /// A host followed or reigned in a lower term than before in the same life.
    pub(super) steps_back: u64,
    /// Another host, or another life of a host, reigned in a term that had been one's.
    pub(super) terms_twice: u64,
    /// The longest time without a master that all who run follow, after the first one.
    pub(super) longest_without: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct View {
    /// Runs, is neither stopped nor isolated, and is in service: somebody who can follow.
    counts: bool,
    life: u64,
    role: Role,
    /// The highest term of this life.
    highest: Option<Term>,
}

impl Picture {
    pub(super) fn new(hosts: &[HostId]) -> Self {
        let view = View { counts: false, life: 0, role: Role::Uninitialized, highest: None };
        Self {
            hosts: hosts.iter().map(|host| (*host, view)).collect(),
            reigns: BTreeMap::new(),
            findings: Findings::default(),
            without_since: None,
            agreed: false,
        }
    }

    /// A life of `host` begins or has ended. It has no role then.
    pub(super) fn set_life(&mut self, now: Instant, host: HostId, life: u64) {
        if let Some(view) = self.hosts.get_mut(&host) {
            *view = View { counts: view.counts, life, role: Role::Uninitialized, highest: None };
        }
        self.review(now);
    }

    /// Whether `host` is one who can follow.
    pub(super) fn set_counts(&mut self, now: Instant, host: HostId, counts: bool) {
        if let Some(view) = self.hosts.get_mut(&host) {
            view.counts = counts;
        }
        self.review(now);
    }

    /// `host` has another role or term.
    pub(super) fn set_role(&mut self, now: Instant, host: HostId, role: Role) {
        let Some(view) = self.hosts.get_mut(&host) else { return };
        view.role = role;
        if let Role::Slave { term, .. } | Role::Master { term } = role {
            if view.highest.is_some_and(|highest| term < highest) {
                self.findings.steps_back += 1;
            }
            view.highest = view.highest.max(Some(term));
        }
        if let Role::Master { term } = role {
            self.findings.reigns += 1;
            if self.reigns.insert(term, (host, view.life)).is_some() {
                self.findings.terms_twice += 1;
            }
        }
        self.review(now);
    }

    pub(super) fn role(&self, host: HostId) -> Option<Role> {
        self.hosts.get(&host).map(|view| view.role)
    }

    /// Those who can follow.
    pub(super) fn counting(&self) -> Vec<HostId> {
        self.hosts.iter().filter(|(_, view)| view.counts).map(|(host, _)| *host).collect()
    }

    /// The master of the highest term that is claimed now by one who counts.
    pub(super) fn leader(&self) -> Option<(HostId, Term)> {
        let reigning = self.hosts.iter().filter_map(|(host, view)| match view.role {
            Role::Master { term } if view.counts => Some((term, *host)),
            Role::Master { .. } | Role::Slave { .. } | Role::Candidate | Role::Uninitialized => None,
        });
        reigning.max().map(|(term, host)| (host, term))
    }

    /// The one master among `group`, if all the others of it follow that very term.
    pub(super) fn master_of(&self, group: &[HostId]) -> Option<(HostId, Term)> {
        let mut masters = group.iter().filter_map(|host| match self.role(*host)? {
            Role::Master { term } => Some((*host, term)),
            Role::Slave { .. } | Role::Candidate | Role::Uninitialized => None,
        });
        let (master, term) = masters.next()?;
        let follows = |host: &HostId| match self.role(*host) {
            Some(Role::Slave { term: followed, .. }) => followed == term,
            Some(Role::Master { .. }) => *host == master,
            Some(Role::Candidate | Role::Uninitialized) | None => false,
        };
        group.iter().all(follows).then_some((master, term))
    }

    /// The master that all who count follow.
    pub(super) fn agreed(&self) -> Option<(HostId, Term)> {
        self.master_of(&self.counting())
    }

    /// What was found until `now`.
    pub(super) fn findings(&self, now: Instant) -> Findings {
        let open = self.without_since.map_or(Duration::ZERO, |since| now.since(since));
        Findings { longest_without: self.findings.longest_without.max(open), ..self.findings }
    }

    fn review(&mut self, now: Instant) {
        let agreed = self.agreed().is_some();
        match (self.agreed, agreed) {
            (true, false) => self.without_since = Some(now),
            (false, true) => self.findings.longest_without = self.findings(now).longest_without,
            (true, true) | (false, false) => {}
        }
        if agreed {
            self.without_since = None;
        }
        self.agreed = agreed;
    }
}

#[cfg(test)]
mod tests {
    use ha_core::Round;

    use super::*;

    const HOSTS: [HostId; 3] = [HostId::new(1), HostId::new(2), HostId::new(3)];

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn master(round: u64, host: HostId) -> Role {
        Role::Master { term: Term::new(Round::new(round), host) }
    }

    fn slave(round: u64, master: HostId) -> Role {
        Role::Slave { master, term: Term::new(Round::new(round), master) }
    }

    fn picture() -> Picture {
        let mut picture = Picture::new(&HOSTS);
        for host in HOSTS {
            picture.set_life(at(0), host, 1);
            picture.set_counts(at(0), host, true);
        }
        picture
    }

    #[test]
    fn all_agree_only_if_every_one_who_counts_follows_the_very_term() {
        let [one, two, three] = HOSTS;
        let mut picture = picture();
        picture.set_role(at(1), three, master(1, three));
        picture.set_role(at(1), two, slave(1, three));
        assert_eq!(picture.agreed(), None);
        assert_eq!(picture.master_of(&[two, three]).map(|(host, _)| host), Some(three));
        picture.set_counts(at(2), one, false);
        assert_eq!(picture.agreed().map(|(host, _)| host), Some(three));
        picture.set_role(at(3), three, master(2, three));
        assert_eq!(picture.agreed(), None);
        picture.set_role(at(3), two, slave(2, three));
        assert_eq!(picture.agreed(), picture.leader());
    }

    #[test]
    fn two_masters_agree_on_nothing_and_the_higher_term_leads() {
        let [one, two, three] = HOSTS;
        let mut picture = picture();
        picture.set_role(at(1), three, master(1, three));
        picture.set_role(at(1), two, slave(1, three));
        picture.set_role(at(1), one, master(2, one));
        assert_eq!(picture.agreed(), None);
        assert_eq!(picture.leader().map(|(host, _)| host), Some(one));
        picture.set_counts(at(2), one, false);
        assert_eq!(picture.leader().map(|(host, _)| host), Some(three));
    }

    #[test]
    fn a_step_back_counts_within_a_life_and_a_term_belongs_to_one_life() {
        let [one, two, three] = HOSTS;
        let mut picture = picture();
        picture.set_role(at(1), three, master(2, three));
        picture.set_role(at(1), two, slave(2, three));
        picture.set_role(at(2), two, slave(1, three));
        picture.set_life(at(3), one, 2);
        picture.set_role(at(3), one, slave(1, three));
        let findings = picture.findings(at(3));
        assert_eq!((findings.steps_back, findings.terms_twice, findings.reigns), (1, 0, 1));
        picture.set_life(at(4), three, 2);
        picture.set_role(at(4), three, master(2, three));
        assert_eq!(picture.findings(at(4)).terms_twice, 1);
    }

    #[test]
    fn the_time_without_a_master_counts_from_the_first_one() {
        let [one, two, three] = HOSTS;
        let mut picture = picture();
        let everybody = |picture: &mut Picture, now, round, leader| {
            picture.set_role(now, leader, master(round, leader));
            for host in picture.counting().into_iter().filter(|host| *host != leader) {
                picture.set_role(now, host, slave(round, leader));
            }
        };
        everybody(&mut picture, at(500), 1, three);
        assert_eq!(picture.findings(at(900)).longest_without, Duration::ZERO);
        picture.set_life(at(1_000), three, 0);
        picture.set_counts(at(1_000), three, false);
        everybody(&mut picture, at(1_600), 2, two);
        assert_eq!(picture.findings(at(9_000)).longest_without, Duration::from_millis(600));
        picture.set_role(at(9_000), one, Role::Candidate);
        assert_eq!(picture.findings(at(10_000)).longest_without, Duration::from_secs(1));
    }
}
