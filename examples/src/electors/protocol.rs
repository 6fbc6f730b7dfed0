//! What manager and electors tell each other. To an elector by its standard input, a socket that keeps messages apart;
//! from it by lines on its standard output.

use ha_core::{HostId, Instant, Term};
use ha_election::Role;
use serde::{Deserialize, Serialize};

use crate::protocol::{nanos, text};

/// The longest message to an elector, in bytes.
pub(super) const MAX_ORDER: usize = 4_096;

/// To an elector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// How its surroundings are from now on. Before the first one it takes no part.
    Settings(Settings),
    /// Tell of yourself, under this number.
    Status(u64),
}

/// Everything about an elector's surroundings, so that a newer message replaces all older ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Numbers of the hosts to which nothing is sent.
    pub(super) cut_to: Vec<u32>,
    /// Whether the isolation address is not pinged either.
    pub(super) cut_from_address: bool,
    /// How many datastores it counts as connected.
    pub(super) datastores: u32,
    /// Whether it is not in maintenance.
    pub(super) in_service: bool,
}

/// One line of an elector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// When, by the clock that all processes share.
    #[serde(with = "nanos")]
    pub(super) at: Instant,
    pub(super) news: News,
}

/// What an elector tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum News {
    /// Its sockets are open; it waits for its first settings.
    Ready { life: u64 },
    /// Its role is another one, or its term is; then there is no reason.
    Role { role: RoleNow, reason: Option<String> },
    /// It gained or lost the right to act as master.
    Rights(bool),
    /// It was master and gave way.
    Yielded { to: u32, term: TermText },
    /// The election window ended without a result.
    ElectionGoesOn { reason: String },
    /// Somebody claims what it cannot.
    InvalidMaster { host: u32 },
    /// It has declared itself isolated, or takes that back.
    Isolated { isolated: bool, reason: String },
    /// The answer to [`Order::Status`].
    Status { number: u64, status: Status },
}

/// A term in its printed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct TermText(#[serde(with = "text")] pub(super) Term);

/// [`Role`] as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RoleNow {
    Uninitialized,
    Candidate,
    Slave(TermText),
    Master(TermText),
}

impl From<Role> for RoleNow {
    fn from(role: Role) -> Self {
        match role {
            Role::Uninitialized => Self::Uninitialized,
            Role::Candidate => Self::Candidate,
            Role::Slave { term, .. } => Self::Slave(TermText(term)),
            Role::Master { term } => Self::Master(TermText(term)),
        }
    }
}

impl From<RoleNow> for Role {
    fn from(role: RoleNow) -> Self {
        match role {
            RoleNow::Uninitialized => Self::Uninitialized,
            RoleNow::Candidate => Self::Candidate,
            RoleNow::Slave(TermText(term)) => Self::Slave { master: term.host, term },
            RoleNow::Master(TermText(term)) => Self::Master { term },
        }
    }
}

/// An elector at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) role: RoleNow,
    /// Whether it may act as master at this moment.
    pub(super) rights: bool,
    pub(super) isolated: bool,
    pub(super) datastores: u32,
    /// The incarnation, which each start raises.
    pub(super) life: u64,
    /// The highest round it knows.
    pub(super) round: u64,
    /// Frames that went out.
    pub(super) sent: u64,
    /// Frames that did not, because the link is cut.
    pub(super) cut: u64,
    /// Authentic frames that came in.
    pub(super) received: u64,
    /// Frames that were refused.
    pub(super) refused: u64,
    /// How often it was called so late that it must have been stopped.
    pub(super) stalls: u64,
}

/// The numbers of hosts, as they travel.
pub(super) fn numbers(hosts: impl IntoIterator<Item = HostId>) -> Vec<u32> {
    hosts.into_iter().map(HostId::number).collect()
}
