//! No I/O: who is alive, by network heartbeats, datastore heartbeats, pings and locks.
//!
//! [`HostMonitor`] is the only judge. A master runs it for its slaves; every slave runs it for its master and
//! keeps its timers through an election, so that a new master does not start again. Others gather evidence
//! (`ha-datastore` reads heartbeat files, the embedder carries pings and frames); only the monitor weighs it.
//!
//! # Three steps, each with its own bound
//!
//! 1. **Suspicion** begins with `suspicion_after` of silence, or at once with a broken control stream. It
//!    changes no verdict. The host's heartbeat files are watched from then on.
//! 2. **Declaration** is an [`Event::Judged`]: a [`Verdict`](ha_core::Verdict) with its reasons, see below.
//! 3. **Takeover** is not decided here. A verdict never is a right to start anything: each virtual machine's
//!    lock has the last word, below F3 after the wait of [`ha_core::takeover`].
//!
//! # The verdict
//!
//! The bounds are those of the [`TimingPlan`](ha_core::TimingPlan); all count from the last heartbeat.
//!
//! | heartbeat | datastore heartbeat | pings | verdict | at the earliest |
//! |---|---|---|---|---|
//! | heard | any | any | `Running` | at once |
//! | silent | one moves | any | `Isolated` if its poweron file says so, else `Partitioned` | `declared_weak_without` |
//! | silent | none moves | answered | `AgentDown` | `declared_weak_without` |
//! | silent | none configured | unanswered | `Failed`, weak | `declared_weak_without` |
//! | silent | all stand still, one proves it | unanswered | `Failed`, weak | `declared_weak_with_datastores` |
//! | silent | anything else | unanswered | `Unknown` | one poll and its I/O timeout after evidence was due |
//! | silent | every heartbeat lock free | unanswered before | `Failed`, strong | `declared_strong_by_*` |
//! | any | any | any | `Failed`, strong, on a clean-shutdown notice or a confirmation | at once |
//!
//! A heartbeat file *stands still* if it has not changed for 2 x (write period + I/O timeout) of the watch while
//! the observer's own writes and reads on that datastore worked, up to a moment ago. *Free* means: three
//! pings went unanswered, and after that round's end every heartbeat lock was looked at and seen free, only
//! where looking is safe and the datastore fences (F3, same kernel). A lock found held is looked at again,
//! each time after a fresh ping round.
//!
//! A strong verdict waits for no clock and outlives an answered ping; a heartbeat, a later life of the host or a
//! heartbeat file that moves on takes it back. A weak one is judged again with every ping round and every look.
//! `AgentDown` and `Unknown` start nothing; after the plan's bound [`Event::LockDecides`] or
//! [`Event::OperatorDecides`] says who must.
//!
//! # A judge that was itself stopped
//!
//! If a call comes more than a heartbeat period after the monitor's own deadline, the monitor did not run, and
//! the silence it sees may be its own. It moves every host's silence and watch on by its lateness and drops
//! all pings and looks, so that nobody is declared before what is waiting has been heard. Embedders read
//! what is waiting before they tick.
//!
//! # Rules for embedders
//!
//! The [`Machine`](ha_core::Machine) contract holds. The clock counts suspend and is the one that
//! `DatastoreEvidence` and looks are stamped with. Nothing here must be durable. Every ping must be completed
//! at the end of its timeout; a refused one may be completed at once as unanswered and ends nothing early. A
//! completion that came too late to matter is accepted and counted. Nothing panics.
//!
//! # Not yet
//!
//! Guest heartbeats; the storm guard against many hosts that fall silent at once; the writer's own period and
//! I/O timeout instead of the plan's; hosts whose own frames say that they do not hear this agent.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod desk;
mod error;
mod host;
mod input;
mod machine;
mod output;
mod pinger;
mod stats;

pub use config::Config;
pub use error::Rejected;
pub use input::Input;
pub use machine::HostMonitor;
pub use output::{Event, Output, SuspicionReason};
pub use stats::Stats;
