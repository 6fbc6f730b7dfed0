//! Two demos on real processes: [`electors`], which only elect a master, and the failover demo.
//!
//! The failover demo is a cluster of real processes, real UDP and TCP sockets, a real shared directory and real
//! file locks, in which one host is killed and its virtual machines run again elsewhere.
//!
//! This is the side that does I/O. It decides nothing about the protocol: [`ha_agent::Agent`] does, and
//! [`agent`] is the loop around it that any embedder writes.
//!
//! # Who is who
//!
//! One executable plays every part; a hidden first argument selects the [`role`].
//!
//! ```text
//! manager            the demo itself: lays out the cluster, asks for starts and for protection, kills a host,
//! |                  measures. It never orders a survivor to start anything.
//! +- host            one per host, leads a process group that stands for the machine: answers pings, watches
//!    |               over its agent, dies as a whole when it is killed
//!    +- agent        the machine `ha_agent::Agent` and its sockets, files and clock
//!    +- launcher     the hypervisor's driver; holds no descriptor on the datastore
//!       +- holder    takes a virtual machine's lock, writes its record, then becomes by exec
//!          = vm      the virtual machine, which keeps the lock for its whole life
//! ```
//!
//! Every child asks, first thing in its main, to be killed when its parent dies, and then checks that the parent
//! still is the one that started it; so nothing outlives the demo, however it ends. The kernel binds that
//! request to the parent's *thread*, hence every process spawns from its main thread only.
//!
//! # The measure
//!
//! Each running virtual machine appends to its own [`ledger`] every 5 ms. [`measure`] reads nothing but these
//! ledgers when it says whether a virtual machine ever ran twice at once, and whether one was lost. It shares no
//! code with the agents.
//!
//! # What is not shown
//!
//! A demo virtual machine is one process without helpers, so when it has ended nothing of its group is left to
//! end. It stays in its host's process group, because one kill of that group must take the whole host.

extern crate alloc;

pub mod agent;
pub mod cli;
pub mod config;
pub mod demo;
pub mod electors;
pub mod failure;
pub mod holder;
pub mod host;
pub mod launcher;
pub mod ledger;
pub mod lines;
pub mod local_socket;
pub mod measure;
pub mod options_file;
pub mod outgoing;
pub mod ping;
pub mod process;
pub mod protocol;
pub mod report;
pub mod role;
pub mod scenario;
pub mod vm;
pub mod watchdog;

/// The README's code compiles as shown.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
