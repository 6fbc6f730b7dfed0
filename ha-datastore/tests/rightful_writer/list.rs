//! The same for `protectedlist.<n>` with its logs, written by the ownership machine itself.

use core::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use ha_core::{Random, VmId};
use ha_datastore::format::{ListEntry, ProtectedList, Protection};
use ha_datastore::ownership::Input;
use ha_datastore::{ChangeId, ListChange};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{TestCaseError, TestRunner};
use xxhash_rust::xxh3::xxh3_64;

use crate::common::owner::{ListWrite, Owner};
use crate::common::{CLUSTER, Disk, HOME, LOGGED, at, host, term, uuid};
use crate::format_model::list::{self, ToldList};
use crate::format_model::told::Told;
use crate::format_model::{BLOCK, HEADER, field, payload, restamp, u32_at, u64_at};
use crate::pieces::{Piece, Step, recipe};
use crate::{fixed_runner, runner};

const FILES: u32 = 20_000;
const SIZE: usize = 2 * list::AREA + 2 * list::LOG;

/// The check that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    None,
    Writer,
    Cluster,
    /// Both sums of the envelope, and the chain.
    Sums,
    /// That a record of a log says which snapshot it continues, and chains to the record before.
    Base,
}

/// The file after each write, and what it said then: by the page, not by the crate.
struct History {
    images: Vec<Vec<u8>>,
    /// Each list that was durable, as the snapshot that would say it, with the slots of its base.
    lists: BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// The files of host 2, and of host 7 in another cluster.
    strangers: [Vec<Vec<u8>>; 2],
}

impl History {
    fn new() -> Self {
        let (mut images, mut lists) = (vec![vec![0; SIZE]], BTreeSet::new());
        for write in writes(7) {
            let mut image = images.last().unwrap().clone();
            image[write.range()].copy_from_slice(&write.bytes);
            let ToldList::Slots(Told::Valid(told)) = list::read(&image) else {
                panic!("a whole write: {}", list::read(&image).name())
            };
            let base = image[base_of(&told)..][..list::AREA].to_vec();
            lists.insert((told, base));
            images.push(image);
        }
        let of_host_2 = writes(2).iter().fold(vec![vec![0; SIZE]], |mut images, write| {
            let mut image = images[images.len() - 1].clone();
            image[write.range()].copy_from_slice(&write.bytes);
            images.push(image);
            images
        });
        let elsewhere = of_host_2.iter().cloned().map(|mut image| {
            for area in areas(&mut image).filter(|area| area.starts_with(b"vHAr")) {
                let foreign = restamp(area, |area| {
                    area[field::CLUSTER..field::HOST].fill(0xc2);
                    area[field::HOST] = 7;
                });
                area.copy_from_slice(&foreign);
            }
            image
        });
        let strangers = [of_host_2.clone(), elsewhere.collect()];
        Self { images, lists, strangers }
    }

    /// A block of the file at any time; as `Any`, of a stranger's.
    fn piece(&self, piece: &Piece) -> Vec<u8> {
        let (images, block) = match piece {
            Piece::SameFile(block) | Piece::SameKind(_, block) => (&self.images, block),
            Piece::Any(whose, block) => (whose.get(&self.strangers), block),
        };
        let block = block.index(images.len() * SIZE / BLOCK);
        let (image, at) = (block / (SIZE / BLOCK), block % (SIZE / BLOCK) * BLOCK);
        images[image][at..at + BLOCK].to_vec()
    }

    /// A slot or a block of a log as it was at another time, or as it is in a stranger's file.
    fn put(&self, image: &mut [u8], Place { whose, when, area }: Place) {
        let images = whose.checked_sub(1).map_or(&self.images, |stranger| &self.strangers[stranger]);
        let area = area.index(2 + 2 * list::LOG / BLOCK);
        let from = match area {
            0 | 1 => area * list::AREA..(area + 1) * list::AREA,
            block => 2 * list::AREA + (block - 2) * BLOCK..2 * list::AREA + (block - 1) * BLOCK,
        };
        image[from.clone()].copy_from_slice(&when.get(images)[from]);
    }

    fn check(&self, image: &[u8], told: ToldList) -> Result<(), TestCaseError> {
        match told {
            ToldList::Slots(Told::Valid(list))
            | ToldList::Degraded(list, _)
            | ToldList::Outdated(list, _) => {
                let base = image[base_of(&list)..][..list::AREA].to_vec();
                prop_assert!(self.lists.contains(&(list, base)), "a list that was never durable");
            }
            ToldList::Slots(_) | ToldList::Broken { .. } => {}
        }
        Ok(())
    }
}

fn has_good_sums(area: &[u8]) -> bool {
    crc32fast::hash(&area[..field::HEADER_SUM]) == u32_at(area, field::HEADER_SUM)
        && crc32fast::hash(payload(area)) == u32_at(area, field::PAYLOAD_SUM)
}

/// Where the snapshot lies.
fn base_of(told: &[u8]) -> usize {
    usize::try_from(u64_at(told, field::GENERATION) % 2).unwrap() * list::AREA
}

/// The slots and the blocks of the logs.
fn areas(image: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    let (slots, logs) = image.split_at_mut(2 * list::AREA);
    slots.chunks_mut(list::AREA).chain(logs.chunks_mut(BLOCK))
}

/// An area of the file at any time, 0, or of a stranger's, 1 or 2.
#[derive(Clone, Copy, Debug)]
struct Place {
    whose: usize,
    when: Index,
    area: Index,
}

/// Every write of the list of one host, over two lives.
fn writes(of: u32) -> Vec<ListWrite> {
    let mut random = Random::from_seed(of.into());
    let (mut disk, mut writes) = (Disk::new(LOGGED), Vec::new());
    for life in 1..=2 {
        let mut owner = Owner::new(of, life, disk, at(life * 1_000_000));
        owner.claim(term(life, of));
        owner.settle();
        for change in 0..24 {
            for _ in 0..=random.below(9) {
                let number = u8::try_from(random.below(40)).unwrap();
                let change = ListChange::Protect(entry(number, change + 100 * life, &mut random));
                assert!(owner.try_give(Input::Change { id: ChangeId(random.next_u64()), change }));
            }
            owner.settle();
        }
        writes.append(&mut owner.writes);
        disk = owner.disk;
        disk.free_lock(&crate::common::owner::owner_file());
    }
    writes
}

fn entry(number: u8, version: u64, random: &mut Random) -> ListEntry {
    let folder = "y".repeat(usize::try_from(random.below(500)).unwrap() + 1);
    ListEntry {
        vm: VmId::new(uuid(number), HOME, &format!("{folder}/{number}")).unwrap(),
        protection: Protection::Protected,
        version,
        priority: 1,
        cpu_reservation_mhz: u32::try_from(random.below(1_000)).unwrap(),
        memory_overhead_mb: 0,
        intent: None,
    }
}

impl Mutant {
    const ALL: [Self; 4] = [Self::Writer, Self::Cluster, Self::Sums, Self::Base];

    fn blind(self, image: &[u8]) -> Vec<u8> {
        let mut image = image.to_vec();
        if image.len() != SIZE || self == Self::None {
            return image;
        }
        for area in areas(&mut image) {
            let fits = u32_at(area, field::LENGTH) as usize <= area.len() - HEADER;
            if !area.starts_with(b"vHAr") || !fits || (!has_good_sums(area) && self != Self::Sums) {
                continue;
            }
            let blind = restamp(area, |area| match self {
                Self::Writer => area[field::HOST..field::SLOT].copy_from_slice(&7_u32.to_le_bytes()),
                Self::Cluster => area[field::CLUSTER..field::HOST].copy_from_slice(CLUSTER.as_bytes()),
                Self::None | Self::Sums | Self::Base => {}
            });
            area.copy_from_slice(&blind);
        }
        if [Self::Sums, Self::Base].contains(&self) {
            self.rechain(&mut image);
        }
        image
    }

    /// Makes every record of the log continue the snapshot that counts.
    fn rechain(self, image: &mut [u8]) {
        let told = list::read(image);
        let (ToldList::Slots(Told::Valid(list)) | ToldList::Degraded(list, _) | ToldList::Outdated(list, _)) =
            told
        else {
            return;
        };
        let base = image[base_of(&list)..][..HEADER + 8].to_vec();
        let log = 2 * list::AREA + base_of(&list) / list::AREA * list::LOG;
        let mut chain = u64_at(&base, HEADER);
        for record in image[log..log + list::LOG].chunks_mut(2 * BLOCK) {
            let mut next = chain;
            for block in record.chunks_mut(BLOCK).filter(|block| block.starts_with(b"vHAr")) {
                let blind = restamp(block, |block| {
                    let life = field::BOOT..field::GENERATION;
                    block[life.clone()].copy_from_slice(&base[life]);
                    block[88..96].copy_from_slice(&base[field::GENERATION..field::LENGTH]);
                    block[96..104].copy_from_slice(&base[HEADER..]);
                    next = xxh3_64(&[&chain.to_le_bytes(), &payload(block)[8..]].concat());
                    block[HEADER..HEADER + 8].copy_from_slice(&next.to_le_bytes());
                });
                block.copy_from_slice(&blind);
            }
            chain = next;
        }
    }
}

fn run(
    history: &History,
    mutant: Mutant,
    mut runner: TestRunner,
) -> Result<BTreeMap<&'static str, u32>, String> {
    let tally = RefCell::new(BTreeMap::new());
    let place = (0..3_usize, any::<Index>(), any::<Index>());
    let place = place.prop_map(|(whose, when, area)| Place { whose, when, area });
    let places = prop::collection::vec(place, 0..3);
    let found = runner.run(&(recipe(), places), |(recipe, places)| {
        let mut image = recipe.writes.get(&history.images).clone();
        for place in places {
            history.put(&mut image, place);
        }
        for step in recipe.steps.iter().filter(|step| !matches!(step, Step::Longer | Step::Shorter)) {
            step.carry_out(&mut image, &|piece| history.piece(piece));
        }
        let state = ProtectedList::read(&mutant.blind(&image), CLUSTER, host(7), &LOGGED);
        let told = ToldList::of(state, &LOGGED);
        *tally.borrow_mut().entry(told.name()).or_default() += 1;
        history.check(&image, told)
    });
    found.map(|()| tally.into_inner()).map_err(|found| found.to_string())
}

#[test]
fn no_list_is_accepted_that_was_never_durable() {
    let history = History::new();
    let tally = run(&history, Mutant::None, runner(FILES)).unwrap();
    println!("{} writes: {tally:?}", history.images.len() - 1);
    for state in ["valid", "degraded", "outdated", "broken", "corrupt"] {
        assert!(tally.get(state).is_some_and(|count| *count > 50), "{state}");
    }
}

#[test]
fn without_any_one_check_some_list_is() {
    let history = History::new();
    for mutant in Mutant::ALL {
        let found =
            run(&history, mutant, fixed_runner(FILES)).expect_err(&format!("nobody misses {mutant:?}"));
        println!("{mutant:?}: {}", found.lines().next().unwrap_or_default());
    }
}
