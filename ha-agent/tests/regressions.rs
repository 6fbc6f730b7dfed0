//! One scenario for each defect that was found in the agent.
#![allow(clippy::unwrap_used, clippy::std_instead_of_alloc, reason = "tests")]
mod common;

use common::*;
use ha_agent::Event;
use ha_core::{FileKind, FileName};

/// A host that becomes master watches hosts whose silence is already overdue: one tick does all of that.
#[test]
fn r3_exactly_one_tick() {
    let mut bench = Bench::protected(3, Habit::Tidy);
    let (master, dead) = (bench.master().unwrap(), bench.slave());
    bench.power_off(dead);
    bench.run_for(5 * SECOND);
    bench.power_off(master);
    bench.run_for(5 * SECOND);
}

/// Eventually again: the old master's list is the only one that holds the protections; one read of it fails
/// at the takeover, once.
#[test]
fn one_failed_read_at_takeover_forgets_no_protection() {
    let mut bench = Bench::protected(3, Habit::Tidy);
    let master = bench.master().unwrap();
    bench.power_off(master);
    let file = FileName::new(DATASTORE, FileKind::ProtectedListOf(master));
    // Cut short, every read of it fails.
    let content = bench.files.insert(file.clone(), vec![0; 8]).unwrap();
    bench.run_until(5 * SECOND, |bench| bench.master().is_some());
    bench.files.insert(file, content);
    assert!(bench.run_until(60 * SECOND, |bench| bench.running.len() == 3), "its VM stays down for ever");
}

/// Eventually again: garbage in reads of the lists while a right is won anew; the own list is then overwritten by
/// the merge of what was readable, and the protections are gone from disk.
#[test]
fn garbled_reads_wipe_no_protection() {
    for seed in 0..40 {
        let mut bench = Bench::protected(3, Habit::Tidy);

        bench.garble = Some(Garble::new(seed));
        bench.run_for(2 * SECOND);
        bench.garble = None;
        bench.run_for(5 * SECOND);
        bench.power_off(bench.slave());
        assert!(bench.run_until(200 * SECOND, |bench| bench.running.len() == 3), "seed {seed}");
    }
}

/// A priority is 1 to 5.
#[test]
fn a_priority_out_of_range_is_refused() {
    let mut bench = Bench::protected(1, Habit::Tidy);
    let before = bench.events.len();
    bench.command(
        host(1),
        ha_agent::Command::Protect {
            vm: vm(1),
            version: 9,
            priority: 255,
            cpu_reservation_mhz: 0,
            memory_overhead_mb: 0,
        },
    );
    bench.run_for(SECOND);
    let refused = |event: &Event| matches!(event, Event::CommandRefused { .. });
    assert!(
        bench.events[before..].iter().any(|(_, _, event)| refused(event)),
        "{:#?}",
        &bench.events[before..]
    );
}

/// Damaged files start nothing and are counted: a dead host's heartbeat, and the lock record of its virtual machine.
#[test]
fn damaged_files_change_nothing_and_are_counted() {
    let mut bench = Bench::protected(3, Habit::Tidy);
    let (master, dead) = (bench.master().unwrap(), bench.slave());
    let damaged = |bench: &mut Bench, is: &dyn Fn(&FileKind) -> bool| {
        for (_, content) in bench.files.iter_mut().filter(|(name, _)| is(&name.kind)) {
            content.iter_mut().for_each(|byte| *byte ^= 0x5A);
        }
    };
    damaged(&mut bench, &|kind| matches!(kind, FileKind::VmLock(_)) || *kind == FileKind::Heartbeat(dead));
    bench.power_off(dead);
    bench.run_for(5 * SECOND);
    let counters = bench.agents[&master].counters();
    assert!(counters.bad_files.get() > 0 && counters.bad_records.get() > 0, "{counters:?}");
    assert_eq!(bench.running.len(), 2, "nothing starts from a record that cannot be relied upon");
}
