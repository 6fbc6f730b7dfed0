//! What the contract tests of the machines that speak to storage share.

use bytes::Bytes;
use ha_core::contract::{Ending, Facts, Validity, stray};
use ha_core::operation::{LockOutcome, LookOutcome, ReadReply};
use ha_core::{Instant, Random, StorageCompletion, StorageFault, StorageRequest};

use super::{Disk, machine};

/// Noise, a flipped bit, a torn half, or another length.
pub(crate) fn garble(random: &mut Random, truth: Bytes) -> Bytes {
    let mut bytes = Vec::from(truth);
    let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
    match random.below(5) {
        0 => bytes.iter_mut().for_each(|byte| *byte = random.next_u64().to_le_bytes()[0]),
        1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at..].fill(0),
        3 => bytes.truncate(at),
        _ => bytes.rotate_left(at),
    }
    Bytes::from(bytes)
}

pub(crate) fn serve(
    disk: &mut Disk,
    random: &mut Random,
    now: Instant,
    request: StorageRequest,
    ending: Ending,
) -> Option<StorageCompletion> {
    (disk.fail_write, disk.fail_read) = (None, None);
    match (ending, request) {
        (Ending::Fault, StorageRequest::Lock { token, .. }) => {
            let held = random.below(2) == 0;
            let fault = LockOutcome::Fault(StorageFault::Io);
            Some(StorageCompletion::Lock(token.complete(if held { LockOutcome::Held } else { fault })))
        }
        (Ending::Junk, StorageRequest::Read { token, file, offset, length, .. }) => {
            let (from, length) = (usize::try_from(offset).unwrap(), usize::try_from(length).unwrap());
            let truth = Bytes::copy_from_slice(&disk.file(&file)[from..from + length]);
            let reply = ReadReply { bytes: garble(random, truth), started: now };
            Some(StorageCompletion::Read(token.complete(Ok(reply))))
        }
        (Ending::Fault, request) => {
            let lands = random.below(2) == 0;
            disk.fail_write = Some((request.file().clone(), StorageFault::Unknown, lands));
            disk.fail_read = Some((request.file().clone(), StorageFault::Io));
            disk.serve(now, request)
        }
        (Ending::Well | Ending::Junk, request) => disk.serve(now, request),
    }
}

pub(crate) fn storage_facts(request: &StorageRequest) -> Facts {
    match request {
        StorageRequest::Write { file, not_after, .. } => Facts {
            awaits_answer: true,
            slot: Some(format!("a write of {file}")),
            backs: Some(0),
            validity: Validity::Until(*not_after),
        },
        StorageRequest::Lock { file, not_after, .. } => Facts {
            slot: Some(format!("the lock of {file}")),
            validity: Validity::Until(*not_after),
            ..Facts::ASKED
        },
        // Not the slot of the lock: `Ownership` lets a list's lock go and tries it again in one breath, and relies
        // on a driver that keeps to the order of the requests for one file.
        StorageRequest::Unlock { .. } => Facts::TOLD,
        StorageRequest::Read { .. } | StorageRequest::LookAtLock { .. } => Facts::ASKED,
    }
}

/// A request in a few words; equal bytes have equal sums.
pub(crate) fn show(request: &StorageRequest) -> String {
    match request {
        StorageRequest::Write { token, offset, bytes, file, not_after } => {
            let sum =
                bytes.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
            format!("{token:?} {file} {offset} {sum:x} {not_after}")
        }
        StorageRequest::Read { .. }
        | StorageRequest::Lock { .. }
        | StorageRequest::Unlock { .. }
        | StorageRequest::LookAtLock { .. } => format!("{request:?}"),
    }
}

pub(crate) fn storage_stray(random: &mut Random, number: u32) -> StorageCompletion {
    let me = machine(number, 1);
    match random.below(4) {
        0 => StorageCompletion::Write(stray(random, me, Ok(()))),
        1 => StorageCompletion::Read(stray(random, me, Err(StorageFault::Io))),
        2 => StorageCompletion::Lock(stray(random, me, LockOutcome::Granted)),
        _ => StorageCompletion::LookAtLock(stray(random, me, LookOutcome::Held)),
    }
}
