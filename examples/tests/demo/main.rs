//! The demo with real processes, sockets, files and locks: every test starts a cluster of its own.
//!
//! They take turns, because a machine with two cores cannot keep the times of several clusters at once.
#![allow(clippy::unwrap_used, reason = "a test whose ground gives way fails there")]

mod agent_death;
mod command_line;
mod failover;
mod forged_datagrams;
mod launcher;
mod modes;
mod support;
mod target_death;
