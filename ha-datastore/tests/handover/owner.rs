use core::time::Duration;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use ha_core::{
    BootId, Capability, ClusterId, DatastoreId, HostId, Identity, Incarnation, Limits, Machine, MachineId,
    Profile, Round, StorageCompletion, Term, TimingConfig, VmId, VmUuid,
};
use ha_datastore::format::{Geometry, ListEntry, Protection};
use ha_datastore::fs::{FsStorage, Mount, boot_clock};
use ha_datastore::ownership::{Event, Input, Output, Ownership, OwnershipConfig};
use ha_datastore::{ChangeId, ListChange};

pub(crate) const CLUSTER_DIRECTORY: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8-1-handover-test";
pub(crate) const GEOMETRY: Geometry =
    Geometry::new(Limits { hosts: 2, vms_per_list: 64, vms_per_host: 64, ..Limits::DEFAULT });
const HOME: DatastoreId = DatastoreId::new(1);
/// Between two writes of the owner record.
pub(crate) const PERIOD: Duration = Duration::from_millis(10);
const VMS: u8 = 40;
/// Changes that are out at once, so that some are committed together.
const AT_ONCE: usize = 3;

/// Tries to own the datastore and changes its list, until somebody ends this process.
pub(crate) fn run(arguments: &[String]) {
    let [datastore, host, incarnation, rating] = arguments else { panic!("{arguments:?}") };
    let host = HostId::new(host.parse().unwrap());
    let identity = Identity {
        cluster: ClusterId::from_bytes([0xc1; 16]),
        host,
        boot: BootId::from_bytes([0xb0; 16]),
        incarnation: Incarnation::new(incarnation.parse().unwrap()),
    };
    let mount = Mount {
        id: HOME,
        root: datastore.into(),
        cluster_directory: CLUSTER_DIRECTORY.into(),
        capability: Capability { rating: rating.parse().unwrap(), ..Capability::SAME_KERNEL },
    };
    let (deliver, done) = channel();
    let storage = FsStorage::start(vec![mount], move |completion| deliver.send(completion).unwrap_or(()));
    let config = OwnershipConfig {
        identity,
        machine: MachineId { host, incarnation: identity.incarnation, lane: 0 },
        datastore: HOME,
        hosts: vec![HostId::new(1), HostId::new(2)],
        geometry: GEOMETRY,
        timing: TimingConfig {
            datastore_write_period: PERIOD,
            look_again: Duration::from_millis(1),
            look_again_slow: Duration::from_millis(1),
            ..TimingConfig::profile(Profile::Swift)
        },
    };
    let ownership = Ownership::new(config, boot_clock());
    let mut owner = Owner {
        ownership,
        storage: storage.unwrap(),
        host,
        round: Round::new(1),
        out: BTreeMap::new(),
        next_change: 0,
    };
    owner.claim();
    owner.go(&done);
}

struct Owner {
    ownership: Ownership,
    storage: FsStorage,
    host: HostId,
    round: Round,
    /// Changes that are not durable yet: which virtual machine at which version.
    out: BTreeMap<ChangeId, (u8, u64)>,
    next_change: u64,
}

impl Owner {
    fn go(&mut self, done: &Receiver<StorageCompletion>) {
        loop {
            self.drain();
            self.change();
            let now = boot_clock();
            let due = self.ownership.poll_timeout().map(|deadline| deadline.at);
            let wait = due.map_or(Duration::from_secs(1), |due| due.since(now));
            match done.recv_timeout(wait) {
                Ok(completion) => self.give(Input::Storage(completion)),
                Err(RecvTimeoutError::Timeout) => self.ownership.handle_timeout(boot_clock()),
                Err(RecvTimeoutError::Disconnected) => panic!("the driver has ended"),
            }
        }
    }

    fn give(&mut self, input: Input) {
        self.ownership.handle_input(boot_clock(), input).unwrap();
    }

    fn claim(&mut self) {
        self.give(Input::Claim { term: Term::new(self.round, self.host), may_take: true });
    }

    fn drain(&mut self) {
        while let Some(output) = self.ownership.poll_output() {
            match output {
                Output::Storage(request) => self.storage.submit(request),
                Output::Event(Event::RoundSeen { round }) => {
                    self.round = round.next();
                    self.claim();
                }
                Output::Event(Event::Owned { term }) => {
                    let list = self.list();
                    say(&format!("owned {} {} {list}", term.round.number(), term.host.number()));
                }
                Output::Event(Event::Durable { ids }) => {
                    for (vm, version) in ids.iter().filter_map(|id| self.out.remove(id)) {
                        say(&format!("durable {vm} {version}"));
                    }
                }
                Output::Event(Event::RightLost { .. }) => {
                    self.out.clear();
                    say("lost");
                    // A term is never repeated, not by its own host either.
                    self.round = self.round.next();
                    self.claim();
                }
                Output::Event(_) => {}
            }
        }
    }

    fn list(&self) -> String {
        let list = self.ownership.list().unwrap();
        let pairs: Vec<_> = list
            .entries()
            .map(|entry| format!("{}:{}", entry.vm.uuid().as_bytes()[0], entry.version))
            .collect();
        if pairs.is_empty() { String::from("-") } else { pairs.join(",") }
    }

    fn change(&mut self) {
        while self.out.len() < AT_ONCE && self.ownership.may_act(boot_clock()) {
            self.next_change += 1;
            let number = u8::try_from(self.next_change % u64::from(VMS)).unwrap();
            let uuid = VmUuid::from_bytes([number; 16]);
            let Some(list) = self.ownership.list() else { return };
            let version = list.entry(uuid).map_or(1, |entry| entry.version + 1);
            let entry = ListEntry {
                vm: VmId::new(uuid, HOME, &format!("vm-{number}/vm-{number}.vmx")).unwrap(),
                protection: Protection::Protected,
                version,
                priority: 3,
                cpu_reservation_mhz: 0,
                memory_overhead_mb: 0,
                intent: None,
            };
            let id = ChangeId(self.next_change);
            self.out.insert(id, (number, version));
            self.give(Input::Change { id, change: ListChange::Protect(entry) });
        }
    }
}

/// One line in one write, so that a kill leaves whole lines.
fn say(line: &str) {
    let line = format!("{line}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}
