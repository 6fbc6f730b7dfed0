use alloc::collections::BTreeSet;

use ha_core::{HostId, Instant};

use super::Part;
use super::watch::Watch;

/// The files that are to be read, each once, by the moment when that is due.
///
/// When a file is due its [`Watch`] knows as well, so that the files of one host are found without a look at those
/// of all others, and a poll of thousands of files keeps one order and not two.
#[derive(Debug)]
pub(super) struct Due(BTreeSet<(Instant, HostId, Part)>);

impl Due {
    pub(super) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// The file, which is not being read any more, is to be read at `at`.
    pub(super) fn insert(&mut self, at: Instant, watch: &mut Watch, part: Part) {
        self.0.insert((at, watch.host(), part));
        *watch.due(part) = Some(at);
    }

    /// The file is not to be read any more; whether it was.
    pub(super) fn remove(&mut self, watch: &mut Watch, part: Part) -> bool {
        let due = watch.due(part).take();
        due.is_some_and(|at| self.0.remove(&(at, watch.host(), part)))
    }

    /// When the next file is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, ..)| *at)
    }

    /// Takes the next file that is due at `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(HostId, Part)> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_first().map(|(_, host, part)| (host, part))
    }
}
