//! Which reads are out, and how many at a time.

use alloc::collections::VecDeque;

use ha_core::{FileKind, FileName, HostId, ReadFrom, StorageRequest};

use super::Ownership;
use crate::format::HeadPart;

/// Of which file a read that is out is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadOf {
    Peek,
    Owner,
    Head(HostId, HeadPart),
    List(HostId),
}

/// A read that is out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) of: ReadOf,
    length: u32,
}

/// A read that waits for its turn.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) of: ReadOf,
    pub(super) kind: FileKind,
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) from: ReadFrom,
}

impl Ownership {
    /// The most bytes that are asked for at a time while the lists are read; a file that is longer is read alone. (At
    /// the default limits a list has 55 MB, and a datastore dozens of them.)
    ///
    /// Of what was answered no more is held than the merged list and the one list that is being taken in.
    pub const READS_AT_ONCE_BYTES: u64 = 64 << 20;
    /// The most reads that are out at a time.
    pub const READS_AT_ONCE: usize = 8;

    /// Asks for all of these, a few at a time; what was wanted before is forgotten.
    pub(super) fn want(&mut self, wanted: VecDeque<Wanted>) {
        self.waiting = wanted;
        self.read_on();
    }

    /// Asks for more, as far as there is room for the answers.
    pub(super) fn read_on(&mut self) {
        while let Some(next) = self.waiting.front() {
            let out: u64 = self.reads.values().map(|asked| u64::from(asked.length)).sum();
            let fits = self.reads.len() < Self::READS_AT_ONCE
                && out.saturating_add(next.length.into()) <= Self::READS_AT_ONCE_BYTES;
            if !fits && !self.reads.is_empty() {
                return;
            }
            let Some(next) = self.waiting.pop_front() else { return };
            self.read(next);
        }
    }

    /// Whether everything that was wanted has been answered.
    pub(super) fn has_read_all(&self) -> bool {
        self.reads.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn read(&mut self, wanted: Wanted) {
        let Wanted { of, kind, offset, length, from } = wanted;
        let (token, request) = self.mint.issue();
        self.reads.insert(request, Asked { of, length });
        let file = FileName::new(self.config.datastore, kind);
        self.request(StorageRequest::Read { token, file, offset, length, from });
    }
}
