use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use fuser::Errno;

/// The most faults at a time; more can only be a mistake.
const MAX_RULES: usize = 64;

/// What a request does, as far as faults tell requests apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Looks at names and attributes, opens, closes.
    Look,
    Read,
    Write,
    /// Changes a directory.
    Create,
    Sync,
    Lock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    EioRead,
    EioWrite,
    Enospc,
    /// The first so many bytes of each write are stored; half of them if not said.
    Torn(Option<usize>),
    Stale,
    Delay(Duration),
    Stall,
    StallWrite,
}

/// A fault and where it applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) fault: Fault,
    /// Only on paths that contain this; everywhere if empty.
    pub(crate) within: String,
}

/// The faults of one mount, and the place where stalled and delayed requests wait.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    stalled: u32,
    writes: u64,
}

/// What `status` tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) stalled: u32,
    pub(crate) writes: u64,
    pub(crate) faults: usize,
}

impl Faults {
    /// `false` if there are too many already.
    pub(crate) fn add(&self, rule: Rule) -> bool {
        let mut state = self.state();
        let fits = state.rules.len() < MAX_RULES;
        if fits {
            state.rules.push(rule);
        }
        fits
    }

    /// Ends all faults and lets everything go that waits for their end.
    pub(crate) fn clear(&self) {
        self.state().rules.clear();
        self.changed.notify_all();
    }

    /// Waits as long as a request must, then says how it fails, if it does.
    pub(crate) fn pass(&self, kind: Kind, path: &str) -> Result<(), Errno> {
        let mut state = self.state();
        if let Some(delay) = state.delay(path) {
            let waited = self.changed.wait_timeout_while(state, delay, |state| state.delay(path).is_some());
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if state.stalls(kind, path) {
            state.stalled += 1;
            let waited = self.changed.wait_while(state, |state| state.stalls(kind, path));
            state = waited.unwrap_or_else(PoisonError::into_inner);
            state.stalled -= 1;
        }
        state.error(kind, path).map_or(Ok(()), Err)
    }

    /// Waits a moment, between two tries of a lock.
    pub(crate) fn pause(&self, moment: Duration) {
        // Woken early by a `clear`, it tries once more than it had to.
        drop(self.changed.wait_timeout(self.state(), moment));
    }

    /// How many of the bytes of a write are stored.
    pub(crate) fn kept_of(&self, path: &str, length: usize) -> usize {
        let state = self.state();
        let torn = |fault| match fault {
            Fault::Torn(bytes) => Some(bytes.unwrap_or(length / 2).min(length)),
            Fault::EioRead
            | Fault::EioWrite
            | Fault::Enospc
            | Fault::Stale
            | Fault::Delay(_)
            | Fault::Stall
            | Fault::StallWrite => None,
        };
        state.faults_at(path).filter_map(torn).min().unwrap_or(length)
    }

    pub(crate) fn is_stale(&self, path: &str) -> bool {
        self.state().faults_at(path).any(|fault| fault == Fault::Stale)
    }

    /// Counts a write that reached the backing file.
    pub(crate) fn wrote(&self) {
        self.state().writes += 1;
    }

    pub(crate) fn status(&self) -> Status {
        let state = self.state();
        Status { stalled: state.stalled, writes: state.writes, faults: state.rules.len() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn faults_at(&self, path: &str) -> impl Iterator<Item = Fault> {
        self.rules.iter().filter(move |rule| path.contains(&rule.within)).map(|rule| rule.fault)
    }

    fn delay(&self, path: &str) -> Option<Duration> {
        let delay = |fault| match fault {
            Fault::Delay(delay) => Some(delay),
            Fault::EioRead
            | Fault::EioWrite
            | Fault::Enospc
            | Fault::Torn(_)
            | Fault::Stale
            | Fault::Stall
            | Fault::StallWrite => None,
        };
        self.faults_at(path).filter_map(delay).max()
    }

    fn stalls(&self, kind: Kind, path: &str) -> bool {
        self.faults_at(path).any(|fault| match fault {
            Fault::Stall => true,
            Fault::StallWrite => matches!(kind, Kind::Write | Kind::Sync),
            Fault::EioRead
            | Fault::EioWrite
            | Fault::Enospc
            | Fault::Torn(_)
            | Fault::Stale
            | Fault::Delay(_) => false,
        })
    }

    fn error(&self, kind: Kind, path: &str) -> Option<Errno> {
        self.faults_at(path).find_map(|fault| match (fault, kind) {
            (Fault::EioRead, Kind::Read) | (Fault::EioWrite, Kind::Write | Kind::Create | Kind::Sync) => {
                Some(Errno::EIO)
            }
            (Fault::Enospc, Kind::Write | Kind::Create) => Some(Errno::ENOSPC),
            (
                Fault::EioRead
                | Fault::EioWrite
                | Fault::Enospc
                | Fault::Torn(_)
                | Fault::Stale
                | Fault::Delay(_)
                | Fault::Stall
                | Fault::StallWrite,
                Kind::Look | Kind::Read | Kind::Write | Kind::Create | Kind::Sync | Kind::Lock,
            ) => None,
        })
    }
}
