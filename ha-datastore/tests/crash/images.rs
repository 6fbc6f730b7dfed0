use std::collections::{BTreeMap, BTreeSet};

use ha_core::FileName;

use crate::journal::{Files, Journal, Step};

const SECTOR: usize = 512;
/// 2 to the power of 16: all subsets of 16 sectors.
const EXHAUSTIVE: u64 = 65_536;

/// What a sector of a write in doubt may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tearing {
    /// Its old bytes or its new ones.
    OldOrNew,
    /// Or neither.
    OrGarbage,
}

/// What is known at one moment of a journal.
pub(crate) struct Moment {
    /// The latest write that was acknowledged.
    pub(crate) acknowledged: Option<usize>,
    /// How many writes have begun.
    pub(crate) begun: usize,
    /// How many steps have been taken.
    pub(crate) step: usize,
}

/// Shows `look` every image of every moment; returns how many those were. Images that differ in nothing are shown once
/// a moment.
pub(crate) fn for_each_image(
    journal: &Journal,
    tearing: Tearing,
    mut look: impl FnMut(&Moment, &Files),
) -> u64 {
    let mut settled = journal.before.clone();
    let mut doubtful = BTreeSet::new();
    let (mut acknowledged, mut begun, mut images) = (None, 0, 0);
    for (taken, step) in (1..).zip(&journal.steps) {
        match *step {
            Step::Begun(number) => {
                doubtful.insert(number);
                begun = number + 1;
            }
            Step::Synced(number) => {
                let write = &journal.writes[number];
                let range = write.offset..write.offset + write.bytes.len();
                settled.get_mut(&write.file).unwrap()[range.clone()].copy_from_slice(&write.bytes);
                // What is synced later than it was begun stands over everything that was in doubt there.
                doubtful.retain(|other| {
                    let other = &journal.writes[*other];
                    let inside = range.start <= other.offset && other.offset + other.bytes.len() <= range.end;
                    other.file != write.file || !inside
                });
            }
            Step::Failed(_) => {}
            Step::Resolved(number) => {
                let (file, holds) = &journal.resolved[number];
                settled.insert(file.clone(), holds.clone());
                doubtful.retain(|other| journal.writes[*other].file != *file);
            }
            Step::Acknowledged(number) => acknowledged = Some(number),
        }
        let moment = Moment { acknowledged, begun, step: taken };
        let doubts = Doubts::new(journal, &settled, &doubtful, tearing);
        images += doubts.for_each(&mut settled.clone(), &mut |image| look(&moment, image));
    }
    images
}

/// The sectors that may hold more than one thing.
struct Doubts {
    sectors: Vec<(FileName, usize, Vec<Vec<u8>>)>,
}

impl Doubts {
    fn new(journal: &Journal, settled: &Files, doubtful: &BTreeSet<usize>, tearing: Tearing) -> Self {
        let mut sectors: BTreeMap<(FileName, usize), Vec<Vec<u8>>> = BTreeMap::new();
        for write in doubtful.iter().map(|number| &journal.writes[*number]) {
            for (index, new) in write.bytes.chunks(SECTOR).enumerate() {
                let at = write.offset + index * SECTOR;
                let old = &settled[&write.file][at..at + SECTOR];
                let can_hold = sectors.entry((write.file.clone(), at)).or_insert_with(|| vec![old.to_vec()]);
                if !can_hold.iter().any(|known| known == new) {
                    can_hold.push(new.to_vec());
                }
            }
        }
        if tearing == Tearing::OrGarbage {
            for ((_, at), can_hold) in &mut sectors {
                can_hold.push((0..SECTOR).map(|byte| (byte * 167 + at / 3 + 41).to_le_bytes()[0]).collect());
            }
        }
        let sectors = sectors.into_iter().map(|((file, at), can_hold)| (file, at, can_hold));
        Self { sectors: sectors.filter(|(.., can_hold)| can_hold.len() > 1).collect() }
    }

    fn for_each(&self, image: &mut Files, look: &mut impl FnMut(&Files)) -> u64 {
        let all = self
            .sectors
            .iter()
            .try_fold(1_u64, |all, (.., can_hold)| all.checked_mul(can_hold.len() as u64))
            .filter(|all| *all <= EXHAUSTIVE);
        match all {
            Some(all) => {
                for number in 0..all {
                    self.choose(image, number);
                    look(image);
                }
                all
            }
            None => self.some(image, look),
        }
    }

    /// Fills every sector in doubt as the digits of `number` say.
    fn choose(&self, image: &mut Files, mut number: u64) {
        for (file, at, can_hold) in &self.sectors {
            let count = can_hold.len() as u64;
            let chosen = usize::try_from(number % count).unwrap();
            number /= count;
            image.get_mut(file).unwrap()[*at..*at + SECTOR].copy_from_slice(&can_hold[chosen]);
        }
    }

    /// All prefixes, suffixes, single holes and single sectors of whatever each sector may newly hold.
    fn some(&self, image: &mut Files, look: &mut impl FnMut(&Files)) -> u64 {
        let count = self.sectors.len();
        let kinds = self.sectors.iter().map(|(.., can_hold)| can_hold.len()).max().unwrap_or(1);
        let mut images = 0;
        for kind in 1..kinds {
            for cut in 0..=count {
                let shapes: [&dyn Fn(usize) -> bool; 4] =
                    [&|at| at < cut, &|at| at >= cut, &|at| at != cut, &|at| at == cut];
                for is_new in shapes {
                    for (index, (file, at, can_hold)) in self.sectors.iter().enumerate() {
                        let chosen = if is_new(index) { kind.min(can_hold.len() - 1) } else { 0 };
                        image.get_mut(file).unwrap()[*at..*at + SECTOR].copy_from_slice(&can_hold[chosen]);
                    }
                    look(image);
                    images += 1;
                }
            }
        }
        images
    }
}
