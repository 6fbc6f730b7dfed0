//! No I/O: the vocabulary of a VM high-availability cluster.
//!
//! # Features
//!
//! * `contract` - the rules of [`Machine`] as tests, for the crates that make machines.
//!
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod capability;
pub mod codec;
#[cfg(feature = "contract")]
pub mod contract;
mod counter;
mod deadline;
pub mod evidence;
mod id;
mod limits;
mod machine;
pub mod operation;
pub mod options;
mod outbox;
mod random;
pub mod record;
mod storage;
pub mod takeover;
mod time;
pub mod timing;
mod token;
mod vm;
pub mod wire;

pub use capability::{Capability, Rating};
pub use counter::Counter;
pub use deadline::Deadline;
pub use evidence::{DatastoreEvidence, Evidence, HostState, Strength, Verdict};
pub use id::{
    BootId, ClusterId, DatastoreId, HostId, Identity, Incarnation, Moid, ParseError, Round, Term, VmEpoch,
    VmId, VmUuid,
};
pub use limits::Limits;
pub use machine::{Effects, Machine};
pub use outbox::Outbox;
pub use random::Random;
pub use storage::{FileKind, FileName, StorageCompletion, StorageFault, StorageRequest};
pub use time::{Instant, MonotonicNow};
pub use timing::{Profile, TimingConfig, TimingPlan};
pub use token::{Completion, MachineId, Operation, RequestId, Token, TokenMint, UnknownRequest};
pub use vm::{HolderId, RunningVm, VmCompletion, VmDriverReport, VmRequest};
