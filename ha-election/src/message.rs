//! What electors say to each other. A frame carries one message; `ha_core::wire` authenticates it.

mod codec;

use ha_core::{Moid, Term};

pub use codec::{MAX_MESSAGE, MessageError};

/// One message of an election.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// "I look for a master, and this is my rank."
    Candidacy(Candidacy),
    /// "I am master in this term."
    Claim(Claim),
    /// "I am here." Proves a link, and tells whom the sender follows, or that it takes no part.
    Probe(Probe),
}

/// Which message a payload is. The parent maps it to and from the frame's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageKind {
    /// [`Message::Probe`].
    Probe,
    /// [`Message::Candidacy`].
    Candidacy,
    /// [`Message::Claim`].
    Claim,
}

impl Message {
    /// Which message it is.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Candidacy(_) => MessageKind::Candidacy,
            Self::Claim(_) => MessageKind::Claim,
            Self::Probe(_) => MessageKind::Probe,
        }
    }
}

/// How good a master a host would be: more connected datastores first, then the lexically higher id
/// (fdm-facts 1.9, 1.10).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// Connected datastores, or `fdm.nodeGoodness` where that is set.
    pub goodness: i64,
    /// Breaks ties; no two hosts of a list share one.
    pub moid: Moid,
}

/// A vote: the sender stands for election.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidacy {
    /// The sender's rank.
    pub rank: Rank,
}

/// A master's claim and heartbeat. The greater of two claims stays master when two masters meet, so the order
/// of the fields matters: whoever owns more lists has more to hand over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// How many datastores' lists the sender owns.
    pub lists_owned: u32,
    /// The sender's term.
    pub term: Term,
    /// The sender's rank.
    pub rank: Rank,
}

/// A sign of life that claims nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// No more than that: of an isolated master, or of an embedder that answers a frame of another kind.
    Here,
    /// The sender follows the master of this term.
    Follows(Term),
    /// The sender takes no part in elections: it is in maintenance or standby, without its hypervisor service, or
    /// without a datastore (fdm-facts 1.12..1.14). Nobody waits for it, and a master that says so is one no more.
    TakesNoPart,
}
