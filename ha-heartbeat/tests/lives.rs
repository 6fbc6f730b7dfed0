//! Boots, incarnations, notices and confirmations.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod common;

use common::*;
use ha_core::Machine;
use ha_core::{BootId, Evidence, HostState, Incarnation, Profile, Strength};
use ha_heartbeat::{Event, Input, Rejected};

const BOOT2: BootId = BootId::from_bytes([2; 16]);

fn heard(boot: BootId, incarnation: u64) -> Input {
    Input::Heard { host: HOST, boot, incarnation: Incarnation::new(incarnation) }
}

fn new_boot(at_ms: u64, incarnation: u64) -> Event {
    let incarnation = Incarnation::new(incarnation);
    Event::NewBoot { host: HOST, ended: BOOT, boot: BOOT2, incarnation, at: at(at_ms) }
}

#[test]
fn a_new_boot_is_told_once_whoever_brings_the_news() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F1)]);
    world.run_until(100);
    world.give(heard(BOOT2, 8));
    world.give(heard(BOOT2, 8));
    assert_eq!(world.events, [(100, new_boot(100, 8))]);

    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F1)]);
    world.disk(DS1).life = (BOOT2, Incarnation::new(8));
    world.run_until(600);
    let told: Vec<_> =
        world.events.iter().filter(|(_, event)| matches!(event, Event::NewBoot { .. })).collect();
    assert_eq!(told, [&(300, new_boot(300, 8))]);
    assert_eq!(world.monitor.life(HOST), Some((BOOT2, Incarnation::new(8))));
}

#[test]
fn a_new_incarnation_of_the_same_boot_proves_no_stop() {
    let mut world = World::with_dead_host(Profile::Swift, &[]);
    world.give(heard(BOOT, 8));
    assert_eq!(world.codes(), [""; 0]);
    assert_eq!(world.monitor.life(HOST), Some((BOOT, Incarnation::new(8))));
}

#[test]
fn heartbeats_of_an_older_life_are_no_life() {
    // LIFE is 7: an older incarnation, and the same one under another boot, are contradictions.
    for (boot, incarnation) in [(BOOT, 6), (BOOT2, 6), (BOOT2, 7)] {
        let mut world = World::with_dead_host(Profile::Swift, &[]);
        world.run_until(500);
        world.give(heard(boot, incarnation));
        world.run_until(800);
        assert_eq!(world.failed(), Some(Strength::Weak), "{boot} {incarnation}");
        assert_eq!(world.monitor.stats().old_lives.get(), 1);
        assert_eq!(world.monitor.life(HOST), Some((BOOT, LIFE)));
        assert_eq!(world.codes(), ["host.suspected", "host.judged"]);
    }
}

#[test]
fn a_file_that_names_an_older_life_is_no_news() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F1)]);
    world.disk(DS1).life = (BOOT2, Incarnation::new(6));
    world.run_until(950);
    assert_eq!(world.failed(), Some(Strength::Weak));
    assert_eq!(world.codes(), ["host.suspected", "host.judged"]);
}

#[test]
fn a_clean_shutdown_is_proof_at_once() {
    let mut world = World::with_dead_host(Profile::Vsphere, &[(DS1, F1)]);
    world.run_until(400);
    world.give(Input::CleanShutdown { host: HOST });
    assert_eq!(
        world.last_verdict().evidence,
        [Evidence::HeartbeatSilent { age: ms(400) }, Evidence::CleanShutdown]
    );
    assert_eq!(world.failed(), Some(Strength::Strong));
    world.run_until(100_000);
    assert_eq!(world.codes(), ["host.judged"], "nobody suspects the dead");
    assert_eq!(world.pinged, []);
    world.give(heard(BOOT2, 8));
    assert_eq!(world.state(), HostState::Running);
}

#[test]
fn a_confirmation_must_name_the_last_known_life() {
    let confirm = |boot, incarnation| Input::Confirmed { host: HOST, boot, incarnation };
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F1)]);
    world.pings = Pings::Answered;
    world.run_until(2_000);
    assert_eq!(world.state(), HostState::AgentDown);
    for (boot, incarnation) in [(BOOT2, LIFE), (BOOT, LIFE.next()), (BOOT, Incarnation::new(6))] {
        let refused = world.monitor.handle_input(world.now, confirm(boot, incarnation));
        assert_eq!(refused, Err(Rejected::OtherLife { host: HOST, known: Some((BOOT, LIFE)) }));
        assert_eq!(world.state(), HostState::AgentDown);
    }
    world.give(confirm(BOOT, LIFE));
    assert_eq!(world.failed(), Some(Strength::Strong));
    assert!(world.last_verdict().evidence.contains(&Evidence::Confirmed));

    let mut world = World::new(Profile::Swift, F1);
    world.give(Input::Watch { host: HOST, datastores: vec![], heard: None });
    let refused = world.monitor.handle_input(world.now, confirm(BOOT, LIFE));
    assert_eq!(refused, Err(Rejected::OtherLife { host: HOST, known: None }));
}

#[test]
fn a_confirmation_lapses_when_a_later_life_is_seen_on_disk() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F1)]);
    world.run_until(400);
    world.give(Input::Confirmed { host: HOST, boot: BOOT, incarnation: LIFE });
    assert_eq!(world.failed(), Some(Strength::Strong));
    world.run_until(500);
    world.disk(DS1).life = (BOOT2, LIFE.next());
    world.run_until(550);
    assert_eq!(world.state(), HostState::Unknown);
    assert_eq!(
        world.last_verdict().evidence,
        [Evidence::HeartbeatSilent { age: ms(0) }, Evidence::NewBoot { boot: BOOT2 }]
    );
    assert!(
        world.events.contains(&(550, new_boot(550, 8))) || world.events.contains(&(500, new_boot(500, 8)))
    );
    // The later life is judged from the start.
    world.disk(DS1).writes_until = None;
    world.run_until(1_299);
    assert_eq!(world.state(), HostState::Unknown);
    world.run_until(1_350);
    assert_eq!(world.state(), HostState::Partitioned);
}

#[test]
fn the_bound_of_the_locks_counts_from_the_later_life() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F1)]);
    world.run_until(400);
    world.give(Input::Confirmed { host: HOST, boot: BOOT, incarnation: LIFE });
    world.disk(DS1).life = (BOOT2, LIFE.next());
    world.run_until(450);
    assert_eq!(world.state(), HostState::Unknown);
    world.disk(DS1).hangs = true;
    world.run_until(1_399);
    assert!(!world.codes().contains(&"host.operator-decides"), "450 + 950 ms");
    world.run_until(1_400);
    assert_eq!(world.codes().last(), Some(&"host.operator-decides"));
}

#[test]
fn callers_mistakes_change_nothing() {
    let mut world = World::new(Profile::Swift, F1);
    let stranger = [
        Input::Unwatch { host: HOST },
        heard(BOOT, 1),
        Input::StreamOpened { host: HOST },
        Input::StreamBroken { host: HOST },
        Input::CleanShutdown { host: HOST },
        Input::Confirmed { host: HOST, boot: BOOT, incarnation: LIFE },
    ];
    for input in stranger {
        let text = format!("{input:?}");
        assert_eq!(
            world.monitor.handle_input(at(0), input),
            Err(Rejected::NotWatched { host: HOST }),
            "{text}"
        );
    }
    let f0 = ha_core::Capability { rating: ha_core::Rating::F0, ..F1 };
    let unshared = Input::Watch { host: HOST, datastores: vec![(DS2, F1), (DS1, f0)], heard: None };
    let refused = world.monitor.handle_input(at(0), unshared);
    assert_eq!(refused, Err(Rejected::LocksNotShared { datastore: DS1 }));
    assert_eq!(world.monitor.state(HOST), None);
    let many = vec![(DS1, F1); 257];
    let refused =
        world.monitor.handle_input(at(0), Input::Watch { host: HOST, datastores: many, heard: None });
    assert_eq!(refused, Err(Rejected::TooManyDatastores { given: 257, limit: 256 }));
    for number in 0..4_096 {
        let host = ha_core::HostId::new(number);
        world.give(Input::Watch { host, datastores: vec![], heard: None });
    }
    let host = ha_core::HostId::new(5_000);
    let refused = world.monitor.handle_input(at(0), Input::Watch { host, datastores: vec![], heard: None });
    assert_eq!(refused, Err(Rejected::TooManyHosts { limit: 4_096 }));
    world.give(Input::Watch { host: HOST, datastores: vec![(DS1, F1)], heard: None });
}

#[test]
fn unwatching_ends_the_watch_of_the_files() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F1)]);
    world.run_until(400);
    world.give(Input::Unwatch { host: HOST });
    assert_eq!(world.monitor.state(HOST), None);
    world.run_until(5_000); // A read that still came would be refused.
    assert_eq!(world.monitor.poll_timeout(), None);
}
