use core::fmt::Debug;
use core::time::Duration;

use ha_core::operation::{LookAtLock, Ping};
use ha_core::wire::FrameKind;
use ha_core::{Acknowledged, Completion, HostId, Instant, Token};

use super::StartError;
use crate::{Reign, Scenario, Stance};

/// One life of one host, as the world of elections drives it. The production node is
/// [`Elector`](super::Elector); broken ones show that the oracle notices.
pub trait Node: Sized {
    /// What travels between hosts.
    type Frame: Clone + Debug;

    /// Begins a life.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the scenario's configuration is none.
    fn start(life: &Life<'_>, now: Instant) -> Result<Self, StartError>;

    /// Something happens to the host.
    fn tell(&mut self, now: Instant, news: News<Self::Frame>);

    /// Time has passed.
    fn tick(&mut self, now: Instant);

    /// Takes the next thing that the host does.
    fn act(&mut self) -> Option<Act<Self::Frame>>;

    /// When to call [`Node::tick`] next.
    fn deadline(&self) -> Option<Instant>;

    /// What the host is.
    fn stance(&self) -> Stance;

    /// The incarnation and the sequence in a frame, as a third party reads them off the wire.
    fn name(frame: &Self::Frame) -> (u64, u64);
}

/// What a life begins with.
#[derive(Clone, Copy, Debug)]
pub struct Life<'s> {
    /// The run.
    pub scenario: &'s Scenario,
    /// The host.
    pub host: HostId,
    /// Which life it is, from 1.
    pub incarnation: u64,
    /// What an earlier life made durable of its terms.
    pub stored: Acknowledged,
}

/// What can happen to a host.
#[derive(Debug)]
pub enum News<F> {
    /// A frame has arrived, whatever it is worth.
    Frame(F),
    /// An isolation address has answered a ping that was sent then.
    AddressAnswered(Instant),
    /// A ping was answered or not.
    Pinged(Completion<Ping>),
    /// A look at a lock has ended.
    Looked(Completion<LookAtLock>),
    /// This is durable now, as was asked for.
    Stored(Acknowledged),
    /// The host is fit for a role now, or not any more.
    Fit(bool),
    /// The host owns this many datastores' lists.
    OwnsLists(u32),
    /// The host was suspended.
    Resumed,
}

/// What a host does.
#[derive(Debug)]
pub enum Act<F> {
    /// It sends a frame.
    Send {
        /// To whom.
        to: HostId,
        /// Of which kind.
        kind: FrameKind,
        /// What.
        frame: F,
    },
    /// It begins to reign in a term.
    Reigns(Reign),
    /// It begins to follow a term.
    Follows(Reign),
    /// It makes a term durable, for its next life.
    Stores(Acknowledged),
    /// It pings its isolation addresses.
    PingsAddress,
    /// It pings a host.
    Pings {
        /// Answers the request.
        token: Token<Ping>,
        /// The host.
        host: HostId,
        /// How long to wait for the answer.
        timeout: Duration,
    },
    /// It looks whether a host's heartbeat file is locked.
    Looks {
        /// Answers the request.
        token: Token<LookAtLock>,
        /// The host.
        host: HostId,
    },
}
