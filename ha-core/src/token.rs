use core::fmt;
use core::marker::PhantomData;

use crate::{HostId, Incarnation};

/// One kind of work that a machine asks of its embedder, and how it can end.
///
/// Implemented by the empty types of [`operation`](crate::operation); a machine crate may add its own.
pub trait Operation {
    /// How the work ended. A fault is an outcome, not an error.
    type Outcome;
    /// The operation's name, for messages.
    const NAME: &'static str;
}

/// Which machine made a request: the agent's host and life, and the machine's place within the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId {
    /// The agent's host.
    pub host: HostId,
    /// The agent's life.
    pub incarnation: Incarnation,
    /// The machine's place within the agent; parents route completions by it.
    pub lane: u32,
}

/// The right to answer one request, once.
///
/// Neither `Clone` nor `Copy`, and only a [`TokenMint`] makes one, so answering twice does not compile.
#[must_use = "a request that is never completed stays overdue and suspends the right it backs"]
pub struct Token<O> {
    machine: MachineId,
    id: RequestId<O>,
}

impl<O: Operation> Token<O> {
    /// Answers the request.
    pub fn complete(self, outcome: O::Outcome) -> Completion<O> {
        Completion { machine: self.machine, id: self.id, outcome }
    }

    /// The request's name, for logs and for queues that must match a late answer.
    #[must_use]
    pub fn id(&self) -> RequestId<O> {
        self.id
    }
}

impl<O: Operation> fmt::Debug for Token<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}.{}", O::NAME, self.machine.lane, self.id.number)
    }
}

impl<O> PartialEq for Token<O> {
    fn eq(&self, other: &Self) -> bool {
        self.machine == other.machine && self.id == other.id
    }
}

impl<O> Eq for Token<O> {}

/// The name of a request, which the machine keeps to know its answer.
pub struct RequestId<O> {
    number: u64,
    operation: PhantomData<fn() -> O>,
}

impl<O> Clone for RequestId<O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for RequestId<O> {}

impl<O> PartialEq for RequestId<O> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<O> Eq for RequestId<O> {}

impl<O> PartialOrd for RequestId<O> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<O> Ord for RequestId<O> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.number.cmp(&other.number)
    }
}

impl<O> fmt::Debug for RequestId<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.number)
    }
}

/// The answer to one request.
#[must_use = "give it back to the machine that asked"]
pub struct Completion<O: Operation> {
    machine: MachineId,
    id: RequestId<O>,
    outcome: O::Outcome,
}

impl<O: Operation> Completion<O> {
    /// The machine that asked. Parents route by its lane.
    #[must_use]
    pub const fn machine(&self) -> MachineId {
        self.machine
    }

    /// The request that is answered.
    #[must_use]
    pub const fn id(&self) -> RequestId<O> {
        self.id
    }

    /// How it ended.
    #[must_use]
    pub const fn outcome(&self) -> &O::Outcome {
        &self.outcome
    }

    /// Opens the answer if `mint` made its token.
    ///
    /// # Errors
    ///
    /// [`UnknownRequest`] if another machine asked.
    pub fn open(self, mint: &TokenMint) -> Result<(RequestId<O>, O::Outcome), UnknownRequest> {
        if self.machine == mint.machine { Ok((self.id, self.outcome)) } else { Err(UnknownRequest) }
    }
}

impl<O: Operation> fmt::Debug for Completion<O>
where
    O::Outcome: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}.{} -> {:?}", O::NAME, self.machine.lane, self.id.number, self.outcome)
    }
}

/// A completion that answers no open request of this machine: made for another, repeated, or stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the completion answers no open request of this machine")]
pub struct UnknownRequest;

/// Makes a machine's tokens; each number once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenMint {
    machine: MachineId,
    next: u64,
}

impl TokenMint {
    /// The mint of one machine. No two machines of one agent may share a [`MachineId`].
    #[must_use]
    pub const fn new(machine: MachineId) -> Self {
        Self { machine, next: 0 }
    }

    /// A new token, and the name by which the machine will know its answer.
    pub fn issue<O: Operation>(&mut self) -> (Token<O>, RequestId<O>) {
        self.next = self.next.saturating_add(1);
        let id = RequestId { number: self.next, operation: PhantomData };
        (Token { machine: self.machine, id }, id)
    }
}
