//! The choice of heartbeat datastores: each rule at its edges, what holds for every inventory, and what it costs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]

mod changes;
mod properties;
mod rig;
mod rules;
mod scale;
mod sites;
mod warnings;
