use crate::Instant;

/// The result of one round of pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PingEvidence {
    /// At least one ping of the round was answered.
    Answered {
        /// When the answer arrived.
        at: Instant,
    },
    /// Every ping of the round went unanswered.
    Unanswered {
        /// When the first ping of the round was sent.
        began: Instant,
        /// When the round ended.
        ended: Instant,
        /// How many were sent.
        pings: u32,
    },
}
