//! The electors: a cluster of processes, each the production [`ha_election::Election`] behind a real UDP socket, under
//! a person's or a script's hands.
//!
//! ```text
//! manager            reads commands, starts hosts, kills and stops them, cuts links, tells who leads and why.
//! |                  It never tells a host what to think of another one.
//! +- elector         one per host: `Election`, `IsolationCheck` and `Wire`, a socket, a clock, and a file for what
//!                    must outlive it
//! ```
//!
//! A cut is carried out by the **sender**: it seals the frame and then drops it, so a frame is lost or not by how the
//! link was when it was sent, also if the receiver is stopped. The manager is the cluster's isolation address: it
//! answers pings, which a host that is isolated does not send.
//!
//! How many datastores a host has is a number that it is told: nobody owns lists, and no heartbeat file proves a master
//! dead before its silence does.

mod cli;
mod config;
mod elector;
mod frames;
pub(crate) mod host;
mod host_process;
mod links;
mod manager;
mod picture;
mod play;
mod protocol;
mod script;
mod story;
mod summary;
mod words;

pub use cli::run;
