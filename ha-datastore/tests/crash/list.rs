use core::iter;
use std::collections::{BTreeMap, VecDeque};

use ha_core::{
    FileKind, FileName, HostId, Instant, Limits, Machine, StorageCompletion, StorageRequest, Term, VmId,
    VmUuid,
};
use ha_datastore::format::{Geometry, ListEntry, ListState, ProtectedList, Protection, merge};
use ha_datastore::ownership::{Event, Input, Output, Ownership, OwnershipConfig};
use ha_datastore::{ChangeId, ListChange};

use crate::common::{CLUSTER, HOME, TIMING, at, host, identity, machine, term, uuid, vm};
use crate::images::{Tearing, for_each_image};
use crate::journal::{Files, Journal};
use crate::rig::{Fault, Rig};

/// Two records a log, so that every third group of changes is a snapshot.
const GEOMETRY: Geometry = Geometry::new(Limits {
    hosts: 3,
    vms_per_list: 60,
    vms_per_host: 60,
    list_log_records: 2,
    ..Limits::DEFAULT
});

fn owner_file() -> FileName {
    FileName::new(HOME, FileKind::ProtectedList)
}

fn list_file(of: HostId) -> FileName {
    FileName::new(HOME, FileKind::ProtectedListOf(of))
}

fn created() -> Files {
    Rig::created(&GEOMETRY, &[owner_file(), list_file(host(1)), list_file(host(2)), list_file(host(3))])
}

/// Those from 30 on have long paths.
fn protect(number: u8, version: u64) -> ListChange {
    let long = || VmId::new(uuid(number), HOME, &format!("{}/{number}", "x".repeat(490))).unwrap();
    ListChange::Protect(ListEntry {
        vm: if number < 30 { vm(number) } else { long() },
        protection: Protection::Protected,
        version,
        priority: 1,
        cpu_reservation_mhz: 0,
        memory_overhead_mb: 0,
        intent: None,
    })
}

/// What was told durable: the version of each machine, and after which step of the journal.
type Durable = Vec<(usize, VmUuid, u64)>;

/// One life of one host that wants the datastore.
struct Owner {
    ownership: Ownership,
    requests: VecDeque<StorageRequest>,
    changes: BTreeMap<ChangeId, (VmUuid, u64)>,
    owned: bool,
}

impl Owner {
    fn claim(number: u32, incarnation: u64, claimed: Term) -> Self {
        let config = OwnershipConfig {
            identity: identity(number, incarnation),
            machine: machine(number, 1),
            datastore: HOME,
            hosts: vec![host(1), host(2), host(3)],
            geometry: GEOMETRY,
            timing: TIMING,
        };
        let mut ownership = Ownership::new(config, at(0));
        ownership.handle_input(at(0), Input::Claim { term: claimed, may_take: true }).unwrap();
        Self { ownership, requests: VecDeque::new(), changes: BTreeMap::new(), owned: false }
    }

    fn change(&mut self, now: Instant, number: u8, version: u64) {
        let id = ChangeId(u64::from(number) * 1_000 + version);
        self.changes.insert(id, (uuid(number), version));
        let change = protect(number, version);
        self.ownership.handle_input(now, Input::Change { id, change }).unwrap();
    }

    /// Carries out the next request; whether there was one.
    fn step(&mut self, now: Instant, rig: &mut Rig, durable: &mut Durable) -> bool {
        self.drain(rig, durable);
        let Some(request) = self.requests.pop_front() else { return false };
        if let Some(done) = rig.serve(now, request) {
            self.answer(now, done, rig, durable);
        }
        true
    }

    fn answer(&mut self, now: Instant, done: StorageCompletion, rig: &mut Rig, durable: &mut Durable) {
        self.ownership.handle_input(now, Input::Storage(done)).unwrap();
        self.drain(rig, durable);
    }

    fn drain(&mut self, rig: &mut Rig, durable: &mut Durable) {
        while let Some(output) = self.ownership.poll_output() {
            match output {
                Output::Storage(request) => self.requests.push_back(request),
                Output::Event(Event::Owned { .. }) => self.owned = true,
                Output::Event(Event::Durable { ids }) => {
                    rig.journal.acknowledge();
                    let step = rig.journal.steps.len();
                    durable.extend(ids.iter().map(|id| (step, self.changes[id].0, self.changes[id].1)));
                }
                Output::Event(_) => {}
            }
        }
    }

    /// Lets time pass until nothing is to be done for long.
    fn settle(&mut self, now: &mut Instant, rig: &mut Rig, durable: &mut Durable) {
        for _ in 0..6 {
            while self.step(*now, rig, durable) {}
            *now = now.after(TIMING.datastore_io_timeout);
            self.ownership.handle_timeout(*now);
        }
    }
}

/// What the lists of a datastore say together; every one of them must be readable.
fn merged(files: &Files) -> BTreeMap<VmUuid, u64> {
    let lists = [1, 2, 3].map(host).into_iter().filter_map(|of| {
        match ProtectedList::read(&files[&list_file(of)], CLUSTER, of, &GEOMETRY) {
            ListState::NeverWritten => None,
            ListState::Valid { record } | ListState::Degraded { record, .. } => Some(record.content),
            // The first snapshot of a file, cut short: nothing was ever durable there.
            ListState::Corrupt { .. } => None,
            state @ (ListState::Outdated { .. }
            | ListState::BrokenLog { .. }
            | ListState::Inconsistent { .. }) => panic!("{of}: {state:?}"),
        }
    });
    merge(lists).entries.into_iter().map(|(vm, entry)| (vm, entry.version)).collect()
}

fn assert_holds(found: &BTreeMap<VmUuid, u64>, durable: &Durable, until: usize) {
    for (_, vm, version) in durable.iter().take_while(|(step, ..)| *step <= until) {
        assert!(found.get(vm).is_some_and(|found| found >= version), "{vm} at {version}: {found:?}");
    }
}

/// Three owners, one after the other; each changes more than its log has room for.
/// If `wide`, a snapshot has more than 16 sectors.
fn three_owners(wide: bool, fault: Option<Fault>) -> (Journal, Durable) {
    let (mut rig, mut durable, mut now) = (Rig::new(created(), fault), Durable::new(), at(0));
    for (number, incarnation) in [(1, 1), (2, 1), (1, 2)] {
        let round = u64::from(number) + 10 * incarnation;
        let mut owner = Owner::claim(number, incarnation, term(round, number));
        owner.settle(&mut now, &mut rig, &mut durable);
        if wide && owner.ownership.may_act(now) {
            (30..48).for_each(|number| owner.change(now, number, round));
            owner.settle(&mut now, &mut rig, &mut durable);
        }
        for group in 0..4_u8 {
            if !owner.ownership.may_act(now) {
                break;
            }
            owner.change(now, group + 1, round * 10 + u64::from(group));
            owner.change(now, group + 2, round * 10 + u64::from(group) + 1);
            owner.settle(&mut now, &mut rig, &mut durable);
        }
    }
    (rig.journal, durable)
}

/// A new owner of these files: what its list says.
fn taken_over(files: &Files) -> BTreeMap<VmUuid, u64> {
    let (mut rig, mut durable, mut now) = (Rig::new(files.clone(), None), Durable::new(), at(0));
    let mut owner = Owner::claim(3, 9, term(99, 3));
    while !owner.owned && now < at(20_000) {
        owner.settle(&mut now, &mut rig, &mut durable);
    }
    let list = owner.ownership.list().expect("the datastore is owned after a while");
    list.entries().map(|entry| (entry.vm.uuid(), entry.version)).collect()
}

/// Every image of a run with this fault; how many those were.
fn open_every_image(wide: bool, fault: Option<Fault>, tearing: Tearing) -> u64 {
    let (journal, durable) = three_owners(wide, fault);
    assert!(durable.len() > 8, "{fault:?}: {durable:?}");
    let mut shown = 0_u64;
    for_each_image(&journal, tearing, |moment, files| {
        assert_holds(&merged(files), &durable, moment.step);
        shown += 1;
        if tearing == Tearing::OldOrNew && shown.is_multiple_of(16) {
            assert_holds(&taken_over(files), &durable, moment.step);
        }
    })
}

#[test]
fn every_image_of_the_lists_holds_what_was_durable() {
    let images = every_fault(false, Tearing::OldOrNew);
    let garbled = open_every_image(false, None, Tearing::OrGarbage);
    eprintln!("protected lists: {images} images, {garbled} with garbage");
    assert!(images > 10_000 && garbled > 10_000, "{images} {garbled}");
}

#[test]
fn snapshots_of_many_sectors_are_cut_short_at_each_of_them() {
    let images =
        open_every_image(true, None, Tearing::OldOrNew) + open_every_image(true, None, Tearing::OrGarbage);
    eprintln!("protected lists, snapshots of many sectors: {images} images");
    assert!(images > 1_000, "{images}");
}

fn every_fault(wide: bool, tearing: Tearing) -> u64 {
    let faults = Fault::each(three_owners(wide, None).0.writes.len());
    faults.into_iter().map(|fault| open_every_image(wide, fault, tearing)).sum()
}

#[test]
#[ignore = "minutes: `cargo test -p ha-datastore --test crash -- --ignored --nocapture`"]
fn every_image_of_the_lists_with_garbage_and_every_fault() {
    let images = every_fault(false, Tearing::OrGarbage) + every_fault(true, Tearing::OrGarbage);
    eprintln!("protected lists, garbage with every fault: {images} images");
    assert!(images > 1_000_000, "{images}");
}

/// Takes what host 1 has out at one moment of its reign, and lands it, whole or in part, at one moment of host 2's.
fn late_write(held: usize, lands_at: usize, landing: usize) -> Option<()> {
    let (mut rig, mut durable, mut now) = (Rig::new(created(), None), Durable::new(), at(0));
    let mut old = Owner::claim(1, 1, term(11, 1));
    let mut changes = iter::repeat(1..=4_u8).flatten().zip(1..).take(12);
    let late = loop {
        old.drain(&mut rig, &mut durable);
        let next = old.requests.front();
        if matches!(next, Some(StorageRequest::Write { .. })) && rig.journal.writes.len() == held {
            break old.requests.pop_front()?;
        }
        if !old.step(now, &mut rig, &mut durable) {
            let (number, version) = changes.next()?;
            now = now.after(TIMING.datastore_io_timeout);
            old.ownership.handle_timeout(now);
            old.change(now, number, version);
        }
    };
    let mut new = Owner::claim(2, 1, term(12, 2));
    let mut late = Some(late);
    let mut steps = 0;
    let mut changed = 20;
    while steps < 40 {
        if steps == lands_at
            && let Some(StorageRequest::Write { file, offset, bytes, .. }) = late.take()
        {
            let part = bytes.slice(..bytes.len() * landing / 4);
            rig.land_late(&file, offset, &part);
        }
        steps += 1;
        if !new.step(now, &mut rig, &mut durable) {
            now = now.after(TIMING.datastore_io_timeout);
            new.ownership.handle_timeout(now);
            if new.ownership.may_act(now) && changed < 26 {
                changed += 1;
                new.change(now, changed, 5);
            }
        }
    }
    assert!(new.owned && durable.len() > 4, "{durable:?}");
    assert!(late.is_none());
    assert_holds(&merged(rig.files()), &durable, usize::MAX);
    assert_holds(&taken_over(rig.files()), &durable, usize::MAX);
    Some(())
}

#[test]
fn a_late_write_of_the_old_owner_loses_nothing() {
    let mut cases = 0;
    for held in 0.. {
        let mut any = false;
        for lands_at in 0..30 {
            for landing in 1..=4 {
                if late_write(held, lands_at, landing).is_some() {
                    any = true;
                    cases += 1;
                }
            }
        }
        if !any {
            assert!(held > 8, "the old owner wrote {held} times only");
            break;
        }
    }
    eprintln!("late writes of an old owner: {cases} cases");
}
