use ha_core::Limits;
use ha_core::options::{Options, Value};

use super::{CandidatePolicy, PerHost, PerHostOutOfRange};

/// The option that silences warnings of too few.
pub(super) const IGNORE_INSUFFICIENT: &str = "das.ignoreInsufficientHbDatastore";

/// How to choose. The default is FDM's, but for stretched clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectionConfig {
    /// How many for each host. A stretched cluster may need more: see [`SelectionConfig::PER_SITE`].
    pub per_host: PerHost,
    /// Which may be chosen, and which first.
    pub policy: CandidatePolicy,
    /// What a stretched cluster gets.
    pub site_rule: SiteRule,
    /// `das.ignoreInsufficientHbDatastore`: do not warn of too few.
    pub ignore_insufficient: bool,
    /// Bounds of the inventory; used are `hosts` and `datastores`.
    pub limits: Limits,
}

impl SelectionConfig {
    /// How many a host should have in each site of a stretched cluster (fdm-facts 3.7), as long as there is room
    /// for as many in all sites: at three sites or more it is one.
    pub const PER_SITE: usize = 2;
    /// The most sites that can each have a share.
    pub const MAX_SITES: usize = PerHost::MAX.get();

    /// The default with what `options` set of `das.heartbeatDsPerHost` and `das.ignoreInsufficientHbDatastore`.
    ///
    /// # Errors
    ///
    /// [`PerHostOutOfRange`], should the table of options allow a number that [`PerHost`] does not. It does not today.
    pub fn from_options(options: &Options) -> Result<Self, PerHostOutOfRange> {
        let per_host =
            options.heartbeat_datastores_per_host().map_or(Ok(PerHost::default()), PerHost::new)?;
        let ignore_insufficient = options.get(IGNORE_INSUFFICIENT) == Some(&Value::Bool(true));
        Ok(Self { per_host, ignore_insufficient, ..Self::default() })
    }
}

/// What a stretched cluster gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SiteRule {
    /// What vCenter does: nothing. Whoever runs a stretched cluster picks by hand (fdm-facts 3.7).
    Unaware,
    /// What is picked by hand there: every host gets datastores in every site that has hosts.
    #[default]
    EverySite,
}
