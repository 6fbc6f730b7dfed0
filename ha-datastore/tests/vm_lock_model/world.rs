//! Hosts, lock files and locks on storage that fences, around the machines of the library.
//!
//! A step is one thing that happens. Storage and drivers answer at once, but carry requests out in any order.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use ha_core::operation::{ReadReply, ShareOutcome, StartOutcome, TakeOutcome};
use ha_core::record::{Generation, PairState};
use ha_core::{
    DatastoreId, HolderId, HostId, Incarnation, Instant, Machine, StorageFault, VmCompletion, VmEpoch, VmId,
    VmRequest,
};
use ha_datastore::format::{VmLockRecord, VmLockState};
use ha_datastore::vm_lock::{
    self, ChangeEnded, Ended, HandOverWatch, Incoming, IncomingInput, JobOutput, LapsedHandOver, MoveEnded,
    RecordChange, Relocation, VmLock,
};

use crate::common::{CLUSTER, at, host, identity, uuid};

pub(crate) const EPOCH: VmEpoch = VmEpoch::new(17);
pub(crate) const NOT_AFTER: u64 = 1_000;
pub(crate) const OLD: DatastoreId = DatastoreId::new(1);
pub(crate) const NEW: DatastoreId = DatastoreId::new(2);
pub(crate) const WITHIN: Duration = Duration::from_secs(30);

/// The machine at one of its homes.
pub(crate) fn vm_at(home: DatastoreId) -> VmId {
    VmId::new(uuid(5), home, "vm-5/vm-5.vmx").unwrap()
}

/// One machine of the library at work on one host.
#[derive(Debug)]
pub(crate) enum Job {
    Start(VmLock),
    Incoming(Incoming),
    Change(RecordChange),
    Move(Relocation),
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Start(Ended),
    Change(ChangeEnded),
    Move(MoveEnded),
}

#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) host: HostId,
    pub(crate) job: Job,
    pub(crate) end: Option<End>,
    late: bool,
    tries: u32,
}

/// A process that has a descriptor of the one open file description that carries a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Process {
    Holder(usize, HolderId),
    Vm(HostId),
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The driver carries out a request and the job hears of it.
    Carry(usize),
    /// The host dies in the middle of this write.
    Tear(usize),
    /// The host dies.
    Crash(HostId),
    /// The host's agent dies, and its holders with it; its virtual machine runs on.
    AgentDies(HostId),
    /// The virtual machine on this host ends.
    VmEnds(HostId),
    /// `not_after` passes for this job.
    Late(usize),
    /// A pausing job tries again.
    Again(usize),
    /// The scenario's own step, by number.
    Begin(usize),
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) files: BTreeMap<DatastoreId, Vec<u8>>,
    locks: BTreeMap<DatastoreId, BTreeSet<Process>>,
    pub(crate) running: BTreeMap<HostId, (DatastoreId, VmEpoch)>,
    pub(crate) actors: Vec<Actor>,
    pending: Vec<(usize, VmRequest)>,
    down: BTreeSet<HostId>,
    pub(crate) begun: BTreeSet<usize>,
    pub(crate) faults: u32,
    pub(crate) lates: u32,
    /// A driver that breaks its promise: what it calls a share holds no lock.
    pub(crate) unshared: bool,
    highest: Option<VmEpoch>,
}

impl World {
    /// The machine runs on host 1, as its record says.
    pub(crate) fn running() -> Self {
        let running = VmLockState::Running { host: host(1), incarnation: Incarnation::new(1) };
        let mut world = Self::at_rest(running);
        world.running.insert(host(1), (OLD, EPOCH));
        world.locks.entry(OLD).or_default().insert(Process::Vm(host(1)));
        world.highest = Some(EPOCH);
        world
    }

    /// The machine runs nowhere; the new home is prepared.
    pub(crate) fn at_rest(state: VmLockState) -> Self {
        let slot = |state, epoch, generation| {
            let record = VmLockRecord { vm: uuid(5), epoch, state };
            Vec::from(record.seal(&identity(1, 1), Generation::new(generation)))
        };
        let old = [slot(state, EPOCH, 8), slot(VmLockState::Free, VmEpoch::new(16), 7)].concat();
        let files = BTreeMap::from([(OLD, old), (NEW, vec![0; 8_192])]);
        Self { files, ..Self::default() }
    }

    pub(crate) fn add(&mut self, host: HostId, job: Job) -> usize {
        self.actors.push(Actor { host, job, end: None, late: false, tries: 0 });
        let actor = self.actors.len() - 1;
        self.drain(actor);
        actor
    }

    pub(crate) fn is_up(&self, host: HostId) -> bool {
        !self.down.contains(&host)
    }

    pub(crate) fn record(&self, home: DatastoreId) -> PairState<VmLockRecord> {
        VmLockRecord::read(&self.files[&home], CLUSTER)
    }

    /// The record at the old home.
    pub(crate) fn state(&self) -> VmLockState {
        VmLockRecord::read_of(&self.files[&OLD], CLUSTER, uuid(5)).unwrap().content.state
    }

    /// The hand-over that stands now, as if it had been watched for its whole length.
    pub(crate) fn lapsed(&self) -> Option<LapsedHandOver> {
        let mut watch = HandOverWatch::new(CLUSTER, uuid(5));
        let bytes = Bytes::copy_from_slice(&self.files[&OLD]);
        watch.observe(at(0), &ReadReply { bytes: bytes.clone(), started: at(0) });
        let later = watch.lapses_at()?;
        watch.observe(later, &ReadReply { bytes, started: later })
    }

    /// Everything that can happen now but for the scenario's own steps.
    pub(crate) fn steps(&self, faults: u32, lates: u32) -> Vec<Step> {
        let mut steps: Vec<Step> = (0..self.pending.len()).map(Step::Carry).collect();
        steps.extend(self.running.keys().map(|host| Step::VmEnds(*host)));
        for (index, actor) in self.actors.iter().enumerate().filter(|(_, actor)| actor.end.is_none()) {
            if matches!(actor.job, Job::Incoming(_)) && actor.tries < 2 && !self.waits(index) {
                steps.push(Step::Again(index));
            }
            if self.lates < lates {
                steps.push(Step::Late(index));
            }
        }
        if self.faults < faults {
            let hosts: BTreeSet<HostId> = self.actors.iter().map(|actor| actor.host).collect();
            for host in hosts.into_iter().filter(|host| self.is_up(*host)) {
                steps.extend([Step::Crash(host), Step::AgentDies(host)]);
            }
            let is_write = |index: &usize| matches!(self.pending[*index].1, VmRequest::WriteRecord { .. });
            steps.extend((0..self.pending.len()).filter(is_write).map(Step::Tear));
        }
        steps
    }

    fn waits(&self, actor: usize) -> bool {
        self.pending.iter().any(|(of, _)| *of == actor)
    }

    pub(crate) fn apply(&mut self, step: Step) {
        match step {
            Step::Carry(index) => {
                let (actor, request) = self.pending.remove(index);
                if let Some(done) = self.carry(actor, request) {
                    let now = at(if self.actors[actor].late { NOT_AFTER } else { 0 });
                    self.tell(actor, now, done);
                }
            }
            Step::Tear(index) => {
                self.faults += 1;
                let (actor, request) = self.pending.remove(index);
                let VmRequest::WriteRecord { holder, offset, .. } = request else { panic!("{request:?}") };
                if let Some(home) = self.held_by(Process::Holder(actor, holder)) {
                    let offset = usize::try_from(offset).unwrap();
                    self.files.get_mut(&home).unwrap()[offset + 80] ^= 0xff;
                    self.files.get_mut(&home).unwrap()[offset + 512] ^= 0xff;
                }
                self.crash(self.actors[actor].host);
            }
            Step::Crash(host) => {
                self.faults += 1;
                self.crash(host);
            }
            Step::AgentDies(host) => {
                self.faults += 1;
                self.agent_dies(host);
            }
            Step::VmEnds(host) => self.vm_ends(host),
            Step::Late(actor) => {
                self.lates += 1;
                self.actors[actor].late = true;
                self.tick(actor, at(NOT_AFTER));
            }
            Step::Again(actor) => {
                self.actors[actor].tries += 1;
                let due = match &self.actors[actor].job {
                    Job::Incoming(incoming) => incoming.poll_timeout().unwrap().at,
                    Job::Start(_) | Job::Change(_) | Job::Move(_) => panic!("only a migration pauses"),
                };
                self.tick(actor, due);
            }
            Step::Begin(_) => panic!("the scenario's own"),
        }
    }

    fn tell(&mut self, actor: usize, now: Instant, done: VmCompletion) {
        let input = vm_lock::Input::Vm(done);
        let vm_lock::Input::Vm(bare) = input;
        // A job that is over refuses late answers.
        let _refused = match &mut self.actors[actor].job {
            Job::Start(job) => job.handle_input(now, vm_lock::Input::Vm(bare)).is_err(),
            Job::Incoming(job) => job.handle_input(now, IncomingInput::Vm(bare)).is_err(),
            Job::Change(job) => job.handle_input(now, vm_lock::Input::Vm(bare)).is_err(),
            Job::Move(job) => job.handle_input(now, vm_lock::Input::Vm(bare)).is_err(),
        };
        self.drain(actor);
    }

    fn tick(&mut self, actor: usize, now: Instant) {
        match &mut self.actors[actor].job {
            Job::Start(job) => job.handle_timeout(now),
            Job::Incoming(job) => job.handle_timeout(now),
            Job::Change(job) => job.handle_timeout(now),
            Job::Move(job) => job.handle_timeout(now),
        }
        self.drain(actor);
    }

    fn drain(&mut self, actor: usize) {
        let mut requests = Vec::new();
        let Actor { job, end, .. } = &mut self.actors[actor];
        let mut start = |output: vm_lock::Output| match output {
            vm_lock::Output::Vm(request) => requests.push(request),
            vm_lock::Output::Event(vm_lock::Event::Ended(ended)) => *end = Some(End::Start(ended)),
            vm_lock::Output::Event(vm_lock::Event::LockTaken { .. }) => {}
        };
        match job {
            Job::Start(job) => core::iter::from_fn(|| job.poll_output()).for_each(&mut start),
            Job::Incoming(job) => core::iter::from_fn(|| job.poll_output()).for_each(&mut start),
            Job::Change(job) => {
                while let Some(output) = job.poll_output() {
                    match output {
                        JobOutput::Vm(request) => requests.push(request),
                        JobOutput::Ended(ended) => *end = Some(End::Change(ended)),
                    }
                }
            }
            Job::Move(job) => {
                while let Some(output) = job.poll_output() {
                    match output {
                        JobOutput::Vm(request) => requests.push(request),
                        JobOutput::Ended(ended) => *end = Some(End::Move(ended)),
                    }
                }
            }
        }
        self.pending.extend(requests.into_iter().map(|request| (actor, request)));
    }

    fn carry(&mut self, actor: usize, request: VmRequest) -> Option<VmCompletion> {
        let Actor { host, late, .. } = self.actors[actor];
        Some(match request {
            VmRequest::TakeLock { token, holder, vm, .. } => VmCompletion::TakeLock(token.complete({
                let lock = self.locks.entry(vm.home()).or_default();
                if late {
                    TakeOutcome::Expired
                } else if lock.is_empty() {
                    lock.insert(Process::Holder(actor, holder));
                    TakeOutcome::Locked { record: self.bytes(vm.home()), same_file: true }
                } else {
                    TakeOutcome::Held
                }
            })),
            VmRequest::ShareLock { token, holder, vm, epoch, .. } => {
                VmCompletion::ShareLock(token.complete(if late {
                    ShareOutcome::Expired
                } else if self.running.get(&host) == Some(&(vm.home(), epoch)) {
                    if !self.unshared {
                        self.locks.entry(vm.home()).or_default().insert(Process::Holder(actor, holder));
                    }
                    ShareOutcome::Shared { record: self.bytes(vm.home()), same_file: true }
                } else {
                    ShareOutcome::NotRunning
                }))
            }
            VmRequest::WriteRecord { token, holder, offset, bytes, .. } => {
                let shares = matches!(self.actors[actor].job, Job::Change(_)) && self.unshared;
                let home = self.held_by(Process::Holder(actor, holder)).or(shares.then_some(OLD));
                VmCompletion::WriteRecord(token.complete(match home {
                    _ if late => Err(StorageFault::Expired),
                    None => Err(StorageFault::Missing),
                    Some(home) => {
                        let offset = usize::try_from(offset).unwrap();
                        let file = self.files.get_mut(&home).unwrap();
                        file[offset..offset + bytes.len()].copy_from_slice(&bytes);
                        Ok(())
                    }
                }))
            }
            VmRequest::Start { token, holder, epoch, .. }
            | VmRequest::Resume { token, holder, epoch, .. } => {
                VmCompletion::Start(token.complete(self.start(actor, holder, epoch)))
            }
            VmRequest::Abandon { holder } => {
                self.ends(|process| process == Process::Holder(actor, holder));
                return None;
            }
            VmRequest::Stop { .. } => panic!("no job stops anything"),
        })
    }

    fn start(&mut self, actor: usize, holder: HolderId, epoch: VmEpoch) -> StartOutcome {
        let Actor { host, late, .. } = self.actors[actor];
        let me = Process::Holder(actor, holder);
        let Some(home) = self.held_by(me) else { return StartOutcome::HolderGone };
        if late {
            self.ends(|process| process == me);
            return StartOutcome::Expired;
        }
        assert!(self.running.is_empty(), "twice: {:?} and {host} at {epoch}", self.running);
        assert!(self.highest < Some(epoch), "{epoch} after {:?}", self.highest);
        self.highest = Some(epoch);
        self.ends(|process| process == me);
        self.locks.entry(home).or_default().insert(Process::Vm(host));
        self.running.insert(host, (home, epoch));
        StartOutcome::Running
    }

    fn bytes(&self, home: DatastoreId) -> Bytes {
        Bytes::copy_from_slice(&self.files[&home])
    }

    fn held_by(&self, process: Process) -> Option<DatastoreId> {
        self.locks.iter().find(|(_, lock)| lock.contains(&process)).map(|(home, _)| *home)
    }

    fn ends(&mut self, ended: impl Fn(Process) -> bool) {
        self.locks.values_mut().for_each(|lock| lock.retain(|process| !ended(*process)));
    }

    fn vm_ends(&mut self, host: HostId) {
        self.running.remove(&host);
        self.ends(|process| process == Process::Vm(host));
    }

    fn agent_dies(&mut self, host: HostId) {
        let dead: BTreeSet<usize> =
            (0..self.actors.len()).filter(|actor| self.actors[*actor].host == host).collect();
        self.pending.retain(|(actor, _)| !dead.contains(actor));
        self.ends(|process| matches!(process, Process::Holder(actor, _) if dead.contains(&actor)));
        self.down.insert(host);
        for actor in dead {
            self.actors[actor].end.get_or_insert(End::Start(Ended::Fault(StorageFault::Unknown)));
        }
    }

    fn crash(&mut self, host: HostId) {
        self.agent_dies(host);
        self.vm_ends(host);
    }

    /// What makes two worlds the same.
    pub(crate) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let summary = |request: &VmRequest| match request {
            VmRequest::WriteRecord { token, offset, .. } => format!("{token:?} {offset}"),
            VmRequest::TakeLock { .. }
            | VmRequest::ShareLock { .. }
            | VmRequest::Start { .. }
            | VmRequest::Resume { .. }
            | VmRequest::Abandon { .. }
            | VmRequest::Stop { .. } => format!("{request:?}"),
        };
        self.files.values().for_each(|file| file.hash(&mut hasher));
        let mut pending: Vec<String> =
            self.pending.iter().map(|(actor, request)| format!("{actor} {}", summary(request))).collect();
        pending.sort();
        let parts = (&self.locks, &self.running, &self.actors, pending, &self.down, &self.begun);
        format!("{parts:?} {} {} {:?}", self.faults, self.lates, self.highest).hash(&mut hasher);
        hasher.finish()
    }
}
