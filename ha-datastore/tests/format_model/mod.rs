//! `FORMAT.md` written a second time: what a reader must tell of any bytes, by the page and not by the crate.
//!
//! What counts is told as the bytes of a whole slot; a reader's content is sealed again to be compared with it.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

pub(crate) mod list;
pub(crate) mod told;

use core::cmp::Ordering;

use ha_core::record::{Generation, RecordFault};
use ha_core::{ClusterId, HostId};
use told::Told;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) const BLOCK: usize = 4_096;
pub(crate) const HEADER: usize = 80;
const CLUSTER: [u8; 16] = [0xc1; 16];

/// Where the envelope has its fields.
pub(crate) mod field {
    pub(crate) const KIND: usize = 4;
    pub(crate) const OLDEST_READER: usize = 7;
    pub(crate) const CLUSTER: usize = 8;
    pub(crate) const HOST: usize = 24;
    pub(crate) const SLOT: usize = 28;
    pub(crate) const BOOT: usize = 32;
    pub(crate) const INCARNATION: usize = 48;
    pub(crate) const GENERATION: usize = 56;
    pub(crate) const LENGTH: usize = 64;
    pub(crate) const PAYLOAD_SUM: usize = 68;
    pub(crate) const HEADER_SUM: usize = 76;
}

/// What a reader knows of a file beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) kind: u16,
    /// The only writer, if there is only one.
    pub(crate) host: Option<u32>,
    /// The length of a slot.
    pub(crate) area: usize,
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(BLOCK).all(|block| *block == [0; BLOCK][..block.len()])
}

/// The payload of a slot whose length is right.
pub(crate) fn payload(slot: &[u8]) -> &[u8] {
    &slot[HEADER..HEADER + length(slot)]
}

fn length(slot: &[u8]) -> usize {
    usize::try_from(u32_at(slot, field::LENGTH)).unwrap()
}

/// The record with some bytes changed and both sums put right again.
pub(crate) fn restamp(slot: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut slot = slot.to_vec();
    change(&mut slot);
    let end = (HEADER + length(&slot)).min(slot.len());
    let sum = crc32fast::hash(&slot[HEADER..end]);
    slot[field::PAYLOAD_SUM..field::PAYLOAD_SUM + 4].copy_from_slice(&sum.to_le_bytes());
    let sum = crc32fast::hash(&slot[..field::HEADER_SUM]);
    slot[field::HEADER_SUM..HEADER].copy_from_slice(&sum.to_le_bytes());
    slot
}

/// The checks of a slot, in the page's order.
pub(crate) fn slot(area: &[u8], rules: &Rules, slot: u32) -> Result<(), RecordFault> {
    if is_zero(area) {
        return Err(RecordFault::NeverWritten);
    }
    if &area[..4] != b"vHAr" {
        return Err(RecordFault::BadMagic);
    }
    if crc32fast::hash(&area[..field::HEADER_SUM]) != u32_at(area, field::HEADER_SUM) {
        return Err(RecordFault::BadHeader);
    }
    let oldest_reader = area[field::OLDEST_READER];
    if oldest_reader > 1 {
        return Err(RecordFault::NewerVersion { version: area[field::OLDEST_READER - 1], oldest_reader });
    }
    let kind = u16_at(area, field::KIND);
    if kind != rules.kind {
        return Err(RecordFault::WrongKind { found: kind });
    }
    let cluster: [u8; 16] = area[field::CLUSTER..field::HOST].try_into().unwrap();
    if cluster != CLUSTER {
        return Err(RecordFault::ForeignCluster { found: ClusterId::from_bytes(cluster) });
    }
    let host = u32_at(area, field::HOST);
    if rules.host.is_some_and(|writer| writer != host) {
        return Err(RecordFault::WrongWriter { found: HostId::new(host) });
    }
    let (found, generation) = (u32_at(area, field::SLOT), u64_at(area, field::GENERATION));
    if found != slot || generation % 2 != u64::from(slot) {
        return Err(RecordFault::WrongSlot { found, generation: Generation::new(generation) });
    }
    let length = length(area);
    if length > area.len() - HEADER {
        return Err(RecordFault::BadLength { found: u32_at(area, field::LENGTH) });
    }
    let (payload, rest) = area[HEADER..].split_at(length);
    if crc32fast::hash(payload) != u32_at(area, field::PAYLOAD_SUM) {
        return Err(RecordFault::BadPayload);
    }
    if !is_zero(rest) {
        return Err(RecordFault::NotZeroAfterPayload);
    }
    // Of the payloads' own rules only this sum can fail for what a writer has written.
    if kind == list::LIST && xxh3_64(&payload[8..]) != u64_at(payload, 0) {
        return Err(RecordFault::BadPayload);
    }
    Ok(())
}

/// The table "Two slots together".
pub(crate) fn pair(slots: &[u8], rules: &Rules) -> Told {
    if slots.len() != 2 * rules.area {
        let fault = RecordFault::WrongSize { found: slots.len() };
        return Told::Corrupt(fault, fault);
    }
    let (a, b) = slots.split_at(rules.area);
    let written = |slot: &[u8]| slot.to_vec();
    match (slot(a, rules, 0), slot(b, rules, 1)) {
        (Ok(()), Ok(())) => match newer(a, b, rules.host.is_some()) {
            Some(Ordering::Greater) => Told::Valid(written(a)),
            Some(_) => Told::Valid(written(b)),
            None => Told::Inconsistent(written(a), written(b)),
        },
        (Ok(()), Err(RecordFault::NeverWritten)) if u64_at(a, field::GENERATION) == 0 => {
            Told::Valid(written(a))
        }
        (Ok(()), Err(fault)) => Told::Degraded(written(a), fault),
        (Err(fault), Ok(())) => Told::Degraded(written(b), fault),
        (Err(RecordFault::NeverWritten), Err(RecordFault::NeverWritten)) => Told::NeverWritten,
        (Err(a), Err(b)) => Told::Corrupt(a, b),
    }
}

/// How `a` stands to `b`, if one follows the other.
fn newer(a: &[u8], b: &[u8], one_writer: bool) -> Option<Ordering> {
    let life = |slot| u64_at(slot, field::INCARNATION);
    let boot = |slot: &[u8]| slot[field::BOOT..field::INCARNATION].to_vec();
    let generation = |slot| i128::from(u64_at(slot, field::GENERATION));
    if one_writer && life(a) != life(b) {
        return Some(life(a).cmp(&life(b)));
    }
    if one_writer && boot(a) != boot(b) {
        return None;
    }
    match generation(a) - generation(b) {
        1 => Some(Ordering::Greater),
        -1 => Some(Ordering::Less),
        _ => None,
    }
}

/// The section "Files on a host's own disk", for files shorter than the longest.
pub(crate) fn local(file: &[u8], kind: u16) -> Told {
    let bad = |fault| Told::Corrupt(fault, fault);
    let size = RecordFault::WrongSize { found: file.len() };
    if file.is_empty() || !file.len().is_multiple_of(BLOCK) {
        return bad(size);
    }
    if let Err(fault) = slot(file, &Rules { kind, host: Some(7), area: file.len() }, 0) {
        return bad(fault);
    }
    if u64_at(file, field::GENERATION) != 0 {
        return bad(RecordFault::BadContent { field: "generation" });
    }
    let payload = payload(file);
    if file.len() != (HEADER + payload.len()).next_multiple_of(BLOCK) {
        return bad(size);
    }
    if xxh3_64(&payload[8..]) != u64_at(payload, 0) {
        return bad(RecordFault::BadPayload);
    }
    Told::Valid(file.to_vec())
}
