use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::num::NonZeroU16;
use core::time::Duration;

use bytes::Bytes;
use ha_agent::{
    Agent, AgentConfig, Command, ConfigError, DatastoreEntry, Event, HostEntry, Input, Output, PingTarget,
    Role,
};
use ha_core::operation::{
    LockOutcome, LookOutcome, PingOutcome, ReadReply, ShareOutcome, ShareVmLock, StartOutcome, StopOutcome,
    TakeOutcome,
};
use ha_core::wire::{Key, KeyRing, Security};
use ha_core::{
    BootId, ClusterId, DatastoreId, FileKind, FileName, HostId, Identity, Incarnation, Instant, Limits,
    Machine, StorageCompletion, StorageRequest, Token, VmCompletion, VmDriverReport, VmId, VmRequest, VmUuid,
};
use ha_datastore::format::{self, Geometry, VmLockRecord};

mod faults;

use faults::Faults;

use crate::Options;
use crate::datastore::{Datastore, Locker};
use crate::host::Host;
use crate::hypervisor::{Hypervisor, Instance};
use crate::network::{End, Network};
use crate::trace::Trace;

/// The one datastore of every world so far.
const DATASTORE: DatastoreId = DatastoreId::new(1);
const CLUSTER: ClusterId = ClusterId::from_bytes([0xC1; 16]);
const BOOT: BootId = BootId::from_bytes([0xB0; 16]);
const STORAGE_DELAY: Duration = Duration::from_micros(200);
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
            world.hosts.insert(host, Host { powered: true, agent: Some(agent), hypervisor, wake: 0, held });
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
            Happening::Wake(..) | Happening::Vm(..) | Happening::Dial(..) => happening,
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
        }
    }

    fn is_cut(&self, a: HostId, b: HostId) -> bool {
        self.faults.cut_off.contains(&a) || self.faults.cut_off.contains(&b)
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

    fn carry_out(&mut self, host: HostId, output: Output) {
        let stream = self.network.stream_delay();
        match output {
            Output::Transmit { to, bytes } => {
                let cut = self.is_cut(host, to);
                if let Some(delay) = self.network.datagram(host, to).filter(|_| !cut) {
                    self.after(delay, Happening::Tell(to, Input::Datagram(bytes)));
                }
            }
            Output::Connect { to, connection } => self.after(stream, Happening::Dial((host, connection), to)),
            Output::Send { connection, bytes } => {
                let other = self.network.other_end((host, connection));
                if let Some((to, end)) = other.filter(|(to, _)| !self.is_cut(host, *to)) {
                    self.after(stream, Happening::Tell(to, Input::StreamReceived(end, bytes)));
                }
            }
            Output::Close(connection) => self.close((host, connection)),
            Output::Storage(request) => self.after(STORAGE_DELAY, Happening::Storage(host, request)),
            Output::Ping { token, target, timeout } => {
                let answers = match target {
                    PingTarget::Host(target) => {
                        !self.is_cut(host, target) && self.hosts.get(&target).is_some_and(|host| host.powered)
                    }
                    PingTarget::IsolationAddress(_) => !self.faults.cut_off.contains(&host),
                };
                let (after, outcome) = if answers {
                    (2 * stream, PingOutcome::Answered)
                } else {
                    (timeout, PingOutcome::Unanswered)
                };
                self.after(after, Happening::Tell(host, Input::Ping(token.complete(outcome))));
            }
            Output::Vm(request) => {
                let delay = match request {
                    VmRequest::TakeLock { .. } => SPAWN_DELAY,
                    VmRequest::ShareLock { .. }
                    | VmRequest::WriteRecord { .. }
                    | VmRequest::Resume { .. }
                    | VmRequest::Start { .. }
                    | VmRequest::Abandon { .. }
                    | VmRequest::Stop { .. } => STORAGE_DELAY,
                };
                self.after(delay, Happening::Vm(host, request));
            }
            Output::Event(event) => self.records.push(Record { at: self.now, host, event }),
        }
    }

    fn dial(&mut self, from: End, to: HostId) {
        if self.is_cut(from.0, to) {
            let refused = Happening::Tell(from.0, Input::StreamClosed(from.1));
            return self.after(Duration::from_secs(1), refused);
        }
        let listening = self.hosts.get(&to).is_some_and(|host| host.agent.is_some());
        let delay = self.network.stream_delay();
        if listening {
            let (_, accepted) = self.network.connect(from, to);
            self.after(Duration::ZERO, Happening::Tell(to, Input::StreamOpened(accepted)));
            self.after(delay, Happening::Tell(from.0, Input::StreamOpened(from.1)));
        } else {
            self.after(delay, Happening::Tell(from.0, Input::StreamClosed(from.1)));
        }
    }

    fn close(&mut self, end: End) {
        if let Some((other, connection)) = self.network.close(end) {
            let delay = self.network.stream_delay();
            self.after(delay, Happening::Tell(other, Input::StreamClosed(connection)));
        }
    }

    fn storage(&mut self, host: HostId, request: StorageRequest) {
        let locker = Locker::Agent(host);
        if self.agent(host).is_none() {
            return;
        }
        let stalled = self.faults.stalled_writes.get(&host).map(|until| until.since(self.now));
        if let (Some(span), StorageRequest::Write { .. }) = (stalled, &request)
            && !span.is_zero()
        {
            return self.after(span, Happening::Storage(host, request));
        }
        let late = |not_after: Instant| self.now > not_after;
        let done = match request {
            StorageRequest::Write { token, not_after, .. } if late(not_after) => {
                StorageCompletion::Write(token.complete(Err(ha_core::StorageFault::Expired)))
            }
            StorageRequest::Write { token, file, offset, bytes, .. } => {
                StorageCompletion::Write(token.complete(self.datastore.write(&file, offset, &bytes)))
            }
            StorageRequest::Read { token, file, offset, length, .. } => {
                let bytes = self.datastore.read(&file, offset, length);
                let started = self.now.before(STORAGE_DELAY);
                let reply = bytes.map(|bytes: Bytes| ReadReply { bytes, started });
                StorageCompletion::Read(token.complete(reply))
            }
            StorageRequest::Lock { token, not_after, .. } if late(not_after) => {
                StorageCompletion::Lock(token.complete(LockOutcome::Expired))
            }
            StorageRequest::Lock { token, file, .. } => {
                let granted = self.datastore.lock(&file, locker);
                let outcome = if granted { LockOutcome::Granted } else { LockOutcome::Held };
                StorageCompletion::Lock(token.complete(outcome))
            }
            StorageRequest::Unlock { file } => {
                self.datastore.unlock(&file, locker);
                return;
            }
            StorageRequest::LookAtLock { token, file } => {
                let started = self.now.before(STORAGE_DELAY);
                let held = self.datastore.is_locked(&file);
                let outcome = if held { LookOutcome::Held } else { LookOutcome::Free { started } };
                StorageCompletion::LookAtLock(token.complete(outcome))
            }
        };
        self.happen(Happening::Tell(host, Input::Storage(done)));
    }

    fn vm(&mut self, id: HostId, request: VmRequest) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(&id).filter(|host| host.powered) else { return };
        let done = match request {
            VmRequest::TakeLock { .. } if self.faults.hung_launches.contains(&id) => return,
            VmRequest::Start { token, .. } if self.faults.failing_starts.contains_key(&id) => {
                let span = self.faults.failing_starts.get(&id).copied().unwrap_or_default();
                let failed = Input::Vm(VmCompletion::Start(token.complete(StartOutcome::Failed)));
                return self.after(span, Happening::Tell(id, failed));
            }
            VmRequest::TakeLock { token, holder, vm, not_after } => {
                let file = FileName::new(vm.home(), FileKind::VmLock(vm.clone()));
                let outcome = if now > not_after {
                    TakeOutcome::Expired
                } else if self.datastore.lock(&file, Locker::Holder(id, holder)) {
                    host.hypervisor.holders.insert(holder, vm);
                    self.datastore.read(&file, 0, VmLockRecord::FILE).map_or_else(
                        TakeOutcome::Fault,
                        |record| TakeOutcome::Locked { record, same_file: true },
                    )
                } else {
                    TakeOutcome::Held
                };
                VmCompletion::TakeLock(token.complete(outcome))
            }
            VmRequest::WriteRecord { token, holder, offset, bytes, not_after } => {
                let written = match host.hypervisor.holders.get(&holder) {
                    Some(_) if now > not_after => Err(ha_core::StorageFault::Expired),
                    Some(vm) => {
                        let file = FileName::new(vm.home(), FileKind::VmLock(vm.clone()));
                        self.datastore.write(&file, offset, &bytes)
                    }
                    None => Err(ha_core::StorageFault::Missing),
                };
                VmCompletion::WriteRecord(token.complete(written))
            }
            VmRequest::Start { token, holder, epoch, not_after } => {
                let outcome = match host.hypervisor.holders.remove(&holder) {
                    Some(_) if now > not_after => {
                        self.datastore.release(Locker::Holder(id, holder));
                        StartOutcome::Expired
                    }
                    Some(vm) => {
                        host.hypervisor.running.insert(vm.uuid(), Instance { epoch, holder });
                        self.watch_over(vm.uuid());
                        StartOutcome::Running
                    }
                    None => StartOutcome::HolderGone,
                };
                VmCompletion::Start(token.complete(outcome))
            }
            VmRequest::ShareLock { token, .. } => shares_nothing(token),
            VmRequest::Resume { token, .. } => VmCompletion::Start(token.complete(StartOutcome::Failed)),
            VmRequest::Abandon { holder } => {
                host.hypervisor.holders.remove(&holder);
                self.datastore.release(Locker::Holder(id, holder));
                return;
            }
            VmRequest::Stop { token, vm, .. } => {
                let outcome = match host.hypervisor.running.remove(&vm) {
                    Some(instance) => {
                        self.datastore.release(Locker::Holder(id, instance.holder));
                        StopOutcome::Stopped
                    }
                    None => StopOutcome::NotHere,
                };
                VmCompletion::Stop(token.complete(outcome))
            }
        };
        self.happen(Happening::Tell(id, Input::Vm(done)));
    }

    /// *Never twice*, by what the world itself knows.
    fn watch_over(&mut self, vm: VmUuid) {
        let running = self.hosts.values().filter(|host| host.hypervisor.running.contains_key(&vm)).count();
        if running > 1 {
            self.double_runs += 1;
        }
    }
}

/// No machine migrates here yet: this hypervisor shares no lock and takes no copy in.
fn shares_nothing(token: Token<ShareVmLock>) -> VmCompletion {
    VmCompletion::ShareLock(token.complete(ShareOutcome::Fault(ha_core::StorageFault::Unsupported)))
}

const fn limits() -> Limits {
    Limits { vms_per_list: 64, vms_per_host: 32, ..Limits::DEFAULT }
}

fn config(options: &Options, host: HostId) -> AgentConfig {
    let entry = |number: u32| HostEntry {
        host: HostId::new(number),
        moid: format!("host-{number}").parse().unwrap_or_else(|_| unreachable!("the text is well formed")),
    };
    let key = KeyRing::new(NonZeroU16::MIN, Key::from_bytes([7; 16]));
    AgentConfig {
        identity: Identity {
            cluster: CLUSTER,
            host,
            boot: options.boot(host),
            incarnation: Incarnation::new(1),
        },
        hosts: (1..=options.hosts).map(entry).collect(),
        datastores: alloc::vec![DatastoreEntry {
            datastore: DATASTORE,
            capability: options.capability,
            heartbeat: true,
        }],
        isolation_addresses: 1,
        node_goodness: None,
        timing: options.timing,
        security: Security::Keyed(key),
        limits: limits(),
        seed: options.seed ^ u64::from(host.number()),
    }
}
