//! Whether the promises were kept, computed from the ledgers of the virtual machines and nothing else.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::ledger::Instance;

/// A protected virtual machine whose last entry is older than this at the end is lost. Twenty entries.
pub const LOST_AFTER_NS: u64 = 100_000_000;

/// What the ledgers say of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Virtual machines of which two instances ran at the same time.
    pub double_runs: usize,
    /// Instances that found the socket taken, of virtual machines whose instances nevertheless never overlapped.
    pub unclear_binds: usize,
    /// Protected virtual machines that did not run at the end.
    pub lost: usize,
}

/// Measures one run that was stopped at `stopped_ns`, given all instances of each virtual machine.
#[must_use]
pub fn measure(
    instances: &BTreeMap<String, Vec<Instance>>,
    protected: &BTreeSet<String>,
    stopped_ns: u64,
) -> Measured {
    let mut measured = Measured::default();
    for of_one in instances.values() {
        if ran_twice(of_one) {
            measured.double_runs += 1;
        } else {
            measured.unclear_binds += of_one.iter().filter(|instance| instance.failed_binds > 0).count();
        }
    }
    let runs = |vm: &&String| {
        let last = instances.get(*vm).into_iter().flatten().map(|instance| instance.last_ns).max();
        last.is_some_and(|last_ns| last_ns.saturating_add(LOST_AFTER_NS) >= stopped_ns)
    };
    measured.lost = protected.iter().filter(|vm| !runs(vm)).count();
    measured
}

/// Whether any two of these instances of one virtual machine ran at the same time. Each ran from its first entry
/// to its last, both included.
#[must_use]
pub fn ran_twice(instances: &[Instance]) -> bool {
    let mut spans: Vec<_> = instances.iter().map(|instance| (instance.first_ns, instance.last_ns)).collect();
    spans.sort_unstable();
    let mut latest_end = None;
    spans.into_iter().any(|(first, last)| {
        let overlaps = latest_end.is_some_and(|end| first <= end);
        latest_end = latest_end.max(Some(last));
        overlaps
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(epoch: u64, first_ns: u64, last_ns: u64) -> Instance {
        Instance { vm: "a".into(), epoch, instance: 1, first_ns, last_ns, entries: 2, failed_binds: 0 }
    }

    fn measured(instances: Vec<Instance>, stopped_ns: u64) -> Measured {
        let instances = BTreeMap::from([("a".into(), instances)]);
        measure(&instances, &BTreeSet::from(["a".into()]), stopped_ns)
    }

    #[test]
    fn two_instances_overlap_from_the_very_nanosecond_they_share() {
        assert!(!ran_twice(&[instance(1, 0, 99), instance(2, 100, 200)]));
        assert!(ran_twice(&[instance(1, 0, 100), instance(2, 100, 200)]));
        assert!(ran_twice(&[instance(1, 0, 101), instance(2, 100, 200)]));
    }

    #[test]
    fn the_order_of_epochs_and_files_does_not_matter() {
        assert!(ran_twice(&[instance(2, 100, 200), instance(1, 0, 100)]));
        assert!(ran_twice(&[instance(1, 100, 200), instance(2, 0, 100)]));
        assert!(!ran_twice(&[instance(2, 100, 200), instance(1, 0, 99)]));
    }

    #[test]
    fn a_long_instance_overlaps_one_that_is_not_its_neighbour() {
        assert!(ran_twice(&[instance(1, 0, 500), instance(2, 501, 502), instance(3, 502, 600)]));
        assert!(ran_twice(&[instance(1, 0, 500), instance(2, 400, 410), instance(3, 501, 600)]));
        assert!(!ran_twice(&[instance(1, 0, 500), instance(2, 501, 502), instance(3, 503, 600)]));
    }

    #[test]
    fn one_instance_never_overlaps() {
        assert!(!ran_twice(&[instance(1, 7, 7)]));
        assert!(!ran_twice(&[]));
    }

    #[test]
    fn lost_is_whoever_has_been_silent_for_longer_than_the_limit() {
        let end = 1_000;
        assert_eq!(measured(vec![instance(1, 0, end)], end + LOST_AFTER_NS - 1).lost, 0);
        assert_eq!(measured(vec![instance(1, 0, end)], end + LOST_AFTER_NS).lost, 0);
        assert_eq!(measured(vec![instance(1, 0, end)], end + LOST_AFTER_NS + 1).lost, 1);
        assert_eq!(measured(vec![instance(1, 0, end + 5)], end).lost, 0);
        assert_eq!(measured(vec![], end).lost, 1);
    }

    #[test]
    fn only_protected_ones_can_be_lost_and_each_is_counted_once() {
        let instances = BTreeMap::from([("a".into(), vec![]), ("b".into(), vec![])]);
        assert_eq!(measure(&instances, &BTreeSet::new(), 1 << 40).lost, 0);
        let doubled = vec![instance(1, 0, 9), instance(2, 1, 9), instance(3, 2, 9)];
        assert_eq!(measured(doubled, 9), Measured { double_runs: 1, unclear_binds: 0, lost: 0 });
    }

    #[test]
    fn a_failed_bind_is_unclear_only_without_an_overlap() {
        let waited = |first_ns| Instance { failed_binds: 3, ..instance(2, first_ns, 200) };
        assert_eq!(measured(vec![instance(1, 0, 99), waited(100)], 200).unclear_binds, 1);
        assert_eq!(measured(vec![instance(1, 0, 100), waited(100)], 200).unclear_binds, 0);
        assert_eq!(measured(vec![instance(1, 0, 100), waited(100)], 200).double_runs, 1);
    }
}
