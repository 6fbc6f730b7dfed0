//! Starts of virtual machines on this host: one [`VmLock`] for each, whoever asked.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use ha_core::{
    Deadline, HolderId, HostId, Identity, Instant, Machine, MachineId, RunningVm, StorageFault, Term,
    UnknownRequest, VmCompletion, VmEpoch, VmId, VmRequest, VmUuid,
};
use ha_datastore::format::OrderId;
use ha_datastore::vm_lock::{
    Ended, Event as LockEvent, Input as LockInput, Output as LockOutput, RefusedStart, StartExpectation,
    VmLock, VmLockConfig,
};

use crate::RefusedOrder;

/// Lanes from here on belong to starts; all others are below.
pub(crate) const FIRST_LANE: u32 = 1 << 16;

/// Who asked for a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A person, through [`Command::PowerOn`](crate::Command::PowerOn).
    Person,
    /// The master, by an order; the answer goes to it.
    Master { host: HostId, term: Term, order: OrderId },
}

/// What came of the starts.
#[derive(Debug)]
pub(crate) enum StartOutput {
    Vm(VmRequest),
    /// The lock is won and the next epoch durable.
    LockTaken {
        vm: VmId,
        epoch: VmEpoch,
    },
    /// It runs, or it does not.
    Finished {
        vm: VmId,
        asked: Asked,
        result: Result<VmEpoch, RefusedOrder>,
    },
}

#[derive(Debug)]
struct Start {
    vm: VmId,
    asked: Asked,
    lock: VmLock,
    /// The driver was lost since it began: only the driver's next inventory tells what became of it.
    orphaned: bool,
}

/// All starts that are under way here, by the lane of their machine.
#[derive(Debug)]
pub(crate) struct Starts {
    identity: Identity,
    next_lane: u32,
    running: BTreeMap<u32, Start>,
    outputs: VecDeque<StartOutput>,
}

impl Starts {
    pub(crate) const fn new(identity: Identity) -> Self {
        Self { identity, next_lane: FIRST_LANE, running: BTreeMap::new(), outputs: VecDeque::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether a start of this virtual machine is under way.
    pub(crate) fn contains(&self, vm: VmUuid) -> bool {
        self.running.values().any(|start| start.vm.uuid() == vm)
    }

    /// Begins a start. Nothing happens after `not_after`.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        vm: VmId,
        expect: StartExpectation,
        asked: Asked,
        not_after: Instant,
    ) {
        let lane = self.next_lane;
        // Lanes are reused only after four billion starts in one life of the agent.
        self.next_lane = self.next_lane.checked_add(1).unwrap_or(FIRST_LANE);
        let Identity { host, incarnation, .. } = self.identity;
        let config = VmLockConfig {
            identity: self.identity,
            machine: MachineId { host, incarnation, lane },
            holder: HolderId(u64::from(lane)),
            vm: vm.clone(),
            expect,
            not_after,
        };
        self.running.insert(lane, Start { vm, asked, lock: VmLock::new(config, now), orphaned: false });
    }

    /// The driver answered. An answer to a start that has ended meanwhile is refused; nothing changes.
    pub(crate) fn handle(&mut self, now: Instant, done: VmCompletion) -> Result<(), UnknownRequest> {
        let start = self.running.get_mut(&done.machine().lane).ok_or(UnknownRequest)?;
        start.lock.handle_input(now, LockInput::Vm(done)).map_err(|_| UnknownRequest)
    }

    /// The driver is out of reach: its holders end, and its answers may never come.
    pub(crate) fn orphan(&mut self) {
        for start in self.running.values_mut() {
            start.orphaned = true;
        }
    }

    /// The driver is back: what it lists of the orphaned starts runs, the others do not.
    pub(crate) fn settle_orphans(&mut self, running: &[RunningVm]) {
        let orphans: Vec<u32> =
            self.running.iter().filter(|(_, start)| start.orphaned).map(|(lane, _)| *lane).collect();
        for lane in orphans {
            let Some(Start { vm, asked, .. }) = self.running.remove(&lane) else { continue };
            let listed = running.iter().find(|it| it.vm.uuid() == vm.uuid());
            let result = listed.map(|it| it.epoch).ok_or(RefusedOrder::Fault(StorageFault::Unknown));
            self.outputs.push_back(StartOutput::Finished { vm, asked, result });
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for start in self.running.values_mut() {
            start.lock.handle_timeout(now);
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<StartOutput> {
        if self.outputs.is_empty() {
            self.collect();
        }
        self.outputs.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        Deadline::soonest(self.running.values().map(|start| start.lock.poll_timeout()))
    }

    fn collect(&mut self) {
        let mut finished = Vec::new();
        for (lane, start) in &mut self.running {
            while let Some(output) = start.lock.poll_output() {
                self.outputs.push_back(match output {
                    LockOutput::Vm(request) => StartOutput::Vm(request),
                    LockOutput::Event(LockEvent::LockTaken { epoch }) => {
                        StartOutput::LockTaken { vm: start.vm.clone(), epoch }
                    }
                    LockOutput::Event(LockEvent::Ended(ended)) => {
                        finished.push(*lane);
                        StartOutput::Finished {
                            vm: start.vm.clone(),
                            asked: start.asked,
                            result: result_of(ended),
                        }
                    }
                });
            }
        }
        for lane in finished {
            self.running.remove(&lane);
        }
    }
}

fn result_of(ended: Ended) -> Result<VmEpoch, RefusedOrder> {
    Err(match ended {
        Ended::Started { epoch } => return Ok(epoch),
        Ended::LockHeld => RefusedOrder::LockHeld,
        Ended::Expired => RefusedOrder::Expired,
        Ended::StartFailed { epoch } | Ended::HolderGone { epoch } => RefusedOrder::StartFailed { epoch },
        Ended::Fault(fault) => RefusedOrder::Fault(fault),
        Ended::Refused(refused) => match refused {
            RefusedStart::EpochMismatch { found } => RefusedOrder::EpochMismatch { found },
            RefusedStart::EpochTooLow { found, least } => RefusedOrder::EpochTooLow { found, least },
            RefusedStart::OtherFile { .. } => RefusedOrder::OtherFile,
            RefusedStart::CleanlyOff => RefusedOrder::CleanlyOff,
            RefusedStart::Moved { .. } => RefusedOrder::Moved,
            RefusedStart::HandingOver
            | RefusedStart::NotStartable
            | RefusedStart::WrongVm
            | RefusedStart::OtherHome
            | RefusedStart::NotSameFile
            | RefusedStart::Unreadable => RefusedOrder::NotStartable,
        },
    })
}
