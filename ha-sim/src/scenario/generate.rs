//! A scenario from a seed.

use alloc::vec::Vec;
use core::time::Duration;

use ha_core::{HostId, Random};

use super::{Ending, Fault, Pace, Scenario, Trouble, all_hosts};
use crate::noise::{Noise, edge, log_uniform};

/// The kinds of fault of which a run has some and lacks others: leaving kinds out finds more, because some faults
/// hide what others would show (swarm testing, reliability 7).
const KINDS: u64 = 10;
/// A cluster this large gets a short run: an election without end costs n squared datagrams a period.
const LARGE: u32 = 200;

impl Scenario {
    /// A scenario for `hosts` hosts, which depends on nothing but these three.
    #[must_use]
    pub fn generate(seed: u64, hosts: u32, pace: Pace) -> Self {
        let mut maker = Maker::new(seed, hosts, pace);
        let calm_at = maker.calm_at;
        let faults = maker.faults();
        let random = &mut maker.random;
        Self {
            seed,
            hosts,
            pace,
            datastores: (0..hosts).map(|_| 1 + small(random, 3)).collect(),
            isolation_address: random.below(4) > 0,
            noise: noise(random, pace),
            calm: Noise::calm(Duration::from_micros(100), Duration::from_micros(50)),
            faults,
            calm_at,
            ending: ending(random, hosts),
            strong_evidence: random.below(2) == 0,
            store_takes: if random.below(2) == 0 {
                Duration::ZERO
            } else {
                log_uniform(random, pace.timing().heartbeat_period)
            },
        }
    }
}

struct Maker {
    random: Random,
    hosts: u32,
    calm_at: Duration,
    spans: Vec<Duration>,
    kinds: Vec<u64>,
}

impl Maker {
    fn new(seed: u64, hosts: u32, pace: Pace) -> Self {
        let mut random = Random::from_seed(seed).fork(u64::from(hosts));
        let timing = pace.timing();
        let once = timing.master_lost + timing.election_window;
        let calm_at = if hosts > LARGE { once } else { once + random.span_below(4 * once) };
        let kinds: Vec<u64> = (0..KINDS).filter(|_| random.below(2) == 0).collect();
        let spans = timeouts(pace);
        Self { random, hosts, calm_at, spans, kinds }
    }

    fn faults(&mut self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let most = 1 << self.random.below(5);
        let count = if self.kinds.is_empty() { 0 } else { self.random.below(most + 1) };
        let mut before = Duration::ZERO;
        for _ in 0..count {
            let at = self.moment(before);
            before = at;
            let kind = pick(&mut self.random, &self.kinds);
            if kind == 0 {
                self.swizzle(at, &mut faults);
            } else {
                let what = self.trouble(kind);
                let lasts = self.span().min(self.calm_at - at);
                faults.push(Fault { at, lasts, what });
            }
        }
        faults.sort_by_key(|fault| fault.at);
        faults
    }

    /// Anywhere, or at the very edge of a timeout that began with the fault before.
    fn moment(&mut self, before: Duration) -> Duration {
        let at = match self.random.below(3) {
            0 => self.random.span_below(self.calm_at),
            1 => log_uniform(&mut self.random, self.calm_at),
            _ => before + self.edge_of_a_timeout(),
        };
        at.min(self.calm_at)
    }

    fn span(&mut self) -> Duration {
        match self.random.below(3) {
            0 => self.edge_of_a_timeout(),
            1 => log_uniform(&mut self.random, self.calm_at),
            _ => self.random.span_below(self.calm_at),
        }
    }

    fn edge_of_a_timeout(&mut self) -> Duration {
        let span = pick(&mut self.random, &self.spans);
        edge(&mut self.random, span)
    }

    fn trouble(&mut self, kind: u64) -> Trouble {
        let host = self.host();
        match kind {
            1 => Trouble::Down(host),
            2 => Trouble::Stopped(host),
            3 => Trouble::Suspended(host),
            4 => Trouble::AddressLost(host),
            5 => Trouble::Unfit(host),
            6 => Trouble::OwnsLists(host, 1 + small(&mut self.random, 3)),
            // One way, the other, or both: a host that talks and is deaf, one that hears and is mute, one alone.
            7 => {
                let ways = 1 + self.random.below(3);
                let others = all_hosts(self.hosts).into_iter().filter(|other| *other != host);
                Trouble::Cut(
                    others
                        .flat_map(|other| [(host, other), (other, host)])
                        .filter(|(from, _)| ways & if *from == host { 1 } else { 2 } != 0)
                        .collect(),
                )
            }
            8 => {
                let side: Vec<bool> = (0..self.hosts).map(|_| self.random.below(2) == 0).collect();
                let at = |host: HostId| side.get(host.number() as usize - 1).copied();
                Trouble::Cut(links(self.hosts).filter(|(from, to)| at(*from) != at(*to)).collect())
            }
            _ => {
                let share = 1 + self.random.below(400);
                let random = &mut self.random;
                Trouble::Cut(links(self.hosts).filter(|_| random.below(1_000) < share).collect())
            }
        }
    }

    /// Cuts all links of some hosts one by one, and mends them in another order (F-NW-6).
    fn swizzle(&mut self, at: Duration, faults: &mut Vec<Fault>) {
        for _ in 0..=self.random.below(4) {
            let from = at + self.random.span_below(self.calm_at - at);
            let until = from + self.random.span_below(self.calm_at - from);
            let host = self.host();
            let touching = links(self.hosts).filter(|(a, b)| *a == host || *b == host).collect();
            faults.push(Fault { at: from, lasts: until - from, what: Trouble::Cut(touching) });
        }
    }

    fn host(&mut self) -> HostId {
        HostId::new(1 + small(&mut self.random, self.hosts))
    }
}

/// All healed, all healed but some dead, split in two for ever, or only a core healed.
fn ending(random: &mut Random, hosts: u32) -> Ending {
    let all = all_hosts(hosts);
    match random.below(5) {
        0 => Ending { groups: alloc::vec![all], ..Ending::default() },
        1 => {
            let (dead, alive): (Vec<_>, Vec<_>) = all.into_iter().partition(|_| random.below(4) == 0);
            let groups = if alive.is_empty() { Vec::new() } else { alloc::vec![alive] };
            Ending { groups, dead, ..Ending::default() }
        }
        2 => {
            let (one, other): (Vec<_>, Vec<_>) = all.into_iter().partition(|_| random.below(2) == 0);
            let between = |(from, to): &(HostId, HostId)| one.contains(from) != one.contains(to);
            let cut = links(hosts).filter(between).collect();
            let groups = [one, other].into_iter().filter(|group| !group.is_empty()).collect();
            Ending { groups, cut, ..Ending::default() }
        }
        _ => core_ending(random, hosts),
    }
}

/// Hosts outside the core are cut from it, in the direction out of the core always, into it by chance. That still
/// contains the host that is deaf and talks (reliability 8.2).
fn core_ending(random: &mut Random, hosts: u32) -> Ending {
    let share = 1 + random.below(9);
    let mut inside: Vec<HostId> = all_hosts(hosts).into_iter().filter(|_| random.below(10) < share).collect();
    // Two at least: who hears others of whom none hears it never becomes master (architecture 10), so one host
    // alone, with others that talk at it, is not to settle.
    while inside.len() < 2.min(hosts as usize) {
        let one_more = HostId::new(1 + small(random, hosts));
        if let Err(at) = inside.binary_search(&one_more) {
            inside.insert(at, one_more);
        }
    }
    let into_core = random.below(1_001);
    let outside = random.below(1_001);
    let cut = links(hosts)
        .filter(|(from, to)| match (inside.binary_search(from).is_ok(), inside.binary_search(to).is_ok()) {
            (true, true) => false,
            (true, false) => true,
            (false, true) => random.below(1_000) < into_core,
            (false, false) => random.below(1_000) < outside,
        })
        .collect();
    Ending { groups: alloc::vec![inside], cut, ..Ending::default() }
}

fn noise(random: &mut Random, pace: Pace) -> Noise {
    let longest = 2 * pace.timing().master_lost;
    let often = |random: &mut Random, most: u64| {
        let per_mille = if random.below(2) == 0 { 0 } else { random.below(most + 1) };
        u16::try_from(per_mille).unwrap_or(0)
    };
    Noise {
        loss_per_mille: often(random, 300),
        duplicate_per_mille: often(random, 500),
        delay: Duration::from_micros(100),
        jitter: log_uniform(random, pace.timing().heartbeat_period),
        tail_per_mille: often(random, 200),
        tail: longest,
        spikes: timeouts(pace),
    }
}

/// The spans whose edges decide something in an election.
fn timeouts(pace: Pace) -> Vec<Duration> {
    let timing = pace.timing();
    alloc::vec![
        timing.heartbeat_period / 4,
        timing.heartbeat_period,
        timing.suspicion_after,
        timing.heartbeat_period * 3,
        timing.master_lost / 2,
        timing.master_lost,
        timing.election_window,
    ]
}

fn links(hosts: u32) -> impl Iterator<Item = (HostId, HostId)> {
    let pair = move |from| (1..=hosts).filter(move |to| *to != from).map(move |to| (from, to));
    (1..=hosts).flat_map(pair).map(|(from, to)| (HostId::new(from), HostId::new(to)))
}

/// One of a list, or nothing where that exists.
fn pick<T: Copy + Default>(random: &mut Random, of: &[T]) -> T {
    let at = usize::try_from(random.below(of.len() as u64)).unwrap_or(0);
    of.get(at).copied().unwrap_or_default()
}

fn small(random: &mut Random, below: u32) -> u32 {
    u32::try_from(random.below(u64::from(below))).unwrap_or(0)
}
