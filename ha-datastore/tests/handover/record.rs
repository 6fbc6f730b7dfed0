use std::collections::{BTreeMap, BTreeSet};

use crate::child::Child;

/// Versions of virtual machines, by their number.
type Versions = BTreeMap<u8, u64>;

/// What one owner said.
#[derive(Default)]
struct Reign {
    host: u32,
    /// What its merged list held when it began.
    list: Versions,
    /// What was durable afterwards.
    durable: Vec<(u8, u64)>,
}

/// What all owners said.
#[derive(Default)]
pub(crate) struct Record {
    /// By round and host.
    reigns: BTreeMap<(u64, u32), Reign>,
    /// The term of each process's present reign.
    current: BTreeMap<(u32, u64), (u64, u32)>,
    disregarded: BTreeSet<(u32, u64)>,
    durable: usize,
    told_late: usize,
}

impl Record {
    /// Takes in what a process has said since; whether it owns the datastore as far as it said.
    pub(crate) fn follow(&mut self, child: &mut Child) -> bool {
        let life = (child.host, child.incarnation);
        for line in child.said() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["owned", round, host, list] => {
                    let term = (round.parse().unwrap(), host.parse().unwrap());
                    let list = versions(list);
                    let reign = Reign { host: child.host, list, ..Reign::default() };
                    assert!(self.reigns.insert(term, reign).is_none(), "two owners in term {term:?}");
                    self.current.insert(life, term);
                }
                ["durable", ..] if self.disregarded.contains(&life) => self.told_late += 1,
                ["durable", vm, version] => {
                    let reign = self.reigns.get_mut(&self.current[&life]).unwrap();
                    reign.durable.push((vm.parse().unwrap(), version.parse().unwrap()));
                    self.durable += 1;
                }
                ["lost"] => {
                    self.current.remove(&life);
                    self.disregarded.remove(&life);
                }
                _ => panic!("host {} said `{line}`", child.host),
            }
        }
        self.current.contains_key(&life)
    }

    /// What a process says from now on counts for nothing, until it says that it has lost the datastore: somebody else
    /// has taken it meanwhile, which below F3 nobody does before the process has stopped (architecture 8).
    pub(crate) fn disregard(&mut self, child: &Child) {
        let life = (child.host, child.incarnation);
        self.current.remove(&life);
        self.disregarded.insert(life);
    }

    /// Whether it has not said so yet.
    pub(crate) fn is_disregarded(&self, child: &Child) -> bool {
        self.disregarded.contains(&(child.host, child.incarnation))
    }

    /// What was said to be durable and disregarded.
    pub(crate) fn told_late(&self) -> usize {
        self.told_late
    }

    pub(crate) fn durable(&self) -> usize {
        self.durable
    }

    pub(crate) fn terms(&self) -> usize {
        self.reigns.len()
    }

    /// Asserts that each owner's list held everything that was durable before it; returns how many owners there were.
    pub(crate) fn check(&self) -> usize {
        let mut durable = Versions::new();
        for (term, reign) in &self.reigns {
            assert_eq!(term.1, reign.host, "a term names its owner");
            for (vm, version) in &durable {
                let found = reign.list.get(vm);
                assert!(
                    found.is_some_and(|found| found >= version),
                    "{term:?}: {vm} at {found:?}, not {version}"
                );
            }
            for (vm, version) in &reign.durable {
                let known = durable.entry(*vm).or_default();
                assert!(*known < *version, "{term:?}: versions rise");
                *known = *version;
            }
        }
        self.reigns.len()
    }
}

/// `1:7,2:9`, or `-` for none.
fn versions(text: &str) -> Versions {
    let pair = |pair: &str| {
        let (vm, version) = pair.split_once(':').unwrap();
        (vm.parse().unwrap(), version.parse().unwrap())
    };
    if text == "-" { Versions::new() } else { text.split(',').map(pair).collect() }
}
