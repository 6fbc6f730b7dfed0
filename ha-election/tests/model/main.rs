//! The election, model-checked: every order in which frames arrive, timers fire and faults strike, in small clusters.
//!
//! The checker drives the production machine through `ModelElection`; nothing here decides anything for a host. What
//! the sizes are, what each check costs, and how to run the long ones is in the crate's documentation.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]
#![allow(clippy::wildcard_enum_match_arm, reason = "only some events carry what is checked")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]
#![allow(clippy::print_stdout, reason = "the counts are what a long run is for")]

mod checks;
mod fair;
mod mutants;
mod sizes;
mod state;
mod step;
