use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use ha_core::{StorageCompletion, StorageFault};

use super::clock::boot_clock;

/// How completions leave.
#[derive(Clone)]
pub(super) struct Deliver(Arc<dyn Fn(Vec<StorageCompletion>) + Send + Sync>);

impl Deliver {
    pub(super) fn new(deliver: impl Fn(Vec<StorageCompletion>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(deliver))
    }

    pub(super) fn one(&self, completion: StorageCompletion) {
        (self.0)(Vec::from([completion]));
    }
}

/// The most requests that wait in one lane. Machines have one request per file and kind outstanding, so this is
/// reached only by more markers at once than a cluster can have virtual machines.
const MAX_WAITING: usize = 131_072;

/// Something a worker does.
pub(super) trait Job: Send + 'static {
    /// The answer to a job that is not begun at all; none if it needs none.
    fn decline(self, fault: StorageFault) -> Option<StorageCompletion>;
}

/// The way to one worker thread, which takes its jobs in order.
#[derive(Debug)]
pub(super) struct Lane<J>(SyncSender<J>);

impl<J: Job> Lane<J> {
    /// Starts a worker. It ends when the lane is dropped and what waits in it is done.
    pub(super) fn start(name: String, work: impl FnOnce(Receiver<J>) + Send + 'static) -> io::Result<Self> {
        let (sender, inbox) = sync_channel(MAX_WAITING);
        thread::Builder::new().name(name).spawn(move || work(inbox))?;
        Ok(Self(sender))
    }

    /// Queues a job, without waiting. Gives the answer back if that is impossible.
    pub(super) fn submit(&self, job: J) -> Option<StorageCompletion> {
        match self.0.try_send(job) {
            Ok(()) => None,
            // Behind this many others it would not be carried out in time.
            Err(TrySendError::Full(job)) => job.decline(StorageFault::Expired),
            // The worker panicked in `deliver`.
            Err(TrySendError::Disconnected(job)) => job.decline(StorageFault::Unsupported),
        }
    }
}

/// Answers wait no longer than this for others that go with them.
const TOGETHER_WITHIN: Duration = Duration::from_millis(1);

/// A worker that finishes each job before it begins the next, and hands on together what was done within a moment
/// while more was waiting: whoever takes the answers is woken once for all of them.
pub(super) fn in_batches<J: Job>(
    deliver: Deliver,
    mut perform: impl FnMut(J) -> StorageCompletion + Send + 'static,
) -> impl FnOnce(Receiver<J>) + Send + 'static {
    move |inbox| {
        let mut done = Vec::new();
        while let Ok(job) = inbox.recv() {
            let began = boot_clock();
            done.push(perform(job));
            while boot_clock().since(began) < TOGETHER_WITHIN {
                let Ok(job) = inbox.try_recv() else { break };
                done.push(perform(job));
            }
            (deliver.0)(core::mem::take(&mut done));
        }
    }
}

/// A worker that finishes each job before it begins the next.
pub(super) fn one_by_one<J: Job>(
    deliver: Deliver,
    perform: impl Fn(J) -> StorageCompletion + Send + 'static,
) -> impl FnOnce(Receiver<J>) + Send + 'static {
    move |inbox| {
        for job in inbox {
            deliver.one(perform(job));
        }
    }
}
