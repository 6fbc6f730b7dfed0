use core::fmt;
use core::str::FromStr;

use super::parse::{ParseError, number_after};
use super::{HostId, Round, Term};

/// The highest term that a host has followed or reigned in: what a later life of its agent must know, so that it
/// neither repeats a term nor goes back to a lower one.
///
/// Without a host it is a round of which no term was acknowledged yet: reserved for one that this host may claim.
/// Compared as terms are; a round alone is lower than each of its terms. As text it is a term's, or the round's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acknowledged {
    /// Compared first.
    pub round: Round,
    /// The master of the term; compared second.
    pub host: Option<HostId>,
}

impl Acknowledged {
    /// Of a host that has never taken part.
    pub const NONE: Self = Self::reserved(Round::ZERO);

    /// A round of which no term was acknowledged yet.
    #[must_use]
    pub const fn reserved(round: Round) -> Self {
        Self { round, host: None }
    }

    /// Whether following this term would be no step back.
    #[must_use]
    pub fn allows(self, term: Term) -> bool {
        Self::from(term) >= self
    }
}

impl From<Term> for Acknowledged {
    fn from(term: Term) -> Self {
        Self { round: term.round, host: Some(term.host) }
    }
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Some(host) => Term::new(self.round, host).fmt(f),
            None => self.round.fmt(f),
        }
    }
}

impl FromStr for Acknowledged {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.contains('@') {
            return text.parse::<Term>().map(Self::from);
        }
        let bad = || ParseError::new("acknowledged term", "`<round>` or `<round>@host-<number>`", text);
        number_after("", text).map(|round| Self::reserved(Round::new(round))).ok_or_else(bad)
    }
}
