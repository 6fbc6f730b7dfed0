//! An ownership and the disk below it, one request at a time.

use core::ops::Range;
use std::collections::VecDeque;

use ha_core::operation::Write;
use ha_core::{
    Completion, FileKind, FileName, HostId, Instant, Machine, StorageCompletion, StorageFault,
    StorageRequest, Term,
};
use ha_datastore::format::{ListState, ProtectedList};
use ha_datastore::ownership::{Event, Input, Output, Ownership, OwnershipConfig};

use super::{CLUSTER, Disk, HOME, LOGGED, TIMING, host, identity, machine};

/// A write of the own list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListWrite {
    pub(crate) offset: usize,
    pub(crate) bytes: Vec<u8>,
}

impl ListWrite {
    pub(crate) fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.bytes.len()
    }
}

/// One life of one host that owns a datastore with [`LOGGED`] lists, or wants to.
pub(crate) struct Owner {
    pub(crate) machine: Ownership,
    pub(crate) disk: Disk,
    pub(crate) now: Instant,
    host: HostId,
    requests: VecDeque<StorageRequest>,
    pub(crate) events: Vec<Event>,
    /// Every write and read-back of the own list, in order.
    pub(crate) writes: Vec<ListWrite>,
    pub(crate) read_backs: usize,
}

impl Owner {
    pub(crate) fn new(number: u32, incarnation: u64, disk: Disk, now: Instant) -> Self {
        let config = OwnershipConfig {
            identity: identity(number, incarnation),
            machine: machine(number, 1),
            datastore: HOME,
            hosts: vec![host(1), host(2), host(7)],
            geometry: LOGGED,
            timing: TIMING,
        };
        let (requests, events, writes) = (VecDeque::new(), Vec::new(), Vec::new());
        let machine = Ownership::new(config, now);
        Self { machine, disk, now, host: host(number), requests, events, writes, read_backs: 0 }
    }

    pub(crate) fn list_file(&self) -> FileName {
        FileName::new(HOME, FileKind::ProtectedListOf(self.host))
    }

    /// What the own list says.
    pub(crate) fn read(&mut self) -> ListState {
        let name = self.list_file();
        ProtectedList::read(self.disk.file(&name), CLUSTER, self.host, &LOGGED)
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.machine.handle_input(self.now, input).unwrap();
        self.drain();
    }

    /// Whether it was taken in.
    pub(crate) fn try_give(&mut self, input: Input) -> bool {
        let taken = self.machine.handle_input(self.now, input).is_ok();
        self.drain();
        taken
    }

    pub(crate) fn claim(&mut self, term: Term) {
        self.give(Input::Claim { term, may_take: true });
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        self.now = now;
        self.machine.handle_timeout(now);
        self.drain();
    }

    /// Carries out everything up to the next write of the own list, and takes that one out; `None` if all is done.
    pub(crate) fn next_list_write(&mut self) -> Option<PendingWrite> {
        let name = self.list_file();
        while let Some(request) = self.requests.pop_front() {
            match request {
                StorageRequest::Write { token, file, offset, bytes, .. } if file == name => {
                    let write = ListWrite { offset: usize::try_from(offset).unwrap(), bytes: bytes.to_vec() };
                    self.writes.push(write.clone());
                    return Some(PendingWrite {
                        token: Box::new(move |outcome| token.complete(outcome)),
                        write,
                    });
                }
                other @ (StorageRequest::Write { .. }
                | StorageRequest::Read { .. }
                | StorageRequest::Lock { .. }
                | StorageRequest::Unlock { .. }
                | StorageRequest::LookAtLock { .. }) => {
                    let length = self.disk.file(&name).len();
                    if let StorageRequest::Read { file, length: asked, .. } = &other {
                        self.read_backs += usize::from(*file == name && *asked as usize != length);
                    }
                    if let Some(done) = self.disk.serve(self.now, other) {
                        self.give(Input::Storage(done));
                    }
                }
            }
        }
        None
    }

    /// Lands a write whole and answers it.
    pub(crate) fn land(&mut self, pending: PendingWrite) {
        let everything = 0..pending.write.bytes.len();
        self.put(&pending.write, everything);
        self.answer(pending, Ok(()));
    }

    /// Lands a part of a write.
    pub(crate) fn put(&mut self, write: &ListWrite, part: Range<usize>) {
        let name = self.list_file();
        let place = &mut self.disk.file(&name)[write.offset..][part.clone()];
        place.copy_from_slice(&write.bytes[part]);
    }

    pub(crate) fn answer(&mut self, pending: PendingWrite, outcome: Result<(), StorageFault>) {
        let done = StorageCompletion::Write((pending.token)(outcome));
        self.give(Input::Storage(done));
    }

    /// Carries out everything.
    pub(crate) fn settle(&mut self) {
        while let Some(pending) = self.next_list_write() {
            self.land(pending);
        }
    }

    /// The events since the last look.
    pub(crate) fn news(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Storage(request) => self.requests.push_back(request),
                Output::Event(event) => self.events.push(event),
            }
        }
    }
}

/// The file whose lock makes an owner.
pub(crate) fn owner_file() -> FileName {
    FileName::new(HOME, FileKind::ProtectedList)
}

/// A write of the own list that storage has not answered.
pub(crate) struct PendingWrite {
    token: Box<dyn FnOnce(Result<(), StorageFault>) -> Completion<Write>>,
    pub(crate) write: ListWrite,
}
