//! No I/O: whole clusters on virtual time, from one seed.
//!
//! A [`World`] holds one real [`Agent`](ha_agent::Agent) per host and plays everything around them: the network,
//! shared storage with its locks, the hypervisors, and the clock. Events happen in the order of their time, ties
//! in the order in which they were made, so equal seeds give equal runs, which [`World::trace_hash`] shows.
//!
//! The world itself watches over *never twice*: it knows every instance that runs, and counts a start while
//! another instance of the same virtual machine runs. That check shares nothing with the agents' code.
//!
//! So far: loss and delay of datagrams, hosts that lose power, agents that are killed alone. The one datastore
//! keeps what was written and frees locks as one kernel does, whatever the options declare of it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod datastore;
mod host;
mod hypervisor;
mod network;
mod options;
mod trace;
mod world;

pub use options::Options;
pub use world::{Record, World};
