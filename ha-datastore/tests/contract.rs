//! What every machine promises (`ha_core::Machine`), under storage that fails, hangs and answers late.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::fmt::{Debug, Write as _};
use std::collections::BTreeMap;

use common::{Disk, GEOMETRY, HOME, LOGGED, TIMING, at, host, identity, machine, ms, term, uuid, vm};
use ha_core::{Instant, Machine, Random, StorageCompletion, StorageFault, StorageRequest, VmEpoch};
use ha_datastore::format::{ListEntry, MarkerState, PoweronRecord, Protection};
use ha_datastore::{
    ChangeId, HeartbeatWriter, ListChange, LivenessWatcher, MarkerWriter, Ownership, PoweronWriter,
    heartbeat_writer, liveness_watcher, marker_writer, ownership, poweron_writer,
};

/// What the test needs to know of a machine besides its contract.
struct Subject<M: Machine> {
    new: fn() -> M,
    command: fn(&mut Random, u64) -> Option<M::Input>,
    storage: fn(StorageCompletion) -> M::Input,
    request: fn(M::Output) -> Result<StorageRequest, String>,
}

const SEEDS: u64 = 200;
const STEPS: u64 = 200;

/// One life under one seed; the trace of everything that came out.
fn live<M: Machine + Debug>(subject: &Subject<M>, seed: u64) -> String
where
    M::Rejected: Debug,
{
    let mut random = Random::from_seed(seed);
    let (mut machine, mut disk) = ((subject.new)(), Disk::new(LOGGED));
    let (mut now, mut out, mut trace) = (0, Vec::new(), String::new());
    for step in 0..STEPS {
        now += random.below(120);
        if random.below(20) == 0 {
            // R5: a clock that goes back.
            machine.handle_timeout(at(now.saturating_sub(5_000)));
        }
        if let Some(command) = (subject.command)(&mut random, step) {
            let result = machine.handle_input(at(now), command);
            write!(trace, "{now} {result:?};").unwrap();
        }
        machine.handle_timeout(at(now));
        drain(subject, &mut machine, &mut out, &mut trace);
        let due = machine.poll_timeout().map(|deadline| deadline.at);
        assert!(due.is_none_or(|due| due > at(now)), "R3, seed {seed}, step {step}: {machine:?}");
        assert!(out.len() < 40, "R6, seed {seed}: {} requests are out", out.len());
        // Any request may hang; the others are answered in any order, one in ten badly.
        while !out.is_empty() && random.below(3) != 0 {
            let which = usize::try_from(random.below(out.len() as u64)).unwrap();
            let request = out.remove(which);
            let fails = random.below(10) == 0;
            let lands = random.below(2) == 0;
            disk.fail_write = fails.then(|| (request.file().clone(), StorageFault::Unknown, lands));
            disk.fail_read = fails.then(|| (request.file().clone(), StorageFault::Io));
            if let Some(done) = disk.serve(at(now), request) {
                machine.handle_input(at(now), (subject.storage)(done)).unwrap();
                drain(subject, &mut machine, &mut out, &mut trace);
            }
        }
    }
    trace
}

fn drain<M: Machine + Debug>(
    subject: &Subject<M>,
    machine: &mut M,
    out: &mut Vec<StorageRequest>,
    trace: &mut String,
) {
    while let Some(output) = machine.poll_output() {
        match (subject.request)(output) {
            Ok(request) => {
                trace.push_str(&summary(&request));
                let same_file = |other: &&StorageRequest| other.file() == request.file();
                let writes = |other: &&StorageRequest| matches!(other, StorageRequest::Write { .. });
                if writes(&&request) {
                    let others = out.iter().filter(same_file).filter(writes).count();
                    assert_eq!(others, 0, "two writes of one file: {machine:?}");
                }
                out.push(request);
            }
            Err(event) => trace.push_str(&event),
        }
    }
    assert!(machine.poll_timeout().is_none_or(|due| due.reason != "queued output"), "R4");
}

/// A request in a few words; equal bytes have equal sums.
fn summary(request: &StorageRequest) -> String {
    match request {
        StorageRequest::Write { offset, bytes, file, .. } => {
            let sum = (0..)
                .zip(bytes)
                .fold(0, |sum: u64, (index, byte)| sum.wrapping_add(index * u64::from(*byte)));
            format!("write {file} {offset} {sum:x};")
        }
        StorageRequest::Read { .. }
        | StorageRequest::Lock { .. }
        | StorageRequest::Unlock { .. }
        | StorageRequest::LookAtLock { .. } => format!("{request:?};"),
    }
}

fn check<M: Machine + Debug>(subject: &Subject<M>, must_happen: &[&str])
where
    M::Rejected: Debug,
{
    let mut seen = vec![0; must_happen.len()];
    for seed in 0..SEEDS {
        let trace = live(subject, seed);
        assert_eq!(trace, live(subject, seed), "R1, seed {seed}");
        for (count, word) in seen.iter_mut().zip(must_happen) {
            *count += u64::from(trace.contains(word));
        }
    }
    for (count, word) in seen.iter().zip(must_happen) {
        assert!(*count > SEEDS / 20, "`{word}` happened under {count} seeds only");
    }
}

#[test]
fn heartbeat_writer() {
    let new = || {
        let config = heartbeat_writer::HeartbeatWriterConfig {
            identity: identity(7, 1),
            machine: machine(7, 1),
            datastore: HOME,
            timing: TIMING,
            ttl: ms(2_000),
            watchdog: ms(0),
        };
        HeartbeatWriter::new(config, at(0))
    };
    let request = |output| match output {
        heartbeat_writer::Output::Storage(request) => Ok(request),
        heartbeat_writer::Output::Event(event) => Err(format!("{event:?};")),
    };
    let storage = heartbeat_writer::Input::Storage;
    check(&Subject { new, command: |_, _| None, storage, request }, &["Ready", "Trouble", "Recovered"]);
}

#[test]
fn poweron_writer() {
    let new = || {
        let config = poweron_writer::PoweronWriterConfig {
            identity: identity(7, 1),
            machine: machine(7, 1),
            datastore: HOME,
            geometry: GEOMETRY,
            timing: TIMING,
        };
        PoweronWriter::new(config, at(0))
    };
    let command = |random: &mut Random, step| {
        let vms = BTreeMap::from([(uuid(1), VmEpoch::new(random.below(9)))]);
        let isolated = random.below(2) == 0;
        let record = PoweronRecord { inventory: step, isolated, inventory_complete: true, vms };
        (random.below(4) == 0).then_some(poweron_writer::Input::Inventory(record))
    };
    let request = |output| match output {
        poweron_writer::Output::Storage(request) => Ok(request),
        poweron_writer::Output::Event(event) => Err(format!("{event:?};")),
    };
    let storage = poweron_writer::Input::Storage;
    check(&Subject { new, command, storage, request }, &["Durable", "Trouble", "Recovered"]);
}

#[test]
fn marker_writer() {
    let new = || {
        let config = marker_writer::MarkerWriterConfig {
            identity: identity(7, 1),
            machine: machine(7, 1),
            datastore: HOME,
            vm: uuid(5),
            timing: TIMING,
        };
        MarkerWriter::new(config, at(0))
    };
    let command = |random: &mut Random, step: u64| {
        let states = [MarkerState::None, MarkerState::Intended, MarkerState::Done, MarkerState::Cancelled];
        let state = states[usize::try_from(random.below(4)).unwrap()];
        let mark = marker_writer::Mark { epoch: VmEpoch::new(step / 16), state };
        (random.below(3) == 0).then_some(marker_writer::Input::Mark(mark))
    };
    let request = |output| match output {
        marker_writer::Output::Storage(request) => Ok(request),
        marker_writer::Output::Event(event) => Err(format!("{event:?};")),
    };
    let storage = marker_writer::Input::Storage;
    let must_happen = ["state: Intended }", "state: Done }", "NotForward", "Trouble", "Recovered"];
    check(&Subject { new, command, storage, request }, &must_happen);
}

#[test]
fn liveness_watcher() {
    let new = || {
        let config = liveness_watcher::LivenessWatcherConfig {
            cluster: common::CLUSTER,
            machine: machine(7, 1),
            datastore: HOME,
            geometry: GEOMETRY,
            timing: TIMING,
        };
        LivenessWatcher::new(config, at(0))
    };
    let command = |random: &mut Random, _| {
        let host = host(1 + u32::try_from(random.below(4)).unwrap());
        match random.below(8) {
            0 => Some(liveness_watcher::Input::Unwatch { host }),
            1 | 2 => Some(liveness_watcher::Input::Watch { host }),
            3 => Some(liveness_watcher::Input::Proven { at: Instant::from_nanos(random.next_u64()) }),
            4.. => None,
        }
    };
    let request = |output| match output {
        liveness_watcher::Output::Storage(request) => Ok(request),
        liveness_watcher::Output::Evidence(evidence) => Err(format!("{evidence:?};")),
    };
    let storage = liveness_watcher::Input::Storage;
    check(&Subject { new, command, storage, request }, &["Unreadable", "NeverWritten", "TooManyHosts"]);
}

#[test]
fn ownership() {
    let new = || {
        let config = ownership::OwnershipConfig {
            identity: identity(1, 1),
            machine: machine(1, 1),
            datastore: HOME,
            hosts: vec![host(1), host(2), host(3)],
            geometry: LOGGED,
            timing: TIMING,
        };
        Ownership::new(config, at(0))
    };
    let command = |random: &mut Random, step| {
        let may_take = random.below(8) != 0;
        let number = u8::try_from(random.below(5)).unwrap();
        let entry = ListEntry {
            vm: vm(number),
            protection: Protection::Protected,
            version: step,
            priority: 1,
            cpu_reservation_mhz: 0,
            memory_overhead_mb: 0,
            intent: None,
        };
        match random.below(40) {
            0 | 1 => Some(ownership::Input::Claim { term: term(1 + step / 16, 1), may_take }),
            2 => Some(ownership::Input::Rights { may_take }),
            3 => Some(ownership::Input::Release),
            4 => Some(ownership::Input::Expire),
            5..20 => {
                Some(ownership::Input::Change { id: ChangeId(step), change: ListChange::Protect(entry) })
            }
            20.. => None,
        }
    };
    let request = |output| match output {
        ownership::Output::Storage(request) => Ok(request),
        ownership::Output::Event(event) => Err(format!("{event:?};")),
    };
    let storage = ownership::Input::Storage;
    let must_happen =
        ["Owned {", "Durable", "Dropped", "RightLost", "Trouble", "sealed: true", "sealed: false"];
    check(&Subject { new, command, storage, request }, &must_happen);
}

/// Every change is answered once, `Durable` or `Dropped`, whatever storage does.
#[test]
fn every_change_is_answered_once() {
    for seed in 0..SEEDS {
        let mut random = Random::from_seed(seed);
        let config = ownership::OwnershipConfig {
            identity: identity(1, 1),
            machine: machine(1, 1),
            datastore: HOME,
            hosts: vec![],
            geometry: LOGGED,
            timing: TIMING,
        };
        let (mut owner, mut disk, mut open) = (Ownership::new(config, at(0)), Disk::new(LOGGED), Vec::new());
        owner.handle_input(at(0), ownership::Input::Claim { term: term(1, 1), may_take: true }).unwrap();
        let mut out = Vec::new();
        for step in 0..400 {
            let now = at(20 * step);
            if step < 300 {
                let unprotect = ListChange::Unprotect { vm: vm(1), version: step };
                let change = ownership::Input::Change { id: ChangeId(step), change: unprotect };
                if random.below(3) == 0 && owner.handle_input(now, change).is_ok() {
                    open.push(ChangeId(step));
                }
            }
            owner.handle_timeout(now);
            let faulty = step < 300;
            loop {
                while let Some(output) = owner.poll_output() {
                    match output {
                        ownership::Output::Storage(request) => out.push(request),
                        ownership::Output::Event(
                            ownership::Event::Durable { ids } | ownership::Event::Dropped { ids },
                        ) => {
                            for id in ids {
                                let index = open.iter().position(|other| *other == id);
                                open.remove(index.unwrap_or_else(|| panic!("seed {seed}: {id:?} twice")));
                            }
                        }
                        ownership::Output::Event(_) => {}
                    }
                }
                if out.is_empty() || (faulty && random.below(3) == 0) {
                    break;
                }
                let request = out.remove(0);
                let fails = faulty && random.below(20) == 0;
                disk.fail_write = fails.then(|| (request.file().clone(), StorageFault::Io, false));
                if let Some(done) = disk.serve(now, request) {
                    owner.handle_input(now, ownership::Input::Storage(done)).unwrap();
                }
            }
        }
        assert_eq!(open, [], "seed {seed}");
        assert!(owner.may_act(at(20 * 399)), "seed {seed}: owned again once the faults have stopped");
    }
}
