use ha_core::Counter;

/// What happened to messages and to the machine's own time. Nothing here decides anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElectionCounters {
    /// Messages from hosts that are not on the host list, or from this host itself.
    pub unlisted_sender: Counter,
    /// Messages that contradict the host list or themselves: another host's id or term.
    pub contradiction: Counter,
    /// Messages that echo nothing recent of ours; they prove nothing.
    pub not_echoed: Counter,
    /// Claims of a term below the one acknowledged, and candidacies from before its reign.
    pub lower_term: Counter,
    /// Answers held back because the same peer was answered shortly before.
    pub answer_held_back: Counter,
    /// Times the machine was called so late that it began its judgement anew.
    pub stalls: Counter,
}
