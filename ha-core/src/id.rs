//! Identities: who, which datastore, which virtual machine, and the numbers that never repeat.

mod acknowledged;
mod cluster;
mod datastore;
mod file;
mod host;
mod identity;
mod moid;
mod parse;
mod reign;
mod vm;

pub use acknowledged::Acknowledged;
pub use cluster::{BootId, ClusterId, Incarnation};
pub use datastore::DatastoreId;
pub use file::FileIdentity;
pub use host::HostId;
pub use identity::Identity;
pub use moid::Moid;
pub use parse::ParseError;
pub(crate) use parse::cut;
pub use reign::{Round, Term};
pub use vm::{ConfigPath, VmEpoch, VmId, VmUuid};
