//! The decision table: what each combination of evidence adds up to (fdm-facts 6.1, architecture 6).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod common;

use common::*;
use ha_core::evidence::ContentState;
use ha_core::{Capability, DatastoreId, Evidence, HostState, Profile, StorageFault, Strength};
use ha_heartbeat::{Event, Input};

/// How the heartbeat file on one datastore looks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum File {
    Moves,
    SaysIsolated,
    Still,
    StillTorn,
    StillButIsolated,
    NeverWritten,
    Unreadable,
    Regressed,
}

fn world(files: &[File], pings: Pings) -> World {
    let ids: Vec<(DatastoreId, Capability)> =
        (1..).zip(files).map(|(number, _)| (DatastoreId::new(number), F1)).collect();
    let mut world = World::with_dead_host(Profile::Swift, &ids);
    world.pings = pings;
    for ((id, _), file) in ids.iter().zip(files) {
        let disk = world.disk(*id);
        match file {
            File::Moves => disk.writes_until = None,
            File::SaysIsolated => (disk.writes_until, disk.isolated) = (None, Some(true)),
            File::Still => {}
            File::StillTorn => disk.state = ContentState::Unattributable,
            File::StillButIsolated => disk.isolated = Some(true),
            File::NeverWritten => disk.state = ContentState::NeverWritten,
            File::Unreadable => disk.state = ContentState::Unreadable(StorageFault::Stale),
            File::Regressed => disk.state = ContentState::Regressed,
        }
    }
    world
}

#[test]
fn the_decision_table() {
    use File::*;
    use Pings::{Answered, Unanswered};
    let table: &[(&[File], Pings, HostState)] = &[
        // A file that moves is life, whatever else is seen.
        (&[Moves], Unanswered, HostState::Partitioned),
        (&[Moves], Answered, HostState::Partitioned),
        (&[SaysIsolated], Unanswered, HostState::Isolated),
        (&[SaysIsolated], Answered, HostState::Isolated),
        (&[Still, Moves], Unanswered, HostState::Partitioned),
        (&[Unreadable, SaysIsolated], Unanswered, HostState::Isolated),
        // A flag in a file that stands still may be an old one.
        (&[StillButIsolated, Moves], Unanswered, HostState::Partitioned),
        // Dead only if all stand still and one of them proves it.
        (&[Still], Unanswered, HostState::Failed),
        (&[Still, Still], Unanswered, HostState::Failed),
        (&[StillTorn], Unanswered, HostState::Failed),
        (&[StillButIsolated], Unanswered, HostState::Failed),
        (&[Still, NeverWritten], Unanswered, HostState::Failed),
        (&[NeverWritten], Unanswered, HostState::Unknown),
        (&[Still, Unreadable], Unanswered, HostState::Unknown),
        (&[Unreadable], Unanswered, HostState::Unknown),
        (&[Still, Regressed], Unanswered, HostState::Unknown),
        // A host that answers pings without any heartbeat has lost its agent.
        (&[Still], Answered, HostState::AgentDown),
        (&[Unreadable], Answered, HostState::AgentDown),
        (&[], Answered, HostState::AgentDown),
        (&[], Unanswered, HostState::Failed),
    ];
    for (files, pings, expected) in table {
        let mut world = world(files, *pings);
        world.run_until(1_099);
        world.run_until(2_000);
        assert_eq!(world.state(), *expected, "{files:?}, {pings:?}: {}", world.last_verdict().why());
        assert_eq!(world.judged().len(), 1, "{files:?}, {pings:?}: {:?}", world.judged());
    }
}

#[test]
fn life_and_a_lost_agent_are_judged_when_the_ping_window_ends() {
    for (files, pings) in [(File::Moves, Pings::Unanswered), (File::Still, Pings::Answered)] {
        let mut world = world(&[files], pings);
        world.run_until(799);
        assert_eq!(world.judged(), [], "{files:?}");
        world.run_until(800);
        assert_eq!(world.judged().len(), 1, "{files:?}");
    }
}

#[test]
fn unknown_is_said_one_poll_and_its_timeout_after_the_evidence_was_due() {
    let mut world = world(&[File::Unreadable], Pings::Unanswered);
    // Suspicion at 300, standing still takes 600, one poll 50, its timeout 100.
    world.run_until(1_049);
    assert_eq!(world.judged(), []);
    world.run_until(1_050);
    assert_eq!(world.judged(), [(1_050, HostState::Unknown)]);
    assert_eq!(
        world.last_verdict().evidence,
        [
            Evidence::HeartbeatSilent { age: ms(1_050) },
            Evidence::PingsUnanswered { pings: 3, age: ms(550) },
            Evidence::DatastoreUnreadable { datastore: DS1, fault: StorageFault::Stale },
        ]
    );
}

#[test]
fn an_agent_killed_on_a_host_that_answers_pings_leaves_it_to_the_locks() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F3)]);
    world.pings = Pings::Answered;
    world.run_until(1_249);
    assert_eq!(world.state(), HostState::AgentDown);
    assert_eq!(world.looked, [], "an answered ping spares the look");
    assert_eq!(world.codes(), ["host.suspected", "host.judged"]);
    world.run_until(1_250);
    assert_eq!(world.codes(), ["host.suspected", "host.judged", "host.lock-decides"], "300 + 950 ms");
    world.run_until(60_000);
    assert_eq!(world.codes().len(), 3, "once per suspicion");
}

#[test]
fn below_f3_the_operator_is_asked_and_mixed_storage_asks_both() {
    type Row<'a> = (&'a [(DatastoreId, Capability)], &'a [&'a str]);
    let mixed: &[Row<'_>] = &[
        (&[(DS1, F1)], &["host.operator-decides"]),
        (&[(DS1, F3)], &["host.lock-decides"]),
        (&[(DS1, F1), (DS2, F3)], &["host.lock-decides", "host.operator-decides"]),
    ];
    for (datastores, expected) in mixed {
        let mut world = World::with_dead_host(Profile::Swift, datastores);
        world.pings = Pings::Answered;
        world.run_until(5_000);
        assert_eq!(&world.codes()[2..], *expected);
    }
}

#[test]
fn a_partitioned_host_that_dies_fails_once_its_file_has_stood_still() {
    let mut world = world(&[File::Moves], Pings::Unanswered);
    world.run_until(5_050);
    assert_eq!(world.judged(), [(800, HostState::Partitioned)]);
    // Its last write is seen by the read at 5000; 600 ms later it stands still.
    world.disk(DS1).writes_until = Some(at(5_050));
    world.run_until(5_599);
    assert_eq!(world.state(), HostState::Partitioned);
    world.run_until(5_600);
    assert_eq!(world.judged(), [(800, HostState::Partitioned), (5_600, HostState::Failed)]);
    assert_eq!(world.failed(), Some(Strength::Weak));
}

#[test]
fn verdicts_by_time_follow_the_evidence_both_ways() {
    let mut world = world(&[File::Still], Pings::Unanswered);
    world.run_until(2_000);
    assert_eq!(world.failed(), Some(Strength::Weak));
    // Blindness takes no `Failed` back.
    world.disk(DS1).state = ContentState::Unreadable(StorageFault::Unknown);
    world.run_until(20_000);
    assert_eq!(world.failed(), Some(Strength::Weak));
    world.pings = Pings::Answered;
    world.run_until(22_000);
    assert_eq!(world.state(), HostState::AgentDown);
    world.disk(DS1).state = ContentState::Valid;
    world.disk(DS1).writes_until = None;
    world.run_until(23_000);
    assert_eq!(world.state(), HostState::Partitioned);
    world.disk(DS1).isolated = Some(true);
    world.run_until(23_050);
    assert_eq!(world.state(), HostState::Isolated);
}

#[test]
fn a_proof_of_stillness_that_has_grown_old_proves_nothing() {
    let mut world = world(&[File::Still], Pings::Answered);
    world.run_until(2_000);
    assert_eq!(world.state(), HostState::AgentDown);
    // Reads hang: no more evidence comes. Then the host stops answering pings.
    world.disk(DS1).hangs = true;
    world.pings = Pings::Unanswered;
    world.run_until(5_000);
    assert_eq!(world.state(), HostState::Unknown);
}

#[test]
fn a_datastore_added_late_must_prove_its_own_stillness() {
    let mut world = world(&[File::Still], Pings::Unanswered);
    world.run_until(900);
    world.disks.insert(DS2, Disk::written_until(at(0)));
    world.give(Input::Watch { host: HOST, datastores: vec![(DS1, F1), (DS2, F1)], heard: None });
    world.run_until(1_499);
    assert_eq!(world.judged(), []);
    world.run_until(1_500);
    assert_eq!(world.judged(), [(1_500, HostState::Failed)]);
}

#[test]
fn a_host_never_heard_is_unknown_without_reasons_until_it_is_judged() {
    let mut world = World::new(Profile::Swift, F1);
    world.give(Input::Watch { host: HOST, datastores: vec![], heard: None });
    assert_eq!(world.state(), HostState::Unknown);
    assert_eq!(world.last_verdict().evidence, []);
    world.run_until(800);
    assert_eq!(world.judged(), [(800, HostState::Failed)]);
}

#[test]
fn pings_that_never_come_back_hold_up_nothing_for_ever() {
    let mut world = world(&[File::Still], Pings::Lost);
    world.run_until(1_799);
    assert_eq!(world.judged(), []);
    // The round ended at 800; the embedder had one dead-ping interval to complete its pings.
    world.run_until(1_800);
    assert_eq!(world.judged(), [(1_800, HostState::Unknown)]);
    assert_eq!(world.codes().last(), Some(&"host.operator-decides"));
    world.run_until(600_000);
    assert_eq!(world.pinged.len(), 12, "and no more are sent than are bounded");
    assert!(world.monitor.stats().rounds_withheld.get() > 100);
    // The embedder recovers.
    world.pings = Pings::Unanswered;
    for token in core::mem::take(&mut world.kept_pings) {
        world.give(Input::Pinged(token.complete(ha_core::operation::PingOutcome::Unanswered)));
    }
    world.run_until(603_000);
    assert_eq!(world.failed(), Some(Strength::Weak));
}

#[test]
fn a_change_from_before_suspicion_is_no_life_after_it() {
    let mut world = world(&[File::Still], Pings::Unanswered);
    world.disk(DS1).hangs = true;
    // Another watch of the same files read on all the time; the last write was seen at 250.
    for now in [700, 800, 850, 900, 950] {
        world.run_until(now);
        world.give(Input::Datastore(ha_core::DatastoreEvidence {
            host: HOST,
            datastore: DS1,
            boot: None,
            incarnation: None,
            first_look: Some(at(0)),
            last_change: Some(at(250)),
            last_good_round: Some(at(now)),
            state: ContentState::Valid,
            isolated: None,
        }));
    }
    assert_eq!(world.judged(), [(950, HostState::Failed)]);
}

#[test]
fn stillness_counts_from_the_first_read_that_worked() {
    let mut world = world(&[File::Unreadable], Pings::Unanswered);
    world.run_until(620);
    world.disk(DS1).state = ContentState::Valid;
    world.run_until(1_249);
    assert_eq!(world.judged(), [(1_050, HostState::Unknown)]);
    world.run_until(1_250);
    assert_eq!(world.judged(), [(1_050, HostState::Unknown), (1_250, HostState::Failed)]);
}

#[test]
fn the_first_unknown_with_reasons_is_news_even_for_a_host_never_heard() {
    let mut world = World::new(Profile::Swift, F1);
    world.disks.insert(DS1, Disk { state: ContentState::NeverWritten, ..Disk::written_until(at(0)) });
    world.give(Input::Watch { host: HOST, datastores: vec![(DS1, F1)], heard: None });
    world.run_until(10_000);
    assert_eq!(world.judged(), [(1_050, HostState::Unknown)]);
    let unproven = Evidence::DatastoreUnproven { datastore: DS1 };
    assert!(world.last_verdict().evidence.contains(&unproven));
}

#[test]
fn watching_the_same_datastores_again_changes_nothing() {
    let mut world = world(&[File::Still], Pings::Unanswered);
    world.run_until(900);
    world.give(Input::Watch { host: HOST, datastores: vec![(DS1, F1)], heard: Some(at(900)) });
    world.run_until(950);
    assert_eq!(world.failed(), Some(Strength::Weak));
}

#[test]
fn evidence_of_a_datastore_that_is_not_the_hosts_is_counted_only() {
    let mut world = world(&[File::Moves], Pings::Unanswered);
    world.run_until(700);
    world.give(Input::Watch { host: HOST, datastores: vec![], heard: None });
    world.give(Input::Datastore(ha_core::DatastoreEvidence {
        host: HOST,
        datastore: DS1,
        boot: Some(BOOT),
        incarnation: Some(LIFE),
        first_look: Some(at(300)),
        last_change: Some(at(700)),
        last_good_round: Some(at(700)),
        state: ContentState::Valid,
        isolated: None,
    }));
    world.run_until(800);
    assert_eq!(world.failed(), Some(Strength::Weak), "by pings alone");
    assert_eq!(world.monitor.stats().foreign_evidence.get(), 1);
}

#[test]
fn each_event_has_a_code_of_its_own() {
    let mut world = World::with_dead_host(Profile::Swift, &[(DS1, F1), (DS2, F3)]);
    world.pings = Pings::Answered;
    world.run_until(2_000);
    world.give(Input::Heard {
        host: HOST,
        boot: ha_core::BootId::from_bytes([2; 16]),
        incarnation: LIFE.next(),
    });
    let mut codes = world.codes();
    assert!(world.events.iter().any(|(_, event)| matches!(event, Event::NewBoot { .. })));
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), 5, "{codes:?}");
}
