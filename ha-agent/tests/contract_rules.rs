//! The rules that every machine keeps (`ha_core::contract`), for the whole agent.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]
#![allow(clippy::wildcard_enum_match_arm, reason = "only some files and outputs are special here")]

mod common;

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use common::{DATASTORE, Garble, Rogue, SECOND, almost, config, host, identity, key, protect, vm};
use ha_agent::{
    Agent, AgentConfig, Command, ConnectionId, DatastoreEntry, Input, Output, PingTarget, Rejected,
};
use ha_core::contract::{self, Ending, Facts, Subject, Validity, Violation, stray};
use ha_core::operation::{
    LockOutcome, LookOutcome, PingOutcome, ReadReply, ShareOutcome, StartOutcome, StopOutcome, TakeOutcome,
};
use ha_core::wire::{Channel, FrameKind};
use ha_core::{
    Capability, DatastoreId, FileIdentity, FileKind, FileName, Instant, MachineId, Random, Round,
    StorageCompletion, StorageFault, StorageRequest, Term, VmCompletion, VmDriverReport, VmRequest,
};
use ha_datastore::format::{Geometry, VmLockRecord, file_size};

const DATASTORES: [DatastoreId; 2] = [DATASTORE, DatastoreId::new(2)];
const ME: u32 = 1;

fn own_config() -> AgentConfig {
    let datastores = DATASTORES.map(|datastore| DatastoreEntry {
        datastore,
        capability: Capability::SAME_KERNEL,
        heartbeat: true,
    });
    AgentConfig { datastores: datastores.to_vec(), ..config(ME, 3) }
}

/// Host 1 of three, with two datastores and a driver of virtual machines. Host 2 is a rogue who has the key.
struct World {
    files: BTreeMap<FileName, Vec<u8>>,
    rogue: Rogue,
    /// Datagrams for the rogue that it has not read, and payloads that it has.
    unread: Vec<Bytes>,
    genuine: Vec<Vec<u8>>,
    reported: bool,
    accepted: u64,
}

impl World {
    fn file(&mut self, name: &FileName) -> &mut Vec<u8> {
        self.files.entry(name.clone()).or_insert_with(|| match &name.kind {
            FileKind::VmLock(vm) => VmLockRecord::initial(&identity(0), vm).to_vec(),
            kind => {
                let size = file_size(kind, &Geometry::new(config(ME, 3).limits));
                vec![0; usize::try_from(size).unwrap()]
            }
        })
    }

    fn write(&mut self, name: &FileName, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).unwrap();
        self.file(name)[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn read(
        &mut self,
        random: &mut Random,
        name: &FileName,
        (offset, length): (u64, u32),
        ending: Ending,
    ) -> Result<Bytes, StorageFault> {
        let offset = usize::try_from(offset).unwrap();
        let truth = &self.file(name)[offset..offset + usize::try_from(length).unwrap()];
        let truth = Bytes::copy_from_slice(truth);
        match ending {
            Ending::Well => Ok(truth),
            Ending::Fault => Err(StorageFault::Io),
            Ending::Junk => Garble::new(random.next_u64()).read(Ok(truth)),
        }
    }

    fn storage(
        &mut self,
        random: &mut Random,
        now: Instant,
        request: StorageRequest,
        ending: Ending,
    ) -> Option<StorageCompletion> {
        Some(match request {
            StorageRequest::Write { token, file, offset, bytes, not_after } => {
                let outcome = match ending {
                    _ if now > not_after => Err(StorageFault::Expired),
                    Ending::Well => Ok(()),
                    Ending::Fault => Err(StorageFault::Unknown),
                    Ending::Junk => Err(StorageFault::ReadBackDiffers),
                };
                if outcome.is_ok() || random.below(2) == 0 {
                    self.write(&file, offset, &bytes);
                }
                StorageCompletion::Write(token.complete(outcome))
            }
            StorageRequest::Read { token, file, offset, length, .. } => {
                let bytes = self.read(random, &file, (offset, length), ending);
                StorageCompletion::Read(token.complete(bytes.map(|bytes| ReadReply { bytes, started: now })))
            }
            StorageRequest::Lock { token, not_after, .. } => {
                StorageCompletion::Lock(token.complete(match ending {
                    _ if now > not_after => LockOutcome::Expired,
                    Ending::Well => LockOutcome::Granted,
                    Ending::Fault => LockOutcome::Fault(StorageFault::Io),
                    Ending::Junk => LockOutcome::Held,
                }))
            }
            StorageRequest::LookAtLock { token, .. } => {
                StorageCompletion::LookAtLock(token.complete(match ending {
                    Ending::Well => LookOutcome::Free { started: now },
                    Ending::Fault => LookOutcome::Fault(StorageFault::Io),
                    Ending::Junk => LookOutcome::Held,
                }))
            }
            StorageRequest::Unlock { .. } => return None,
        })
    }

    fn vm(
        &mut self,
        random: &mut Random,
        now: Instant,
        request: VmRequest,
        ending: Ending,
    ) -> Option<VmCompletion> {
        Some(match request {
            VmRequest::TakeLock { token, vm, not_after, .. } => {
                let file = FileName::new(vm.home(), FileKind::VmLock(vm));
                let record = self.read(random, &file, (0, VmLockRecord::FILE), ending);
                VmCompletion::TakeLock(token.complete(match record {
                    _ if now > not_after => TakeOutcome::Expired,
                    Ok(record) => {
                        let file =
                            FileIdentity::new(if ending == Ending::Well { 1 } else { random.below(3) });
                        TakeOutcome::Locked { record, same_file: ending == Ending::Well, file }
                    }
                    Err(_) if random.below(2) == 0 => TakeOutcome::Held,
                    Err(fault) => TakeOutcome::Fault(fault),
                }))
            }
            VmRequest::WriteRecord { token, .. } => VmCompletion::WriteRecord(token.complete(match ending {
                Ending::Well => Ok(()),
                Ending::Fault => Err(StorageFault::Unknown),
                Ending::Junk => Err(StorageFault::ReadBackDiffers),
            })),
            VmRequest::ShareLock { token, .. } => {
                VmCompletion::ShareLock(token.complete(ShareOutcome::Fault(StorageFault::Unsupported)))
            }
            VmRequest::Resume { token, .. } => VmCompletion::Start(token.complete(StartOutcome::Failed)),
            VmRequest::Start { token, .. } => VmCompletion::Start(token.complete(match ending {
                Ending::Well => StartOutcome::Running,
                Ending::Fault => StartOutcome::Failed,
                Ending::Junk => StartOutcome::HolderGone,
            })),
            VmRequest::Stop { token, .. } => VmCompletion::Stop(token.complete(StopOutcome::NotHere)),
            VmRequest::Abandon { .. } => return None,
        })
    }
}

fn storage_facts(request: &StorageRequest) -> Facts {
    match request {
        StorageRequest::Write { file, not_after, .. } => Facts {
            awaits_answer: true,
            slot: Some(format!("a write of {file}")),
            backs: match file.kind {
                FileKind::ProtectedList | FileKind::ProtectedListOf(_) => {
                    DATASTORES.iter().position(|datastore| *datastore == file.datastore)
                }
                FileKind::Heartbeat(_)
                | FileKind::Poweron(_)
                | FileKind::PoweredOff(_)
                | FileKind::Probe(_)
                | FileKind::VmLock(_) => None,
            },
            validity: Validity::Until(*not_after),
        },
        StorageRequest::Lock { not_after, .. } => {
            Facts { validity: Validity::Until(*not_after), ..Facts::ASKED }
        }
        StorageRequest::Unlock { .. } => Facts::TOLD,
        StorageRequest::Read { .. } | StorageRequest::LookAtLock { .. } => Facts::ASKED,
    }
}

impl Subject for World {
    type Machine = Agent;

    const RIGHTS: usize = DATASTORES.len();
    const MAX_OUTPUTS: usize = 128;
    const MAX_OPEN: usize = 128;
    const OVERDUE_AFTER: Duration = common::SWIFT.datastore_io_timeout;

    fn world(_: u64) -> Self {
        let rogue = Rogue::new(identity(2), key(7));
        Self {
            files: BTreeMap::new(),
            rogue,
            unread: Vec::new(),
            genuine: Vec::new(),
            reported: false,
            accepted: 0,
        }
    }

    fn make(seed: u64, now: Instant) -> Agent {
        Agent::new(AgentConfig { seed, ..own_config() }, now).unwrap()
    }

    fn sample(&mut self, random: &mut Random, _: Instant) -> Option<Input> {
        let vm = vm(u8::try_from(1 + random.below(4)).unwrap());
        Some(match random.below(12) {
            0..=2 => Input::Driver(VmDriverReport::Complete(Vec::new())),
            3 => Input::Driver(VmDriverReport::Lost),
            4 => Input::Resumed { gap: SECOND },
            5 | 6 => Input::Command(Command::PowerOn { vm }),
            7 | 8 => Input::Command(protect(vm)),
            9 => Input::Command(Command::Unprotect { vm, version: 1 + random.below(4) }),
            10 => {
                self.accepted += 1;
                Input::StreamOpened(ConnectionId::Accepted(self.accepted))
            }
            _ => Input::StreamClosed(ConnectionId::Accepted(random.below(self.accepted + 2))),
        })
    }

    fn hostile(&mut self, random: &mut Random, now: Instant) -> Option<Input> {
        let kinds = [FrameKind::Probe, FrameKind::Candidacy, FrameKind::Claim, FrameKind::Heartbeat];
        // In an order that does not depend on theirs: the network promises none.
        self.unread.sort();
        for bytes in core::mem::take(&mut self.unread) {
            let heard = self.rogue.hear(now, Channel::Datagram, &bytes);
            self.genuine.extend(heard.map(|(_, payload)| payload).filter(|_| self.genuine.len() < 64));
        }
        let kind = kinds[usize::try_from(random.below(4)).unwrap()];
        let said = almost(random, &self.genuine);
        let term = Some(Term::new(Round::new(random.below(4)), host(2)));
        let mut frame = self.rogue.say(now, host(ME), kind, term, &said);
        if random.below(4) == 0 {
            frame = Bytes::from(almost(random, &[frame.to_vec()]));
        }
        Some(Input::Datagram(frame))
    }

    fn steady(&mut self, _: Instant) -> Option<Input> {
        let first = !core::mem::replace(&mut self.reported, true);
        first.then(|| Input::Driver(VmDriverReport::Complete(Vec::new())))
    }

    fn nothing_new(&mut self) -> Option<Input> {
        Some(Input::StreamClosed(ConnectionId::Accepted(u64::MAX)))
    }

    fn answer(&mut self, random: &mut Random, now: Instant, output: Output, ending: Ending) -> Option<Input> {
        match output {
            Output::Transmit { to, bytes } if to == host(2) => {
                self.unread.push(bytes);
                None
            }
            Output::Connect { connection, .. } => Some(match ending {
                Ending::Well => Input::StreamOpened(connection),
                Ending::Fault | Ending::Junk => Input::StreamClosed(connection),
            }),
            Output::Storage(request) => self.storage(random, now, request, ending).map(Input::Storage),
            Output::Ping { token, target, .. } => {
                let answers = matches!(target, PingTarget::IsolationAddress(_)) && ending == Ending::Well;
                let outcome = if answers { PingOutcome::Answered } else { PingOutcome::Unanswered };
                Some(Input::Ping(token.complete(outcome)))
            }
            Output::StoreTerm { acknowledged } => {
                (ending == Ending::Well).then_some(Input::TermStored { acknowledged })
            }
            Output::Vm(request) => self.vm(random, now, request, ending).map(Input::Vm),
            Output::Transmit { .. } | Output::Send { .. } | Output::Close(_) | Output::Event(_) => None,
        }
    }

    fn stray(&mut self, random: &mut Random) -> Option<Input> {
        let own = identity(ME);
        let lane = [1, 2, 3, 16, 17, 18, 19, 20, 1 << 16][usize::try_from(random.below(9)).unwrap()];
        let me = MachineId { host: own.host, incarnation: own.incarnation, lane };
        Some(match random.below(6) {
            0 => Input::Storage(StorageCompletion::Write(stray(random, me, Ok(())))),
            1 => Input::Storage(StorageCompletion::Read(stray(random, me, Err(StorageFault::Io)))),
            2 => Input::Storage(StorageCompletion::Lock(stray(random, me, LockOutcome::Granted))),
            3 => Input::Storage(StorageCompletion::LookAtLock(stray(random, me, LookOutcome::Held))),
            4 => Input::Ping(stray(random, me, PingOutcome::Answered)),
            _ => Input::Vm(VmCompletion::Start(stray(random, me, StartOutcome::Running))),
        })
    }

    fn is_unknown_request(rejected: &Rejected) -> bool {
        matches!(rejected, Rejected::UnknownRequest(_))
    }

    fn facts(output: &Output) -> Facts {
        match output {
            Output::Storage(request) => storage_facts(request),
            Output::Ping { .. } | Output::Connect { .. } => Facts::ASKED,
            Output::StoreTerm { .. } => Facts { slot: Some("term".into()), ..Facts::ASKED },
            Output::Vm(
                VmRequest::TakeLock { not_after, .. }
                | VmRequest::ShareLock { not_after, .. }
                | VmRequest::WriteRecord { not_after, .. }
                | VmRequest::Start { not_after, .. }
                | VmRequest::Resume { not_after, .. }
                | VmRequest::Stop { not_after, .. },
            ) => Facts { validity: Validity::Until(*not_after), ..Facts::ASKED },
            Output::Vm(VmRequest::Abandon { .. })
            | Output::Transmit { .. }
            | Output::Send { .. }
            | Output::Close(_)
            | Output::Event(_) => Facts::TOLD,
        }
    }

    fn rights(agent: &Agent, now: Instant) -> Vec<bool> {
        DATASTORES.map(|datastore| agent.may_act(datastore, now)).to_vec()
    }

    fn show(output: &Output) -> String {
        match output {
            Output::Storage(StorageRequest::Write { token, file, offset, bytes, not_after }) => {
                let sum = bytes.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31) ^ u64::from(*byte));
                format!("{token:?} {file} {offset} {sum:x} {not_after}")
            }
            other => format!("{other:?}"),
        }
    }
}

#[test]
fn the_agent_keeps_the_contract() {
    let rules: [fn(u64) -> Result<(), Violation>; 11] = [
        contract::r1_deterministic::<World>,
        contract::r2_any_order::<World>,
        contract::r3_no_hot_loop::<World>,
        contract::r4_nothing_lost_by_dropping_effects::<World>,
        contract::r5_clock_back::<World>,
        contract::r6_bounded_work::<World>,
        contract::r7_junk_is_never_rejected_or_panics::<World>,
        contract::r8_unknown_completions_are_refused_and_change_nothing::<World>,
        contract::r9_a_storage_fault_ends_only_the_right_it_backed::<World>,
        contract::r10_rights_need_the_clock::<World>,
        contract::not_after_is_ahead::<World>,
    ];
    contract::r5_extreme::<World>(20);
    let violations: Vec<String> =
        rules.iter().filter_map(|rule| rule(20).err()).map(|found| found.to_string()).collect();
    assert_eq!(violations, Vec::<String>::new());
}
