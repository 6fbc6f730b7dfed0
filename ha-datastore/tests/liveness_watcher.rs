//! Life is change, seen by one reader on its own clock.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use bytes::Bytes;
use common::{CLUSTER, GEOMETRY, HOME, TIMING, at, host, identity, machine, ms};
use ha_core::evidence::ContentState;
use ha_core::operation::ReadReply;
use ha_core::record::Generation;
use ha_core::{
    ClusterId, DatastoreEvidence, FileKind, Identity, Incarnation, Instant, Machine, StorageCompletion,
    StorageFault, StorageRequest,
};
use ha_datastore::LivenessWatcher;
use ha_datastore::format::{HeartbeatRecord, PoweronRecord};
use ha_datastore::liveness_watcher::{Input, LivenessWatcherConfig, Output, Rejected};

fn watcher() -> LivenessWatcher {
    let config = LivenessWatcherConfig {
        cluster: CLUSTER,
        machine: machine(1, 1),
        datastore: HOME,
        geometry: GEOMETRY,
        timing: TIMING,
    };
    LivenessWatcher::new(config, at(0))
}

fn beat(writer: Identity, generation: u64) -> Vec<u8> {
    let record = HeartbeatRecord {
        counter: generation,
        write_period: ms(200),
        io_timeout: ms(100),
        ttl: ms(2_000),
        watchdog: ms(0),
        written_at: at(0),
    };
    record.seal(&writer, Generation::new(generation)).into()
}

/// A heartbeat file with this generation and the one before it.
fn file(writer: Identity, generation: u64) -> Vec<u8> {
    let (older, newer) = (beat(writer, generation - 1), beat(writer, generation));
    if generation.is_multiple_of(2) { [newer, older].concat() } else { [older, newer].concat() }
}

/// The reads that the watcher asks for, its evidence put aside.
fn reads(watcher: &mut LivenessWatcher) -> (Vec<StorageRequest>, Vec<DatastoreEvidence>) {
    let (mut requests, mut evidence) = (Vec::new(), Vec::new());
    while let Some(output) = watcher.poll_output() {
        match output {
            Output::Storage(request) => requests.push(request),
            Output::Evidence(found) => evidence.push(found),
        }
    }
    (requests, evidence)
}

fn answer(request: StorageRequest, outcome: Result<&[u8], StorageFault>, started: Instant) -> Input {
    let StorageRequest::Read { token, .. } = request else { panic!("{request:?}") };
    let reply = outcome.map(|bytes| ReadReply { bytes: Bytes::copy_from_slice(bytes), started });
    Input::Storage(StorageCompletion::Read(token.complete(reply)))
}

/// Looks at `now` at a heartbeat file with this content; the poweron file is left unread for ever.
struct Watching(LivenessWatcher, Option<StorageRequest>);

impl Watching {
    fn begin(now: Instant) -> Self {
        let mut watcher = watcher();
        watcher.handle_input(now, Input::Watch { host: host(7) }).unwrap();
        let [heartbeat, _poweron] = reads(&mut watcher).0.try_into().unwrap();
        Self(watcher, Some(heartbeat))
    }

    fn proven(&mut self, at: Instant) {
        self.0.handle_input(at, Input::Proven { at }).unwrap();
    }

    /// The outcome of the read that is out, or of one that is due at `now`.
    fn look(&mut self, now: Instant, outcome: Result<&[u8], StorageFault>) -> DatastoreEvidence {
        let request = self.1.take().unwrap_or_else(|| {
            self.0.handle_timeout(now);
            reads(&mut self.0)
                .0
                .into_iter()
                .find(|read| read.file().kind == FileKind::Heartbeat(host(7)))
                .unwrap()
        });
        self.0.handle_input(now, answer(request, outcome, now)).unwrap();
        let [evidence] = reads(&mut self.0).1.try_into().unwrap();
        assert_eq!(self.0.evidence(host(7)), Some(evidence));
        evidence
    }
}

#[test]
fn change_is_seen_between_two_own_reads() {
    let mut watching = Watching::begin(at(0));
    assert_eq!(watching.0.evidence(host(7)), None, "nothing is known before the first look");
    let life = identity(7, 3);
    let first = watching.look(at(0), Ok(&file(life, 5)));
    assert_eq!((first.first_look, first.last_change), (Some(at(0)), None), "the first look shows no change");
    assert_eq!((first.state, first.boot), (ContentState::Valid, Some(life.boot)));
    assert_eq!(first.incarnation, Some(Incarnation::new(3)));
    assert_eq!(watching.look(at(50), Ok(&file(life, 5))).last_change, None);
    assert_eq!(watching.look(at(100), Ok(&file(life, 6))).last_change, Some(at(100)));
    let still = watching.look(at(150), Ok(&file(life, 6)));
    assert_eq!((still.first_look, still.last_change), (Some(at(0)), Some(at(100))));
}

#[test]
fn a_round_is_good_if_the_own_write_was_proven_near_it() {
    let content = file(identity(7, 3), 5);
    // Write period 200 ms and I/O timeout 100 ms: 300 ms apart on either side is near.
    for (proven, read, good) in [
        (1_000, 1_000, true),
        (1_000, 1_299, true),
        (1_000, 1_300, true),
        (1_000, 1_301, false),
        (1_300, 1_000, true),
        (1_301, 1_000, false),
    ] {
        let mut watching = Watching::begin(at(0));
        watching.proven(at(proven));
        let evidence = watching.look(at(read), Ok(&content));
        assert_eq!(evidence.last_good_round, good.then_some(at(read)), "{proven} {read}");
    }
    let mut unproven = Watching::begin(at(0));
    assert_eq!(unproven.look(at(0), Ok(&content)).last_good_round, None);
}

#[test]
fn an_older_proof_does_not_replace_a_newer_one() {
    let mut watching = Watching::begin(at(0));
    watching.proven(at(1_000));
    watching.0.handle_input(at(1_001), Input::Proven { at: at(500) }).unwrap();
    assert!(watching.look(at(1_200), Ok(&file(identity(7, 3), 5))).last_good_round.is_some());
}

#[test]
fn torn_bytes_that_stay_are_still_and_torn_bytes_that_differ_are_a_change() {
    let mut watching = Watching::begin(at(0));
    watching.proven(at(0));
    let torn = |byte| {
        let mut bytes = file(identity(7, 3), 5);
        bytes[100] = byte;
        bytes[4_196] = byte;
        bytes
    };
    let first = watching.look(at(0), Ok(&torn(1)));
    assert_eq!((first.state, first.boot), (ContentState::Unattributable, None));
    let still = watching.look(at(50), Ok(&torn(1)));
    assert_eq!((still.last_change, still.last_good_round), (None, Some(at(50))));
    assert_eq!(watching.look(at(100), Ok(&torn(2))).last_change, Some(at(100)));
}

#[test]
fn one_torn_slot_still_tells_the_writer() {
    let mut watching = Watching::begin(at(0));
    let mut torn = file(identity(7, 3), 6);
    torn[100] ^= 1;
    let evidence = watching.look(at(0), Ok(&torn));
    assert_eq!((evidence.state, evidence.incarnation), (ContentState::Valid, Some(Incarnation::new(3))));
}

#[test]
fn a_step_back_is_neither_life_nor_stillness() {
    let mut watching = Watching::begin(at(0));
    watching.proven(at(0));
    let life = identity(7, 3);
    let newest = file(life, 6);
    watching.look(at(0), Ok(&newest));
    let zeros = vec![0; 8_192];
    let back = [file(life, 5), file(identity(7, 2), 9), zeros];
    for (step, older) in back.iter().enumerate() {
        let evidence = watching.look(at(50 + 50 * step as u64), Ok(older));
        assert_eq!(evidence.state, ContentState::Regressed, "{step}");
        assert_eq!((evidence.last_change, evidence.last_good_round), (None, Some(at(0))), "{step}");
        assert_eq!(evidence.incarnation, Some(Incarnation::new(3)), "{step}");
    }
    let again = watching.look(at(200), Ok(&newest));
    assert_eq!((again.state, again.last_change), (ContentState::Valid, None), "back where it was: no change");
    assert_eq!(again.last_good_round, Some(at(200)));
}

#[test]
fn a_file_that_was_never_written_stands_still() {
    let mut watching = Watching::begin(at(0));
    watching.proven(at(0));
    let zeros = vec![0; 8_192];
    let evidence = watching.look(at(0), Ok(&zeros));
    assert_eq!((evidence.state, evidence.last_good_round), (ContentState::NeverWritten, Some(at(0))));
    assert_eq!(watching.look(at(50), Ok(&file(identity(7, 1), 1))).last_change, Some(at(50)));
}

#[test]
fn another_cluster_or_host_is_unattributable() {
    let foreign = Identity { cluster: ClusterId::from_bytes([9; 16]), ..identity(7, 3) };
    for writer in [foreign, identity(8, 3)] {
        let mut watching = Watching::begin(at(0));
        assert_eq!(watching.look(at(0), Ok(&file(writer, 5))).state, ContentState::Unattributable);
    }
}

#[test]
fn a_failed_read_keeps_what_was_seen() {
    let mut watching = Watching::begin(at(0));
    watching.proven(at(0));
    let life = identity(7, 3);
    watching.look(at(0), Ok(&file(life, 5)));
    let failed = watching.look(at(50), Err(StorageFault::Io));
    assert_eq!(failed.state, ContentState::Unreadable(StorageFault::Io));
    assert_eq!((failed.last_good_round, failed.last_change), (Some(at(0)), None));
    assert_eq!(watching.look(at(100), Ok(&file(life, 5))).last_change, None);
}

#[test]
fn a_read_that_hangs_is_not_repeated_and_holds_up_nobody_else() {
    let mut watcher = watcher();
    watcher.handle_input(at(0), Input::Watch { host: host(7) }).unwrap();
    let [hanging, _poweron] = reads(&mut watcher).0.try_into().unwrap();
    watcher.handle_input(at(10), Input::Watch { host: host(8) }).unwrap();
    let [other, _poweron_8] = reads(&mut watcher).0.try_into().unwrap();
    watcher.handle_input(at(11), answer(other, Ok(&file(identity(8, 1), 1)), at(10))).unwrap();
    reads(&mut watcher);
    assert_eq!(watcher.poll_timeout().unwrap().at, at(60), "host 8 alone");
    watcher.handle_timeout(at(60));
    let asked: Vec<_> = reads(&mut watcher).0.iter().map(|read| read.file().kind.clone()).collect();
    assert_eq!(asked, [FileKind::Heartbeat(host(8))]);
    watcher.handle_input(at(5_000), answer(hanging, Ok(&file(identity(7, 1), 1)), at(1))).unwrap();
    assert_eq!(watcher.evidence(host(7)).unwrap().first_look, Some(at(1)), "as old as its start");
}

#[test]
fn the_isolation_flag_counts_only_for_the_life_it_belongs_to() {
    let poweron = |incarnation, generation, isolated| {
        let record = PoweronRecord {
            inventory: 1,
            isolated,
            inventory_complete: true,
            vms: std::collections::BTreeMap::new(),
        };
        let generation = Generation::new(generation);
        let slot: Vec<u8> = record.seal(&identity(7, incarnation), generation, &GEOMETRY).unwrap().into();
        [slot, vec![0; GEOMETRY.poweron_area()]].concat()
    };
    let isolated_after = |outcome: Result<Vec<u8>, StorageFault>| {
        let mut watcher = watcher();
        watcher.handle_input(at(0), Input::Watch { host: host(7) }).unwrap();
        let [heartbeat, request] = reads(&mut watcher).0.try_into().unwrap();
        assert!(matches!(request, StorageRequest::Read { offset: 4_096, length: 8_192, .. }));
        let outcome = outcome.as_deref().map_err(|fault| *fault);
        watcher.handle_input(at(0), answer(request, outcome, at(0))).unwrap();
        assert_eq!(reads(&mut watcher).1, [], "no evidence before the heartbeat file was looked at");
        watcher.handle_input(at(1), answer(heartbeat, Ok(&file(identity(7, 3), 5)), at(0))).unwrap();
        watcher.evidence(host(7)).unwrap().isolated
    };
    assert_eq!(isolated_after(Ok(poweron(3, 0, true))), Some(true));
    assert_eq!(isolated_after(Ok(poweron(3, 0, false))), Some(false));
    assert_eq!(isolated_after(Ok(poweron(2, 0, true))), None, "an earlier life was isolated");
    assert_eq!(isolated_after(Ok(vec![0; 8_192])), None);
    assert_eq!(isolated_after(Err(StorageFault::Io)), None);
}

#[test]
fn polls_come_at_their_periods() {
    let mut watcher = watcher();
    watcher.handle_input(at(0), Input::Watch { host: host(7) }).unwrap();
    let mut heartbeats = 0;
    let mut powerons = 0;
    for now in 0..1_000 {
        watcher.handle_timeout(at(now));
        for request in reads(&mut watcher).0 {
            if matches!(request.file().kind, FileKind::Heartbeat(_)) {
                heartbeats += 1;
            } else {
                powerons += 1;
            }
            watcher.handle_input(at(now), answer(request, Err(StorageFault::Io), at(now))).unwrap();
        }
        reads(&mut watcher);
        assert!(watcher.poll_timeout().unwrap().at > at(now), "no hot loop");
    }
    assert_eq!((heartbeats, powerons), (20, 5));
}

#[test]
fn an_unwatched_host_is_forgotten_and_watched_afresh() {
    let mut watcher = watcher();
    watcher.handle_input(at(0), Input::Watch { host: host(7) }).unwrap();
    let [old, old_poweron] = reads(&mut watcher).0.try_into().unwrap();
    watcher.handle_input(at(1), Input::Unwatch { host: host(7) }).unwrap();
    watcher.handle_input(at(2), Input::Watch { host: host(7) }).unwrap();
    assert_eq!(reads(&mut watcher).0, [], "the reads of the first watch are still out");
    watcher.handle_input(at(3), answer(old, Ok(&file(identity(7, 1), 1)), at(0))).unwrap();
    assert_eq!(watcher.evidence(host(7)), None, "what it read belongs to the first watch");
    watcher.handle_input(at(3), answer(old_poweron, Err(StorageFault::Io), at(0))).unwrap();
    watcher.handle_timeout(at(3));
    assert_eq!(reads(&mut watcher).0.len(), 2);
}

#[test]
fn a_host_that_is_unwatched_between_two_reads_is_not_read_again() {
    let mut watcher = watcher();
    for number in 1..=3 {
        watcher.handle_input(at(0), Input::Watch { host: host(number) }).unwrap();
    }
    let asked = reads(&mut watcher).0;
    assert_eq!(asked.len(), 6);
    for request in asked {
        watcher.handle_input(at(1), answer(request, Err(StorageFault::Io), at(0))).unwrap();
    }
    watcher.handle_input(at(2), Input::Unwatch { host: host(2) }).unwrap();
    reads(&mut watcher);
    watcher.handle_timeout(at(60_000));
    let read: Vec<_> = reads(&mut watcher).0.iter().map(|request| request.file().kind.clone()).collect();
    let of = |number| [FileKind::Heartbeat(host(number)), FileKind::Poweron(host(number))];
    assert_eq!(read.len(), 4, "{read:?}");
    assert!([of(1), of(3)].concat().iter().all(|file| read.contains(file)), "{read:?}");

    watcher.handle_input(at(60_001), Input::Watch { host: host(2) }).unwrap();
    assert_eq!(reads(&mut watcher).0.len(), 2, "nothing of it was out, so it is read at once");
}

#[test]
fn limits_and_foreign_answers() {
    let mut watcher = watcher();
    for number in 1..=3 {
        watcher.handle_input(at(0), Input::Watch { host: host(number) }).unwrap();
    }
    let too_many = watcher.handle_input(at(0), Input::Watch { host: host(4) });
    assert_eq!(too_many.unwrap_err(), Rejected::TooManyHosts { limit: 3 });
    watcher.handle_input(at(0), Input::Watch { host: host(3) }).unwrap();
    let mut config_twin = {
        let config = LivenessWatcherConfig {
            cluster: CLUSTER,
            machine: machine(1, 2),
            datastore: HOME,
            geometry: GEOMETRY,
            timing: TIMING,
        };
        LivenessWatcher::new(config, at(0))
    };
    config_twin.handle_input(at(0), Input::Watch { host: host(1) }).unwrap();
    let foreign = reads(&mut config_twin).0.remove(0);
    let before = format!("{watcher:?}");
    let refused = watcher.handle_input(at(9), answer(foreign, Err(StorageFault::Io), at(9)));
    assert!(matches!(refused, Err(Rejected::UnknownRequest(_))));
    assert_eq!(format!("{watcher:?}"), before);
}
