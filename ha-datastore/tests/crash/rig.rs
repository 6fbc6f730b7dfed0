use core::fmt::Debug;
use std::collections::BTreeMap;

use bytes::Bytes;
use ha_core::operation::{LockOutcome, ReadReply};
use ha_core::record::PairState;
use ha_core::{FileName, Instant, ReadFrom, StorageCompletion, StorageFault, StorageRequest};
use ha_datastore::format::{Geometry, file_size};

use crate::images::{Moment, Tearing, for_each_image};
use crate::journal::{Files, Journal};

/// What is done with one write instead of carrying it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Which write, counted from 0.
    pub(crate) write: usize,
    /// How it comes back.
    pub(crate) fault: StorageFault,
    /// How many of its bytes a reader sees from then on.
    pub(crate) seen: usize,
}

impl Fault {
    /// Every way in which the writes of a run can fail, one at a time; and that none does.
    pub(crate) fn each(writes: usize) -> Vec<Option<Self>> {
        let of = |write| {
            [(StorageFault::Io, 0), (StorageFault::Io, 512), (StorageFault::Unknown, usize::MAX)]
                .map(|(fault, seen)| Some(Self { write, fault, seen }))
        };
        (0..writes).flat_map(of).chain([None]).collect()
    }
}

/// Files that keep a journal of what is done to them. Every lock is free.
pub(crate) struct Rig {
    seen: Files,
    pub(crate) journal: Journal,
    fault: Option<Fault>,
}

impl Rig {
    /// Over files that are durable as they are.
    pub(crate) fn new(before: Files, fault: Option<Fault>) -> Self {
        Self { seen: before.clone(), journal: Journal::new(before), fault }
    }

    /// Files that were created and never written.
    pub(crate) fn created(geometry: &Geometry, names: &[FileName]) -> Files {
        let size = |name: &FileName| usize::try_from(file_size(&name.kind, geometry)).unwrap();
        names.iter().map(|name| (name.clone(), vec![0; size(name)])).collect::<BTreeMap<_, _>>()
    }

    pub(crate) fn files(&self) -> &Files {
        &self.seen
    }

    pub(crate) fn file(&self, name: &FileName) -> &[u8] {
        &self.seen[name]
    }

    pub(crate) fn write(&mut self, file: FileName, offset: u64, bytes: Bytes) -> Result<(), StorageFault> {
        let offset = usize::try_from(offset).unwrap();
        let number = self.journal.begin(file.clone(), offset, bytes.clone());
        let failed = self.fault.filter(|fault| fault.write == number);
        let seen = failed.map_or(bytes.len(), |fault| fault.seen.min(bytes.len()));
        self.seen.get_mut(&file).unwrap()[offset..offset + seen].copy_from_slice(&bytes[..seen]);
        self.journal.settle(number, failed.is_none());
        failed.map_or(Ok(()), |fault| Err(fault.fault))
    }

    /// A write that was out when its process ended lands after all.
    pub(crate) fn land_late(&mut self, file: &FileName, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).unwrap();
        self.seen.get_mut(file).unwrap()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// [`ReadFrom::Durable`]: whatever was in doubt, this is what storage holds.
    pub(crate) fn read(&mut self, file: &FileName) -> Bytes {
        let holds = self.seen[file].clone();
        self.journal.resolve(file.clone(), holds.clone());
        Bytes::from(holds)
    }

    /// Carries a request out; `None` for one that needs no answer.
    pub(crate) fn serve(&mut self, now: Instant, request: StorageRequest) -> Option<StorageCompletion> {
        Some(match request {
            StorageRequest::Write { token, file, offset, bytes, .. } => {
                let outcome = self.write(file, offset, bytes);
                StorageCompletion::Write(token.complete(outcome))
            }
            StorageRequest::Read { token, file, offset, length, from } => {
                let offset = usize::try_from(offset).unwrap();
                let holds = match from {
                    ReadFrom::Anywhere | ReadFrom::Storage => Bytes::copy_from_slice(self.file(&file)),
                    ReadFrom::Durable => self.read(&file),
                };
                let bytes = holds.slice(offset..offset + usize::try_from(length).unwrap());
                StorageCompletion::Read(token.complete(Ok(ReadReply { bytes, started: now })))
            }
            StorageRequest::Lock { token, .. } => {
                StorageCompletion::Lock(token.complete(LockOutcome::Granted))
            }
            StorageRequest::Unlock { .. } => return None,
            StorageRequest::LookAtLock { .. } => panic!("nobody here looks at locks"),
        })
    }
}

/// Asserts of every image that `name` opens to the last acknowledged record, or to one that was begun later; then hands
/// it to `go_on`. Returns the number of images.
pub(crate) fn check<C: Clone + Debug + PartialEq>(
    journal: &Journal,
    tearing: Tearing,
    name: &FileName,
    read: impl Fn(&[u8]) -> PairState<C>,
    mut go_on: impl FnMut(&Files, Option<&C>),
) -> u64 {
    let at_first = read(&journal.before[name]).record().map(|record| record.content.clone());
    // What each write alone would leave.
    let contents: Vec<Option<C>> = journal
        .writes
        .iter()
        .map(|write| {
            let mut file = vec![0; journal.before[name].len()];
            file[write.offset..write.offset + write.bytes.len()].copy_from_slice(&write.bytes);
            read(&file).record().map(|record| record.content.clone())
        })
        .collect();
    for_each_image(journal, tearing, |moment, image| {
        let opened = read(&image[name]);
        let content = opened.record().map(|record| &record.content);
        let Moment { acknowledged, begun, .. } = *moment;
        // What is acknowledged may have ended with a write that is no record.
        let since = acknowledged.and_then(|latest| contents[..=latest].iter().rposition(Option::is_some));
        let since = since.unwrap_or(0);
        let allowed = |content: &C| {
            contents[since..begun].iter().flatten().any(|begun| begun == content)
                || acknowledged.is_none() && at_first.as_ref() == Some(content)
        };
        match content {
            Some(content) => assert!(allowed(content), "{content:?} opened {acknowledged:?} {begun}"),
            None => {
                assert!(acknowledged.is_none() && at_first.is_none(), "{opened:?} after {acknowledged:?}");
                assert!(!matches!(opened, PairState::Inconsistent { .. }), "{opened:?}");
            }
        }
        go_on(image, content);
    })
}
