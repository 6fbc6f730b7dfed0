use core::fmt;

use alloc::vec::Vec;

use ha_core::DatastoreId;

use super::{Backing, Datastore, SiteId, WhyNot};

/// What was chosen for one host, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSelection {
    /// In the order in which they were taken, most wanted first. One to five, or none.
    pub chosen: Vec<Choice>,
    /// Everything else that the host mounts, ordered by datastore.
    pub passed_over: Vec<(DatastoreId, WhyNot)>,
    /// What it used until now and no longer does, ordered by datastore. With the choices that are not
    /// [`kept`](Choice::kept), this is what `HeartbeatDatastoreChanged` tells.
    pub dropped: Vec<(DatastoreId, WhyNot)>,
}

impl HostSelection {
    /// The datastores, in the order of [`chosen`](Self::chosen).
    pub fn datastores(&self) -> impl Iterator<Item = DatastoreId> {
        self.chosen.iter().map(|choice| choice.datastore)
    }

    /// How many of the choices can be used now.
    #[must_use]
    pub fn usable(&self) -> usize {
        self.chosen.iter().filter(|choice| choice.usable()).count()
    }

    /// Why this host has a datastore: the choice; or why it has not.
    ///
    /// # Errors
    ///
    /// The reason why it has not. A datastore that was never mounted here nor in use is [`WhyNot::NotMounted`],
    /// whether it exists or not.
    pub fn why(&self, datastore: DatastoreId) -> Result<&Choice, WhyNot> {
        if let Some(choice) = self.chosen.iter().find(|choice| choice.datastore == datastore) {
            return Ok(choice);
        }
        let reason = |list: &[(DatastoreId, WhyNot)]| {
            let at = list.binary_search_by_key(&datastore, |&(id, _)| id).ok()?;
            list.get(at).map(|&(_, why)| why)
        };
        Err(reason(&self.passed_over).or_else(|| reason(&self.dropped)).unwrap_or(WhyNot::NotMounted))
    }

    /// Whether it differs from what the host used until now.
    #[must_use]
    pub fn changed(&self) -> bool {
        !self.dropped.is_empty() || self.chosen.iter().any(|choice| !choice.kept)
    }
}

/// Which place a choice fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// One of the share that every host has in this site.
    Share(SiteId),
    /// One of those that any datastore may fill.
    Open,
    /// One that nothing usable could fill: this one was in use, is lost for now, and is kept in case it returns.
    Unfilled,
}

/// One datastore chosen for one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The datastore.
    pub datastore: DatastoreId,
    /// The place it fills.
    pub place: Place,
    /// What it is.
    pub what: Datastore,
    /// Whether it is on the user's list.
    pub preferred: bool,
    /// Whether the host used it until now.
    pub kept: bool,
    /// An earlier choice of this host with the same backing: nothing better was left.
    pub shares_backing_with: Option<DatastoreId>,
    /// How many hosts can use it.
    pub reach: u32,
}

impl Choice {
    /// Whether the host can use it now.
    #[must_use]
    pub const fn usable(&self) -> bool {
        match self.place {
            Place::Share(_) | Place::Open => true,
            Place::Unfilled => false,
        }
    }

    /// What it stands on.
    #[must_use]
    pub const fn backing(&self) -> Backing {
        self.what.backing
    }
}

/// The reasons in one line, such as `datastore-4: kept in the share of site-1: cluster file system, on backing-2 of
/// site-1, usable by 6 hosts`.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.datastore, if self.kept { "kept" } else { "taken" })?;
        match self.place {
            Place::Share(site) => write!(f, " in the share of {site}"),
            Place::Open => Ok(()),
            Place::Unfilled => f.write_str(" though lost for now, as nothing can replace it"),
        }?;
        write!(
            f,
            ": {}{}, ",
            if self.preferred { "the user's preference, " } else { "" },
            self.what.file_system
        )?;
        match self.shares_backing_with {
            None => write!(f, "on {}", self.backing()),
            Some(other) => write!(f, "on {} like {other}, for want of another", self.backing()),
        }?;
        write!(f, ", usable by {} hosts", self.reach)
    }
}
