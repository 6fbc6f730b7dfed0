//! No I/O: the vocabulary of a VM high-availability cluster.
//!
//! The machines of the other crates share what is here, and nothing else: none of them knows another one.
//!
//! | what | where |
//! |---|---|
//! | who, which, and numbers that never repeat | [`HostId`], [`Moid`], [`BootId`], [`Incarnation`], [`Term`], [`VmEpoch`], ... |
//! | the clock, one deadline with a reason | [`Instant`], [`Deadline`], [`MonotonicNow`] |
//! | the contract of every machine | [`Machine`], [`Effects`], [`Outbox`], one-shot [`Token`]s, [`operation`] |
//! | what is asked of storage and of the hypervisor | [`StorageRequest`], [`VmRequest`] |
//! | what is known of a host, and what follows | [`evidence`], [`Verdict::why`] |
//! | what a datastore can promise, and when a lock may be tried | [`capability`], [`takeover`] |
//! | every span of time, and the chain computed from them | [`timing`] |
//! | options by vSphere's names | [`options`] |
//! | records on disk, frames on the wire, bounded payloads | [`record`], [`wire`], [`codec`] |
//!
//! # The two promises
//!
//! *Never twice*: a protected virtual machine never runs in two places. *Eventually again*: it runs again within a
//! computed bound once the faults stop. The vocabulary serves them by what it makes impossible to say: a right
//! without a time, an answer without its request, a verdict without its reasons, a default where somebody must
//! decide.
//!
//! # Which clock
//!
//! One that counts suspend, unshifted: `CLOCK_BOOTTIME` on Linux. Agents, launchers of virtual machines and the
//! holders of their locks compare one number, read right before an irrevocable act with its `not_after`.
//!
//! # Errors and panics
//!
//! By blame: the caller's mistake is a typed error and changes nothing; a peer's fault is counted, never returned;
//! the environment's fault is an outcome. Nothing here panics on bytes of a peer or a disk.
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
    Acknowledged, BootId, ClusterId, ConfigPath, DatastoreId, FileIdentity, HostId, Identity, Incarnation,
    Moid, ParseError, Round, Term, VmEpoch, VmId, VmUuid,
};
pub use limits::Limits;
pub use machine::{Effects, Machine};
pub use outbox::Outbox;
pub use random::Random;
pub use storage::{FileKind, FileName, ReadFrom, StorageCompletion, StorageFault, StorageRequest};
pub use time::{Instant, MonotonicNow};
pub use timing::{Profile, TimingConfig, TimingPlan};
pub use token::{Completion, MachineId, Operation, RequestId, Token, TokenMint, UnknownRequest};
pub use vm::{HolderId, RunningVm, VmCompletion, VmDriverReport, VmRequest};
