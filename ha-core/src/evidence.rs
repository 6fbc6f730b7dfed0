//! What is known of a host, and what follows from it. Evidence is data; [`Verdict`] carries its reasons.

mod datastore;
mod ping;
mod state;
mod verdict;

pub use datastore::{ContentState, DatastoreEvidence};
pub use ping::PingEvidence;
pub use state::HostState;
pub use verdict::{Evidence, Strength, Verdict};
