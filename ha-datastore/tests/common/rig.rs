//! An ownership and the disk below it; requests wait until they are served.

use std::collections::VecDeque;

use ha_core::{Instant, Machine, StorageRequest};
use ha_datastore::Ownership;
use ha_datastore::ownership::{Event, Input, Output, OwnershipConfig};

use super::{Disk, GEOMETRY, HOME, TIMING, at, host, identity, machine, uuid};

/// Host 1 and a disk; requests wait until they are served.
pub(crate) struct Rig {
    pub(crate) ownership: Ownership,
    pub(crate) disk: Disk,
    pub(crate) requests: VecDeque<StorageRequest>,
    pub(crate) events: Vec<Event>,
    /// How often the lock was tried.
    pub(crate) locks: usize,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// One whose configuration differs.
    pub(crate) fn with(differ: impl FnOnce(&mut OwnershipConfig)) -> Self {
        let mut config = OwnershipConfig {
            identity: identity(1, 1),
            machine: machine(1, 1),
            datastore: HOME,
            hosts: vec![host(1), host(2), host(3)],
            geometry: GEOMETRY,
            timing: TIMING,
        };
        differ(&mut config);
        let disk = Disk::new(config.geometry);
        let ownership = Ownership::new(config, at(0));
        Self { ownership, disk, requests: VecDeque::new(), events: Vec::new(), locks: 0 }
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.ownership.poll_output() {
            match output {
                Output::Storage(request) => {
                    self.locks += usize::from(matches!(request, StorageRequest::Lock { .. }));
                    self.requests.push_back(request);
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    pub(crate) fn ask(&mut self, now: Instant, input: Input) {
        self.ownership.handle_input(now, input).unwrap();
        self.drain();
    }

    pub(crate) fn serve_one(&mut self, now: Instant) {
        let request = self.requests.pop_front().unwrap();
        if let Some(done) = self.disk.serve(now, request) {
            self.ask(now, Input::Storage(done));
        }
    }

    pub(crate) fn settle(&mut self, now: Instant) -> Vec<Event> {
        while !self.requests.is_empty() {
            self.serve_one(now);
        }
        core::mem::take(&mut self.events)
    }

    pub(crate) fn give(&mut self, now: Instant, input: Input) -> Vec<Event> {
        self.ask(now, input);
        self.settle(now)
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Event> {
        self.ownership.handle_timeout(now);
        self.drain();
        self.settle(now)
    }

    pub(crate) fn protects(&self, number: u8) -> bool {
        self.ownership.list().is_some_and(|list| list.entry(uuid(number)).is_some())
    }
}
