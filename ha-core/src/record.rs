//! The envelope of every record on shared storage: who wrote it, when in its file's life, and whether it is whole.
//!
//! A record lies in a *slot area*, a multiple of 4096 bytes that begins on a 4096-byte boundary, so that one
//! torn sector or page cannot touch two records. A file of slots has two of them, A and B; generation g goes
//! to slot g mod 2, so the newest whole record survives any damage to the write that follows it. (In the logs of
//! `protectedlist.<n>` each block is such an area, and the generation is the number of the block.)
//!
//! All numbers are little endian:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `vHAr` |
//! | 4 | 2 | [`RecordKind`] |
//! | 6 | 1 | version of the format, [`VERSION`] |
//! | 7 | 1 | oldest version whose reader understands it |
//! | 8 | 16 | cluster |
//! | 24 | 4 | writer's host |
//! | 28 | 4 | slot index |
//! | 32 | 16 | writer's boot |
//! | 48 | 8 | writer's incarnation |
//! | 56 | 8 | generation |
//! | 64 | 4 | length of the payload |
//! | 68 | 4 | CRC-32 (IEEE) of the payload |
//! | 72 | 4 | reserved: written as zero, not looked at |
//! | 76 | 4 | CRC-32 (IEEE) of bytes 0 to 75 |
//! | 80 | | payload, then zeros to the end of the area |
//!
//! A reader checks in this order, and each failure has its own [`RecordFault`] (reliability 5.2): size, all zero,
//! magic, header sum, version, kind, cluster, writer, slot, length, payload sum, zeros after the payload, and
//! then what the payload says. All zero is *never written*, not an empty record: the CRC of nothing is zero.
//!
//! [`open`] allocates nothing, whatever the bytes are, and [`read_pair`] nothing but what its `decode` does.
//!
//! A sum is not authenticity: files are trusted as far as the datastore's permissions go.

mod fault;
mod generation;
mod header;
mod pair;

pub use fault::{RecordFault, SealError};
pub use generation::{Generation, HighWater, Regressed, Slot};
pub use header::{Expectation, Record, RecordKind, Sealed, is_zero, open, open_head, seal, seal_block};
pub use pair::{PairExpectation, PairRole, PairState, read_pair, read_pair_choosing};

/// The size and alignment of everything on shared storage, in bytes.
pub const BLOCK: usize = 4096;

/// The length of the envelope's header, in bytes.
pub const HEADER: usize = 80;

/// The version that this crate writes, and the newest that it knows.
pub const VERSION: u8 = 1;

/// The oldest version whose reader understands what this crate writes.
pub const OLDEST_READER: u8 = 1;
