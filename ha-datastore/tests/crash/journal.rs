use std::collections::BTreeMap;

use bytes::Bytes;
use ha_core::FileName;

/// The whole of some files.
pub(crate) type Files = BTreeMap<FileName, Vec<u8>>;

/// One write, in the order in which they began.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) file: FileName,
    pub(crate) offset: usize,
    pub(crate) bytes: Bytes,
}

/// What happened, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The write with this number began. From here on any part of it may have landed.
    Begun(usize),
    /// It is durable.
    Synced(usize),
    /// It came back with a fault. Any part of it may have landed, or may land later.
    Failed(usize),
    /// A file was read from storage itself, and this is what it holds: nothing of it is in doubt any more.
    Resolved(usize),
    /// Somebody was told that all up to and with this write is durable.
    Acknowledged(usize),
}

/// Everything that was written, and what was known of it when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    pub(crate) before: Files,
    pub(crate) writes: Vec<Write>,
    pub(crate) steps: Vec<Step>,
    pub(crate) resolved: Vec<(FileName, Vec<u8>)>,
}

impl Journal {
    pub(crate) fn new(before: Files) -> Self {
        Self { before, ..Self::default() }
    }

    pub(crate) fn begin(&mut self, file: FileName, offset: usize, bytes: Bytes) -> usize {
        let number = self.writes.len();
        self.writes.push(Write { file, offset, bytes });
        self.steps.push(Step::Begun(number));
        number
    }

    pub(crate) fn settle(&mut self, number: usize, synced: bool) {
        self.steps.push(if synced { Step::Synced(number) } else { Step::Failed(number) });
    }

    pub(crate) fn resolve(&mut self, file: FileName, holds: Vec<u8>) {
        self.steps.push(Step::Resolved(self.resolved.len()));
        self.resolved.push((file, holds));
    }

    /// The latest write was acknowledged.
    pub(crate) fn acknowledge(&mut self) {
        self.steps.push(Step::Acknowledged(self.writes.len() - 1));
    }
}
