//! Each bound of the plan, one millisecond before, at, and after it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod common;

use common::*;
use ha_core::{Capability, Evidence, HostState, Profile, Strength};
use ha_heartbeat::{Event, Input, SuspicionReason};

#[test]
fn suspicion_by_silence_begins_at_its_time() {
    for (profile, bound) in [(Profile::Swift, 300), (Profile::Vsphere, 3_000)] {
        let mut world = World::with_dead_host(profile, &[(DS1, F1)]);
        world.run_until(bound - 1);
        assert_eq!(world.codes(), [""; 0], "{profile}");
        world.run_until(bound);
        let suspected = Event::Suspected { host: HOST, at: at(bound), reason: SuspicionReason::Silence };
        assert_eq!(world.events, [(bound, suspected)], "{profile}");
        assert_eq!(world.state(), HostState::Running, "suspicion changes no verdict");
        assert_eq!(world.monitor.suspected(HOST), Some(at(bound)));
    }
}

#[test]
fn without_datastores_a_silent_host_fails_when_the_ping_window_ends() {
    for (profile, bound) in [(Profile::Swift, 800), (Profile::Vsphere, 15_000)] {
        let mut world = World::with_dead_host(profile, &[]);
        world.run_until(bound - 1);
        assert_eq!(world.state(), HostState::Running, "{profile}");
        world.run_until(bound);
        assert_eq!(world.failed(), Some(Strength::Weak), "{profile}");
        assert_eq!(world.judged(), [(bound, HostState::Failed)]);
    }
}

#[test]
fn with_datastores_a_silent_host_fails_at_the_plans_time() {
    for (profile, bound) in [(Profile::Swift, 950), (Profile::Vsphere, 18_000)] {
        let mut world = World::with_dead_host(profile, &[(DS1, F1), (DS2, F1)]);
        world.run_until(bound - 1);
        assert_eq!(world.state(), HostState::Running, "{profile}");
        world.run_until(bound);
        assert_eq!(world.failed(), Some(Strength::Weak), "{profile}");
        let (pings, still, poll) =
            if profile == Profile::Swift { (450, 600, 50) } else { (8_000, 14_000, 1_000) };
        assert_eq!(
            world.last_verdict().evidence,
            [
                Evidence::HeartbeatSilent { age: ms(bound) },
                Evidence::PingsUnanswered { pings: 3, age: ms(pings) },
                Evidence::DatastoreStill { datastore: DS1, age: ms(still + poll) },
                Evidence::DatastoreStill { datastore: DS2, age: ms(still) },
            ]
        );
    }
}

#[test]
fn strong_evidence_by_silence_declares_when_its_ping_round_has_ended() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F3)]);
    world.run_until(299);
    assert_eq!(world.state(), HostState::Running);
    world.run_until(300);
    assert_eq!(world.failed(), Some(Strength::Strong));
    assert_eq!(world.pinged, [(200, 100), (230, 70), (260, 40)], "when, and for how long");
    assert_eq!(world.looked, [(300, DS1)]);
    assert_eq!(
        world.last_verdict().why(),
        "host-2 is failed by strong evidence: no heartbeat for 300 ms, 3 pings unanswered since 100 ms ago, \
         heartbeat lock on datastore-1 seen free 0 ms ago."
    );
}

#[test]
fn strong_evidence_by_a_broken_stream_declares_100_ms_after_the_break() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, Capability::SAME_KERNEL)]);
    world.run_until(79);
    world.give(Input::StreamBroken { host: HOST });
    assert_eq!(world.codes(), ["host.suspected"]);
    world.run_until(178);
    assert_eq!(world.state(), HostState::Running);
    world.run_until(179);
    assert_eq!(world.pinged, [(79, 100), (109, 70), (139, 40)]);
    assert_eq!(
        world.last_verdict().why(),
        "host-2 is failed by strong evidence: no heartbeat for 179 ms, control stream broken 100 ms ago, \
         3 pings unanswered since 100 ms ago, heartbeat lock on datastore-1 seen free 0 ms ago."
    );
    assert_eq!(world.last_verdict().suspected, Some(at(79)));
}

#[test]
fn a_refused_ping_is_unanswered_and_ends_nothing_early() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F3)]);
    world.pings = Pings::Refused;
    world.run_until(299);
    assert_eq!(world.state(), HostState::Running);
    world.run_until(300);
    assert_eq!(world.failed(), Some(Strength::Strong));

    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F3)]);
    world.pings = Pings::Refused;
    world.give(Input::StreamBroken { host: HOST });
    world.run_until(99);
    assert_eq!(world.state(), HostState::Running);
    world.run_until(100);
    assert_eq!(world.failed(), Some(Strength::Strong));
}

#[test]
fn a_stream_that_breaks_during_a_round_neither_delays_nor_hurries_it() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F3)]);
    world.run_until(250);
    world.give(Input::StreamBroken { host: HOST });
    world.run_until(299);
    assert_eq!(world.state(), HostState::Running);
    world.run_until(300);
    assert_eq!(world.failed(), Some(Strength::Strong));
    assert_eq!(world.pinged.len(), 3);
}

#[test]
fn no_ping_and_no_look_is_spent_on_strong_evidence_where_it_proves_nothing() {
    let unsafe_look = Capability { looking_is_safe: false, ..F3 };
    for capability in [F1, unsafe_look] {
        let mut world = World::with_dead_host(Profile::Swift, &[(DS1, capability)]);
        world.give(Input::StreamBroken { host: HOST });
        world.run_until(499);
        assert_eq!((world.pinged.len(), world.looked.len()), (0, 0));
        world.run_until(2_000);
        assert_eq!(world.looked, []);
        assert_eq!(world.failed(), Some(Strength::Weak));
    }
}

#[test]
fn the_ping_window_holds_three_pings_spread_over_it() {
    let mut world = World::with_dead_host(Profile::Vsphere, &[(DS1, F3)]);
    world.run_until(20_000);
    assert_eq!(
        world.pinged,
        [(10_000, 5_000), (11_666, 3_333), (13_333, 1_666), (20_000, 5_000)],
        "and again every ten seconds"
    );
}

#[test]
fn a_heartbeat_moves_every_bound() {
    let mut world = World::with_dead_host(Profile::Swift, &[]);
    world.run_until(199);
    world.beat();
    world.run_until(998);
    assert_eq!(world.state(), HostState::Running);
    world.run_until(999);
    assert_eq!(world.failed(), Some(Strength::Weak));
}

#[test]
fn silence_counts_from_what_the_caller_heard_before() {
    let mut world = World::new(Profile::Swift, F1);
    world.now = at(500);
    world.give(Input::Watch { host: HOST, datastores: vec![], heard: Some(at(250)) });
    assert_eq!(world.state(), HostState::Running);
    world.run_until(1_049);
    assert_eq!(world.judged(), []);
    world.run_until(1_050);
    assert_eq!(world.judged(), [(1_050, HostState::Failed)]);

    let mut world = World::new(Profile::Swift, F1);
    world.give(Input::Watch { host: HOST, datastores: vec![], heard: Some(at(5_000)) });
    world.run_until(800);
    assert_eq!(world.failed(), Some(Strength::Weak), "nobody was heard in the future");
}

#[test]
fn a_host_silent_for_longer_than_any_bound_is_still_pinged_before_it_is_judged() {
    let mut world = World::new(Profile::Swift, F1);
    world.now = at(60_000);
    world.give(Input::Watch { host: HOST, datastores: vec![], heard: Some(at(0)) });
    world.run_until(60_299);
    assert_eq!(world.judged(), []);
    world.run_until(60_300);
    assert_eq!(world.judged(), [(60_300, HostState::Failed)]);
    assert_eq!(world.monitor.stats().widened.get(), 0, "a deadline in the past is not lateness");
}
