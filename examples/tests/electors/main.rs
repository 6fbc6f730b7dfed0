//! The electors with real processes and sockets: every test starts a cluster of its own, by the command line.
//!
//! They take turns, because a machine with two cores cannot keep the times of several clusters at once.
#![allow(clippy::unwrap_used, reason = "a test whose ground gives way fails there")]

mod command_line;
mod deaths;
mod links;
mod standing;
mod support;
