//! Strong evidence: when it holds, when it does not, and how looking goes on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod common;

use common::*;
use ha_core::evidence::ContentState;
use ha_core::operation::{LookOutcome, PingOutcome};
use ha_core::{Evidence, HostState, Machine, Profile, Strength};
use ha_heartbeat::Input;

fn dead(lock: LookOutcomeKind) -> World {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F3)]);
    world.disk(DS1).lock = lock;
    world
}

#[test]
fn a_lock_held_is_looked_at_again_each_time_after_a_fresh_ping_round() {
    let mut world = dead(LookOutcomeKind::Held);
    world.run_until(950);
    let times = |world: &World| world.looked.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!(times(&world), [300, 500, 700, 900]);
    let strong_rounds: Vec<u64> =
        world.pinged.iter().filter(|ping| ping.1 == 100).map(|ping| ping.0).collect();
    assert_eq!(strong_rounds, [200, 400, 600, 700, 800], "700 is the last of the ping window's");
    assert_eq!(world.failed(), Some(Strength::Weak), "time goes on by itself");
    // After ten seconds of looking, every second.
    world.run_until(14_000);
    let late: Vec<u64> = times(&world).into_iter().filter(|at| *at > 10_000).collect();
    assert_eq!(late, [10_100, 10_300, 11_300, 12_300, 13_300]);
    // The lock comes free: the verdict by time becomes one by proof.
    world.disk(DS1).lock = LookOutcomeKind::Free;
    world.run_until(14_299);
    assert_eq!(world.failed(), Some(Strength::Weak));
    world.run_until(14_300);
    assert_eq!(world.failed(), Some(Strength::Strong));
    world.run_until(100_000);
    assert_eq!(times(&world).last(), Some(&14_300), "a proof needs no more looks");
    assert!(world.monitor.poll_timeout().is_none(), "and waits for nothing");
}

#[test]
fn every_lock_that_can_prove_something_must_be_free() {
    for lock in [LookOutcomeKind::Held, LookOutcomeKind::Fault, LookOutcomeKind::Never] {
        let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F3), (DS2, F3)]);
        world.disk(DS2).lock = lock;
        world.run_until(949);
        assert_eq!(world.state(), HostState::Running, "{lock:?}");
        assert!(world.looked.contains(&(300, DS1)) && world.looked.contains(&(300, DS2)));
    }
}

#[test]
fn a_look_that_hangs_is_not_repeated_and_an_old_answer_proves_nothing() {
    let mut world = dead(LookOutcomeKind::Never);
    world.run_until(920);
    assert_eq!(world.looked, [(300, DS1)], "one outstanding look per file");
    let (_, token) = world.kept_looks.pop().unwrap();
    world.disk(DS1).lock = LookOutcomeKind::Held;
    world.give(Input::Looked(token.complete(LookOutcome::Free { started: at(310) })));
    assert_eq!(world.state(), HostState::Running, "the look began before the last ping round ended");
    world.run_until(1_100);
    assert_eq!(world.looked, [(300, DS1), (1_100, DS1)]);
}

#[test]
fn a_look_that_began_before_its_ping_round_ended_proves_nothing() {
    for (started, expected) in [(299, None), (300, Some(Strength::Strong)), (305, Some(Strength::Strong))] {
        let mut world = dead(LookOutcomeKind::Never);
        world.run_until(310);
        let (_, token) = world.kept_looks.pop().unwrap();
        world.give(Input::Looked(token.complete(LookOutcome::Free { started: at(started) })));
        assert_eq!(world.failed(), expected, "{started}");
    }
}

#[test]
fn a_file_that_changed_after_the_look_began_is_no_dead_hosts() {
    let mut world = dead(LookOutcomeKind::Never);
    world.disk(DS1).writes_until = None;
    world.run_until(410);
    let (_, token) = world.kept_looks.pop().unwrap();
    world.give(Input::Looked(token.complete(LookOutcome::Free { started: at(350) })));
    assert_eq!(world.state(), HostState::Running, "it was seen to change at 400");
}

#[test]
fn an_answered_ping_stops_the_look_and_asks_again_later() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F3)]);
    world.pings = Pings::Answered;
    world.run_until(500);
    assert_eq!(world.pinged, [(200, 100), (500, 300)], "one answer ends the round");
    // The machine dies a little later; only its agent had died before.
    world.pings = Pings::Unanswered;
    world.run_until(1_300);
    assert_eq!(world.looked, []);
    world.run_until(1_301);
    assert_eq!(world.looked, [(1_301, DS1)], "the answer came at 201, the next round runs from 1201");
    assert_eq!(world.failed(), Some(Strength::Strong));
}

#[test]
fn one_answer_outweighs_the_other_pings_of_its_round() {
    let mut world = dead(LookOutcomeKind::Free);
    world.pings = Pings::Lost;
    world.run_until(260);
    assert_eq!(world.kept_pings.len(), 3);
    let last = world.kept_pings.pop().unwrap();
    for token in core::mem::take(&mut world.kept_pings) {
        world.give(Input::Pinged(token.complete(PingOutcome::Unanswered)));
    }
    world.run_until(299);
    world.give(Input::Pinged(last.complete(PingOutcome::Answered)));
    world.run_until(400);
    assert_eq!(world.looked, []);
}

#[test]
fn a_round_waits_for_the_completion_of_every_ping() {
    let mut world = dead(LookOutcomeKind::Free);
    world.pings = Pings::Lost;
    world.run_until(340);
    assert_eq!(world.looked, [], "an embedder that says nothing has proved nothing");
    for token in core::mem::take(&mut world.kept_pings) {
        world.give(Input::Pinged(token.complete(PingOutcome::Unanswered)));
    }
    world.run_until(340);
    assert_eq!(world.looked, [(340, DS1)]);
    assert_eq!(world.failed(), Some(Strength::Strong));
}

#[test]
fn an_answer_to_the_ping_window_withdraws_what_the_earlier_round_showed() {
    let mut world = dead(LookOutcomeKind::Never);
    let (_, held) = {
        world.run_until(300);
        world.kept_looks.pop().unwrap()
    };
    world.give(Input::Looked(held.complete(LookOutcome::Held)));
    world.run_until(499);
    world.pings = Pings::Answered;
    world.run_until(502);
    assert_eq!(world.looked, [(300, DS1), (500, DS1)]);
    let (_, token) = world.kept_looks.pop().unwrap();
    world.give(Input::Looked(token.complete(LookOutcome::Free { started: at(502) })));
    assert_eq!(world.state(), HostState::Running);
}

#[test]
fn an_answer_to_a_later_round_withdraws_what_the_ping_window_showed() {
    let mut world = dead(LookOutcomeKind::Held);
    world.run_until(810);
    world.pings = Pings::Answered;
    world.run_until(830);
    assert_eq!(world.judged(), []);
    world.run_until(950);
    assert_eq!(world.judged(), [(831, HostState::AgentDown)]);
}

#[test]
fn pings_that_went_unanswered_long_ago_prove_nothing() {
    for (completed, expected) in [(600, Some(Strength::Strong)), (601, None)] {
        let mut world = dead(LookOutcomeKind::Never);
        world.run_until(300);
        world.pings = Pings::Lost;
        world.run_until(completed);
        let (_, token) = world.kept_looks.pop().unwrap();
        world.give(Input::Looked(token.complete(LookOutcome::Free { started: at(305) })));
        assert_eq!(world.failed(), expected, "{completed}");
    }
}

#[test]
fn each_suspicion_looks_fast_at_first_and_knows_nothing_of_earlier_looks() {
    let mut world = dead(LookOutcomeKind::Held);
    world.run_until(15_000);
    world.beat();
    world.looked.clear();
    world.run_until(15_750);
    assert_eq!(world.looked, [(15_300, DS1), (15_500, DS1), (15_700, DS1)]);
    world.beat();
    world.disk(DS1).lock = LookOutcomeKind::Never;
    world.run_until(17_000);
    assert_eq!(world.failed(), Some(Strength::Weak));
    assert!(!world.last_verdict().evidence.contains(&Evidence::LockHeld { datastore: DS1 }));
}

#[test]
fn a_proven_end_outlives_answers_but_not_a_file_that_moves_on() {
    let mut world = dead(LookOutcomeKind::Free);
    world.run_until(300);
    assert_eq!(world.failed(), Some(Strength::Strong));
    world.pings = Pings::Answered;
    world.disk(DS1).state = ContentState::Unattributable;
    world.run_until(400);
    assert_eq!(world.failed(), Some(Strength::Strong));
    // One change at 400 may be an older write that the first read after the verdict found.
    world.disk(DS1).writes_until = Some(at(410));
    world.run_until(450);
    assert_eq!(world.failed(), Some(Strength::Strong));
    world.disk(DS1).writes_until = None;
    world.run_until(650);
    assert_eq!(world.judged(), [(300, HostState::Failed), (600, HostState::Partitioned)]);
    world.run_until(2_000);
    assert_eq!(world.state(), HostState::Partitioned);
}

#[test]
fn a_second_break_asks_at_once_again() {
    let mut world = dead(LookOutcomeKind::Held);
    world.run_until(310);
    world.disk(DS1).lock = LookOutcomeKind::Free;
    world.give(Input::StreamBroken { host: HOST });
    world.run_until(409);
    assert_eq!(world.state(), HostState::Running);
    world.run_until(410);
    assert_eq!(world.failed(), Some(Strength::Strong));
    assert!(world.last_verdict().evidence.contains(&Evidence::StreamBroken { age: ms(100) }));
}

#[test]
fn datastores_that_prove_nothing_do_not_block_those_that_do() {
    // The plan is made for storage that fences; one datastore of the host is weaker.
    let mut world = World::new(Profile::Swift, F3);
    for datastore in [DS1, DS2] {
        world.disks.insert(datastore, Disk::written_until(at(0)));
    }
    world.give(Input::Watch { host: HOST, datastores: vec![(DS1, F3), (DS2, F1)], heard: None });
    world.run_until(300);
    assert_eq!(world.looked, [(300, DS1)]);
    assert_eq!(world.failed(), Some(Strength::Strong));
}
