//! Ten thousand heartbeat files, polled by the watcher through the driver.

use core::hint::black_box;
use core::time::Duration;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use ha_core::record::Generation;
use ha_core::{
    BootId, Capability, ClusterId, DatastoreId, FileKind, HostId, Identity, Incarnation, Limits, Machine,
    MachineId, Profile, StorageCompletion, TimingConfig,
};
use ha_datastore::LivenessWatcher;
use ha_datastore::format::{Geometry, HeartbeatRecord, file_size};
use ha_datastore::fs::{FsStorage, Mount, boot_clock, layout};
use ha_datastore::liveness_watcher::{Input, LivenessWatcherConfig, Output};

use super::{Folder, Measured};

const FILES: u32 = 10_000;
const ROUNDS: usize = 15;
const HOME: DatastoreId = DatastoreId::new(1);
const CLUSTER: ClusterId = ClusterId::from_bytes([1; 16]);
const CLUSTER_DIRECTORY: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8-1-polling0-bench";
const GEOMETRY: Geometry = Geometry::new(Limits { hosts: FILES, vms_per_host: 8, ..Limits::DEFAULT });

pub(super) fn measure() {
    let folder = Folder::new("polling");
    let hosts: Vec<HostId> = (1..=FILES).map(HostId::new).collect();
    let mount = Mount {
        id: HOME,
        root: folder.0.clone(),
        cluster_directory: CLUSTER_DIRECTORY.into(),
        capability: Capability::SAME_KERNEL,
    };
    let kinds = hosts.iter().flat_map(|host| [FileKind::Heartbeat(*host), FileKind::Poweron(*host)]);
    let files: Vec<_> = kinds.map(|kind| (kind.clone(), file_size(&kind, &GEOMETRY))).collect();
    layout::create(&folder.0, CLUSTER_DIRECTORY, &files).unwrap();
    let paths: Vec<PathBuf> = hosts.iter().map(|host| mount.path_of(&FileKind::Heartbeat(*host))).collect();
    beat(&hosts, &paths, 0);

    let mut poller = Poller::new(mount, &hosts);
    poller.poll();
    let mut measured = Measured::default();
    let mut buffer = vec![0; HeartbeatRecord::FILE as usize];
    for _ in 0..ROUNDS {
        measured.round(
            || poller.poll(),
            || {
                for path in &paths {
                    let file = File::open(path).unwrap();
                    file.read_exact_at(&mut buffer, 0).unwrap();
                    black_box(&buffer);
                }
            },
        );
    }
    measured.tell(&format!("{FILES} heartbeat files polled (open, read, close)"), 1.3);
}

/// Every host writes one record.
fn beat(hosts: &[HostId], paths: &[PathBuf], counter: u64) {
    for (host, path) in hosts.iter().zip(paths) {
        let writer = Identity {
            cluster: CLUSTER,
            host: *host,
            boot: BootId::from_bytes([2; 16]),
            incarnation: Incarnation::new(3),
        };
        let record = HeartbeatRecord {
            counter,
            write_period: Duration::from_millis(200),
            io_timeout: Duration::from_millis(100),
            ttl: Duration::ZERO,
            watchdog: Duration::ZERO,
            written_at: boot_clock(),
        };
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(&record.seal(&writer, Generation::new(counter)), 0).unwrap();
    }
}

/// A watcher on a clock of its own, so that only heartbeat files are due from the second round on.
struct Poller {
    watcher: LivenessWatcher,
    storage: FsStorage,
    done: Receiver<Vec<StorageCompletion>>,
    now: ha_core::Instant,
    poll: Duration,
}

impl Poller {
    fn new(mount: Mount, hosts: &[HostId]) -> Self {
        let (deliver, done) = channel();
        let storage =
            FsStorage::start_in_batches(vec![mount], move |batch| deliver.send(batch).unwrap_or(()));
        let timing = TimingConfig {
            datastore_write_period: Duration::from_secs(3_600),
            ..TimingConfig::profile(Profile::Swift)
        };
        let config = LivenessWatcherConfig {
            cluster: CLUSTER,
            machine: MachineId { host: HostId::new(1), incarnation: Incarnation::new(3), lane: 0 },
            datastore: HOME,
            geometry: GEOMETRY,
            timing,
        };
        let now = boot_clock();
        let mut watcher = LivenessWatcher::new(config, now);
        for host in hosts {
            watcher.handle_input(now, Input::Watch { host: *host }).unwrap();
        }
        Self { watcher, storage: storage.unwrap(), done, now, poll: timing.datastore_poll }
    }

    /// One round: everything that is due is asked for, answered, and taken in.
    fn poll(&mut self) {
        self.now = self.now.after(self.poll);
        self.watcher.handle_timeout(self.now);
        let mut out = 0_u32;
        loop {
            while let Some(output) = self.watcher.poll_output() {
                match output {
                    Output::Storage(request) => {
                        out += 1;
                        self.storage.submit(request);
                    }
                    Output::Evidence(evidence) => {
                        black_box(evidence);
                    }
                }
            }
            if out == 0 {
                return;
            }
            for completion in self.done.recv().unwrap() {
                self.watcher.handle_input(self.now, Input::Storage(completion)).unwrap();
                out -= 1;
            }
        }
    }
}
