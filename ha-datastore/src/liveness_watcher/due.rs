use alloc::collections::{BTreeMap, BTreeSet};

use ha_core::{HostId, Instant};

use super::Part;

/// The files that are to be read, each once, by the moment when that is due.
///
/// Both orders are kept, so that the files of one host are found without a look at those of all others.
#[derive(Debug)]
pub(super) struct Due {
    by_time: BTreeSet<(Instant, HostId, Part)>,
    by_file: BTreeMap<(HostId, Part), Instant>,
}

impl Due {
    pub(super) const fn new() -> Self {
        Self { by_time: BTreeSet::new(), by_file: BTreeMap::new() }
    }

    /// The file is to be read at `at`, and not when it was to be before.
    pub(super) fn insert(&mut self, at: Instant, host: HostId, part: Part) {
        self.remove(host, part);
        self.by_file.insert((host, part), at);
        self.by_time.insert((at, host, part));
    }

    /// The file is not to be read any more; whether it was.
    pub(super) fn remove(&mut self, host: HostId, part: Part) -> bool {
        let Some(at) = self.by_file.remove(&(host, part)) else { return false };
        self.by_time.remove(&(at, host, part))
    }

    /// When the next file is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, ..)| *at)
    }

    /// Takes the next file that is due at `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(HostId, Part)> {
        let (_, host, part) = self.by_time.first().copied().filter(|(at, ..)| *at <= now)?;
        self.remove(host, part);
        Some((host, part))
    }
}
