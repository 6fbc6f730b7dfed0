use core::fmt::Debug;
use core::time::Duration;
use std::sync::mpsc::{Receiver, channel};

use ha_core::{DatastoreId, Machine, StorageCompletion, StorageRequest};
use ha_datastore::fs::{FsStorage, boot_clock};

use super::{Node, SOON};

/// A machine on a real datastore, by the real clock.
pub(crate) struct Rig<M: Machine, E> {
    pub(crate) machine: M,
    /// All events so far.
    pub(crate) events: Vec<E>,
    storage: FsStorage,
    done: Receiver<StorageCompletion>,
    wrap: fn(StorageCompletion) -> M::Input,
    sort: fn(M::Output) -> Result<StorageRequest, E>,
}

impl<M: Machine<Rejected: Debug>, E: Debug> Rig<M, E> {
    pub(crate) fn new(
        node: &Node,
        datastore: DatastoreId,
        machine: M,
        wrap: fn(StorageCompletion) -> M::Input,
        sort: fn(M::Output) -> Result<StorageRequest, E>,
    ) -> Self {
        let (deliver, done) = channel();
        let deliver = move |completion| deliver.send(completion).unwrap_or(());
        let storage = FsStorage::start(vec![node.mount(datastore)], deliver).unwrap();
        Self { machine, events: Vec::new(), storage, done, wrap, sort }
    }

    pub(crate) fn give(&mut self, input: M::Input) {
        self.machine.handle_input(boot_clock(), input).unwrap();
    }

    /// Carries out what is asked for, and waits a little for one answer or the deadline.
    pub(crate) fn turn(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match (self.sort)(output) {
                Ok(request) => self.storage.submit(request),
                Err(event) => self.events.push(event),
            }
        }
        let now = boot_clock();
        let left = self.machine.poll_timeout().map_or(Duration::MAX, |deadline| deadline.at.since(now));
        match self.done.recv_timeout(left.min(Duration::from_millis(5))) {
            Ok(done) => self.give((self.wrap)(done)),
            Err(_) => self.machine.handle_timeout(boot_clock()),
        }
    }

    /// Goes on until there is an event that fits; forgets it and all before it.
    pub(crate) fn until(&mut self, what: &str, fits: impl Fn(&E) -> bool) -> E {
        let end = boot_clock().after(SOON);
        loop {
            if let Some(found) = self.events.iter().position(&fits) {
                return self.events.drain(..=found).next_back().unwrap();
            }
            let last = &self.events[self.events.len().saturating_sub(3)..];
            assert!(boot_clock() < end, "no {what} within {SOON:?}; last came {last:?}");
            self.turn();
        }
    }

    /// Goes on for that long.
    pub(crate) fn go_on_for(&mut self, span: Duration) {
        let end = boot_clock().after(span);
        while boot_clock() < end {
            self.turn();
        }
    }
}
