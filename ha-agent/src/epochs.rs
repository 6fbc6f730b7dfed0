//! The epochs that virtual machines have reached, as far as this agent was told.

use alloc::collections::BTreeMap;

use ha_core::{Counter, VmEpoch, VmUuid};

/// The highest epoch of each virtual machine that this life of the agent has heard of, from its own driver, from the
/// slaves' inventories, or from its own starts.
///
/// Epochs only rise, so a lock record below this is not the one that the instance was started by: its file was made
/// anew or restored, and winning its lock proves nothing. What was never heard of is [`VmEpoch::ZERO`].
#[derive(Clone, Debug)]
pub(crate) struct KnownEpochs {
    highest: BTreeMap<VmUuid, VmEpoch>,
    limit: usize,
    /// Virtual machines there was no room for.
    pub(crate) unremembered: Counter,
}

impl KnownEpochs {
    /// Remembers at most so many virtual machines.
    pub(crate) fn new(limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { highest: BTreeMap::new(), limit, unremembered: Counter::default() }
    }

    pub(crate) fn learn(&mut self, vm: VmUuid, epoch: VmEpoch) {
        if let Some(known) = self.highest.get_mut(&vm) {
            *known = epoch.max(*known);
        } else if self.highest.len() < self.limit {
            self.highest.insert(vm, epoch);
        } else {
            self.unremembered.count();
        }
    }

    pub(crate) fn of(&self, vm: VmUuid) -> VmEpoch {
        self.highest.get(&vm).copied().unwrap_or(VmEpoch::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_counts_and_no_more_are_remembered_than_allowed() {
        let vm = |number| VmUuid::from_bytes([number; 16]);
        let mut known = KnownEpochs::new(2);
        for (number, epoch) in [(1, 5), (2, 1), (1, 4), (3, 9), (2, 7)] {
            known.learn(vm(number), VmEpoch::new(epoch));
        }
        let found = [1, 2, 3].map(|number| known.of(vm(number)).number());
        assert_eq!((found, known.unremembered.get()), ([5, 7, 0], 1));
    }
}
