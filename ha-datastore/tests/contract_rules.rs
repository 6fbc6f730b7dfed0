//! The rules that every machine keeps (`ha_core::contract`), for the machines of the files.
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use common::storage_subject::{garble, serve, show, storage_facts, storage_stray};
use common::vm_subject::{start_outcome, vm_facts, vm_stray, write_outcome};
use common::{CLUSTER, Disk, GEOMETRY, HOME, TIMING, host, identity, machine, ms, term, uuid, vm};
use ha_core::contract::{self, Ending, Facts, Subject};
use ha_core::operation::{ShareOutcome, StopOutcome, TakeOutcome};
use ha_core::{
    FileIdentity, HolderId, Incarnation, Instant, Random, StorageFault, VmCompletion, VmEpoch, VmRequest,
};
use ha_datastore::format::{ListEntry, MarkerState, PoweronRecord, Protection, VmLockRecord};
use ha_datastore::vm_lock::StartExpectation;
use ha_datastore::{
    ChangeId, HeartbeatWriter, ListChange, LivenessWatcher, MarkerWriter, Ownership, PoweronWriter, VmLock,
    heartbeat_writer, liveness_watcher, marker_writer, ownership, poweron_writer, vm_lock,
};

/// A machine that speaks to storage, in the world of one [`Disk`].
macro_rules! subject_on_disk {
    ($module:ident, $me:literal, $told:pat) => {
        fn world(_: u64) -> Self {
            Self::default()
        }

        fn answer(
            &mut self,
            random: &mut Random,
            now: Instant,
            output: $module::Output,
            ending: Ending,
        ) -> Option<$module::Input> {
            let $module::Output::Storage(request) = output else { return None };
            serve(&mut self.disk, random, now, request, ending).map($module::Input::Storage)
        }

        fn stray(&mut self, random: &mut Random) -> Option<$module::Input> {
            Some($module::Input::Storage(storage_stray(random, $me)))
        }

        fn is_unknown_request(rejected: &$module::Rejected) -> bool {
            matches!(rejected, $module::Rejected::UnknownRequest(_))
        }

        fn facts(output: &$module::Output) -> Facts {
            match output {
                $module::Output::Storage(request) => storage_facts(request),
                $told => Facts::TOLD,
            }
        }

        fn show(output: &$module::Output) -> String {
            match output {
                $module::Output::Storage(request) => show(request),
                other => format!("{other:?}"),
            }
        }
    };
}

#[derive(Default)]
struct Beating {
    disk: Disk,
}

impl Subject for Beating {
    type Machine = HeartbeatWriter;

    /// A beat that was proven lately. The writes do not end it: a lease is reckoned from the last proven beat.
    const RIGHTS: usize = 1;
    const BACKED_RIGHTS: usize = 0;
    const MAX_OUTPUTS: usize = 6;
    const MAX_OPEN: usize = 1;

    fn make(_: u64, now: Instant) -> HeartbeatWriter {
        let config = heartbeat_writer::HeartbeatWriterConfig {
            identity: identity(7, 1),
            machine: machine(7, 1),
            datastore: HOME,
            timing: TIMING,
            ttl: ms(2_000),
            watchdog: ms(0),
        };
        HeartbeatWriter::new(config, now)
    }

    fn sample(&mut self, _: &mut Random, _: Instant) -> Option<heartbeat_writer::Input> {
        None
    }

    fn rights(writer: &HeartbeatWriter, now: Instant) -> Vec<bool> {
        vec![writer.proven(now).is_some_and(|proven| now.since(proven) < Duration::from_secs(2))]
    }

    subject_on_disk!(heartbeat_writer, 7, heartbeat_writer::Output::Event(_));
}

#[derive(Default)]
struct Listing {
    disk: Disk,
    inventory: u64,
}

impl Subject for Listing {
    type Machine = PoweronWriter;

    const MAX_OUTPUTS: usize = 6;
    const MAX_OPEN: usize = 1;

    fn make(_: u64, now: Instant) -> PoweronWriter {
        let config = poweron_writer::PoweronWriterConfig {
            identity: identity(7, 1),
            machine: machine(7, 1),
            datastore: HOME,
            geometry: GEOMETRY,
            timing: TIMING,
        };
        PoweronWriter::new(config, now)
    }

    fn sample(&mut self, random: &mut Random, _: Instant) -> Option<poweron_writer::Input> {
        // Some are older than the last, which is the caller's mistake.
        self.inventory = (self.inventory + 2).saturating_sub(random.below(4));
        let vms = BTreeMap::from([(uuid(1), VmEpoch::new(random.below(9)))]);
        let isolated = random.below(2) == 0;
        let record = PoweronRecord { inventory: self.inventory, isolated, inventory_complete: true, vms };
        Some(poweron_writer::Input::Inventory(record))
    }

    subject_on_disk!(poweron_writer, 7, poweron_writer::Output::Event(_));
}

#[derive(Default)]
struct Marking {
    disk: Disk,
    epoch: u64,
}

impl Subject for Marking {
    type Machine = MarkerWriter;

    const MAX_OUTPUTS: usize = 6;
    const MAX_OPEN: usize = 1;

    fn make(_: u64, now: Instant) -> MarkerWriter {
        let config = marker_writer::MarkerWriterConfig {
            identity: identity(7, 1),
            machine: machine(7, 1),
            datastore: HOME,
            vm: uuid(5),
            timing: TIMING,
        };
        MarkerWriter::new(config, now)
    }

    fn sample(&mut self, random: &mut Random, _: Instant) -> Option<marker_writer::Input> {
        // Many go back, which is the caller's mistake.
        let states = [MarkerState::None, MarkerState::Intended, MarkerState::Done, MarkerState::Cancelled];
        self.epoch += u64::from(random.below(4) == 0);
        let epoch = VmEpoch::new(self.epoch.saturating_sub(random.below(2)));
        let state = states[usize::try_from(random.below(4)).unwrap()];
        Some(marker_writer::Input::Mark(marker_writer::Mark { epoch, state }))
    }

    subject_on_disk!(marker_writer, 7, marker_writer::Output::Event(_));
}

#[derive(Default)]
struct Watching {
    disk: Disk,
}

impl Subject for Watching {
    type Machine = LivenessWatcher;

    const MAX_OUTPUTS: usize = 8;
    /// Two files of each host, also of those that are not watched any more.
    const MAX_OPEN: usize = 8;

    fn make(_: u64, now: Instant) -> LivenessWatcher {
        let config = liveness_watcher::LivenessWatcherConfig {
            cluster: CLUSTER,
            machine: machine(7, 1),
            datastore: HOME,
            geometry: GEOMETRY,
            timing: TIMING,
        };
        LivenessWatcher::new(config, now)
    }

    fn sample(&mut self, random: &mut Random, now: Instant) -> Option<liveness_watcher::Input> {
        let host = host(1 + u32::try_from(random.below(4)).unwrap());
        Some(match random.below(8) {
            0 => liveness_watcher::Input::Unwatch { host },
            1 => liveness_watcher::Input::Proven { at: Instant::from_nanos(random.next_u64()) },
            2 => liveness_watcher::Input::Proven { at: now },
            3.. => liveness_watcher::Input::Watch { host },
        })
    }

    fn nothing_new(&mut self) -> Option<liveness_watcher::Input> {
        Some(liveness_watcher::Input::Unwatch { host: host(99) })
    }

    subject_on_disk!(liveness_watcher, 7, liveness_watcher::Output::Evidence(_));
}

#[derive(Default)]
struct Owning {
    disk: Disk,
    round: u64,
    change: u64,
}

impl Subject for Owning {
    type Machine = Ownership;

    const RIGHTS: usize = 1;
    const MAX_OUTPUTS: usize = 16;
    /// The lock or the lists of three hosts, with the two files that are written.
    const MAX_OPEN: usize = 6;
    const OVERDUE_AFTER: Duration = TIMING.datastore_io_timeout;

    fn make(_: u64, now: Instant) -> Ownership {
        let config = ownership::OwnershipConfig {
            identity: identity(1, 1),
            machine: machine(1, 1),
            datastore: HOME,
            hosts: vec![host(1), host(2), host(3)],
            geometry: GEOMETRY,
            timing: TIMING,
        };
        Ownership::new(config, now)
    }

    fn sample(&mut self, random: &mut Random, _: Instant) -> Option<ownership::Input> {
        let may_take = random.below(8) != 0;
        Some(match random.below(20) {
            0..=5 => {
                self.round = (self.round + 2).saturating_sub(random.below(3));
                ownership::Input::Claim { term: term(self.round, 1), may_take }
            }
            6 => ownership::Input::Rights { may_take },
            7 => ownership::Input::Release,
            8 => ownership::Input::Expire,
            9 => ownership::Input::Caution { cautious: random.below(2) == 0 },
            10 => ownership::Input::OwnerEnded {
                host: host(u32::try_from(random.below(5)).unwrap()),
                incarnation: Incarnation::new(random.below(3)),
            },
            11 => {
                ownership::Input::TermSeen { term: term(self.round, u32::try_from(random.below(3)).unwrap()) }
            }
            12.. => {
                self.change += 1;
                let entry = ListEntry {
                    vm: vm(u8::try_from(random.below(30)).unwrap()),
                    protection: Protection::Protected,
                    version: self.change,
                    priority: 1,
                    cpu_reservation_mhz: 0,
                    memory_overhead_mb: 0,
                    intent: None,
                };
                ownership::Input::Change { id: ChangeId(self.change), change: ListChange::Protect(entry) }
            }
        })
    }

    fn steady(&mut self, _: Instant) -> Option<ownership::Input> {
        Some(ownership::Input::Claim { term: term(1, 1), may_take: true })
    }

    fn rights(ownership: &Ownership, now: Instant) -> Vec<bool> {
        vec![ownership.may_act(now)]
    }

    subject_on_disk!(ownership, 1, ownership::Output::Event(_));
}

/// One lock file.
struct Starting {
    record: Vec<u8>,
}

impl Starting {
    fn written(&mut self, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).unwrap();
        self.record[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

impl Subject for Starting {
    type Machine = VmLock;

    const MAX_OUTPUTS: usize = 3;
    const MAX_OPEN: usize = 2;

    fn world(_: u64) -> Self {
        Self { record: VmLockRecord::initial(&identity(0, 1), &vm(1)).to_vec() }
    }

    fn make(seed: u64, now: Instant) -> VmLock {
        let expect = match seed % 3 {
            0 => StartExpectation::PowerOn { fences: seed.is_multiple_of(2), at_least: VmEpoch::ZERO },
            1 => StartExpectation::Exactly(VmEpoch::new(0)),
            _ => StartExpectation::Exactly(VmEpoch::new(9)),
        };
        let config = vm_lock::VmLockConfig {
            identity: identity(1, 1),
            machine: machine(1, 1),
            holder: HolderId(1),
            vm: vm(1),
            expect,
            not_after: now.after(ms(20 * (seed % 40))),
        };
        VmLock::new(config, now)
    }

    fn sample(&mut self, _: &mut Random, _: Instant) -> Option<vm_lock::Input> {
        None
    }

    fn answer(
        &mut self,
        random: &mut Random,
        now: Instant,
        output: vm_lock::Output,
        ending: Ending,
    ) -> Option<vm_lock::Input> {
        let vm_lock::Output::Vm(request) = output else { return None };
        Some(vm_lock::Input::Vm(match request {
            VmRequest::TakeLock { token, not_after, .. } => {
                VmCompletion::TakeLock(token.complete(match ending {
                    _ if now > not_after => TakeOutcome::Expired,
                    Ending::Fault if random.below(2) == 0 => TakeOutcome::Held,
                    Ending::Fault => TakeOutcome::Fault(StorageFault::Io),
                    Ending::Junk => {
                        let record = garble(random, Bytes::copy_from_slice(&self.record));
                        let file = FileIdentity::new(random.below(3));
                        TakeOutcome::Locked { record, same_file: random.below(2) == 0, file }
                    }
                    Ending::Well => {
                        let record = Bytes::copy_from_slice(&self.record);
                        TakeOutcome::Locked { record, same_file: true, file: FileIdentity::new(1) }
                    }
                }))
            }
            VmRequest::WriteRecord { token, offset, bytes, not_after, .. } => {
                let landed = || self.written(offset, &bytes);
                VmCompletion::WriteRecord(token.complete(write_outcome(now, not_after, ending, landed)))
            }
            VmRequest::Start { token, not_after, .. } | VmRequest::Resume { token, not_after, .. } => {
                VmCompletion::Start(token.complete(start_outcome(now, not_after, ending)))
            }
            VmRequest::ShareLock { token, .. } => {
                VmCompletion::ShareLock(token.complete(ShareOutcome::NotRunning))
            }
            VmRequest::Stop { token, .. } => VmCompletion::Stop(token.complete(StopOutcome::NotHere)),
            VmRequest::Abandon { .. } => return None,
        }))
    }

    fn stray(&mut self, random: &mut Random) -> Option<vm_lock::Input> {
        Some(vm_lock::Input::Vm(vm_stray(random)))
    }

    fn is_unknown_request(rejected: &vm_lock::Rejected) -> bool {
        matches!(rejected, vm_lock::Rejected::UnknownRequest(_))
    }

    fn facts(output: &vm_lock::Output) -> Facts {
        match output {
            vm_lock::Output::Vm(request) => vm_facts(request),
            vm_lock::Output::Event(_) => Facts::TOLD,
        }
    }
}

fn check<S: Subject>(seeds: u64) {
    contract::all::<S>(seeds).unwrap_or_else(|violation| panic!("{violation}"));
}

#[test]
fn the_heartbeat_writer_keeps_the_contract() {
    check::<Beating>(60);
}

#[test]
fn the_poweron_writer_keeps_the_contract() {
    check::<Listing>(60);
}

#[test]
fn the_marker_writer_keeps_the_contract() {
    check::<Marking>(60);
}

#[test]
fn the_liveness_watcher_keeps_the_contract() {
    check::<Watching>(60);
}

#[test]
fn the_ownership_keeps_the_contract() {
    check::<Owning>(60);
}

#[test]
fn an_attempt_to_start_keeps_the_contract() {
    check::<Starting>(120);
}
