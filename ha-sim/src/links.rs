use alloc::vec;
use alloc::vec::Vec;

use ha_core::HostId;

use crate::draw::{Draws, Stream};
use crate::noise::{Arrivals, Noise};

const TRAVEL: Stream = Stream::named("travel");

/// The directed links between hosts that are numbered from 1: which are cut, and what becomes of each datagram.
#[derive(Debug)]
pub(crate) struct Links {
    draws: Draws,
    hosts: usize,
    /// How many faults cut a link now.
    cuts: Vec<u16>,
    /// Datagrams sent on a link so far.
    sent: Vec<u64>,
}

impl Links {
    pub(crate) fn new(key: u64, hosts: u32) -> Self {
        let hosts = usize::try_from(hosts).unwrap_or(usize::MAX);
        let links = hosts.saturating_mul(hosts);
        Self { draws: Draws::new(key), hosts, cuts: vec![0; links], sent: vec![0; links] }
    }

    /// Counts one more datagram on a link, and says its number and when it arrives.
    pub(crate) fn datagram(&mut self, from: HostId, to: HostId, noise: &Noise) -> (u64, Arrivals) {
        let Some(link) = self.link(from, to) else { return (0, Arrivals::NONE) };
        self.sent[link] += 1;
        let number = self.sent[link];
        if self.cuts[link] > 0 {
            return (number, Arrivals::NONE);
        }
        let ids = u64::from(from.number()) << 32 | u64::from(to.number());
        (number, noise.arrivals(&mut self.draws.draw(TRAVEL, ids, number)))
    }

    /// Cuts a link once more.
    pub(crate) fn cut(&mut self, from: HostId, to: HostId) {
        if let Some(link) = self.link(from, to) {
            self.cuts[link] = self.cuts[link].saturating_add(1);
        }
    }

    /// Lifts one cut of a link.
    pub(crate) fn mend(&mut self, from: HostId, to: HostId) {
        if let Some(link) = self.link(from, to) {
            self.cuts[link] = self.cuts[link].saturating_sub(1);
        }
    }

    pub(crate) fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.link(from, to).is_some_and(|link| self.cuts[link] > 0)
    }

    fn link(&self, from: HostId, to: HostId) -> Option<usize> {
        let (from, to) = (place(from)?, place(to)?);
        (from < self.hosts && to < self.hosts).then_some(from * self.hosts + to)
    }
}

/// Where a host stands in a list of all hosts.
pub(crate) fn place(host: HostId) -> Option<usize> {
    usize::try_from(host.number()).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn a_cut_takes_one_direction_and_moves_no_other_choice() {
        let (a, b) = (HostId::new(1), HostId::new(2));
        let noise = Noise { loss_per_mille: 300, ..Noise::calm(Duration::ZERO, Duration::from_secs(1)) };
        let run = |cut: core::ops::Range<u32>| {
            let mut links = Links::new(7, 2);
            let travels = |n| {
                if n == cut.start {
                    links.cut(a, b);
                }
                if n == cut.end {
                    links.mend(a, b);
                }
                (links.datagram(a, b, &noise).1, links.datagram(b, a, &noise).1)
            };
            (0..20).map(travels).collect::<Vec<_>>()
        };
        let (whole, cut) = (run(30..31), run(5..9));
        for (n, (whole, cut)) in whole.iter().zip(&cut).enumerate() {
            assert_eq!(whole.1, cut.1);
            assert_eq!(if (5..9).contains(&n) { Arrivals::NONE } else { whole.0 }, cut.0);
        }
    }

    #[test]
    fn two_faults_on_one_link_end_with_the_later_one() {
        let (a, b) = (HostId::new(1), HostId::new(2));
        let mut links = Links::new(7, 2);
        links.cut(a, b);
        links.cut(a, b);
        links.mend(a, b);
        assert!(links.is_cut(a, b) && !links.is_cut(b, a));
        links.mend(a, b);
        assert!(!links.is_cut(a, b));
    }
}
