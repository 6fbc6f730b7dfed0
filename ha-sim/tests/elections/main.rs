//! Elections on virtual time: many seeds, what a run promises about itself, what the oracle notices, how long an
//! election takes and what it costs.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

mod cost;
mod mutants;
mod seeds;
mod shrinking;
mod timing;
mod twins;
