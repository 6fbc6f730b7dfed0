use alloc::collections::VecDeque;
use alloc::sync::Arc;
use std::fs::{File, OpenOptions};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use ha_core::operation::{Lock, LockOutcome, LookAtLock, LookOutcome};
use ha_core::{FileKind, Instant, StorageCompletion, StorageFault, Token};

use super::caching::Caching;
use super::clock::boot_clock;
use super::fault::fault_of;
use super::flock::{self, TRIES, TRY_GAP};
use super::held::HeldLocks;
use super::lane::{Deliver, Job};
use super::mount::Mount;

/// One request about a lock.
#[derive(Debug)]
pub(super) enum LockJob {
    Lock { token: Token<Lock>, kind: FileKind, not_after: Instant },
    Unlock { kind: FileKind },
    Look { token: Token<LookAtLock>, kind: FileKind },
}

impl Job for LockJob {
    fn decline(self, fault: StorageFault) -> Option<StorageCompletion> {
        match self {
            Self::Lock { token, .. } if fault == StorageFault::Expired => {
                Some(locked(token, LockOutcome::Expired))
            }
            Self::Lock { token, .. } => Some(locked(token, LockOutcome::Fault(fault))),
            Self::Look { token, .. } => Some(looked(token, LookOutcome::Fault(fault))),
            Self::Unlock { .. } => None,
        }
    }
}

/// The worker for the locks of one datastore.
///
/// A refused try waits in `refused` for its next one, so that other requests go on meanwhile.
pub(super) struct Locker {
    mount: Arc<Mount>,
    /// Files are written through the descriptor that carries the lock.
    caching: Caching,
    held: Arc<HeldLocks>,
    deliver: Deliver,
    /// In the order of their next try: each is put at the end, the same gap ahead.
    refused: VecDeque<Attempt>,
}

/// An open descriptor that wants the lock.
struct Attempt {
    kind: FileKind,
    file: File,
    tries_left: u8,
    next_try: Instant,
    ask: Ask,
}

enum Ask {
    Lock { token: Token<Lock>, not_after: Instant },
    Look { token: Token<LookAtLock>, started: Instant },
}

impl Locker {
    pub(super) fn new(mount: Arc<Mount>, caching: Caching, held: Arc<HeldLocks>, deliver: Deliver) -> Self {
        Self { mount, caching, held, deliver, refused: VecDeque::new() }
    }

    /// Works until the lane is dropped. Tries that were refused until then are given up.
    pub(super) fn run(mut self, inbox: Receiver<LockJob>) {
        loop {
            let received = match self.refused.front() {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(attempt) => inbox.recv_timeout(attempt.next_try.since(boot_clock())),
            };
            match received {
                Ok(job) => self.begin(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = boot_clock();
            while self.refused.front().is_some_and(|attempt| attempt.next_try <= now)
                && let Some(attempt) = self.refused.pop_front()
            {
                self.attempt(attempt);
            }
        }
    }

    fn begin(&mut self, job: LockJob) {
        match job {
            LockJob::Lock { token, kind, not_after } => match self.without_trying(&kind, not_after) {
                Some(outcome) => self.deliver.one(locked(token, outcome)),
                None => self.open_and_attempt(kind, Ask::Lock { token, not_after }),
            },
            LockJob::Unlock { kind } => self.unlock(&kind),
            LockJob::Look { token, kind } if self.mount.capability.looking_is_safe => {
                self.open_and_attempt(kind, Ask::Look { token, started: boot_clock() });
            }
            LockJob::Look { token, .. } => {
                self.deliver.one(looked(token, LookOutcome::Fault(StorageFault::Unsupported)));
            }
        }
    }

    /// The outcome for a lock that is held already, or whose time has passed.
    fn without_trying(&self, kind: &FileKind, not_after: Instant) -> Option<LockOutcome> {
        if boot_clock() > not_after {
            return Some(LockOutcome::Expired);
        }
        let lock = self.held.get(kind)?;
        if lock.is_suspect() {
            // After an error only a fresh acquisition proves anything.
            self.held.let_go(kind);
            return None;
        }
        match flock::same_file(&lock.file, &self.mount.path_of(kind)) {
            Ok(true) => Some(LockOutcome::Granted),
            Ok(false) => {
                self.held.let_go(kind);
                Some(LockOutcome::Fault(StorageFault::Stale))
            }
            Err(error) => Some(LockOutcome::Fault(fault_of(&error))),
        }
    }

    fn open_and_attempt(&mut self, kind: FileKind, ask: Ask) {
        // NFS grants an exclusive `flock` only to a descriptor that may write (reliability 3).
        let writable = matches!(ask, Ask::Lock { .. });
        let opened =
            self.caching.open(&self.mount.path_of(&kind), OpenOptions::new().read(true).write(writable));
        match opened {
            Ok(file) => {
                self.attempt(Attempt { kind, file, tries_left: TRIES, next_try: Instant::ORIGIN, ask })
            }
            Err(error) => self.deliver.one(ask.fault(fault_of(&error))),
        }
    }

    fn attempt(&mut self, mut attempt: Attempt) {
        let tried = match &attempt.ask {
            Ask::Lock { not_after, .. } if boot_clock() > *not_after => {
                return self.deliver.one(attempt.ask.expired());
            }
            Ask::Lock { .. } => flock::try_exclusive(&attempt.file),
            Ask::Look { .. } => flock::try_look(&attempt.file),
        };
        attempt.tries_left = attempt.tries_left.saturating_sub(1);
        match tried {
            Ok(true) => self.won(attempt),
            Ok(false) if attempt.tries_left == 0 => self.deliver.one(attempt.ask.held()),
            Ok(false) => {
                attempt.next_try = boot_clock().after(TRY_GAP);
                self.refused.push_back(attempt);
            }
            Err(error) => self.deliver.one(attempt.ask.fault(fault_of(&error))),
        }
    }

    fn won(&self, attempt: Attempt) {
        let Attempt { kind, file, ask, .. } = attempt;
        let completion = match ask {
            Ask::Look { token, started } => looked(token, LookOutcome::Free { started }),
            Ask::Lock { token, .. } => {
                let outcome = match flock::same_file(&file, &self.mount.path_of(&kind)) {
                    Ok(true) => {
                        self.held.keep(kind, file);
                        LockOutcome::Granted
                    }
                    Ok(false) => LockOutcome::Fault(StorageFault::Stale),
                    Err(error) => LockOutcome::Fault(fault_of(&error)),
                };
                locked(token, outcome)
            }
        };
        self.deliver.one(completion);
    }

    fn unlock(&mut self, kind: &FileKind) {
        self.held.let_go(kind);
        // A try that is still refused must not take the lock after it was given up.
        let (given_up, kept) = self
            .refused
            .drain(..)
            .partition(|attempt| attempt.kind == *kind && matches!(attempt.ask, Ask::Lock { .. }));
        self.refused = kept;
        let given_up: VecDeque<Attempt> = given_up;
        for attempt in given_up {
            self.deliver.one(attempt.ask.held());
        }
    }
}

impl Ask {
    fn held(self) -> StorageCompletion {
        match self {
            Self::Lock { token, .. } => locked(token, LockOutcome::Held),
            Self::Look { token, .. } => looked(token, LookOutcome::Held),
        }
    }

    fn expired(self) -> StorageCompletion {
        match self {
            Self::Lock { token, .. } => locked(token, LockOutcome::Expired),
            Self::Look { token, .. } => looked(token, LookOutcome::Fault(StorageFault::Expired)),
        }
    }

    fn fault(self, fault: StorageFault) -> StorageCompletion {
        match self {
            Self::Lock { token, .. } => locked(token, LockOutcome::Fault(fault)),
            Self::Look { token, .. } => looked(token, LookOutcome::Fault(fault)),
        }
    }
}

fn locked(token: Token<Lock>, outcome: LockOutcome) -> StorageCompletion {
    StorageCompletion::Lock(token.complete(outcome))
}

fn looked(token: Token<LookAtLock>, outcome: LookOutcome) -> StorageCompletion {
    StorageCompletion::LookAtLock(token.complete(outcome))
}
