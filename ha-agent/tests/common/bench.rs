use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ha_agent::{Agent, AgentConfig, Command, ConnectionId, Event, Input, Output, PingTarget, Rejected, Role};
use ha_core::operation::{
    LockOutcome, LookOutcome, PingOutcome, ReadReply, ShareOutcome, StartOutcome, StopOutcome, TakeOutcome,
};
use ha_core::{
    FileIdentity, FileKind, FileName, HolderId, HostId, Instant, Machine, StorageCompletion, StorageFault,
    StorageRequest, VmCompletion, VmDriverReport, VmEpoch, VmId, VmRequest, VmUuid,
};
use ha_datastore::format::{Geometry, VmLockRecord, file_size};

use super::{DATASTORE, Garble, MILLI, SECOND, config, identity, protect, vm};

const NETWORK: Duration = Duration::from_micros(150);
const LOCAL_DISK: Duration = Duration::from_micros(200);
const STORAGE: Duration = Duration::from_micros(200);
const SPAWN: Duration = Duration::from_millis(2);

/// How the embedder behaves. All ways must come to the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It takes all effects at once, on a good clock.
    Tidy,
    /// It takes the first effect only; the rest comes out of the ticks that follow.
    DropsEffects,
    /// Its clock goes back whenever the agent has seen this instant already.
    ClockGoesBack,
    /// It ticks every agent that has nothing to do, after everything that happens.
    Restless,
}

/// Who holds a lock: an agent, or a holder process that may have become a virtual machine.
type Locker = (HostId, Option<HolderId>);
type End = (HostId, ConnectionId);

#[derive(Debug)]
enum Next {
    Tell(HostId, Input),
    Storage(HostId, StorageRequest),
    Vm(HostId, VmRequest),
    Dial(End, HostId),
}

/// Real agents on a made-up clock, with everything around them in plain sight.
///
/// Simpler than `ha_sim::World`, and for other ends: what an agent is told and how its outputs are taken is up to
/// the test, all that it says is kept as text, and rule R3 is checked after every single tick.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) now: Instant,
    pub(crate) agents: BTreeMap<HostId, Agent>,
    pub(crate) habit: Habit,
    /// Every output, as text.
    pub(crate) transcript: Vec<(Instant, HostId, String)>,
    pub(crate) events: Vec<(Instant, HostId, Event)>,
    /// Every datagram, with sender and receiver.
    pub(crate) datagrams: Vec<(HostId, HostId, Bytes)>,
    /// Everything sent on a stream, with sender and stream.
    pub(crate) sends: Vec<(HostId, ConnectionId, Bytes)>,
    /// Every open stream, both ends.
    pub(crate) streams: BTreeMap<End, End>,
    pub(crate) files: BTreeMap<FileName, Vec<u8>>,
    /// How often the file at a path was unlinked and made anew.
    remade: BTreeMap<FileName, u64>,
    pub(crate) running: BTreeMap<(HostId, VmUuid), (VmEpoch, HolderId)>,
    pub(crate) double_runs: u64,
    /// Requests to these files are kept back.
    pub(crate) hold: BTreeSet<FileName>,
    held: Vec<(HostId, StorageRequest)>,
    pub(crate) garble: Option<Garble>,
    /// How often an agent was given an instant before the latest.
    pub(crate) went_back: u64,
    latest: BTreeMap<HostId, Instant>,
    queue: BTreeMap<(Instant, u64), Next>,
    queued: u64,
    accepted: u64,
    locks: BTreeMap<FileName, Locker>,
    holders: BTreeMap<(HostId, HolderId), VmId>,
}

impl Bench {
    /// Agents that have just started, on files that were never written.
    pub(crate) fn new(configs: impl IntoIterator<Item = AgentConfig>) -> Self {
        let mut bench = Self {
            now: Instant::from_nanos(1_000_000_000_000),
            agents: BTreeMap::new(),
            habit: Habit::Tidy,
            latest: BTreeMap::new(),
            went_back: 0,
            transcript: Vec::new(),
            events: Vec::new(),
            datagrams: Vec::new(),
            sends: Vec::new(),
            streams: BTreeMap::new(),
            files: BTreeMap::new(),
            remade: BTreeMap::new(),
            running: BTreeMap::new(),
            double_runs: 0,
            hold: BTreeSet::new(),
            held: Vec::new(),
            garble: None,
            queue: BTreeMap::new(),
            queued: 0,
            accepted: 0,
            locks: BTreeMap::new(),
            holders: BTreeMap::new(),
        };
        for config in configs {
            bench.start(config);
        }
        bench
    }

    /// `hosts` hosts with a master, and one protected virtual machine on each host.
    pub(crate) fn protected(hosts: u32, habit: Habit) -> Self {
        Self::protected_among(hosts, hosts, habit)
    }

    /// The same where the host list names `listed` hosts, of which the first `hosts` have started.
    pub(crate) fn protected_among(hosts: u32, listed: u32, habit: Habit) -> Self {
        let mut bench = Self::new((1..=hosts).map(|number| config(number, listed)));
        bench.habit = habit;
        assert!(bench.run_until(10 * SECOND, |bench| bench.master().is_some()), "{:#?}", bench.events);
        bench.run_for(SECOND);
        for number in 1..=hosts {
            let vm = bench.create_vm(u8::try_from(number).unwrap());
            bench.command(HostId::new(number), Command::PowerOn { vm });
        }
        bench.run_for(SECOND);
        let master = bench.master().unwrap();
        for number in 1..=hosts {
            bench.command(master, protect(vm(u8::try_from(number).unwrap())));
        }
        bench.run_for(SECOND);
        let protected = bench.events.iter().filter(|(_, _, event)| matches!(event, Event::Protected { .. }));
        assert_eq!(protected.count(), hosts as usize, "{:#?}", bench.events);
        bench
    }

    /// Starts the agent of one host; its driver reports what runs there.
    pub(crate) fn start(&mut self, config: AgentConfig) {
        let host = config.identity.host;
        let geometry = Geometry::new(config.limits);
        let own = [FileKind::Heartbeat(host), FileKind::Poweron(host), FileKind::ProtectedListOf(host)];
        for kind in own.into_iter().chain([FileKind::ProtectedList]) {
            let size = usize::try_from(file_size(&kind, &geometry)).unwrap();
            self.files.entry(FileName::new(DATASTORE, kind)).or_insert_with(|| vec![0; size]);
        }
        self.agents.insert(host, Agent::new(config, self.now).unwrap());
        let here = self.running.iter().filter(|((at, _), _)| *at == host);
        let report = here
            .map(|((_, uuid), (epoch, _))| ha_core::RunningVm {
                vm: vm(uuid.as_bytes()[0]),
                epoch: *epoch,
                holds_lock: true,
            })
            .collect();
        self.after(Duration::ZERO, Next::Tell(host, Input::Driver(VmDriverReport::Complete(report))));
    }

    pub(crate) fn create_vm(&mut self, number: u8) -> VmId {
        let vm = vm(number);
        let record = VmLockRecord::initial(&identity(0), &vm);
        self.files.insert(lock_of(&vm), record.to_vec());
        vm
    }

    /// A person unlinks a virtual machine's lock file and makes it anew with these bytes. Whoever has the lock of the
    /// first has it on a file that no path names any more.
    pub(crate) fn remake_lock_file(&mut self, vm: &VmId, bytes: Vec<u8>) {
        let file = lock_of(vm);
        *self.remade.entry(file.clone()).or_default() += 1;
        self.locks.remove(&file);
        self.files.insert(file, bytes);
    }

    pub(crate) fn lock_file(&self, vm: &VmId) -> Vec<u8> {
        self.files[&lock_of(vm)].clone()
    }

    pub(crate) fn master(&self) -> Option<HostId> {
        let reigns =
            |agent: &Agent| matches!(agent.role(), Role::Master { .. }) && agent.may_act(DATASTORE, self.now);
        let mut masters = self.agents.iter().filter(|(_, agent)| reigns(agent)).map(|(host, _)| *host);
        masters.next().filter(|_| masters.next().is_none())
    }

    /// Some host whose agent lives and is not master.
    pub(crate) fn slave(&self) -> HostId {
        *self.agents.keys().find(|host| Some(**host) != self.master()).unwrap()
    }

    pub(crate) fn runs_on(&self, vm: VmUuid) -> Option<HostId> {
        self.running.keys().find(|(_, uuid)| *uuid == vm).map(|(host, _)| *host)
    }

    pub(crate) fn command(&mut self, host: HostId, command: Command) {
        self.give(host, Input::Command(command)).unwrap();
    }

    /// Cuts a host's power.
    pub(crate) fn power_off(&mut self, host: HostId) {
        self.agents.remove(&host);
        self.locks.retain(|_, (owner, _)| *owner != host);
        self.running.retain(|(at, _), _| *at != host);
        self.holders.retain(|(at, _), _| *at != host);
        let ends: Vec<End> = self.streams.keys().filter(|(owner, _)| *owner == host).copied().collect();
        for end in ends {
            self.close(end);
        }
    }

    /// Lets the files be reached again that were held back.
    pub(crate) fn let_go(&mut self) {
        self.hold.clear();
        for (host, request) in core::mem::take(&mut self.held) {
            self.after(STORAGE, Next::Storage(host, request));
        }
    }

    /// Tells an agent something now, and carries out what it says to that.
    pub(crate) fn give(&mut self, host: HostId, input: Input) -> Result<(), Rejected> {
        let told = self.instant_for(host);
        let Some(agent) = self.agents.get_mut(&host) else { return Ok(()) };
        let mut outputs = Vec::new();
        let all = if self.habit == Habit::DropsEffects { 1 } else { usize::MAX };
        outputs.extend(agent.step(told, input)?.take(all));
        if let Some(deadline) = agent.poll_timeout().filter(|deadline| deadline.reason == "queued output") {
            assert!(all == 1 && deadline.at == self.now, "R4: what was not taken is due at once");
        }
        self.carry_out(host, outputs);
        self.tick(host);
        Ok(())
    }

    pub(crate) fn tick(&mut self, host: HostId) {
        let now = self.now;
        self.latest.insert(host, now);
        let Some(agent) = self.agents.get_mut(&host) else { return };
        let mut outputs = Vec::new();
        if self.habit == Habit::DropsEffects {
            outputs.extend(agent.tick(now).next());
        }
        let deadline = agent.tick(now).run(|output| outputs.push(output));
        assert!(deadline.is_none_or(|deadline| deadline.at > now), "R3: {deadline:?} is not after {now}");
        self.carry_out(host, outputs);
    }

    fn instant_for(&mut self, host: HostId) -> Instant {
        let seen = self.latest.insert(host, self.now) == Some(self.now);
        if seen && self.habit == Habit::ClockGoesBack {
            self.went_back += 1;
            return self.now.before(SECOND);
        }
        self.now
    }

    fn tick_the_idle(&mut self) {
        let now = self.now;
        let idle = |agent: &Agent| agent.poll_timeout().is_none_or(|deadline| deadline.at > now);
        let idle: Vec<HostId> =
            self.agents.iter().filter(|(_, agent)| idle(agent)).map(|(host, _)| *host).collect();
        for host in idle {
            let before = self.transcript.len();
            self.tick(host);
            assert_eq!(self.transcript.len(), before, "R3: a tick before its time did something");
        }
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now.after(span);
        loop {
            let wake = self.agents.iter().filter_map(|(host, agent)| Some((agent.poll_timeout()?.at, *host)));
            let wake = wake.min().filter(|(at, _)| *at <= end);
            let first = self.queue.first_entry().filter(|first| first.key().0 <= end);
            match (first, wake) {
                (Some(first), wake) if wake.is_none_or(|(at, _)| first.key().0 <= at) => {
                    let ((at, _), next) = first.remove_entry();
                    self.now = self.now.max(at);
                    self.happen(next);
                }
                (_, Some((at, host))) => {
                    self.now = self.now.max(at);
                    self.tick(host);
                }
                (_, None) => break,
            }
            if self.habit == Habit::Restless {
                self.tick_the_idle();
            }
        }
        self.now = end;
    }

    pub(crate) fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.after(limit);
        while !holds(self) && self.now < end {
            self.run_for(MILLI);
        }
        holds(self)
    }

    fn after(&mut self, span: Duration, next: Next) {
        self.queued += 1;
        self.queue.insert((self.now.after(span), self.queued), next);
    }

    fn happen(&mut self, next: Next) {
        match next {
            // A stream's last bytes may come after it was closed; the agent may refuse them.
            Next::Tell(host, input) => drop(self.give(host, input)),
            Next::Storage(host, request) if self.hold.contains(request.file()) => {
                self.held.push((host, request));
            }
            Next::Storage(host, request) => self.storage(host, request),
            Next::Vm(host, request) => self.vm(host, request),
            Next::Dial(from, to) if self.agents.contains_key(&to) => {
                self.accepted += 1;
                let accepted = ConnectionId::Accepted(self.accepted);
                self.streams.insert(from, (to, accepted));
                self.streams.insert((to, accepted), from);
                self.after(Duration::ZERO, Next::Tell(to, Input::StreamOpened(accepted)));
                self.after(NETWORK, Next::Tell(from.0, Input::StreamOpened(from.1)));
            }
            Next::Dial(from, _) => self.after(NETWORK, Next::Tell(from.0, Input::StreamClosed(from.1))),
        }
    }

    fn carry_out(&mut self, host: HostId, outputs: Vec<Output>) {
        for output in outputs {
            self.transcript.push((self.now, host, format!("{output:?}")));
            match output {
                Output::Transmit { to, bytes } => {
                    self.datagrams.push((host, to, bytes.clone()));
                    self.after(NETWORK, Next::Tell(to, Input::Datagram(bytes)));
                }
                Output::Connect { to, connection } => {
                    self.after(NETWORK, Next::Dial((host, connection), to));
                }
                Output::Send { connection, bytes } => {
                    self.sends.push((host, connection, bytes.clone()));
                    if let Some((to, end)) = self.streams.get(&(host, connection)).copied() {
                        self.after(NETWORK, Next::Tell(to, Input::StreamReceived(end, bytes)));
                    }
                }
                Output::Close(connection) => self.close((host, connection)),
                Output::Storage(request) => self.after(STORAGE, Next::Storage(host, request)),
                Output::Ping { token, target, timeout } => {
                    let answers = match target {
                        PingTarget::Host(target) => self.agents.contains_key(&target),
                        PingTarget::IsolationAddress(_) => true,
                    };
                    let (after, outcome) = if answers {
                        (2 * NETWORK, PingOutcome::Answered)
                    } else {
                        (timeout, PingOutcome::Unanswered)
                    };
                    self.after(after, Next::Tell(host, Input::Ping(token.complete(outcome))));
                }
                Output::StoreTerm { acknowledged } => {
                    self.after(LOCAL_DISK, Next::Tell(host, Input::TermStored { acknowledged }));
                }
                Output::Vm(request) => {
                    let span = if matches!(request, VmRequest::TakeLock { .. }) { SPAWN } else { STORAGE };
                    self.after(span, Next::Vm(host, request));
                }
                Output::Event(event) => self.events.push((self.now, host, event)),
            }
        }
    }

    fn close(&mut self, end: End) {
        if let Some(other) = self.streams.remove(&end) {
            self.streams.remove(&other);
            self.after(NETWORK, Next::Tell(other.0, Input::StreamClosed(other.1)));
        }
    }

    fn write(&mut self, file: &FileName, offset: u64, bytes: &[u8]) -> Result<(), StorageFault> {
        self.garble.as_mut().map_or(Ok(()), Garble::works)?;
        let content = self.files.get_mut(file).ok_or(StorageFault::Missing)?;
        let start = usize::try_from(offset).unwrap();
        let area = content.get_mut(start..start + bytes.len()).ok_or(StorageFault::Short)?;
        area.copy_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, file: &FileName, offset: u64, length: u32) -> Result<Bytes, StorageFault> {
        let start = usize::try_from(offset).unwrap();
        let content = self.files.get(file).ok_or(StorageFault::Missing)?;
        let area = content.get(start..start + length as usize).ok_or(StorageFault::Short);
        let truth = area.map(Bytes::copy_from_slice);
        match &mut self.garble {
            Some(garble) => garble.read(truth),
            None => truth,
        }
    }

    fn lock(&mut self, file: &FileName, locker: Locker) -> bool {
        *self.locks.entry(file.clone()).or_insert(locker) == locker
    }

    fn storage(&mut self, host: HostId, request: StorageRequest) {
        let started = self.now.before(STORAGE);
        let late = |not_after: Instant| self.now > not_after;
        let done = match request {
            StorageRequest::Write { token, not_after, .. } if late(not_after) => {
                StorageCompletion::Write(token.complete(Err(StorageFault::Expired)))
            }
            StorageRequest::Write { token, file, offset, bytes, .. } => {
                StorageCompletion::Write(token.complete(self.write(&file, offset, &bytes)))
            }
            StorageRequest::Read { token, file, offset, length, .. } => {
                let bytes = self.read(&file, offset, length);
                StorageCompletion::Read(token.complete(bytes.map(|bytes| ReadReply { bytes, started })))
            }
            StorageRequest::Lock { token, not_after, .. } if late(not_after) => {
                StorageCompletion::Lock(token.complete(LockOutcome::Expired))
            }
            StorageRequest::Lock { token, file, .. } => {
                let outcome = match self.garble.as_mut().map_or(Ok(()), Garble::works) {
                    Err(fault) => LockOutcome::Fault(fault),
                    Ok(()) if self.lock(&file, (host, None)) => LockOutcome::Granted,
                    Ok(()) => LockOutcome::Held,
                };
                StorageCompletion::Lock(token.complete(outcome))
            }
            StorageRequest::Unlock { file } => {
                if self.locks.get(&file) == Some(&(host, None)) {
                    self.locks.remove(&file);
                }
                return;
            }
            StorageRequest::LookAtLock { token, file } => {
                let held = self.locks.contains_key(&file);
                let outcome = if held { LookOutcome::Held } else { LookOutcome::Free { started } };
                StorageCompletion::LookAtLock(token.complete(outcome))
            }
        };
        self.happen(Next::Tell(host, Input::Storage(done)));
    }

    fn vm(&mut self, host: HostId, request: VmRequest) {
        if !self.agents.contains_key(&host) {
            return;
        }
        let late = |not_after: Instant| self.now > not_after;
        let done = match request {
            VmRequest::TakeLock { token, not_after, .. } if late(not_after) => {
                VmCompletion::TakeLock(token.complete(TakeOutcome::Expired))
            }
            VmRequest::TakeLock { token, holder, vm, .. } => {
                VmCompletion::TakeLock(token.complete(self.take_lock(host, holder, vm)))
            }
            VmRequest::WriteRecord { token, holder, offset, bytes, not_after } => {
                let file = self.holders.get(&(host, holder)).map(lock_of);
                let written = match file {
                    Some(_) if late(not_after) => Err(StorageFault::Expired),
                    Some(file) => self.write(&file, offset, &bytes),
                    None => Err(StorageFault::Missing),
                };
                VmCompletion::WriteRecord(token.complete(written))
            }
            VmRequest::Start { token, holder, epoch, not_after } => {
                let outcome = match self.holders.remove(&(host, holder)) {
                    Some(_) if late(not_after) => {
                        self.free(host, holder);
                        StartOutcome::Expired
                    }
                    Some(vm) => {
                        self.double_runs += u64::from(self.runs_on(vm.uuid()).is_some());
                        self.running.insert((host, vm.uuid()), (epoch, holder));
                        StartOutcome::Running
                    }
                    None => StartOutcome::HolderGone,
                };
                VmCompletion::Start(token.complete(outcome))
            }
            VmRequest::ShareLock { token, .. } => {
                VmCompletion::ShareLock(token.complete(ShareOutcome::Fault(StorageFault::Unsupported)))
            }
            VmRequest::Resume { token, .. } => VmCompletion::Start(token.complete(StartOutcome::Failed)),
            VmRequest::Abandon { holder } => {
                self.holders.remove(&(host, holder));
                self.free(host, holder);
                return;
            }
            VmRequest::Stop { token, vm, .. } => {
                let outcome = match self.running.remove(&(host, vm)) {
                    Some((_, holder)) => {
                        self.free(host, holder);
                        StopOutcome::Stopped
                    }
                    None => StopOutcome::NotHere,
                };
                VmCompletion::Stop(token.complete(outcome))
            }
        };
        self.happen(Next::Tell(host, Input::Vm(done)));
    }

    fn take_lock(&mut self, host: HostId, holder: HolderId, vm: VmId) -> TakeOutcome {
        let file = lock_of(&vm);
        if !self.lock(&file, (host, Some(holder))) {
            return TakeOutcome::Held;
        }
        match self.read(&file, 0, VmLockRecord::FILE) {
            Ok(record) => {
                self.holders.insert((host, holder), vm);
                let number = 1 + self.remade.get(&file).copied().unwrap_or_default();
                TakeOutcome::Locked { record, same_file: true, file: FileIdentity::new(number) }
            }
            Err(fault) => {
                self.free(host, holder);
                TakeOutcome::Fault(fault)
            }
        }
    }

    fn free(&mut self, host: HostId, holder: HolderId) {
        self.locks.retain(|_, locker| *locker != (host, Some(holder)));
    }
}

fn lock_of(vm: &VmId) -> FileName {
    FileName::new(vm.home(), FileKind::VmLock(vm.clone()))
}
