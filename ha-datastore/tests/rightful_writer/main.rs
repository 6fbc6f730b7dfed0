//! No misread (reliability 8.1, S5): whatever a reader accepts was written whole, by its rightful writer, for exactly
//! that file and slot; and what one reader of a host's file accepts never goes back.
//!
//! The oracle is a list of what was written. The readers are the public ones, and the same with one check left out,
//! by which the oracle shows that it can fail.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../format_model/mod.rs"]
mod format_model;

mod archive;
mod list;
mod mutant;
mod pieces;

use core::cell::RefCell;
use std::collections::BTreeMap;

use archive::{Archive, File};
use common::identity;
use format_model::told::{Told, read};
use format_model::{BLOCK, field, u64_at};
use ha_core::record::{Generation, HighWater};
use ha_core::{Identity, Incarnation, Random};
use mutant::Mutant;
use pieces::{Recipe, recipe};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// So many readers, each of a file of its own that it reads again and again.
const READERS: u32 = 20_000;
const READS: usize = 6;

/// What readers said, by file and state.
type Tally = RefCell<BTreeMap<(String, &'static str), u32>>;

/// One reader of one file.
struct Reader<'a> {
    archive: &'a Archive,
    file: File,
    mutant: Mutant,
    mark: HighWater,
    /// By incarnation, then generation.
    newest: (u64, u64),
}

impl Reader<'_> {
    fn read(&mut self, recipe: &Recipe, tally: &Tally) -> Result<(), TestCaseError> {
        let image = recipe.image(self.archive, &self.file);
        let told = read(self.file.kind, &self.mutant.blind(&image, &self.file));
        *tally.borrow_mut().entry((format!("{:?}", self.file.kind), told.name())).or_default() += 1;
        self.check(&told, &image)
    }

    fn check(&mut self, told: &Told, image: &[u8]) -> Result<(), TestCaseError> {
        let Some(slot) = told.counts().filter(|slot| self.mutant.is_of_file(slot, &self.file)) else {
            return Ok(());
        };
        let generation = u64_at(slot, field::GENERATION);
        let at = if self.file.is_local() { 0 } else { Generation::new(generation).slot().offset(BLOCK) };
        prop_assert!(
            self.archive.knows(&self.file, at, slot),
            "not what its writer wrote: {:02x?}",
            &slot[..80]
        );
        prop_assert!(image[at..].starts_with(slot), "not what lies there");
        if self.file.has_one_writer() && !self.file.is_local() {
            let life = u64_at(slot, field::INCARNATION);
            let writer = Identity { incarnation: Incarnation::new(life), ..identity(7, 0) };
            let admitted = self.mark.admit(&writer, Generation::new(generation)).is_ok();
            if admitted || self.mutant == Mutant::HighWater {
                prop_assert!((life, generation) >= self.newest, "older than {:?}", self.newest);
                self.newest = (life, generation);
            }
        }
        Ok(())
    }
}

/// Lets that reader loose on `readers` files; an error is what the oracle found.
fn run(archive: &Archive, mutant: Mutant, mut runner: TestRunner, tally: &Tally) -> Result<(), String> {
    let readers = (any::<Index>(), prop::collection::vec(recipe(), READS));
    let targets = File::targets();
    let found = runner.run(&readers, |(file, recipes)| {
        let file = *file.get(&targets);
        let mut reader = Reader { archive, file, mutant, mark: HighWater::NOTHING, newest: (0, 0) };
        recipes.iter().try_for_each(|recipe| reader.read(recipe, tally))
    });
    found.map_err(|found| found.to_string())
}

pub(crate) fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() })
}

/// The same cases each time, and none made smaller.
pub(crate) fn fixed_runner(cases: u32) -> TestRunner {
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn nothing_is_accepted_that_was_not_written_for_its_place() {
    let tally = Tally::default();
    run(&Archive::new(), Mutant::None, runner(READERS), &tally).unwrap();
    let tally = tally.into_inner();
    println!("{tally:?}");
    for kind in File::targets().iter().map(|file| format!("{:?}", file.kind)) {
        let of = |state| tally.get(&(kind.clone(), state)).copied().unwrap_or(0);
        let accepted = of("valid") + of("degraded");
        assert!(accepted > 2_000 && of("corrupt") > 200, "{kind}: {accepted}, {}", of("corrupt"));
    }
}

#[test]
fn without_any_one_check_something_is() {
    let archive = Archive::new();
    for mutant in Mutant::ALL {
        let found = run(&archive, mutant, fixed_runner(READERS), &Tally::default());
        let found = found.expect_err(&format!("nobody misses {mutant:?}"));
        println!("{mutant:?}: {}", found.lines().next().unwrap_or_default());
    }
}

/// No field of the envelope names the datastore: what was written for the same file of another datastore passes every
/// check, and two such records that happen to follow each other are a pair.
#[test]
fn the_same_file_of_another_datastore_is_not_told_apart() {
    let archive = Archive::new();
    let file = File::targets()[0];
    let mut image = archive.image(&file, 2);
    let elsewhere = archive::heartbeat(Generation::new(2), &mut Random::from_seed(99))
        .seal(&identity(7, 3), Generation::new(2));
    image[..BLOCK].copy_from_slice(&elsewhere);
    assert_eq!(read(file.kind, &image), Told::Valid(elsewhere.to_vec()));
}
