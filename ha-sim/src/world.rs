use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use ha_agent::{Agent, Command, ConfigError, Event, Input, Role};
use ha_core::{
    Acknowledged, BootId, ClusterId, DatastoreId, FileKind, FileName, HostId, Identity, Incarnation, Instant,
    Machine, StorageRequest, VmDriverReport, VmId, VmRequest, VmUuid,
};
use ha_datastore::format::{self, Geometry, VmLockRecord};

mod config;
mod faults;
mod machines;
mod outputs;
mod storage;
mod troubles;

use config::{config, limits};
use faults::Faults;

use crate::Options;
use crate::datastore::Datastore;
use crate::host::Host;
use crate::hypervisor::Hypervisor;
use crate::network::{End, Network};
use crate::scenario::Trouble;
use crate::trace::Trace;

/// The one datastore of every world so far.
const DATASTORE: DatastoreId = DatastoreId::new(1);
const CLUSTER: ClusterId = ClusterId::from_bytes([0xC1; 16]);
const BOOT: BootId = BootId::from_bytes([0xB0; 16]);
const STORAGE_DELAY: Duration = Duration::from_micros(200);
/// A small write to the host's own disk.
const LOCAL_DISK_DELAY: Duration = Duration::from_micros(200);
const SPAWN_DELAY: Duration = Duration::from_millis(2);

/// Something that an agent reported, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// Whose agent.
    pub host: HostId,
    /// What.
    pub event: Event,
}

/// What can happen to a host.
#[derive(Debug)]
pub(crate) enum Happening {
    Tell(HostId, Input),
    Wake(HostId, u64),
    Storage(HostId, StorageRequest),
    Vm(HostId, VmRequest),
    Dial(End, HostId),
    TroubleBegins(Trouble),
    TroubleEnds(Trouble),
}

/// A cluster on virtual time. See the [crate documentation](crate).
#[derive(Debug)]
pub struct World {
    now: Instant,
    queue: BTreeMap<(Instant, u64), Happening>,
    next: u64,
    hosts: BTreeMap<HostId, Host>,
    network: Network,
    datastore: Datastore,
    records: Vec<Record>,
    double_runs: u64,
    trace: Trace,
    faults: Faults,
    options: Options,
}

impl World {
    /// A world in its first moment: every file exists, every agent has just started.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the options have no valid plan.
    pub fn new(options: &Options) -> Result<Self, ConfigError> {
        let now = Instant::from_nanos(1_000_000_000_000);
        let mut world = Self {
            now,
            queue: BTreeMap::new(),
            next: 0,
            hosts: BTreeMap::new(),
            network: Network::new(options),
            datastore: Datastore::new(options.locks_bind),
            records: Vec::new(),
            double_runs: 0,
            trace: Trace::new(),
            faults: Faults::default(),
            options: options.clone(),
        };
        for number in 1..=options.hosts {
            let host = HostId::new(number);
            world.create_files(host);
            let agent = Agent::new(config(options, host), now)?;
            let hypervisor = Hypervisor::default();
            let held = None;
            world.hosts.insert(
                host,
                Host {
                    powered: true,
                    agent: Some(agent),
                    stored: Acknowledged::NONE,
                    hypervisor,
                    wake: 0,
                    held,
                },
            );
            world.after(
                Duration::ZERO,
                Happening::Tell(host, Input::Driver(VmDriverReport::Complete(Vec::new()))),
            );
        }
        Ok(world)
    }

    fn create_files(&mut self, host: HostId) {
        let geometry = Geometry { limits: limits() };
        let kinds = [
            FileKind::Heartbeat(host),
            FileKind::Poweron(host),
            FileKind::ProtectedList,
            FileKind::ProtectedListOf(host),
        ];
        for kind in kinds {
            let size = usize::try_from(format::file_size(&kind, &geometry)).unwrap_or(usize::MAX);
            self.datastore.create(FileName::new(DATASTORE, kind), size);
        }
    }

    /// Makes a virtual machine known: its home and a lock record that says `free`.
    #[must_use]
    pub fn create_vm(&mut self, number: u8) -> VmId {
        let uuid = VmUuid::from_bytes([number; 16]);
        let path = format!("vm-{number}/vm-{number}.vmx");
        let vm =
            VmId::new(uuid, DATASTORE, &path).unwrap_or_else(|_| unreachable!("the path is well formed"));
        let manager =
            Identity { cluster: CLUSTER, host: HostId::new(0), boot: BOOT, incarnation: Incarnation::new(1) };
        let record = VmLockRecord::initial(&manager, &vm);
        self.datastore.put(FileName::new(DATASTORE, FileKind::VmLock(vm.clone())), &record);
        vm
    }

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Everything the agents reported so far.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How often an instance started while another one of the same virtual machine ran.
    #[must_use]
    pub const fn double_runs(&self) -> u64 {
        self.double_runs
    }

    /// A hash of all that agents were told and asked for: equal for equal runs.
    #[must_use]
    pub const fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    /// The agent of a host, unless it is dead.
    #[must_use]
    pub fn agent(&self, host: HostId) -> Option<&Agent> {
        self.hosts.get(&host)?.agent.as_ref()
    }

    /// The one agent that is master, if exactly one is.
    #[must_use]
    pub fn master(&self) -> Option<HostId> {
        let mut masters = self.hosts.iter().filter(|(_, host)| {
            host.agent.as_ref().is_some_and(|agent| matches!(agent.role(), Role::Master { .. }))
        });
        let master = masters.next()?;
        masters.next().is_none().then_some(*master.0)
    }

    /// Where a virtual machine runs.
    #[must_use]
    pub fn runs_on(&self, vm: VmUuid) -> Option<HostId> {
        self.hosts.iter().find(|(_, host)| host.hypervisor.running.contains_key(&vm)).map(|(host, _)| *host)
    }

    /// Whether no virtual machine runs on a host.
    #[must_use]
    pub fn runs_nothing(&self, host: HostId) -> bool {
        self.hosts.get(&host).is_none_or(|host| host.hypervisor.running.is_empty())
    }

    /// Gives a command to the agent of a host.
    pub fn command(&mut self, host: HostId, command: Command) {
        self.after(Duration::ZERO, Happening::Tell(host, Input::Command(command)));
    }

    /// Lets time pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now.after(span);
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
    }

    /// Lets time pass until something holds, or until `limit` is over; tells whether it held.
    pub fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.after(limit);
        while !holds(self) && self.now < end {
            self.run_for(Duration::from_millis(1));
        }
        holds(self)
    }

    fn after(&mut self, span: Duration, happening: Happening) {
        self.next += 1;
        self.queue.insert((self.now.after(span), self.next), happening);
    }

    fn happen(&mut self, happening: Happening) {
        let happening = match happening {
            Happening::Tell(host, _) | Happening::Storage(host, _) => match self.held(host) {
                Some(held) => return held.push(happening),
                None => happening,
            },
            Happening::Wake(host, _) if self.held(host).is_some() => return,
            Happening::Wake(..)
            | Happening::Vm(..)
            | Happening::Dial(..)
            | Happening::TroubleBegins(_)
            | Happening::TroubleEnds(_) => happening,
        };
        match happening {
            Happening::Tell(host, input) => self.tell(host, Some(input)),
            Happening::Wake(host, number) => {
                if self.hosts.get(&host).is_some_and(|host| host.wake == number) {
                    self.tell(host, None);
                }
            }
            Happening::Storage(host, request) => self.storage(host, request),
            Happening::Vm(host, request) => self.vm(host, request),
            Happening::Dial(from, to) => self.dial(from, to),
            Happening::TroubleBegins(trouble) => self.trouble_begins(&trouble),
            Happening::TroubleEnds(trouble) => self.trouble_ends(&trouble),
        }
    }

    /// Whether nothing comes from one host to another.
    fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.faults.cut_off.contains(&from)
            || self.faults.cut_off.contains(&to)
            || self.network.links.is_cut(from, to)
    }

    /// Whether no stream and no ping gets through: both need both ways.
    fn is_cut_somehow(&self, one: HostId, other: HostId) -> bool {
        self.is_cut(one, other) || self.is_cut(other, one)
    }

    fn held(&mut self, host: HostId) -> Option<&mut Vec<Happening>> {
        self.hosts.get_mut(&host)?.held.as_mut()
    }

    fn tell(&mut self, id: HostId, input: Option<Input>) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(&id) else { return };
        let Some(agent) = host.agent.as_mut() else { return };
        self.trace.note(&(now, id, &input));
        let mut outputs = Vec::new();
        let effects = match input {
            Some(input) => agent.step(now, input),
            None => Ok(agent.tick(now)),
        };
        let deadline = match effects {
            Ok(effects) => effects.run(|output| outputs.push(output)),
            // A completion can arrive for a stream that was closed meanwhile; nothing has changed then.
            Err(_) => agent.poll_timeout(),
        };
        host.wake += 1;
        if let Some(deadline) = deadline {
            let wake = Happening::Wake(id, host.wake);
            let span = deadline.at.since(now);
            self.after(span, wake);
        }
        for output in outputs {
            self.trace.note(&output);
            self.carry_out(id, output);
        }
    }
}
