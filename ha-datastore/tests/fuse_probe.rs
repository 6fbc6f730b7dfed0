//! The lock probe over real files: shared locks, locks that each mount keeps to itself, locks that get lost.
#![cfg(feature = "fs")]
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
mod fs_common;
mod fuse_common;

use core::time::Duration;
use std::sync::mpsc::{Receiver, channel};

use common::{GEOMETRY, HOME, TIMING, host, identity, machine};
use fs_common::{CLUSTER, TempDir};
use fuse_common::{Lab, pause};
use ha_core::{FileKind, Instant, Machine, StorageCompletion, TimingConfig};
use ha_datastore::format::file_size;
use ha_datastore::fs::{FsStorage, Mount, boot_clock, layout};
use ha_datastore::lock_probe::{
    HolderInput, HolderOutput, Inconclusive, ProbeHolderConfig, ProbeTakerConfig, TakerInput, TakerOutput,
    Verdict,
};
use ha_datastore::{ProbeHolder, ProbeTaker};

/// Wide enough for a busy machine; what is tested is the outcome.
const CALM: TimingConfig = TimingConfig { datastore_io_timeout: Duration::from_secs(1), ..TIMING };

/// More than a probe of rounds that all show something takes.
const SOON: Duration = Duration::from_secs(10);

fn files() -> [(FileKind, u64); 1] {
    let kind = FileKind::Probe(host(1));
    let size = file_size(&kind, &GEOMETRY);
    [(kind, size)]
}

fn driver(mount: Mount) -> (FsStorage, Receiver<StorageCompletion>) {
    let (deliver, done) = channel();
    let storage = FsStorage::start(vec![mount], move |completion| deliver.send(completion).unwrap_or(()));
    (storage.unwrap(), done)
}

/// Host 1 on the first mount probes with host 2 on the second. `meddle` is called whenever a word is on its way.
fn probe(mounts: [Mount; 2], mut meddle: impl FnMut()) -> Verdict {
    let [(here, here_done), (there, there_done)] = mounts.map(driver);
    let start = boot_clock();
    let mut holder = ProbeHolder::new(
        ProbeHolderConfig {
            identity: identity(1, 1),
            machine: machine(1, 1),
            datastore: HOME,
            timing: CALM,
            seed: start.as_nanos(),
        },
        start,
    );
    let taker = ProbeTakerConfig {
        identity: identity(2, 1),
        machine: machine(2, 1),
        datastore: HOME,
        holder: host(1),
        timing: CALM,
    };
    let mut taker = ProbeTaker::new(taker, start).unwrap();
    loop {
        let now = boot_clock();
        assert!(now < start.after(SOON), "no verdict: {holder:?}");
        hear(&mut holder, &mut taker, now);
        while let Some(output) = holder.poll_output() {
            match output {
                HolderOutput::Storage(request) => here.submit(request),
                HolderOutput::Ask(question) => {
                    meddle();
                    taker.handle_input(now, TakerInput::Asked { question, echoed: now }).unwrap();
                }
                HolderOutput::Verdict(verdict) => return verdict,
            }
        }
        while let Some(output) = taker.poll_output() {
            match output {
                TakerOutput::Storage(request) => there.submit(request),
                TakerOutput::Answer(answer) => {
                    holder.handle_input(now, HolderInput::Answered(answer)).unwrap();
                }
            }
        }
        for done in here_done.try_iter() {
            holder.handle_input(boot_clock(), HolderInput::Storage(done)).unwrap();
        }
        for done in there_done.try_iter() {
            taker.handle_input(boot_clock(), TakerInput::Storage(done)).unwrap();
        }
        holder.handle_timeout(boot_clock());
        taker.handle_timeout(boot_clock());
        pause(Duration::from_millis(1));
    }
}

fn hear(holder: &mut ProbeHolder, taker: &mut ProbeTaker, at: Instant) {
    holder.handle_input(at, HolderInput::Heard { at }).unwrap();
    taker.handle_input(at, TakerInput::Heard { at }).unwrap();
}

#[test]
fn two_agents_on_one_local_directory_share_locks() {
    let temp = TempDir::new();
    layout::create(temp.path(), CLUSTER, &files()).unwrap();
    let verdict = probe([temp.mount(), temp.mount()], || ());
    assert!(matches!(verdict, Verdict::LocksShared { .. }), "{verdict:?}");
}

#[test]
fn two_mounts_of_one_folder_share_locks() {
    let Some(lab) = Lab::open() else { return };
    let nodes = lab.datastore::<2>(&files());
    let verdict = probe(nodes.each_ref().map(|node| node.mount(HOME)), || ());
    assert!(matches!(verdict, Verdict::LocksShared { .. }), "{verdict:?}");
}

#[test]
fn mounts_that_keep_locks_to_themselves_are_found_out() {
    let Some(lab) = Lab::open() else { return };
    let nodes = lab.datastore::<2>(&files());
    nodes.iter().for_each(|node| node.tell("local_locks"));
    let verdict = probe(nodes.each_ref().map(|node| node.mount(HOME)), || ());
    assert!(matches!(verdict, Verdict::LocksNotShared { same_file: true, .. }), "{verdict:?}");
}

/// One host with `local_lock=all` among others that lock in earnest.
#[test]
fn one_mount_that_keeps_locks_to_itself_is_found_out_from_either_side() {
    let Some(lab) = Lab::open() else { return };
    for local in [0, 1] {
        let nodes = lab.datastore::<2>(&files());
        nodes[local].tell("local_locks");
        let verdict = probe(nodes.each_ref().map(|node| node.mount(HOME)), || ());
        assert!(matches!(verdict, Verdict::LocksNotShared { same_file: true, .. }), "{local}: {verdict:?}");
    }
}

#[test]
fn two_folders_under_one_name_are_found_out() {
    let Some(lab) = Lab::open() else { return };
    let [here] = lab.datastore::<1>(&files());
    let [there] = lab.datastore::<1>(&files());
    let verdict = probe([here.mount(HOME), there.mount(HOME)], || ());
    assert!(matches!(verdict, Verdict::LocksNotShared { same_file: false, .. }), "{verdict:?}");
}

/// F1: whatever the holder loses on the way, it is not taken for local locks.
#[test]
fn shared_locks_that_the_holder_loses_silently_are_not_taken_for_local_ones() {
    let Some(lab) = Lab::open() else { return };
    let nodes = lab.datastore::<2>(&files());
    let mut losses = 0;
    let verdict = probe(nodes.each_ref().map(|node| node.mount(HOME)), || {
        if losses < 1 {
            losses += 1;
            nodes[0].tell("droplocks_lax");
        }
    });
    assert!(matches!(verdict, Verdict::LocksShared { .. }), "{verdict:?}");
    assert_eq!(losses, 1);
}

#[test]
fn a_datastore_without_the_file_shows_nothing() {
    let temp = TempDir::datastore();
    let Verdict::Inconclusive { why } = probe([temp.mount(), temp.mount()], || ()) else { panic!() };
    assert_eq!(why, Inconclusive::Fault(ha_core::StorageFault::Missing));
}
