use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ha_core::{BootId, ClusterId, FileKind, HostId, Identity, Incarnation, VmId, VmUuid};
use ha_datastore::format::{ClusterDirectory, Geometry, VmLockRecord, file_size};
use ha_datastore::fs::{boot_id, layout};
use uuid::Uuid;

use crate::config::{DATASTORE, LIMITS};
use crate::failure::{Context, Failure};

/// A virtual machine of the demo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoVm {
    /// Its full name.
    pub id: VmId,
    /// What people call it.
    pub name: String,
    /// Its folder on the datastore, with its ledgers.
    pub home: PathBuf,
}

/// What a manager lays out before it configures the hosts: a new cluster directory with every file at full size,
/// and every virtual machine's home with a lock record that says `free` at epoch 0.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) cluster: ClusterId,
    pub(super) cluster_directory: String,
    pub(super) datastore: PathBuf,
    pub(super) vms: Vec<DemoVm>,
}

impl Layout {
    pub(super) fn create(folder: &Path, hosts: u32, vms: u32) -> Result<Self, Failure> {
        let cluster = ClusterId::from_bytes(Uuid::new_v4().into_bytes());
        let random = Uuid::new_v4().simple().to_string();
        let cluster_directory = ClusterDirectory::new(cluster, 1, &random[..8], "demo");
        let cluster_directory = cluster_directory.context(|| "naming the cluster".into())?.to_string();
        let datastore = folder.join(DATASTORE.to_string());
        std::fs::create_dir(&datastore).context(|| format!("creating {}", datastore.display()))?;
        let laying_out = || format!("laying out {}", datastore.display());
        let vms: Vec<DemoVm> = (1..=vms).map(|number| vm(&datastore, number)).collect::<Result<_, _>>()?;
        layout::create(&datastore, &cluster_directory, &files(hosts, &vms)).context(laying_out)?;
        let boot: BootId = boot_id().context(|| "reading the boot id".into())?;
        let manager = Identity { cluster, host: HostId::new(0), boot, incarnation: Incarnation::new(0) };
        for vm in &vms {
            let record = VmLockRecord::initial(&manager, &vm.id);
            layout::create_vm_home(&datastore, &vm.id, &record).context(laying_out)?;
            let text = format!("displayName = \"{}\"\nuuid.bios = \"{}\"\n", vm.name, vm.id.uuid());
            std::fs::write(datastore.join(vm.id.config()), text).context(laying_out)?;
        }
        Ok(Self { cluster, cluster_directory, datastore, vms })
    }
}

fn vm(datastore: &Path, number: u32) -> Result<DemoVm, Failure> {
    let name = format!("vm-{number}");
    let uuid = VmUuid::from_bytes(Uuid::new_v4().into_bytes());
    let id = VmId::new(uuid, DATASTORE, &format!("{name}/{name}.vmx")).context(|| "naming a VM".into())?;
    Ok(DemoVm { id, home: datastore.join(&name), name })
}

fn files(hosts: u32, vms: &[DemoVm]) -> Vec<(FileKind, u64)> {
    let of_hosts = (1..=hosts).map(HostId::new).flat_map(|host| {
        [FileKind::Heartbeat(host), FileKind::Poweron(host), FileKind::ProtectedListOf(host)]
    });
    let of_vms = vms.iter().map(|vm| FileKind::PoweredOff(vm.id.uuid()));
    let all = of_hosts.chain(of_vms).chain([FileKind::ProtectedList]);
    let geometry = Geometry::new(LIMITS);
    all.map(|kind| (kind.clone(), file_size(&kind, &geometry))).collect()
}

/// A key that all agents of the cluster will share.
pub(crate) fn random_key() -> Result<Vec<u8>, Failure> {
    let mut key = vec![0; 16];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut key));
    read.context(|| "reading /dev/urandom".into())?;
    Ok(key)
}
