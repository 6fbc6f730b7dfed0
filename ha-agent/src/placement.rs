//! Where a virtual machine restarts: a pure function over plain data.

use alloc::collections::BTreeSet;

use ha_core::HostId;

/// A host that could take a virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The host.
    pub host: HostId,
    /// Virtual machines that run there, and orders that are on their way to it.
    pub load: usize,
    /// How many more orders it may be given now (`das.perHostConcurrentFailoversLimit`).
    pub free_slots: usize,
}

/// The least loaded host with a free slot, none of `avoid` if there is a choice; ties go to the lowest number.
///
/// The same input always gives the same answer.
#[must_use]
pub fn place(candidates: &[Candidate], avoid: &BTreeSet<HostId>) -> Option<HostId> {
    candidates
        .iter()
        .filter(|candidate| candidate.free_slots > 0)
        .min_by_key(|candidate| (avoid.contains(&candidate.host), candidate.load, candidate.host))
        .map(|candidate| candidate.host)
}
