//! Every order of events, with every crash point, around the lock record of one virtual machine on storage that
//! fences: it never runs twice, no epoch runs twice, and the record always says how it goes on.
//!
//! The search runs the machines of the library themselves. A state is reached by playing its steps again, because
//! tokens cannot be copied; a state that was seen is not left again.
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "tests have std")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "vm_lock_model/world.rs"]
mod world;

use std::collections::BTreeSet;

use common::{at, host, identity, machine, ms};
use ha_core::record::PairState;
use ha_core::{HolderId, VmEpoch};
use ha_datastore::format::VmLockState;
use ha_datastore::vm_lock::{
    Change, ChangeEnded, Ended, Incoming, IncomingConfig, MoveEnded, RecordChange, RecordChangeConfig,
    RefusedMove, Relocation, RelocationConfig, StartExpectation, VmLock, VmLockConfig,
};
use world::{EPOCH, End, Job, NEW, NOT_AFTER, OLD, Step, WITHIN, World, vm_at};

/// When a job may begin, and its beginning.
type Begin = (fn(&World) -> bool, fn(&mut World));

/// What is searched: a first state, further jobs that may begin, and what must hold everywhere.
struct Scenario {
    first: fn() -> World,
    /// Each may begin once, when it is allowed.
    begins: &'static [Begin],
    holds: fn(&World),
    faults: u32,
    lates: u32,
}

impl Scenario {
    fn play(&self, path: &[Step]) -> World {
        let mut world = (self.first)();
        for step in path {
            self.step(&mut world, *step);
        }
        world
    }

    fn step(&self, world: &mut World, step: Step) {
        if let Step::Begin(number) = step {
            world.begun.insert(number);
            (self.begins[number].1)(world);
        } else {
            world.apply(step);
        }
    }

    /// Visits every state; answers the worlds in which nothing can happen any more.
    fn search(&self) -> Vec<World> {
        let (mut seen, mut ends) = (BTreeSet::new(), Vec::new());
        let mut paths = vec![Vec::new()];
        while let Some(path) = paths.pop() {
            let world = self.play(&path);
            if !seen.insert(world.digest()) {
                continue;
            }
            (self.holds)(&world);
            let allowed = |number: &usize| !world.begun.contains(number) && (self.begins[*number].0)(&world);
            let begins = (0..self.begins.len()).filter(allowed).map(Step::Begin);
            let steps: Vec<Step> = world.steps(self.faults, self.lates).into_iter().chain(begins).collect();
            if steps.is_empty() {
                ends.push(world);
                continue;
            }
            paths.extend(steps.into_iter().map(|step| [path.as_slice(), &[step]].concat()));
        }
        assert!(seen.len() > 10_000, "{} states are too few: the search is broken", seen.len());
        ends
    }
}

fn start(world: &mut World, number: u32, expect: StartExpectation) {
    start_at(world, number, OLD, expect);
}

fn start_at(world: &mut World, number: u32, home: ha_core::DatastoreId, expect: StartExpectation) {
    let lane = u32::try_from(world.actors.len()).unwrap();
    let config = VmLockConfig {
        identity: identity(number, 1),
        machine: machine(number, lane),
        holder: HolderId(1),
        vm: vm_at(home),
        expect,
        not_after: at(NOT_AFTER),
    };
    world.add(host(number), Job::Start(VmLock::new(config, at(0))));
}

fn change(world: &mut World, change: Change) {
    let lane = u32::try_from(world.actors.len()).unwrap();
    let config = RecordChangeConfig {
        identity: identity(1, 1),
        machine: machine(1, lane),
        holder: HolderId(1),
        vm: vm_at(OLD),
        epoch: EPOCH,
        change,
        not_after: at(NOT_AFTER),
    };
    world.add(host(1), Job::Change(RecordChange::new(config, at(0))));
}

fn hand_over(world: &mut World) {
    change(world, Change::HandOver { target: host(2), within: WITHIN });
}

fn incoming(world: &mut World) {
    let lane = u32::try_from(world.actors.len()).unwrap();
    let config = IncomingConfig {
        identity: identity(2, 1),
        machine: machine(2, lane),
        first_holder: HolderId(1),
        vm: vm_at(OLD),
        from: EPOCH,
        fences: true,
        look_again: ms(100),
        not_after: at(NOT_AFTER),
    };
    world.add(host(2), Job::Incoming(Incoming::new(config, at(0))));
}

fn relocate(world: &mut World, number: u32) {
    let lane = u32::try_from(world.actors.len()).unwrap();
    let config = RelocationConfig {
        identity: identity(number, 1),
        machine: machine(number, lane),
        old_holder: HolderId(1),
        new_holder: HolderId(2),
        from: vm_at(OLD),
        to: vm_at(NEW),
        epoch: EPOCH,
        not_after: at(NOT_AFTER),
    };
    world.add(host(number), Job::Move(Relocation::new(config, at(0))));
}

/// The record can be relied upon, so whoever wins the lock knows how it goes on.
fn readable(world: &World) {
    let _readable = world.state();
}

fn ended(world: &World, wanted: fn(&End) -> bool) -> bool {
    world.actors.iter().filter_map(|actor| actor.end.as_ref()).any(wanted)
}

fn migrating() -> World {
    let mut world = World::running();
    hand_over(&mut world);
    incoming(&mut world);
    world
}

#[test]
fn a_live_migration_with_a_third_host_at_any_moment() {
    let scenario = Scenario {
        first: migrating,
        begins: &[
            (
                |world| world.lapsed().is_some(),
                |world| {
                    let lapsed = world.lapsed().unwrap();
                    start(world, 3, StartExpectation::AfterHandOver(lapsed));
                },
            ),
            (|_| true, |world| start(world, 3, StartExpectation::Exactly(EPOCH))),
        ],
        holds: readable,
        faults: 1,
        lates: 1,
    };
    let ends = scenario.search();
    let resumed = |end: &End| matches!(end, End::Start(Ended::Started { .. }));
    assert!(ends.iter().any(|world| ended(world, resumed)), "somebody ran it again");
}

#[test]
fn a_live_migration_that_its_source_takes_back() {
    let scenario = Scenario {
        first: migrating,
        begins: &[
            (
                |world| world.is_up(host(1)) && world.actors[0].end.is_some(),
                |world| {
                    change(world, Change::TakeBack);
                },
            ),
            (
                |world| world.lapsed().is_some(),
                |world| {
                    let lapsed = world.lapsed().unwrap();
                    start(world, 3, StartExpectation::AfterHandOver(lapsed));
                },
            ),
        ],
        holds: readable,
        faults: 1,
        lates: 1,
    };
    let ends = scenario.search();
    let back = |world: &World| {
        world.actors.iter().skip(2).any(|actor| actor.end == Some(End::Change(ChangeEnded::Changed)))
    };
    assert!(ends.iter().any(back), "it was taken back somewhere");
}

#[test]
fn without_faults_the_target_runs_it_and_nobody_else() {
    let mut world = migrating();
    let carry = |world: &mut World| {
        while world.steps(0, 0).contains(&Step::Carry(0)) {
            world.apply(Step::Carry(0));
        }
    };
    carry(&mut world);
    assert_eq!(world.state(), VmLockState::HandingOver { target: host(2), within: WITHIN });
    assert_eq!(world.running.get(&host(1)), Some(&(OLD, EPOCH)), "still at its source");
    // A restart that was ordered for the instance at the source, and the lock found held by the target.
    world.apply(Step::VmEnds(host(1)));
    start(&mut world, 3, StartExpectation::Exactly(EPOCH));
    carry(&mut world);
    assert!(world.running.is_empty(), "the good copy is not thrown away");
    world.apply(Step::Again(1));
    carry(&mut world);
    assert_eq!(world.running.get(&host(2)), Some(&(OLD, EPOCH.next())));
}

/// The search finds it if a driver only looks whether the machine holds its lock, instead of sharing it.
#[test]
#[should_panic(expected = "epoch-18 after Some(VmEpoch(18))")]
fn a_hand_over_that_is_written_without_the_lock_runs_an_epoch_twice() {
    let scenario = Scenario {
        first: || {
            let mut world = migrating();
            world.unshared = true;
            world
        },
        begins: &[(|_| true, |world| start(world, 3, StartExpectation::Exactly(EPOCH)))],
        holds: readable,
        faults: 0,
        lates: 0,
    };
    scenario.search();
}

#[test]
fn a_clean_stop_against_restarts() {
    let scenario = Scenario {
        first: World::running,
        begins: &[
            (
                |world| world.running.is_empty() && world.is_up(host(1)),
                |world| change(world, Change::CleanOff),
            ),
            (|_| true, |world| start(world, 3, StartExpectation::Exactly(EPOCH))),
            (|_| true, |world| start(world, 2, StartExpectation::PowerOn { fences: true })),
        ],
        holds: readable,
        faults: 1,
        lates: 1,
    };
    let ends = scenario.search();
    assert!(ends.iter().any(|world| world.state() == VmLockState::CleanlyOff));
}

/// Whether the record at a home allows a start by whoever wins its lock.
fn startable(state: &PairState<ha_datastore::format::VmLockRecord>) -> bool {
    match state {
        PairState::Valid { record } | PairState::Degraded { record, .. } => {
            !matches!(record.content.state, VmLockState::Moved { .. })
        }
        PairState::NeverWritten | PairState::Inconsistent { .. } | PairState::Corrupt { .. } => false,
    }
}

#[test]
fn a_storage_migration_and_a_second_try_against_starts_at_both_homes() {
    let scenario = Scenario {
        first: || {
            let mut world = World::at_rest(VmLockState::Free);
            relocate(&mut world, 1);
            world
        },
        begins: &[
            (|world| world.actors[0].end.is_some(), |world| relocate(world, 2)),
            (|_| true, |world| start(world, 3, StartExpectation::Exactly(EPOCH))),
            (|_| true, |world| start_at(world, 3, NEW, StartExpectation::PowerOn { fences: true })),
        ],
        holds: |world| {
            readable(world);
            assert!(!(startable(&world.record(OLD)) && startable(&world.record(NEW))), "startable at both");
        },
        faults: 1,
        lates: 0,
    };
    let ends = scenario.search();
    for mut world in ends {
        // Whatever happened: tried again without faults, it has one home and is startable there.
        relocate(&mut world, 4);
        while world.steps(0, 0).contains(&Step::Carry(0)) {
            world.apply(Step::Carry(0));
        }
        let end = world.actors.last().unwrap().end;
        let moved = matches!(end, Some(End::Move(MoveEnded::Moved { .. } | MoveEnded::AlreadyMoved)));
        let went_on = matches!(end, Some(End::Move(MoveEnded::Refused(RefusedMove::EpochMismatch { .. }))));
        assert!(moved || went_on, "{end:?}");
        let homes = [startable(&world.record(OLD)), startable(&world.record(NEW))];
        assert_eq!(homes, [went_on, moved]);
    }
}

#[test]
fn the_new_home_starts_above_every_epoch_of_the_old_one() {
    for (before, after) in
        [(VmLockState::Free, VmLockState::Free), (VmLockState::CleanlyOff, VmLockState::CleanlyOff)]
    {
        let mut world = World::at_rest(before);
        relocate(&mut world, 1);
        while world.steps(0, 0).contains(&Step::Carry(0)) {
            world.apply(Step::Carry(0));
        }
        let epoch = VmEpoch::new(EPOCH.number() + 1);
        assert_eq!(world.actors[0].end, Some(End::Move(MoveEnded::Moved { epoch })));
        let PairState::Valid { record } = world.record(NEW) else { panic!("{:?}", world.record(NEW)) };
        assert_eq!((record.content.epoch, record.content.state), (epoch, after));
        for slot in [0, 4_096] {
            let mut one = world.files[&OLD].clone();
            one[slot + 90] ^= 1;
            let state = ha_datastore::format::VmLockRecord::read(&one, common::CLUSTER);
            assert!(!startable(&state), "moved is in the other slot too");
        }
    }
}
