/// The rules that protect an election. A checker takes one away and must notice.
///
/// Without the `model` feature nothing can be taken away: every rule is kept by a constant.
#[cfg_attr(not(feature = "model"), allow(unreachable_pub, reason = "checkers alone name rules"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Only a message that echoes a recent frame of ours counts.
    Echo,
    /// A master that this host cannot hear is not unseated by the minority of those that it does hear.
    Stickiness,
    /// No host follows a term lower than one it has acknowledged.
    Terms,
    /// What a master claims stays as it was transmitted until a meeting with another master is over.
    FrozenClaim,
    /// An isolated master claims nothing.
    IsolationSilence,
    /// A master has no rights before an echo or an isolation address has shown that it is not cut off.
    ProvenRights,
    /// A term is claimed only once its round is durable.
    DurableRound,
}
