//! No I/O: whole clusters on virtual time, from one seed.
//!
//! Two worlds share a network, its random numbers and a trace:
//!
//! * A [`World`] holds one real [`Agent`](ha_agent::Agent) per host and plays everything around them: the network,
//!   shared storage with its locks, the hypervisors, and the clock. It watches over *never twice*: it knows every
//!   instance that runs, and counts a start while another instance of the same virtual machine runs. That check shares
//!   nothing with the agents' code.
//! * [`Elections`] holds only what decides who is master, a real [`Election`](ha_election::Election) per host, light
//!   enough for a thousand hosts. A [`Scenario`] says what goes wrong; an oracle that shares nothing with the machines
//!   watches the [`Invariant`]s; [`shrink()`] makes a scenario that breaks one small.
//!
//! Events happen in the order of their time. Equal seeds give equal runs, which the trace hashes show. Random choices
//! are named by what they are about, so that taking one event out of a run shifts no other choice.
//!
//! # Elections under faults
//!
//! ```
//! use ha_sim::elections::{Elections, Elector};
//! use ha_sim::{Scenario, scenario::Pace};
//!
//! let scenario = Scenario::generate(7, 5, Pace::Swift);
//! let outcome = Elections::<Elector>::run(&scenario)?;
//! assert_eq!(outcome.violation, None, "{scenario}");
//! # Ok::<(), ha_sim::elections::StartError>(())
//! ```
//!
//! `cargo run --release -p ha-sim --example elections -- --help` runs many seeds.
//!
//! # What the faults are
//!
//! Per datagram: loss, duplication (copies come up to minutes later), reordering, and delay tails with spikes at the
//! machines' own timeouts. Per link: cuts in one direction. Per host: crash and restart with what was stored, stop and
//! continue, suspend and resume, a lost isolation address, maintenance. Storage, locks and hypervisors of the fault
//! model (reliability 7) are not part of a scenario yet; [`World`]'s one datastore keeps what was written and frees
//! locks as one kernel does, whatever the options declare of it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod datastore;
mod draw;
pub mod elections;
mod host;
mod hypervisor;
mod links;
mod network;
mod noise;
mod options;
mod oracle;
mod queue;
pub mod scenario;
mod shrink;
mod trace;
mod world;

pub use elections::Elections;
pub use noise::Noise;
pub use options::Options;
pub use oracle::{Invariant, Reign, Stance, Violation};
pub use scenario::Scenario;
pub use shrink::shrink;
pub use world::{Record, World};
