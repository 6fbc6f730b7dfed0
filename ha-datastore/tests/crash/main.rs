//! Every state that a crash can leave on a disk, for every file that is written in place.
//!
//! The machines run on a made-up disk that keeps a journal: when each write began, and whether it came back synced,
//! failed, or not at all. From each moment of the journal every image is made that the persistence model allows: a
//! sector of 512 bytes of a write that did not come back synced holds its old bytes, its new bytes, or garbage, each
//! for itself. Each image must open to the last acknowledged state or to a later one that was begun, and a new life of
//! the machine must go on from it. Writes of more than 16 sectors that differ are left at all prefixes, all suffixes,
//! all single holes and all single sectors.
//!
//! `cargo test -p ha-datastore --test crash -- --nocapture` prints how many images each test opened.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]

#[path = "../common/mod.rs"]
mod common;
mod heartbeat;
mod images;
mod journal;
mod list;
mod marker;
mod poweron;
mod rig;
mod vm_lock;
