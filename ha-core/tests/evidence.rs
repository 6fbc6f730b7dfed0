//! Verdicts explain themselves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use core::time::Duration;

use ha_core::{BootId, DatastoreId, Evidence, HostId, HostState, Instant, StorageFault, Strength, Verdict};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn verdict(state: HostState, strength: Strength, evidence: Vec<Evidence>) -> Verdict {
    Verdict { host: HostId::new(2), state, strength, at: Instant::ORIGIN, suspected: None, evidence }
}

#[test]
fn why_is_one_sentence_with_every_reason() {
    let datastore = DatastoreId::new(1);
    let failed = verdict(
        HostState::Failed,
        Strength::Strong,
        vec![
            Evidence::HeartbeatSilent { age: ms(180) },
            Evidence::StreamBroken { age: ms(101) },
            Evidence::PingsUnanswered { pings: 3, age: ms(101) },
            Evidence::LockFree { datastore, age: ms(0) },
        ],
    );
    assert_eq!(
        failed.why(),
        "host-2 is failed by strong evidence: no heartbeat for 180 ms, control stream broken 101 ms ago, \
         3 pings unanswered since 101 ms ago, heartbeat lock on datastore-1 seen free 0 ms ago."
    );
    let down = verdict(HostState::AgentDown, Strength::Weak, vec![Evidence::PingAnswered { age: ms(7) }]);
    assert_eq!(down.why(), "host-2 is agent down by weak evidence: ping answered 7 ms ago.");
    assert_eq!(
        verdict(HostState::Unknown, Strength::Weak, vec![]).why(),
        "host-2 is unknown by weak evidence."
    );
}

#[test]
fn every_reason_reads_differently_and_names_its_datastore() {
    let datastore = DatastoreId::new(4);
    let (age, fault, boot) = (ms(1), StorageFault::Stale, BootId::from_bytes([9; 16]));
    let of_a_datastore = [
        Evidence::DatastoreMoved { datastore, age },
        Evidence::DatastoreStill { datastore, age },
        Evidence::DatastoreUnreadable { datastore, fault },
        Evidence::DatastoreUnproven { datastore },
        Evidence::LockFree { datastore, age },
        Evidence::LockHeld { datastore },
    ];
    let others = [
        Evidence::HeartbeatHeard { age },
        Evidence::HeartbeatSilent { age },
        Evidence::StreamBroken { age },
        Evidence::PingAnswered { age },
        Evidence::PingsUnanswered { pings: 3, age },
        Evidence::SaysIsolated,
        Evidence::NewBoot { boot },
        Evidence::CleanShutdown,
        Evidence::Confirmed,
    ];
    let texts: Vec<String> = of_a_datastore.iter().chain(&others).map(ToString::to_string).collect();
    let mut distinct = texts.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), texts.len(), "{texts:?}");
    for text in &texts[..of_a_datastore.len()] {
        assert!(text.contains("datastore-4"), "{text}");
    }
    let unreadable = &texts[2];
    assert!(unreadable.contains(&fault.to_string()), "{unreadable}");
    assert!(texts.iter().any(|text| text.contains(&boot.to_string())));
}

#[test]
fn states_and_strengths_read_as_plain_words() {
    let states = [
        (HostState::Running, "running"),
        (HostState::Isolated, "isolated"),
        (HostState::Partitioned, "partitioned"),
        (HostState::Failed, "failed"),
        (HostState::AgentDown, "agent down"),
        (HostState::Unknown, "unknown"),
    ];
    for (state, text) in states {
        assert_eq!(state.to_string(), text);
    }
    assert!(Strength::Weak < Strength::Strong);
}
