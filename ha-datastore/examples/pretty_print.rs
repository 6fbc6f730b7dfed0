//! Prints host-local files readably, as FDM's `prettyPrint.sh` does.
//!
//! `cargo run -p ha-datastore --example pretty_print -- /etc/opt/ha/hostlist /etc/opt/ha/vmmetadata`
//!
//! Without a file it makes an example of each and prints that.

#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::print_stdout, reason = "an example tells its story")]

use core::error::Error;

use ha_core::{HostId, Identity, Incarnation, VmUuid};
use ha_datastore::format::local::{
    AnyLocal, ClusterConfig, ConfigVersion, FdmConfig, HostEntry, HostList, LocalRecord, VmMetadata,
};

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    for path in &paths {
        let bytes = std::fs::read(path)?;
        print(&bytes).map_err(|fault| format!("{}: {fault}", path.display()))?;
    }
    if paths.is_empty() {
        examples()?.iter().try_for_each(|file| print(file))?;
    }
    Ok(())
}

fn print(file: &[u8]) -> Result<(), Box<dyn Error>> {
    println!("{}\n", AnyLocal::read(file)?);
    Ok(())
}

fn examples() -> Result<Vec<bytes::Bytes>, Box<dyn Error>> {
    let cluster = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse()?;
    let boot = "0d5f1c9e-3b1a-4a55-8f0e-6a4c1f0b7d21".parse()?;
    let writer = Identity { cluster, host: HostId::new(7), boot, incarnation: Incarnation::new(3) };
    let (version, host_list) = (ConfigVersion::new, ConfigVersion::new(69));
    let options = "das.isolationaddress = 10.0.0.1\nfdm.isolationPolicyDelaySec = 60";
    let config = ClusterConfig { version: version(80), options: options.parse()? };
    let own = FdmConfig { version: version(2), options: "fdm.nodeGoodness = 12".parse()? };
    let entry = |number: u32, moid: &str, address: &str| -> Result<HostEntry, ha_core::ParseError> {
        Ok(HostEntry { host: HostId::new(number), moid: moid.parse()?, addresses: vec![address.parse()?] })
    };
    let hosts = vec![entry(3, "host-99", "10.0.0.3:8182")?, entry(7, "host-100", "10.0.0.7:8182")?];
    let hosts = HostList::new(host_list, hosts)?;
    let numbers = hosts.hosts().iter().map(|entry| entry.host).collect();
    let mut matrix = VmMetadata::new(version(601_102), host_list, numbers)?;
    matrix.set(VmUuid::from_bytes([0x5a; 16]), [HostId::new(3), HostId::new(7)])?;
    matrix.set(VmUuid::from_bytes([0x6b; 16]), [HostId::new(7)])?;
    Ok(vec![config.seal(&writer)?, hosts.seal(&writer)?, matrix.seal(&writer)?, own.seal(&writer)?])
}
