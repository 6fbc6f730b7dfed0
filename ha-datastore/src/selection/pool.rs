//! The choice for one host: places are filled one after the other, each with the best candidate left.

use core::cmp::Reverse;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use ha_core::DatastoreId;

use super::host::{Choice, HostSelection, Place};
use super::table::{Places, Row, Table};
use super::{Better, FileSystem, HostMounts, Mount, WhyNot};

/// The candidates of one host, and what was taken of them.
///
/// Taking the best one each time gives the best set: no choice of one place ever costs more than it gained, because
/// a datastore has one backing and a backing one site.
#[derive(Debug)]
pub(super) struct Pool<'t> {
    table: &'t Table,
    in_use: &'t BTreeSet<DatastoreId>,
    candidates: Vec<Candidate<'t>>,
    chosen: Vec<Choice>,
    passed_over: Vec<(DatastoreId, WhyNot)>,
}

#[derive(Debug)]
struct Candidate<'t> {
    row: &'t Row,
    usable: bool,
    in_use: bool,
    taken: bool,
    /// Who got the last place that it stood for.
    lost_to: Option<(DatastoreId, Better)>,
}

impl<'t> Pool<'t> {
    pub(super) fn new(table: &'t Table, host: &HostMounts, in_use: &'t BTreeSet<DatastoreId>) -> Self {
        let (candidates, chosen, passed_over) = (Vec::new(), Vec::new(), Vec::new());
        let mut pool = Self { table, in_use, candidates, chosen, passed_over };
        for (&datastore, &mount) in &host.mounts {
            // The table has refused mounts of what it does not know.
            let Some(row) = table.row(datastore) else { continue };
            let in_use = in_use.contains(&datastore);
            match usable(row, mount, in_use) {
                Ok(usable) => {
                    pool.candidates.push(Candidate { row, usable, in_use, taken: false, lost_to: None });
                }
                Err(why) => pool.passed_over.push((datastore, why)),
            }
        }
        pool
    }

    /// Fills the places: the sites' shares, then the open ones, then those for which nothing usable is left.
    pub(super) fn choose(mut self, places: &Places) -> HostSelection {
        for &site in &places.sites {
            for _ in 0..places.per_site {
                self.take(Place::Share(site));
            }
        }
        for _ in self.chosen.len()..places.total {
            self.take(Place::Open);
        }
        for _ in self.chosen.len()..places.total {
            self.take(Place::Unfilled);
        }
        self.tell()
    }

    /// Fills one place, if a candidate for it is left.
    fn take(&mut self, place: Place) {
        let chosen = &self.chosen;
        let standing = |candidate: &Candidate<'_>| !candidate.taken && candidate.stands_for(place);
        let ranks = self.candidates.iter_mut().filter(|candidate| standing(candidate));
        let Some((rank, best)) =
            ranks.map(|candidate| (candidate.rank(chosen), candidate)).min_by_key(|(rank, _)| *rank)
        else {
            return;
        };
        best.taken = true;
        let choice = best.choice(place, chosen);
        for other in self.candidates.iter_mut().filter(|candidate| standing(candidate)) {
            other.lost_to = Some((rank.number, rank.better_than(&other.rank(chosen))));
        }
        self.chosen.push(choice);
    }

    fn tell(mut self) -> HostSelection {
        let left = self.candidates.iter().filter(|candidate| !candidate.taken);
        self.passed_over.extend(left.map(|candidate| (candidate.row.id, candidate.why_not())));
        self.passed_over.sort_unstable();
        let (chosen, passed_over) = (self.chosen, self.passed_over);
        let mut selection = HostSelection { chosen, passed_over, dropped: Vec::new() };
        let dropped = self.in_use.iter().filter_map(|&used| {
            let why = selection.why(used).err()?;
            Some((used, if self.table.row(used).is_some() { why } else { WhyNot::Gone }))
        });
        selection.dropped = dropped.collect();
        selection
    }
}

/// Whether a host can use a datastore now, or the reason why it may not.
fn usable(row: &Row, mount: Mount, in_use: bool) -> Result<bool, WhyNot> {
    if let Some(why) = row.unfit {
        return Err(WhyNot::Unfit(why));
    }
    match mount {
        Mount::Usable => Ok(true),
        // In case nothing can replace it: with one datastore fewer a host would be declared dead on less evidence.
        Mount::Lost if in_use => Ok(false),
        Mount::Lost => Err(WhyNot::Lost),
        Mount::ReadOnly => Err(WhyNot::ReadOnly),
        Mount::Leaving => Err(WhyNot::Leaving),
    }
}

impl Candidate<'_> {
    fn stands_for(&self, place: Place) -> bool {
        match place {
            Place::Share(site) => self.usable && self.row.what.backing.site == Some(site),
            Place::Open => self.usable,
            Place::Unfilled => !self.usable,
        }
    }

    fn rank(&self, chosen: &[Choice]) -> Rank {
        Rank {
            not_preferred: !self.row.preferred,
            shares_backing: shares_backing(self.row, chosen).is_some(),
            file_system: self.row.what.file_system,
            not_in_use: !self.in_use,
            reach: Reverse(self.row.reach),
            number: self.row.id,
        }
    }

    fn choice(&self, place: Place, chosen: &[Choice]) -> Choice {
        Choice {
            datastore: self.row.id,
            place,
            what: self.row.what,
            preferred: self.row.preferred,
            kept: self.in_use,
            shares_backing_with: shares_backing(self.row, chosen),
            reach: self.row.reach,
        }
    }

    fn why_not(&self) -> WhyNot {
        if !self.usable {
            return WhyNot::Lost;
        }
        self.lost_to.map_or(WhyNot::SharesFirst, |(by, better)| WhyNot::Outranked { by, better })
    }
}

fn shares_backing(row: &Row, chosen: &[Choice]) -> Option<DatastoreId> {
    chosen.iter().find(|choice| choice.what.backing == row.what.backing).map(|choice| choice.datastore)
}

/// How good a candidate is for the next place; the least is the best. The first three fields are its class, and only
/// a better class takes a place from one that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    not_preferred: bool,
    shares_backing: bool,
    file_system: FileSystem,
    not_in_use: bool,
    reach: Reverse<u32>,
    number: DatastoreId,
}

impl Rank {
    /// The first difference to a worse rank.
    fn better_than(&self, other: &Self) -> Better {
        if self.not_preferred != other.not_preferred {
            Better::UserPreference
        } else if self.shares_backing != other.shares_backing {
            Better::OwnBacking
        } else if self.file_system != other.file_system {
            Better::FileSystem
        } else if self.not_in_use != other.not_in_use {
            Better::InUse
        } else if self.reach != other.reach {
            Better::Reach { taken: self.reach.0, other: other.reach.0 }
        } else {
            Better::Number
        }
    }
}
