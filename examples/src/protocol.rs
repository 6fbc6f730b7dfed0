//! What the demo's processes say to each other, as one JSON value a line.
//!
//! These are private conversations within one machine. The cluster's own formats, on the wire and on disk, are
//! those of `ha-core` and `ha-datastore`.

pub mod driver;
pub mod hex;
pub mod holder;
pub mod manager;
pub mod nanos;
mod outcome;
pub mod text;
pub mod vm_name;
