//! No I/O: is this host cut off from everybody?
//!
//! [`IsolationCheck`] keeps the contract of [`ha_core::Machine`]. When contact with **all** other agents is lost
//! it pings the isolation addresses (fdm-facts 8.1). It declares the host isolated when none has answered for
//! long enough, and tells when the response to that is due. What the response is, and carrying it out, is the
//! parent's; so is knowing whether contact is lost.
//!
//! # The algorithm
//!
//! * All addresses are pinged in parallel; each again [`ping_period`](IsolationCheck::ping_period) after its last
//!   ping began, once that one has ended, for as long as the host is alone. A ping may take
//!   [`ping_timeout`](IsolationCheck::ping_timeout), half of `master_isolated_after`, so that at least one whole
//!   round fits into the shorter of the two waits.
//! * The wait counts from the last sign that the host was not cut off: the loss of contact, or a later answer.
//!   It is `slave_isolated_after` for a host that was a slave (it elects first, fdm-facts 7.3) and
//!   `master_isolated_after` for a master (7.4).
//! * The declaration needs both: the wait has passed, and **every** address has left a ping unanswered that was
//!   sent within it. A ping that has not ended proves nothing: a driver that hangs delays the declaration, since
//!   a host that wrongly believes itself isolated may stop healthy virtual machines.
//! * One answer, or one contact with any agent, cancels (8.3). An isolated host goes on pinging, and stops
//!   being isolated the same way (8.4).
//! * The response is due `isolation_policy_delay` after the declaration, once.
//! * A host without any isolation address is never isolated (8.17).
//!
//! A call that comes later than half of `master_lost` after something was to happen means that the agent itself
//! was stopped. Then answers may lie unread, so the wait begins anew.
//!
//! # What is not there yet
//!
//! The serial mode `aam`, the default gateway's place among the addresses and the checks at configuration time
//! are the parent's so far. Loss of storage (APD, PDL) and the choice of a response per virtual machine come
//! later.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod address;
mod config;
mod input;
mod machine;
mod output;

pub use config::{ConfigError, IsolationConfig};
pub use input::{Input, Rejected};
pub use machine::IsolationCheck;
pub use output::{CancelReason, Event, Output};
