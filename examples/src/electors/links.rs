use alloc::collections::BTreeSet;

use ha_core::HostId;

/// Which links are cut, each direction for itself, and who is cut from the isolation address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Links {
    /// (from, to)
    cut: BTreeSet<(HostId, HostId)>,
    from_address: BTreeSet<HostId>,
}

impl Links {
    /// Nothing of `from` reaches `to` any more.
    pub(super) fn cut(&mut self, from: HostId, to: HostId) {
        self.cut.insert((from, to));
    }

    /// The two hear each other again.
    pub(super) fn heal(&mut self, one: HostId, other: HostId) {
        self.cut.remove(&(one, other));
        self.cut.remove(&(other, one));
    }

    /// `host` neither hears nor is heard by anybody of `all`, nor by the isolation address.
    pub(super) fn isolate(&mut self, host: HostId, all: &[HostId]) {
        self.part(&[host], all);
        self.from_address.insert(host);
    }

    /// `group` and the rest of `all` do not hear each other. The links on either side stay as they are.
    pub(super) fn part(&mut self, group: &[HostId], all: &[HostId]) {
        let (inside, outside): (Vec<HostId>, Vec<HostId>) =
            all.iter().copied().partition(|host| group.contains(host));
        for one in inside {
            for other in &outside {
                self.cut(one, *other);
                self.cut(*other, one);
            }
        }
    }

    /// Every link of `host` works again, and so does its way to the isolation address.
    pub(super) fn heal_host(&mut self, host: HostId) {
        self.cut.retain(|(from, to)| *from != host && *to != host);
        self.from_address.remove(&host);
    }

    /// To whom nothing of `from` goes.
    pub(super) fn cut_to(&self, from: HostId) -> impl Iterator<Item = HostId> {
        self.cut.iter().filter(move |(sender, _)| *sender == from).map(|(_, to)| *to)
    }

    /// Whether `host` is cut from the isolation address.
    pub(super) fn is_cut_from_address(&self, host: HostId) -> bool {
        self.from_address.contains(&host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [HostId; 3] = [HostId::new(1), HostId::new(2), HostId::new(3)];

    fn cut_to(links: &Links, from: HostId) -> Vec<HostId> {
        links.cut_to(from).collect()
    }

    #[test]
    fn a_cut_has_a_direction_and_healing_has_none() {
        let [one, two, three] = ALL;
        let mut links = Links::default();
        links.cut(one, two);
        links.cut(one, three);
        assert_eq!((cut_to(&links, one), cut_to(&links, two)), (vec![two, three], vec![]));
        links.heal(two, one);
        assert_eq!(cut_to(&links, one), [three]);
    }

    #[test]
    fn an_isolated_host_is_cut_from_all_and_healed_from_all() {
        let [one, two, three] = ALL;
        let mut links = Links::default();
        links.cut(one, three);
        links.isolate(two, &ALL);
        assert_eq!(
            [one, two, three].map(|host| cut_to(&links, host)),
            [vec![two, three], vec![one, three], vec![two]]
        );
        assert_eq!(ALL.map(|host| links.is_cut_from_address(host)), [false, true, false]);
        links.heal_host(two);
        let healed = Links { cut: BTreeSet::from([(one, three)]), ..Links::default() };
        assert_eq!(links, healed);
    }

    #[test]
    fn parts_do_not_hear_each_other_and_keep_their_own_links() {
        let [one, two, three] = ALL;
        let mut links = Links::default();
        links.part(&[one, two], &ALL);
        assert_eq!(
            [one, two, three].map(|host| cut_to(&links, host)),
            [vec![three], vec![three], vec![one, two]]
        );
        assert_eq!(ALL.map(|host| links.is_cut_from_address(host)), [false; 3]);
    }
}
