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
    RefusedMove, RefusedStart, Relocation, RelocationConfig, StartExpectation, VmLock, VmLockConfig,
};
use world::{Blow, EPOCH, End, Home, Job, Kind, NOT_AFTER, Step, Struck, WITHIN, World};

/// When a job may begin, and its beginning.
type Begin = (fn(&World) -> bool, fn(&mut World));

/// What is searched: a first state, further jobs that may begin, and what must hold everywhere.
struct Scenario {
    first: fn() -> World,
    /// Each may begin once, when it is allowed.
    begins: &'static [Begin],
    holds: fn(&World),
    /// How many faults and how many late jobs there may be at most; each pair is searched.
    budgets: &'static [(u32, u32)],
    /// Jobs of which everything that can go wrong with each of their requests is met.
    every_blow_to: &'static [(Kind, &'static [Request])],
}

/// What a job asks for, as far as it matters for what can go wrong with it.
#[derive(Clone, Copy, Debug)]
enum Request {
    /// The lock, won or shared.
    Lock,
    Write,
    Start,
}

/// Of a change: its lock, and the record.
const CHANGE: (Kind, &[Request]) = (Kind::Change, &[Request::Lock, Request::Write]);
/// Of the target of a live migration.
const INCOMING: (Kind, &[Request]) = (Kind::Incoming, &[Request::Lock, Request::Write, Request::Start]);
/// Of a move: both locks, *moved* twice, and the first record of the new home.
const MOVE: (Kind, &[Request]) =
    (Kind::Move, &[Request::Lock, Request::Lock, Request::Write, Request::Write, Request::Write]);

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
        let (mut struck, mut ends) = (BTreeSet::new(), Vec::new());
        let visited: usize =
            self.budgets.iter().map(|most| self.search_in(*most, &mut struck, &mut ends)).sum();
        assert!(visited > 10_000, "{visited} states are too few: the search is broken");
        let missed: Vec<Struck> = self.blows().into_iter().filter(|blow| !struck.contains(blow)).collect();
        assert!(missed.is_empty(), "never met: {missed:?}");
        ends
    }

    /// The number of states with at most so many faults and late jobs.
    fn search_in(&self, most: (u32, u32), struck: &mut BTreeSet<Struck>, ends: &mut Vec<World>) -> usize {
        let mut seen = BTreeSet::new();
        let mut paths = vec![Vec::new()];
        while let Some(path) = paths.pop() {
            let world = self.play(&path);
            if !seen.insert(world.digest()) {
                continue;
            }
            (self.holds)(&world);
            let allowed = |number: &usize| !world.begun.contains(number) && (self.begins[*number].0)(&world);
            let begins = (0..self.begins.len()).filter(allowed).map(Step::Begin);
            let steps: Vec<Step> = world.steps(most.0, most.1).into_iter().chain(begins).collect();
            if steps.is_empty() {
                ends.push(world);
                continue;
            }
            struck.extend(steps.iter().flat_map(|step| world.struck(*step)));
            paths.extend(steps.into_iter().map(|step| [path.as_slice(), &[step]].concat()));
        }
        seen.len()
    }

    /// Everything that can go wrong with the requests of the jobs named.
    fn blows(&self) -> Vec<Struck> {
        let mut all = Vec::new();
        for (kind, requests) in self.every_blow_to {
            for (number, request) in requests.iter().enumerate() {
                let (held, write): (&[Blow], &[Blow]) = match request {
                    Request::Lock => (&[], &[]),
                    Request::Write => (&Blow::HELD, &Blow::WRITE),
                    Request::Start => (&Blow::HELD, &[]),
                };
                all.extend([&Blow::ANY, held, write].concat().into_iter().map(|blow| (*kind, number, blow)));
            }
        }
        all
    }
}

fn start(world: &mut World, number: u32, expect: StartExpectation) {
    start_at(world, number, Home::Old, expect);
}

fn start_at(world: &mut World, number: u32, home: Home, expect: StartExpectation) {
    let lane = u32::try_from(world.actors.len()).unwrap();
    let config = VmLockConfig {
        identity: identity(number, 1),
        machine: machine(number, lane),
        holder: HolderId(1),
        vm: home.vm(),
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
        vm: Home::Old.vm(),
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
        vm: Home::Old.vm(),
        from: EPOCH,
        fences: true,
        look_again: ms(100),
        not_after: at(NOT_AFTER),
    };
    world.add(host(2), Job::Incoming(Incoming::new(config, at(0))));
}

fn relocate(world: &mut World, number: u32, to: Home) {
    let lane = u32::try_from(world.actors.len()).unwrap();
    let config = RelocationConfig {
        identity: identity(number, 1),
        machine: machine(number, lane),
        old_holder: HolderId(1),
        new_holder: HolderId(2),
        from: Home::Old.vm(),
        to: to.vm(),
        epoch: EPOCH,
        not_after: at(NOT_AFTER),
    };
    world.add(host(number), Job::Move(Relocation::new(config, at(0))));
}

/// The record can be relied upon, so whoever wins the lock knows how it goes on; and the right one runs it.
fn sound(world: &World) {
    let _readable = world.state();
    world.assert_right_one_runs();
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
        holds: sound,
        budgets: &[(1, 1)],
        every_blow_to: &[CHANGE, INCOMING],
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
        holds: sound,
        budgets: &[(1, 1)],
        every_blow_to: &[CHANGE, INCOMING],
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
    carry_all(&mut world);
    assert_eq!(world.state(), VmLockState::HandingOver { target: host(2), within: WITHIN });
    assert_eq!(world.running.get(&host(1)), Some(&(Home::Old, EPOCH)), "still at its source");
    // A restart that was ordered for the instance at the source, and the lock found held by the target.
    world.apply(Step::VmEnds(host(1)));
    start(&mut world, 3, StartExpectation::Exactly(EPOCH));
    carry_all(&mut world);
    assert!(world.running.is_empty(), "the good copy is not thrown away");
    world.apply(Step::Again(1));
    carry_all(&mut world);
    assert_eq!(world.running.get(&host(2)), Some(&(Home::Old, EPOCH.next())));
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
        holds: |_| {},
        budgets: &[(0, 0)],
        every_blow_to: &[],
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
            (
                |_| true,
                |world| start(world, 2, StartExpectation::PowerOn { fences: true, at_least: VmEpoch::ZERO }),
            ),
        ],
        holds: sound,
        budgets: &[(1, 1)],
        every_blow_to: &[CHANGE],
    };
    let ends = scenario.search();
    assert!(ends.iter().any(|world| world.state() == VmLockState::CleanlyOff));
}

/// The machine runs on under the lock of a file that was unlinked, and a copy of its bytes lies at its path.
fn restored() -> World {
    let mut world = World::running();
    let bytes = world.files[&Home::Old].clone();
    world.remake(Home::Old, bytes);
    world
}

#[test]
fn a_lock_file_restored_while_it_runs_lets_nobody_in() {
    let scenario = Scenario {
        first: restored,
        begins: &[
            (|_| true, |world| start(world, 2, StartExpectation::Exactly(EPOCH))),
            (
                |_| true,
                |world| start(world, 3, StartExpectation::PowerOn { fences: true, at_least: VmEpoch::ZERO }),
            ),
            (|_| true, |world| relocate(world, 4, Home::New)),
        ],
        holds: |world| {
            assert!(world.running.keys().all(|it| *it == host(1)), "a second one runs");
        },
        budgets: &[(1, 1), (2, 0)],
        every_blow_to: &[],
    };
    for world in scenario.search() {
        let running = VmLockState::Running { host: host(1), incarnation: ha_core::Incarnation::new(1) };
        assert_eq!(world.state(), running, "nothing was written");
    }
}

#[test]
fn a_folder_copied_while_it_runs_is_not_started_by_a_person() {
    let mut world = World::running();
    let copy = world.files[&Home::Old].clone();
    world.files.insert(Home::Aside, copy);
    start_at(&mut world, 2, Home::Aside, StartExpectation::PowerOn { fences: true, at_least: VmEpoch::ZERO });
    carry_all(&mut world);
    let refused = End::Start(Ended::Refused(RefusedStart::OtherHome));
    assert_eq!(world.actors[0].end, Some(refused));
    assert_eq!(world.running.keys().copied().collect::<Vec<_>>(), [host(1)]);
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

/// The homes at which it can be started.
fn homes(world: &World) -> Vec<Home> {
    Home::ALL.into_iter().filter(|home| startable(&world.record(*home))).collect()
}

/// Everything that is asked is carried out, in order, and nothing else happens.
fn carry_all(world: &mut World) {
    while world.steps(0, 0).contains(&Step::Carry(0)) {
        world.apply(Step::Carry(0));
    }
}

#[test]
fn a_storage_migration_and_a_second_try_against_starts_at_both_homes() {
    let scenario = Scenario {
        first: || {
            let mut world = World::at_rest(VmLockState::Free);
            relocate(&mut world, 1, Home::New);
            world
        },
        begins: &[
            (|world| world.actors[0].end.is_some(), |world| relocate(world, 2, Home::New)),
            (|_| true, |world| start(world, 3, StartExpectation::Exactly(EPOCH))),
            (
                |_| true,
                |world| {
                    start_at(
                        world,
                        3,
                        Home::New,
                        StartExpectation::PowerOn { fences: true, at_least: VmEpoch::ZERO },
                    )
                },
            ),
        ],
        holds: |world| {
            sound(world);
            assert!(homes(world).len() <= 1, "startable at {:?}", homes(world));
        },
        budgets: &[(1, 0), (0, 1)],
        every_blow_to: &[MOVE],
    };
    let ends = scenario.search();
    for mut world in ends {
        // Whatever happened: tried again without faults, it has one home and is startable there.
        relocate(&mut world, 4, Home::New);
        carry_all(&mut world);
        let end = world.actors.last().unwrap().end;
        let moved = matches!(end, Some(End::Move(MoveEnded::Moved { .. } | MoveEnded::AlreadyMoved)));
        let went_on = matches!(end, Some(End::Move(MoveEnded::Refused(RefusedMove::EpochMismatch { .. }))));
        assert!(moved || went_on, "{end:?}");
        assert_eq!(homes(&world), [if moved { Home::New } else { Home::Old }]);
    }
}

#[test]
fn a_storage_migration_that_was_cut_short_goes_on_to_no_other_folder() {
    let scenario = Scenario {
        first: || {
            let mut world = World::at_rest(VmLockState::Free);
            relocate(&mut world, 1, Home::New);
            world
        },
        begins: &[
            (|world| world.actors[0].end.is_some(), |world| relocate(world, 2, Home::Aside)),
            (|world| world.actors[0].end.is_some(), |world| relocate(world, 3, Home::New)),
            (
                |_| true,
                |world| {
                    start_at(
                        world,
                        3,
                        Home::Aside,
                        StartExpectation::PowerOn { fences: true, at_least: VmEpoch::ZERO },
                    )
                },
            ),
        ],
        holds: |world| {
            sound(world);
            assert!(homes(world).len() <= 1, "startable at {:?}", homes(world));
        },
        budgets: &[(1, 0), (0, 1)],
        every_blow_to: &[MOVE],
    };
    for mut world in scenario.search() {
        // Whichever folder the first *moved* names: the move to that one can be ended, the other stays refused.
        let ends = [Home::New, Home::Aside].map(|to| {
            relocate(&mut world, 5, to);
            carry_all(&mut world);
            match world.actors.last().unwrap().end {
                Some(End::Move(MoveEnded::Moved { .. } | MoveEnded::AlreadyMoved)) => Some(to),
                Some(End::Move(MoveEnded::Refused(RefusedMove::MovedElsewhere { .. }))) => None,
                end => panic!("{end:?}"),
            }
        });
        assert_eq!(ends.into_iter().flatten().collect::<Vec<_>>(), homes(&world));
        assert_eq!(homes(&world).len(), 1);
    }
}

#[test]
fn the_new_home_starts_above_every_epoch_of_the_old_one() {
    for (before, after) in
        [(VmLockState::Free, VmLockState::Free), (VmLockState::CleanlyOff, VmLockState::CleanlyOff)]
    {
        let mut world = World::at_rest(before);
        relocate(&mut world, 1, Home::New);
        carry_all(&mut world);
        let epoch = VmEpoch::new(EPOCH.number() + 1);
        assert_eq!(world.actors[0].end, Some(End::Move(MoveEnded::Moved { epoch })));
        let PairState::Valid { record } = world.record(Home::New) else {
            panic!("{:?}", world.record(Home::New))
        };
        assert_eq!((record.content.epoch, record.content.state), (epoch, after));
        for slot in [0, 4_096] {
            let mut one = world.files[&Home::Old].clone();
            one[slot + 90] ^= 1;
            let state = ha_datastore::format::VmLockRecord::read(&one, common::CLUSTER);
            assert!(!startable(&state), "moved is in the other slot too");
        }
    }
}
