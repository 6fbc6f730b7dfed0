//! Any sequence of changes, with crashes and faults at any write of which any part may have landed: what is read
//! back is what was last reported durable, or what was on its way.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::ops::Range;
use std::collections::BTreeMap;

use common::owner::{ListWrite, Owner, PendingWrite};
use common::{Disk, HOME, LOGGED, at, term, uuid};
use ha_core::{Random, StorageFault, VmEpoch, VmId, VmUuid};
use ha_datastore::format::{ListEntry, OrderId, Protection, RestartIntent};
use ha_datastore::ownership::{Event, Input};
use ha_datastore::{ChangeId, ListChange};
use proptest::prelude::*;

const SLOT: usize = 32_768;

type Entries = BTreeMap<VmUuid, ListEntry>;

#[derive(Clone, Debug)]
enum Step {
    /// Some changes at once: which machine and what is drawn from each seed.
    Change(Vec<u64>),
    /// Storage carries out everything.
    Settle,
    /// Storage carries out one write of the list.
    LandOne,
    /// The write that is out ends in an error, and parts of it land; the process goes on.
    Fault(Torn),
    /// The process ends, and parts of the write that is out land; a new life of the host takes over.
    Crash(Torn),
    /// The right ends while a write is out, which lands whole or not at all before the right is taken again.
    Expire { lands: bool },
}

/// Which pieces of a write land: drawn from the seed, piece by piece of so many bytes.
#[derive(Clone, Copy, Debug)]
struct Torn {
    seed: u64,
    piece: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let torn =
        || (any::<u64>(), prop_oneof![Just(512), Just(4_096)]).prop_map(|(seed, piece)| Torn { seed, piece });
    prop_oneof![
        6 => prop::collection::vec(any::<u64>(), 1..20).prop_map(Step::Change),
        2 => Just(Step::Settle),
        4 => Just(Step::LandOne),
        2 => torn().prop_map(Step::Fault),
        2 => torn().prop_map(Step::Crash),
        1 => any::<bool>().prop_map(|lands| Step::Expire { lands }),
    ]
}

struct World {
    owner: Owner,
    incarnation: u64,
    pending: Option<PendingWrite>,
    /// What was last known to be durable.
    durable: Entries,
    /// What writes begun since then carry. One that ended in a fault may have landed, and may be overwritten again
    /// by the write that follows it.
    on_their_way: Vec<Entries>,
    /// What holds the durable entries in the file: the last durable snapshot and its records.
    safe: Vec<Range<usize>>,
    changes: u64,
    millis: u64,
}

impl World {
    fn new() -> Self {
        let owner = Owner::new(7, 1, Disk::new(LOGGED), at(0));
        let mut world = Self {
            owner,
            incarnation: 1,
            pending: None,
            durable: Entries::new(),
            on_their_way: Vec::new(),
            safe: Vec::new(),
            changes: 0,
            millis: 0,
        };
        world.owner.claim(term(1, 7));
        world.settle();
        world
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Change(seeds) => seeds.into_iter().for_each(|seed| self.change(seed)),
            Step::Settle => self.settle(),
            Step::LandOne => self.land_one(),
            Step::Fault(torn) => self.fault(torn),
            Step::Crash(torn) => self.crash(torn),
            Step::Expire { lands } => self.expire(lands),
        }
    }

    fn change(&mut self, seed: u64) {
        self.changes += 1;
        let mut random = Random::from_seed(seed);
        let number = u8::try_from(random.below(40)).unwrap();
        let folder = "y".repeat(usize::try_from(random.below(500)).unwrap() + 1);
        let vm = VmId::new(uuid(number), HOME, &format!("{folder}/{number}")).unwrap();
        let intent = RestartIntent {
            order: OrderId { term: term(1, 7), number: self.changes },
            attempts: 0,
            target: None,
            expected: VmEpoch::new(1),
        };
        let entry = ListEntry {
            vm: vm.clone(),
            protection: Protection::Protected,
            version: self.changes,
            priority: 1,
            cpu_reservation_mhz: 0,
            memory_overhead_mb: 0,
            intent: None,
        };
        let change = match random.below(8) {
            0..4 => ListChange::Protect(entry),
            4 => ListChange::Unprotect { vm, version: self.changes },
            5 | 6 => ListChange::SetIntent { vm: uuid(number), intent },
            _ => ListChange::CloseIntent { vm: uuid(number) },
        };
        // It is refused without the right, or for a machine that is not protected.
        let input = Input::Change { id: ChangeId(self.changes), change };
        if self.owner.machine.list().is_some() && self.owner.try_give(input) {
            self.look_for_write();
        }
    }

    /// Takes out the write that was just begun, if there is none yet, with the list as it carries it.
    fn look_for_write(&mut self) {
        if self.pending.is_some() {
            return;
        }
        self.pending = self.owner.next_list_write();
        let Some(pending) = &self.pending else { return };
        let range = pending.write.range();
        let touches = |safe: &Range<usize>| safe.start < range.end && range.start < safe.end;
        assert!(!self.safe.iter().any(touches), "{range:?} holds what is durable: {:?}", self.safe);
        // Without the right, what goes out is what was read.
        let entries = match self.owner.machine.list() {
            Some(list) => list.list().entries.clone(),
            None => {
                self.owner.read().record().map(|record| record.content.entries.clone()).unwrap_or_default()
            }
        };
        self.on_their_way.push(entries);
    }

    fn land_one(&mut self) {
        self.look_for_write();
        let Some(pending) = self.pending.take() else { return };
        let write = pending.write.clone();
        self.owner.put(&write, 0..write.bytes.len());
        self.durable = self.on_their_way.pop().unwrap();
        self.on_their_way.clear();
        self.landed(&write);
        self.owner.answer(pending, Ok(()));
        let state = self.owner.read();
        let record = state.record().unwrap_or_else(|| panic!("{state:?}"));
        assert_eq!(record.content.entries, self.durable);
        self.look_for_write();
    }

    /// The write is durable; a snapshot makes all before it needless.
    fn landed(&mut self, write: &ListWrite) {
        if write.bytes.len() == SLOT {
            self.safe.clear();
        }
        self.safe.push(write.range());
    }

    fn settle(&mut self) {
        self.look_for_write();
        while self.pending.is_some() {
            self.land_one();
        }
        assert!(self.owner.machine.may_act(self.owner.now), "{:?}", self.owner.news());
    }

    /// Parts of the write that is out land.
    fn tear(&mut self, write: &ListWrite, torn: Torn) {
        let mut random = Random::from_seed(torn.seed);
        for start in (0..write.bytes.len()).step_by(torn.piece) {
            if random.below(2) == 0 {
                self.owner.put(write, start..start + torn.piece);
            }
        }
        self.check();
    }

    /// What is read must be what was durable, or later. It is given back.
    fn check(&mut self) -> Entries {
        let state = self.owner.read();
        let record = state.record().unwrap_or_else(|| panic!("{state:?}"));
        let entries = &record.content.entries;
        assert!(*entries == self.durable || self.on_their_way.contains(entries), "{state:?}");
        entries.clone()
    }

    fn fault(&mut self, torn: Torn) {
        self.look_for_write();
        let Some(pending) = self.pending.take() else { return };
        let write = pending.write.clone();
        self.tear(&write, torn);
        self.owner.answer(pending, Err(StorageFault::Unknown));
        self.again();
    }

    fn expire(&mut self, lands: bool) {
        self.look_for_write();
        self.owner.give(Input::Expire);
        if let Some(pending) = self.pending.take() {
            if lands {
                let write = pending.write.clone();
                self.owner.put(&write, 0..write.bytes.len());
                self.check();
            }
            self.owner.answer(pending, if lands { Ok(()) } else { Err(StorageFault::Unknown) });
        }
        self.again();
    }

    fn again(&mut self) {
        assert!(self.owner.machine.list().is_none(), "the right has ended");
        self.millis += 1_000;
        self.owner.tick(at(self.millis));
        self.look_for_write();
    }

    fn crash(&mut self, torn: Torn) {
        self.look_for_write();
        if let Some(pending) = self.pending.take() {
            let write = pending.write.clone();
            self.tear(&write, torn);
        }
        // A new life cannot know what the old one had seen durable: what it reads is what must stay.
        self.durable = self.check();
        self.on_their_way.clear();
        self.incarnation += 1;
        self.millis += 1_000;
        let mut disk = core::mem::take(&mut self.owner.disk);
        disk.free_lock(&common::owner::owner_file());
        self.owner = Owner::new(7, self.incarnation, disk, at(self.millis));
        self.safe = self.safe_by_reading();
        self.owner.claim(term(self.incarnation, 7));
        self.look_for_write();
    }

    /// The half of the file that the next generation must not touch.
    fn safe_by_reading(&mut self) -> Vec<Range<usize>> {
        let state = self.owner.read();
        let Some(record) = state.record() else { return Vec::new() };
        let half = if record.generation.number().is_multiple_of(2) { 0 } else { SLOT };
        [half..half + SLOT, 2 * SLOT + half..3 * SLOT + half].into()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn what_was_durable_is_read_back(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.settle();
        let told: Vec<Event> = world.owner.news();
        prop_assert!(!told.iter().any(|event| matches!(event, Event::ListUnreadable { .. })), "{:?}", told);
    }
}
