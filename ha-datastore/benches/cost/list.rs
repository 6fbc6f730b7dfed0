//! A protected list of 100,000 virtual machines: one more protected, and the whole of it loaded.

use core::hint::black_box;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use ha_core::record::Generation;
use ha_core::{
    BootId, Capability, ClusterId, DatastoreId, FileKind, HostId, Identity, Incarnation, Limits, Machine,
    MachineId, Profile, Round, StorageCompletion, Term, TimingConfig, VmId, VmUuid,
};
use ha_datastore::format::{Geometry, ListEntry, ListState, ProtectedList, Protection, file_size};
use ha_datastore::fs::{FsStorage, Mount, boot_clock, layout};
use ha_datastore::ownership::{Event, Input, Output, Ownership, OwnershipConfig};
use ha_datastore::{ChangeId, ListChange};
use xxhash_rust::xxh3::xxh3_64;

use super::{Folder, Measured};

const VMS: u32 = 100_000;
const CHANGES: u64 = 300;
const LOADS: usize = 15;
const HOME: DatastoreId = DatastoreId::new(1);
const HOST: HostId = HostId::new(1);
const CLUSTER: ClusterId = ClusterId::from_bytes([1; 16]);
const CLUSTER_DIRECTORY: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8-1-longlist-bench";
const GEOMETRY: Geometry = Geometry::new(Limits { hosts: 1, vms_per_list: VMS, ..Limits::DEFAULT });
/// What one change is on disk: both copies of a record.
const RECORD: usize = 8_192;

pub(super) fn measure() {
    let folder = Folder::new("list");
    let mount = Mount {
        id: HOME,
        root: folder.0.clone(),
        cluster_directory: CLUSTER_DIRECTORY.into(),
        capability: Capability::SAME_KERNEL,
    };
    let list = FileKind::ProtectedListOf(HOST);
    let kinds = [FileKind::ProtectedList, list.clone()];
    let files = kinds.map(|kind| (kind.clone(), file_size(&kind, &GEOMETRY)));
    layout::create(&folder.0, CLUSTER_DIRECTORY, &files).unwrap();
    let path = mount.path_of(&list);
    fill(&path);

    let raw = folder.0.join("raw");
    std::fs::write(&raw, vec![0; 64 * RECORD]).unwrap();
    let raw = File::options().write(true).open(raw).unwrap();
    raw.sync_all().unwrap();

    let mut owner = Owner::take(mount);
    let mut protected = Measured::default();
    for change in 0..CHANGES {
        let bytes = [change.to_le_bytes()[0]; RECORD];
        protected.round(
            || owner.protect(change),
            || {
                raw.write_all_at(&bytes, change % 64 * RECORD as u64).unwrap();
                raw.sync_data().unwrap();
            },
        );
    }
    protected.tell("1 of 100,000 protected, durable (pwrite + fdatasync)", 1.5);

    let mut loaded = Measured::default();
    for _ in 0..LOADS {
        loaded.round(
            || {
                let bytes = std::fs::read(&path).unwrap();
                let state = ProtectedList::read(&bytes, CLUSTER, HOST, &GEOMETRY);
                assert!(matches!(state, ListState::Valid { record } if record.content.entries.len() == VMS as usize));
            },
            || {
                let bytes = std::fs::read(&path).unwrap();
                black_box(xxh3_64(&bytes));
            },
        );
    }
    loaded.tell("list of 100,000 loaded (read + sum)", 2.0);
}

const fn identity() -> Identity {
    Identity {
        cluster: CLUSTER,
        host: HOST,
        boot: BootId::from_bytes([2; 16]),
        incarnation: Incarnation::new(3),
    }
}

fn entry(number: u32, version: u64) -> ListEntry {
    let uuid = VmUuid::from_bytes(u128::from(number).to_be_bytes());
    ListEntry {
        vm: VmId::new(uuid, HOME, &format!("folder-of-vm-{number}/vm-{number}.vmx")).unwrap(),
        protection: Protection::Protected,
        version,
        priority: 3,
        cpu_reservation_mhz: 500,
        memory_overhead_mb: 100,
        intent: None,
    }
}

/// All but one virtual machine are in the list.
fn fill(path: &Path) {
    let entries = (1..VMS).map(|number| entry(number, 1)).map(|entry| (entry.vm.uuid(), entry)).collect();
    let list = ProtectedList { version: 1, entries, ..ProtectedList::new(Term::new(Round::new(1), HOST)) };
    let slot = list.seal(&identity(), Generation::FIRST, &GEOMETRY).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&slot, 0).unwrap();
    file.sync_all().unwrap();
}

struct Owner {
    ownership: Ownership,
    storage: FsStorage,
    done: Receiver<StorageCompletion>,
}

impl Owner {
    fn take(mount: Mount) -> Self {
        let (deliver, done) = channel();
        let storage = FsStorage::start(vec![mount], move |completion| deliver.send(completion).unwrap_or(()));
        let config = OwnershipConfig {
            identity: Identity { incarnation: Incarnation::new(4), ..identity() },
            machine: MachineId { host: HOST, incarnation: Incarnation::new(4), lane: 0 },
            datastore: HOME,
            hosts: vec![HOST],
            geometry: GEOMETRY,
            // A beat of the owner record would wait for the same disk.
            timing: TimingConfig {
                datastore_write_period: core::time::Duration::from_secs(3_600),
                storage_stall_max: core::time::Duration::from_secs(60),
                ..TimingConfig::profile(Profile::Vsphere)
            },
        };
        let mut owner =
            Self { ownership: Ownership::new(config, boot_clock()), storage: storage.unwrap(), done };
        owner.give(Input::Claim { term: Term::new(Round::new(2), HOST), may_take: true });
        owner.until(|event| matches!(event, Event::Owned { .. }));
        owner
    }

    /// The last machine joins the list, or is renewed.
    fn protect(&mut self, change: u64) {
        let id = ChangeId(change);
        self.give(Input::Change { id, change: ListChange::Protect(entry(VMS, change + 1)) });
        self.until(|event| matches!(event, Event::Durable { .. }));
    }

    fn give(&mut self, input: Input) {
        self.ownership.handle_input(boot_clock(), input).unwrap();
    }

    fn until(&mut self, wanted: impl Fn(&Event) -> bool) {
        loop {
            while let Some(output) = self.ownership.poll_output() {
                match output {
                    Output::Storage(request) => self.storage.submit(request),
                    Output::Event(event) if wanted(&event) => return,
                    Output::Event(event) => assert!(!matches!(event, Event::RightLost { .. }), "{event:?}"),
                }
            }
            let completion = self.done.recv().unwrap();
            self.give(Input::Storage(completion));
        }
    }
}
