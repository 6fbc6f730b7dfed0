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
    DatastoreId, FileIdentity, HolderId, HostId, Incarnation, Instant, Machine, StorageFault, VmCompletion,
    VmEpoch, VmId, VmRequest,
};
use ha_datastore::format::{VmLockRecord, VmLockState};
use ha_datastore::vm_lock::{
    self, ChangeEnded, Ended, HandOverWatch, Incoming, IncomingInput, JobOutput, LapsedHandOver, MoveEnded,
    RecordChange, Relocation, VmLock,
};

use crate::common::{CLUSTER, at, host, identity, uuid};

pub(crate) const EPOCH: VmEpoch = VmEpoch::new(17);
pub(crate) const NOT_AFTER: u64 = 1_000;
pub(crate) const WITHIN: Duration = Duration::from_secs(30);

/// A folder with a lock file for the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Home {
    /// Where it has lived.
    Old,
    /// On another datastore.
    New,
    /// Another folder on the datastore of the new home.
    Aside,
}

impl Home {
    pub(crate) const ALL: [Self; 3] = [Self::Old, Self::New, Self::Aside];

    /// The machine at this home.
    pub(crate) fn vm(self) -> VmId {
        let (home, path) = match self {
            Self::Old => (1, "vm-5/vm-5.vmx"),
            Self::New => (2, "vm-5/vm-5.vmx"),
            Self::Aside => (2, "vm-5_1/vm-5.vmx"),
        };
        VmId::new(uuid(5), DatastoreId::new(home), path).unwrap()
    }

    fn of(vm: &VmId) -> Self {
        Self::ALL.into_iter().find(|home| home.vm() == *vm).unwrap()
    }
}

/// One machine of the library at work on one host.
#[derive(Debug)]
pub(crate) enum Job {
    Start(VmLock),
    Incoming(Incoming),
    Change(RecordChange),
    Move(Relocation),
}

/// Which machine of the library a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Start,
    Incoming,
    Change,
    Move,
}

impl Job {
    const fn kind(&self) -> Kind {
        match self {
            Self::Start(_) => Kind::Start,
            Self::Incoming(_) => Kind::Incoming,
            Self::Change(_) => Kind::Change,
            Self::Move(_) => Kind::Move,
        }
    }
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Blow {
    Error,
    /// Answered with an error, though it landed.
    ErrorLanded,
    /// It comes too late and is not begun.
    Late,
    /// It was begun in time and lands after the job's end.
    Overdue,
    Torn,
    LockLost,
    AgentDies,
    Crash,
}

impl Blow {
    /// To any request.
    pub(crate) const ANY: [Self; 4] = [Self::Error, Self::Late, Self::AgentDies, Self::Crash];
    /// To a request by a holder that has the lock.
    pub(crate) const HELD: [Self; 1] = [Self::LockLost];
    /// To a write.
    pub(crate) const WRITE: [Self; 3] = [Self::ErrorLanded, Self::Overdue, Self::Torn];
}

/// A job's request, counted from 0, and what goes wrong with it.
pub(crate) type Struck = (Kind, usize, Blow);

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
    asked: usize,
}

/// A process that has a descriptor of the one open file description that carries a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Process {
    Holder(usize, HolderId),
    Vm(HostId),
}

/// One request that is not answered yet.
#[derive(Debug)]
struct Asked {
    actor: usize,
    request: VmRequest,
    /// Which request of its job it is, counted from 0.
    number: usize,
    /// Storage was asked before `not_after`, and nobody can call it back: the holder waits, and keeps the lock.
    begun: bool,
}

impl Asked {
    const fn is_write(&self) -> bool {
        matches!(self.request, VmRequest::WriteRecord { .. })
    }

    const fn holder(&self) -> HolderId {
        match self.request {
            VmRequest::TakeLock { holder, .. }
            | VmRequest::ShareLock { holder, .. }
            | VmRequest::WriteRecord { holder, .. }
            | VmRequest::Start { holder, .. }
            | VmRequest::Resume { holder, .. }
            | VmRequest::Abandon { holder } => holder,
            VmRequest::Stop { .. } => panic!("no job stops anything"),
        }
    }
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The driver carries out a request and the job hears of it.
    Carry(usize),
    /// Storage or the driver answers a request with an error. What it wrote has landed or not.
    Fails { request: usize, landed: bool },
    /// `not_after` passes for the job of this write, which is under way and will land later.
    Overdue(usize),
    /// This holder dies, or storage takes its lock away and refuses what it still writes.
    LockLost(usize, HolderId),
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
    pub(crate) files: BTreeMap<Home, Vec<u8>>,
    /// How often the file at a home was unlinked and made anew. The lock of the one before goes on, on a file that
    /// no path names.
    remade: BTreeMap<Home, u64>,
    locks: BTreeMap<Home, BTreeSet<Process>>,
    pub(crate) running: BTreeMap<HostId, (Home, VmEpoch)>,
    pub(crate) actors: Vec<Actor>,
    pending: Vec<Asked>,
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
        world.running.insert(host(1), (Home::Old, EPOCH));
        world.locks.entry(Home::Old).or_default().insert(Process::Vm(host(1)));
        world.highest = Some(EPOCH);
        world
    }

    /// The machine runs nowhere; two new homes are prepared.
    pub(crate) fn at_rest(state: VmLockState) -> Self {
        let slot = |state, epoch, generation| {
            let file = FileIdentity::new(1);
            let record = VmLockRecord { file, ..VmLockRecord::of(&Home::Old.vm(), epoch, state) };
            Vec::from(record.seal(&identity(1, 1), Generation::new(generation)))
        };
        let old = [slot(state, EPOCH, 8), slot(VmLockState::Free, VmEpoch::new(16), 7)].concat();
        let files =
            BTreeMap::from([(Home::Old, old), (Home::New, vec![0; 8_192]), (Home::Aside, vec![0; 8_192])]);
        Self { files, ..Self::default() }
    }

    pub(crate) fn add(&mut self, host: HostId, job: Job) -> usize {
        self.actors.push(Actor { host, job, end: None, late: false, tries: 0, asked: 0 });
        let actor = self.actors.len() - 1;
        self.drain(actor);
        actor
    }

    /// A person unlinks the lock file of a home and makes it anew with these bytes.
    pub(crate) fn remake(&mut self, home: Home, bytes: Vec<u8>) {
        *self.remade.entry(home).or_default() += 1;
        self.locks.remove(&home);
        self.files.insert(home, bytes);
    }

    fn inode(&self, home: Home) -> Option<FileIdentity> {
        let number = Home::ALL.into_iter().zip(1..).find(|(it, _)| *it == home).map(|(_, number)| number);
        FileIdentity::new(number.unwrap() + 10 * self.remade.get(&home).copied().unwrap_or_default())
    }

    pub(crate) fn is_up(&self, host: HostId) -> bool {
        !self.down.contains(&host)
    }

    pub(crate) fn record(&self, home: Home) -> PairState<VmLockRecord> {
        VmLockRecord::read(&self.files[&home], CLUSTER)
    }

    /// The record at the old home.
    pub(crate) fn state(&self) -> VmLockState {
        VmLockRecord::read_of(&self.files[&Home::Old], CLUSTER, &Home::Old.vm()).unwrap().content.state
    }

    /// The hand-over that stands now, as if it had been watched for its whole length.
    pub(crate) fn lapsed(&self) -> Option<LapsedHandOver> {
        let mut watch = HandOverWatch::new(CLUSTER, Home::Old.vm());
        let bytes = Bytes::copy_from_slice(&self.files[&Home::Old]);
        watch.observe(at(0), &ReadReply { bytes: bytes.clone(), started: at(0) });
        let later = watch.lapses_at()?;
        watch.observe(later, &ReadReply { bytes, started: later })
    }

    /// Everything that can happen now but for the scenario's own steps.
    pub(crate) fn steps(&self, faults: u32, lates: u32) -> Vec<Step> {
        let mut steps: Vec<Step> =
            (0..self.pending.len()).filter(|index| !self.hangs(*index)).map(Step::Carry).collect();
        steps.extend(self.running.keys().map(|host| Step::VmEnds(*host)));
        for (index, actor) in self.actors.iter().enumerate().filter(|(_, actor)| actor.end.is_none()) {
            if matches!(actor.job, Job::Incoming(_)) && actor.tries < 2 && !self.waits(index) {
                steps.push(Step::Again(index));
            }
            if self.lates < lates && !actor.late {
                steps.push(Step::Late(index));
            }
        }
        if self.lates < lates {
            let can_hang = |index: &usize| {
                let Asked { actor, begun, .. } = self.pending[*index];
                self.pending[*index].is_write() && !begun && !self.actors[actor].late
            };
            steps.extend((0..self.pending.len()).filter(can_hang).map(Step::Overdue));
        }
        if self.faults < faults {
            let hosts: BTreeSet<HostId> = self.actors.iter().map(|actor| actor.host).collect();
            for host in hosts.into_iter().filter(|host| self.is_up(*host)) {
                steps.extend([Step::Crash(host), Step::AgentDies(host)]);
            }
            for (request, asked) in self.pending.iter().enumerate() {
                if asked.is_write() {
                    steps.push(Step::Tear(request));
                    steps.push(Step::Fails { request, landed: true });
                }
                if !matches!(asked.request, VmRequest::Abandon { .. }) {
                    steps.push(Step::Fails { request, landed: false });
                }
            }
            let holders = self.locks.values().flatten().filter_map(|process| match process {
                Process::Holder(actor, holder) => Some(Step::LockLost(*actor, *holder)),
                Process::Vm(_) => None,
            });
            steps.extend(holders);
        }
        steps
    }

    /// The requests that a step keeps from going well.
    pub(crate) fn struck(&self, step: Step) -> Vec<Struck> {
        let all = |how, is_struck: &dyn Fn(&Asked) -> bool| {
            let struck = self.pending.iter().filter(|asked| is_struck(asked));
            struck.map(|asked| (self.actors[asked.actor].job.kind(), asked.number, how)).collect()
        };
        let one = |how, index: usize| {
            let Asked { actor, number, .. } = self.pending[index];
            vec![(self.actors[actor].job.kind(), number, how)]
        };
        match step {
            Step::Carry(_) | Step::VmEnds(_) | Step::Again(_) | Step::Begin(_) => Vec::new(),
            Step::Fails { request, landed: true } => one(Blow::ErrorLanded, request),
            Step::Fails { request, landed: false } => one(Blow::Error, request),
            Step::Overdue(index) => one(Blow::Overdue, index),
            Step::Tear(index) => one(Blow::Torn, index),
            Step::Late(late) => all(Blow::Late, &|asked| asked.actor == late),
            Step::LockLost(actor, holder) => {
                all(Blow::LockLost, &|asked| asked.actor == actor && asked.holder() == holder)
            }
            Step::Crash(host) => all(Blow::Crash, &|asked| self.actors[asked.actor].host == host),
            Step::AgentDies(host) => all(Blow::AgentDies, &|asked| self.actors[asked.actor].host == host),
        }
    }

    fn waits(&self, actor: usize) -> bool {
        self.pending.iter().any(|asked| asked.actor == actor)
    }

    /// A holder does not end before storage has answered it.
    fn hangs(&self, index: usize) -> bool {
        let Asked { actor, ref request, .. } = self.pending[index];
        let VmRequest::Abandon { holder } = request else { return false };
        self.pending.iter().any(|other| other.begun && other.actor == actor && other.holder() == *holder)
    }

    pub(crate) fn apply(&mut self, step: Step) {
        match step {
            Step::Carry(index) => {
                let asked = self.pending.remove(index);
                let (actor, orphan) = (asked.actor, Process::Holder(asked.actor, asked.holder()));
                let done = self.carry(asked);
                if !self.is_up(self.actors[actor].host) {
                    self.ends(|process| process == orphan);
                } else if let Some(done) = done {
                    self.tell(actor, done);
                }
            }
            Step::Fails { request, landed } => {
                self.faults += 1;
                let Asked { actor, request, .. } = self.pending.remove(request);
                let done = self.fail(actor, request, landed);
                if self.is_up(self.actors[actor].host) {
                    self.tell(actor, done);
                }
            }
            Step::Overdue(index) => {
                self.lates += 1;
                self.pending[index].begun = true;
                let actor = self.pending[index].actor;
                self.actors[actor].late = true;
                self.tick(actor, at(NOT_AFTER));
            }
            Step::LockLost(actor, holder) => {
                self.faults += 1;
                self.ends(|process| process == Process::Holder(actor, holder));
            }
            Step::Tear(index) => {
                self.faults += 1;
                let Asked { actor, request, .. } = self.pending.remove(index);
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

    fn tell(&mut self, actor: usize, done: VmCompletion) {
        let now = at(if self.actors[actor].late { NOT_AFTER } else { 0 });
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
        for request in requests {
            let number = self.actors[actor].asked;
            self.actors[actor].asked += 1;
            self.pending.push(Asked { actor, request, number, begun: false });
        }
    }

    fn carry(&mut self, asked: Asked) -> Option<VmCompletion> {
        let Asked { actor, request, begun, .. } = asked;
        let Actor { host, late, .. } = self.actors[actor];
        Some(match request {
            VmRequest::TakeLock { token, holder, vm, .. } => VmCompletion::TakeLock(token.complete({
                let home = Home::of(&vm);
                let lock = self.locks.entry(home).or_default();
                if late {
                    TakeOutcome::Expired
                } else if lock.is_empty() {
                    lock.insert(Process::Holder(actor, holder));
                    TakeOutcome::Locked { record: self.bytes(home), same_file: true, file: self.inode(home) }
                } else {
                    TakeOutcome::Held
                }
            })),
            VmRequest::ShareLock { token, holder, vm, epoch, .. } => {
                let home = Home::of(&vm);
                VmCompletion::ShareLock(token.complete(if late {
                    ShareOutcome::Expired
                } else if self.running.get(&host) == Some(&(home, epoch)) {
                    if !self.unshared {
                        self.locks.entry(home).or_default().insert(Process::Holder(actor, holder));
                    }
                    ShareOutcome::Shared { record: self.bytes(home), same_file: true, file: self.inode(home) }
                } else {
                    ShareOutcome::NotRunning
                }))
            }
            VmRequest::WriteRecord { token, holder, offset, bytes, .. } => {
                let shares = matches!(self.actors[actor].job, Job::Change(_)) && self.unshared;
                let home = self.held_by(Process::Holder(actor, holder)).or(shares.then_some(Home::Old));
                VmCompletion::WriteRecord(token.complete(match home {
                    _ if late && !begun => Err(StorageFault::Expired),
                    None => Err(StorageFault::Missing),
                    Some(home) => {
                        self.land(home, offset, &bytes);
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

    /// The answer to a request that goes wrong.
    fn fail(&mut self, actor: usize, request: VmRequest, landed: bool) -> VmCompletion {
        match request {
            VmRequest::TakeLock { token, .. } => {
                VmCompletion::TakeLock(token.complete(TakeOutcome::Fault(StorageFault::Io)))
            }
            VmRequest::ShareLock { token, .. } => {
                VmCompletion::ShareLock(token.complete(ShareOutcome::Fault(StorageFault::Io)))
            }
            VmRequest::WriteRecord { token, holder, offset, bytes, .. } => {
                if let Some(home) = self.held_by(Process::Holder(actor, holder)).filter(|_| landed) {
                    self.land(home, offset, &bytes);
                }
                VmCompletion::WriteRecord(token.complete(Err(StorageFault::Unknown)))
            }
            VmRequest::Start { token, .. } | VmRequest::Resume { token, .. } => {
                VmCompletion::Start(token.complete(StartOutcome::Failed))
            }
            VmRequest::Abandon { .. } | VmRequest::Stop { .. } => panic!("{request:?} has no answer"),
        }
    }

    fn land(&mut self, home: Home, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).unwrap();
        self.files.get_mut(&home).unwrap()[offset..offset + bytes.len()].copy_from_slice(bytes);
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

    fn bytes(&self, home: Home) -> Bytes {
        Bytes::copy_from_slice(&self.files[&home])
    }

    fn held_by(&self, process: Process) -> Option<Home> {
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
        // A holder that waits for storage is not killed before it is answered.
        self.pending.retain(|asked| asked.begun || !dead.contains(&asked.actor));
        let waiting: BTreeSet<Process> =
            self.pending.iter().map(|asked| Process::Holder(asked.actor, asked.holder())).collect();
        let dies = |actor, process| dead.contains(&actor) && !waiting.contains(&process);
        self.ends(|process| matches!(process, Process::Holder(actor, _) if dies(actor, process)));
        self.down.insert(host);
        for actor in dead {
            self.actors[actor].end.get_or_insert(End::Start(Ended::Fault(StorageFault::Unknown)));
        }
    }

    fn crash(&mut self, host: HostId) {
        let Self { pending, actors, .. } = self;
        pending.retain(|asked| actors[asked.actor].host != host);
        self.agent_dies(host);
        self.vm_ends(host);
    }

    /// Whoever runs it does so under the lock of its home, and is the one whom the record there names.
    pub(crate) fn assert_right_one_runs(&self) {
        for (host, (home, epoch)) in &self.running {
            assert!(self.locks[home].contains(&Process::Vm(*host)), "{host} runs it without the lock");
            let record = VmLockRecord::read_of(&self.files[home], CLUSTER, &home.vm()).unwrap();
            let named = match record.content.state {
                VmLockState::Running { host, .. } => Some(host),
                VmLockState::HandingOver { .. } => Some(record.writer.host),
                VmLockState::Free | VmLockState::Moved { .. } | VmLockState::CleanlyOff => None,
            };
            assert_eq!((named, record.content.epoch), (Some(*host), *epoch), "{host} runs it at {home:?}");
        }
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
        let mut pending: Vec<String> = self
            .pending
            .iter()
            .map(|it| format!("{} {} {}", it.actor, it.begun, summary(&it.request)))
            .collect();
        pending.sort();
        let parts =
            (&self.locks, &self.remade, &self.running, &self.actors, pending, &self.down, &self.begun);
        format!("{parts:?} {} {} {:?}", self.faults, self.lates, self.highest).hash(&mut hasher);
        hasher.finish()
    }
}
