//! The files that each host keeps on its own disk: what the manager configured, as this host last heard it.
//!
//! | file | content | printed by |
//! |---|---|---|
//! | `clusterconfig` | [`ClusterConfig`]: the options of the cluster | its `Display` |
//! | `hostlist` | [`HostList`]: the members, their numbers and addresses | its `Display` |
//! | `vmmetadata` | [`VmMetadata`]: which host can run which virtual machine | [`VmMetadataView`]'s `Display` |
//! | `fdm.cfg` | [`FdmConfig`]: this host's own options | its `Display` |
//!
//! Updates go from the manager to the master and from there to every host, and each host keeps what it got
//! (fdm-facts 5.2). Each file has a version of its own, which only rises (architecture 4).
//!
//! A file is one record in the envelope of [`ha_core::record`], as long as its payload needs: it is replaced as a
//! whole, so it has neither slots nor generations, and names slot A and generation 0. The writer is this very host;
//! a file that was copied from another is refused. Every payload begins with a sum of 64 bits over the rest, because
//! such files are longer than CRC-32 is good for, and with the version. `FORMAT.md` says the rest byte by byte.
//!
//! Reading is total. It allocates at most [`ha_core::codec::max_allocated`] of the file's length; a
//! [`VmMetadataView`] nothing at all.

mod any;
mod cluster_config;
mod compatible_hosts;
mod config_version;
mod envelope;
mod fault;
mod fdm_config;
mod host_address;
mod host_list;
mod local_file;
mod options_text;
mod vm_metadata;
mod vm_metadata_view;

pub use any::AnyLocal;
pub use cluster_config::ClusterConfig;
pub use compatible_hosts::CompatibleHosts;
pub use config_version::ConfigVersion;
pub use fault::LocalFault;
pub use fdm_config::FdmConfig;
pub use host_address::HostAddress;
pub use host_list::{HostEntry, HostList, HostListError};
pub use local_file::{LocalFile, LocalRecord};
pub use options_text::OptionsText;
pub use vm_metadata::{MetadataError, VmMetadata};
#[cfg(feature = "fs")]
pub(crate) use vm_metadata_view::Layout;
pub use vm_metadata_view::VmMetadataView;
