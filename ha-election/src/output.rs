use core::fmt;

use ha_core::{Acknowledged, HostId, Term};

use crate::{Message, Role};

/// Everything that an election asks for or tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Seal this message into a frame and send it. It may get lost.
    Transmit {
        /// To whom.
        to: HostId,
        /// What.
        message: Message,
    },
    /// Make this durable, and answer [`Input::TermStored`](crate::Input::TermStored) once it is: every later life of this
    /// agent must start with it, or a higher one, in
    /// [`ElectionConfig::acknowledged`](crate::ElectionConfig::acknowledged). The next request comes only after
    /// the answer. A store that fails is tried again; as long as it fails this host takes no new term.
    StoreTerm {
        /// The term, or the round that this host may soon claim a term of.
        acknowledged: Acknowledged,
    },
    /// Something that the agent or its operator wants to know.
    Event(Event),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The role is another one now.
    RoleChanged {
        /// What it was.
        from: Role,
        /// What it is.
        to: Role,
        /// Why, in a few words.
        reason: &'static str,
    },
    /// This host follows a master, or its master has raised its term.
    Following {
        /// The master.
        master: HostId,
        /// Its term.
        term: Term,
    },
    /// This host is master in a new or raised term, whose round is durable.
    Reigning {
        /// The own term.
        term: Term,
    },
    /// The right to act as master was gained or lost.
    RightsChanged {
        /// Whether it is held now. Read [`Election::may_act`](crate::Election::may_act) before each act all the
        /// same: the right also ends by the clock.
        rights: bool,
    },
    /// This host was master and gives way to a better one.
    Yielded {
        /// The better one.
        to: HostId,
        /// The term that it claimed. It may be lower than our own was; the other will raise it.
        term: Term,
    },
    /// Ping the isolation addresses now.
    AddressCheckWanted,
    /// The window has ended without a result; another one runs.
    ElectionGoesOn {
        /// What the election waits for.
        reason: WaitReason,
    },
    /// A claim that cannot be: from a host that is not on the list, or for another host's term or id. It has
    /// changed nothing. Told once per source (fdm-facts 1.6).
    InvalidMaster {
        /// Where it came from.
        host: HostId,
    },
}

/// Why an election did not end with its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WaitReason {
    /// Others are heard, but none of them hears this host.
    NotHeard,
    /// A better candidate is there.
    BetterCandidate {
        /// The best one.
        host: HostId,
    },
    /// As many of the hosts heard follow a running master, which this host does not hear, as are candidates.
    OthersFollow {
        /// One of those masters.
        master: HostId,
    },
    /// This host is declared isolated.
    Isolated,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHeard => f.write_str("others are heard, but none of them hears this host"),
            Self::BetterCandidate { host } => write!(f, "{host} is a better candidate"),
            Self::OthersFollow { master } => {
                write!(f, "others follow {master}, which this host does not hear")
            }
            Self::Isolated => f.write_str("this host is isolated"),
        }
    }
}
