//! No I/O: the whole agent of a VM high-availability cluster, one [`Agent`] machine per host.
//!
//! The agent owns the machines of the other crates and carries values between them; it adds what none of them
//! can decide alone: what is protected, what is down, who restarts it.
//!
//! # How a restart happens
//!
//! 1. `HostMonitor` (ha-heartbeat) judges a host failed, with its evidence. On a slave that judges its master
//!    this starts an election (ha-election); the winner judges on with the timers that it already has.
//! 2. The master owns each datastore by the lock of its `protectedlist` (ha-datastore), and has merged all lists.
//! 3. A protected virtual machine that no live host's complete inventory lists is looked into: its lock record
//!    names the host and the epoch. A host judged failed, or a record that says `free`, makes it *down*; a record
//!    below the epoch that it is known to have reached makes it nothing ([`Event::LockFileReplaced`]).
//! 4. An *intent* is made durable in the list. Then a host is ordered to start it, expecting that epoch.
//! 5. The target wins the virtual machine's lock, finds exactly that epoch, makes the next one durable, and
//!    starts. A held lock is a normal outcome: the same order is sent again at the look-again period.
//! 6. The intent is closed when a live host's complete inventory lists the virtual machine with its lock held.
//!
//! # What is promised
//!
//! *Never twice*: nothing here starts anything without the virtual machine's lock, the expected epoch and a
//! durable raise of it, on storage whose declared capability allows the lock to be tried. Two masters, stale
//! orders, lost answers and repeated commands cost time only. *Eventually again*: a case stays open, and is
//! looked into again, until a live inventory lists the virtual machine or its record says that it is to be off.
//!
//! # What is not done yet
//!
//! * On storage below F3 a restart happens only after proof of the stop or an operator's `confirm-dead`, and a list
//!   is taken only if its owner released it or its end was confirmed: the wait with a watchdog is computed in
//!   `ha_core::takeover` and not carried out here yet.
//! * Nothing writes `cleanly off` yet: a protected virtual machine that is shut down from within is started again.
//!   Take its protection away first ([`Command::Unprotect`]).
//! * Which epochs virtual machines have reached is known from this life's starts and the inventories that it was sent,
//!   and from open intents; it is not in the protected list. A lock file that was made anew is believed by a master
//!   that has not heard of the virtual machine since it became one, and by a slave that has never run it.
//! * The response to isolation is to leave virtual machines powered on.
//! * Placement spreads by count alone; admission, priorities, readiness, rules, the storm guard, live migration and
//!   slaves as proxies come with later versions.
//! * A list that could not be read for ten seconds while a datastore was taken is merged only when it is taken
//!   again. Surveys look at every protected virtual machine each time the picture changes.
//!
//! # What the embedder brings
//!
//! Sockets, storage ([`ha_core::StorageRequest`]), pings, a driver of virtual machines
//! ([`ha_core::VmRequest`]), and a boot clock. The incarnation in [`AgentConfig`] must have been raised and made
//! durable before the agent is made, and what the last [`Output::StoreTerm`] of its earlier lives asked for is given
//! back in it: no master reigns before its own disk has answered that. Every output may be carried out at once and in
//! any order.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod agent;
mod config;
mod control;
mod datastore_unit;
mod epochs;
mod event;
mod input;
mod inventory;
mod output;
pub mod placement;
mod restart;
mod starts;
mod streams;

pub use agent::{Agent, AgentCounters, Rejected};
pub use config::{AgentConfig, ConfigError, DatastoreEntry, HostEntry};
pub use event::{Event, RefusedOrder};
pub use ha_datastore::format::OwnerDamage;
pub use ha_election::Role;
pub use input::{Command, Input};
pub use output::{ConnectionId, Output, PingTarget};
