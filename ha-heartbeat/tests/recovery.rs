//! Hosts that come back, answers that come late, and a judge that was itself stopped.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod common;

use common::*;
use ha_core::operation::{LookOutcome, Ping, PingOutcome};
use ha_core::{
    DatastoreId, HostId, HostState, Incarnation, Machine, MachineId, Profile, Strength, Token, TokenMint,
};
use ha_heartbeat::{Config, Event, HostMonitor, Input, Output, Rejected};

fn dead() -> World {
    World::with_dead_host(Profile::Swift, &[(DS1, F3)])
}

#[test]
fn a_heartbeat_at_any_moment_ends_suspicion_and_every_question() {
    for heard_at in [201, 299, 300, 450, 800, 950, 5_000] {
        let mut world = dead();
        world.disk(DS1).lock = LookOutcomeKind::Held;
        world.run_until(heard_at);
        world.beat();
        assert_eq!(world.state(), HostState::Running, "{heard_at}");
        assert_eq!(world.monitor.suspected(HOST), None);
        let (pinged, looked) = (world.pinged.len(), world.looked.len());
        world.run_until(heard_at + 199);
        assert_eq!(
            (world.pinged.len(), world.looked.len()),
            (pinged, looked),
            "{heard_at}: nothing is asked"
        );
        assert_eq!(world.state(), HostState::Running, "{heard_at}");
        world.disk(DS1).lock = LookOutcomeKind::Free;
        world.run_until(heard_at + 299);
        assert_eq!(world.state(), HostState::Running, "{heard_at}");
        world.run_until(heard_at + 300);
        assert_eq!(world.failed(), Some(Strength::Strong), "{heard_at}: and the next silence counts anew");
    }
}

#[test]
fn a_heartbeat_takes_even_a_proven_end_back() {
    let mut world = dead();
    world.run_until(300);
    assert_eq!(world.failed(), Some(Strength::Strong));
    world.run_until(700);
    world.beat();
    assert_eq!(world.judged(), [(300, HostState::Failed), (700, HostState::Running)]);
    assert_eq!(world.last_verdict().why(), "host-2 is running by weak evidence: heartbeat heard 0 ms ago.");
}

#[test]
fn a_heartbeat_after_the_break_of_a_stream_clears_it() {
    let mut world = dead();
    world.run_until(50);
    world.give(Input::StreamBroken { host: HOST });
    world.run_until(120);
    world.beat();
    world.run_until(319);
    assert_eq!(world.state(), HostState::Running);
    assert_eq!(world.pinged, [(50, 100), (80, 70), (110, 40)], "the round was dropped");
    // The break stays a reason until the stream is opened again.
    world.run_until(420);
    assert!(world.last_verdict().why().contains("control stream broken 370 ms ago"));
    world.beat();
    world.give(Input::StreamOpened { host: HOST });
    world.run_until(720);
    assert_eq!(world.failed(), Some(Strength::Strong));
    assert!(!world.last_verdict().why().contains("stream"));
}

#[test]
fn late_completions_of_superseded_requests_are_accepted_once_and_change_nothing() {
    let mut world = dead();
    world.pings = Pings::Lost;
    world.disk(DS1).lock = LookOutcomeKind::Never;
    world.run_until(260);
    let pings = core::mem::take(&mut world.kept_pings);
    assert_eq!(pings.len(), 3);
    world.beat();
    let before = world.last_verdict();
    for (token, outcome) in pings.into_iter().zip([PingOutcome::Answered, PingOutcome::Unanswered].repeat(2))
    {
        world.give(Input::Pinged(token.complete(outcome)));
    }
    assert_eq!(world.last_verdict(), before);
    assert_eq!(world.monitor.stats().superseded.get(), 3);
    assert_eq!(world.codes(), [""; 0]);
}

#[test]
fn completions_after_unwatch_are_accepted_and_those_of_others_refused() {
    let mut world = dead();
    world.pings = Pings::Lost;
    world.run_until(230);
    world.give(Input::Unwatch { host: HOST });
    let token = world.kept_pings.pop().unwrap();
    world.give(Input::Pinged(token.complete(PingOutcome::Answered)));
    assert_eq!(world.monitor.stats().superseded.get(), 1);
    assert_eq!(world.monitor.poll_timeout(), None);

    // A token of the same number from another machine, and one that was answered already.
    let other = MachineId { lane: 4, ..machine() };
    for (maker, count) in [(other, 1), (machine(), 2)] {
        let mut mint = TokenMint::new(maker);
        let mut token: Token<Ping> = mint.issue().0;
        for _ in 1..count {
            token = mint.issue().0;
        }
        let refused =
            world.monitor.handle_input(world.now, Input::Pinged(token.complete(PingOutcome::Answered)));
        assert_eq!(refused, Err(Rejected::UnknownRequest), "{maker:?}");
    }
    let made_up = TokenMint::new(machine()).issue().0;
    let look = Input::Looked(made_up.complete(LookOutcome::Held));
    assert_eq!(world.monitor.handle_input(world.now, look), Err(Rejected::UnknownRequest));
}

#[test]
fn a_host_watched_anew_does_not_take_over_requests_of_its_earlier_watch() {
    let mut world = dead();
    world.disk(DS1).lock = LookOutcomeKind::Never;
    world.run_until(300);
    let (_, token) = world.kept_looks.pop().unwrap();
    world.give(Input::Unwatch { host: HOST });
    world.give(Input::Watch { host: HOST, datastores: vec![(DS1, F3)], heard: None });
    world.run_until(599);
    world.give(Input::Looked(token.complete(LookOutcome::Free { started: at(301) })));
    world.run_until(600);
    assert_eq!(world.state(), HostState::Unknown);
    assert_eq!(world.looked, [(300, DS1), (600, DS1)]);
}

/// Three hosts that beat together, and a monitor that is stopped between `stop` and `resume`.
fn stopped(
    profile: Profile,
    stop: u64,
    resume: u64,
    datastores: &[(DatastoreId, ha_core::Capability)],
) -> World {
    let mut world = World::with_dead_host(profile, datastores);
    world.run_until(stop);
    world.now = at(resume);
    world
}

#[test]
fn a_judge_resumed_after_ten_seconds_declares_nobody_before_it_has_heard_what_waits() {
    for datastores in [&[] as &[_], &[(DS1, F1)], &[(DS1, F3)]] {
        for stop in [50, 199, 229, 299, 310, 499, 650, 799, 940] {
            let mut world = stopped(Profile::Swift, stop, stop + 10_000, datastores);
            if world.failed().is_some() {
                continue; // Declared before the stop.
            }
            world.pings = Pings::Unanswered;
            world.monitor.handle_timeout(world.now);
            world.carry_out();
            assert_eq!(world.judged(), [], "{datastores:?} stopped at {stop}");
            world.run_until(stop + 10_050);
            world.beat();
            assert_eq!(world.judged(), [], "{datastores:?} stopped at {stop}");
            assert_eq!(world.monitor.suspected(HOST), None);
            assert_eq!(world.monitor.stats().widened.get(), 1);
        }
    }
}

#[test]
fn a_resumed_judge_still_declares_the_dead_after_asking_again() {
    let mut world = stopped(Profile::Swift, 799, 10_799, &[]);
    world.run_until(11_098);
    assert_eq!(world.judged(), []);
    world.run_until(11_100);
    assert_eq!(world.judged(), [(11_099, HostState::Failed)], "one whole new ping window");
    let mut world = stopped(Profile::Vsphere, 17_500, 60_000, &[(DS1, F1)]);
    world.run_until(64_999);
    assert_eq!(world.judged(), []);
    world.run_until(66_000);
    assert_eq!(world.failed(), Some(Strength::Weak));
}

#[test]
fn a_stopped_judge_moves_the_bound_of_the_locks_and_of_each_datastore_as_well() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F1)]);
    world.pings = Pings::Answered;
    world.run_until(1_000);
    world.now = at(11_000);
    // The deadline that was missed was 1050, so 9950 ms do not count.
    world.run_until(11_199);
    assert_eq!(world.codes(), ["host.suspected", "host.judged"], "1250 is over only if the stop counts");
    world.run_until(11_200);
    assert_eq!(world.codes().last(), Some(&"host.operator-decides"));

    let mut world = World::with_dead_host(Profile::Swift, &[]);
    world.pings = Pings::Answered;
    world.run_until(1_200);
    world.now = at(11_200);
    world.monitor.handle_timeout(world.now);
    world.carry_out();
    assert_eq!(world.codes(), ["host.suspected", "host.judged"], "not before it was pinged again");
    world.run_until(11_201);
    assert_eq!(world.codes().last(), Some(&"host.operator-decides"));

    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F1)]);
    world.run_until(900);
    world.disks.insert(DS2, Disk::written_until(at(0)));
    world.give(Input::Watch { host: HOST, datastores: vec![(DS1, F1), (DS2, F1)], heard: None });
    world.run_until(940);
    world.now = at(10_940);
    world.run_until(11_489);
    assert_eq!(world.judged(), [], "the new datastore was read for 50 ms only before the missed deadline");
    world.run_until(11_540);
    assert_eq!(world.failed(), Some(Strength::Weak));
}

#[test]
fn a_stopped_judge_asks_at_once_again_after_a_broken_stream() {
    let mut world = dead();
    world.run_until(10);
    world.give(Input::StreamBroken { host: HOST });
    world.run_until(60);
    world.now = at(5_060);
    world.run_until(5_159);
    assert_eq!(world.state(), HostState::Running);
    world.run_until(5_160);
    assert_eq!(world.failed(), Some(Strength::Strong));
}

#[test]
fn lateness_counts_from_one_heartbeat_period_on() {
    for (late, widened) in [(50, 0), (100, 0), (101, 1)] {
        let mut world = stopped(Profile::Swift, 299, 300 + late, &[(DS1, F1)]);
        world.monitor.handle_timeout(world.now);
        let stats = *world.monitor.stats();
        assert_eq!((stats.widened.get(), stats.late_max), (widened, ms(late)), "{late}");
        world.carry_out();
        assert_eq!(world.codes(), ["host.suspected"]);
        // The verdict comes at 950 ms of silence, later by the judge's own lateness if that counted.
        world.run_until(949 + late * widened);
        assert_eq!(world.judged(), [], "{late}");
        world.run_until(1_100 + late * widened);
        assert_eq!(world.judged().len(), 1, "{late}");
    }
}

#[test]
fn a_late_ping_makes_its_round_longer() {
    let mut world = stopped(Profile::Swift, 229, 270, &[(DS1, F3)]);
    world.run_until(339);
    assert_eq!(world.pinged, [(200, 100), (270, 70), (300, 40)]);
    assert_eq!(world.state(), HostState::Running);
    world.run_until(340);
    assert_eq!(world.failed(), Some(Strength::Strong));
}

#[test]
fn an_input_after_the_stop_widens_before_it_is_taken_in() {
    let other = HostId::new(3);
    let mut monitor = HostMonitor::new(Config { machine: machine(), plan: plan(Profile::Swift, F1) }, at(0));
    for host in [HOST, other] {
        monitor.handle_input(at(0), Input::Watch { host, datastores: vec![], heard: Some(at(0)) }).unwrap();
    }
    let heard = Input::Heard { host: HOST, boot: BOOT, incarnation: Incarnation::new(1) };
    monitor.handle_input(at(30_000), heard).unwrap();
    monitor.handle_timeout(at(30_001));
    while let Some(output) = monitor.poll_output() {
        assert!(!matches!(output, Output::Event(Event::Judged(_))), "{output:?}");
    }
    assert_eq!(monitor.state(other), Some(HostState::Running));
    assert_eq!(monitor.suspected(HOST), None);
}
