use super::FrameKind;
use crate::{BootId, HostId, Incarnation, Instant, Term};

/// What came of the bytes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a frame that is not looked at is lost"]
pub enum Opened<'f> {
    /// An authentic frame that was not seen before. Whether it counts as life is said by its [`Echo`].
    Accepted(Received<'f>),
    /// Authentic and new, but not understood. It is echoed like any other and otherwise without effect.
    Ignored(IgnoredReason),
    /// Not for us, not authentic, or seen before. Nothing but a counter has changed.
    Refused(Refusal),
}

/// An authentic frame.
///
/// Take [`boot`](Self::boot), [`term`](Self::term) and the payload for the present only if the echo is fresh:
/// a recorded frame of an earlier life is authentic too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'f> {
    /// The sender.
    pub from: HostId,
    /// The sender's boot.
    pub boot: BootId,
    /// The life of the sender's agent; never lower than in any frame accepted from it before.
    pub incarnation: Incarnation,
    /// What the frame is for. It belongs to the channel that the frame came by.
    pub kind: FrameKind,
    /// The term in which the sender speaks, if it named one.
    pub term: Option<Term>,
    /// The number of the frame within the sender's life and the channel. From 1, never twice; gaps are
    /// normal.
    pub sequence: u64,
    /// The payload; the bytes are those that were opened.
    pub payload: &'f [u8],
    /// Whether the sender has heard us lately. Only a fresh echo makes the frame a sign of life, or a claim.
    pub echo: Echo,
    /// Answer by the same channel, so that the sender can echo it: a [`FrameKind::Probe`] to a datagram, any
    /// control frame on a stream. Set at most once per peer, channel and `probe_spacing`, and only if the
    /// echo is not fresh.
    pub probe: bool,
    /// The first accepted frame of this life of the sender, as far as this `Wire` knows. The very first frame
    /// of a peer is one, too. Never fresh proof by itself, and given once: compare `incarnation` of fresh
    /// frames.
    pub new_life: bool,
}

/// What a frame says about our own frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// Nothing: the sender has not heard us in its present life.
    None,
    /// It names another life of ours, a frame that is not among the last 64 to this peer on this channel, or
    /// one that was sent longer ago than `echo_fresh`.
    Stale,
    /// It names one of the last 64 frames of our present life to this peer on this channel.
    Fresh {
        /// When that frame was sealed, on our own clock: the sender's answer is younger than this.
        sent_at: Instant,
    },
}

/// Why an authentic frame was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IgnoredReason {
    /// A kind that this version does not know.
    UnknownKind {
        /// The number in the frame.
        code: u16,
    },
    /// A newer minor version that uses flags which this one does not know.
    NewerMinor {
        /// The sender's minor version.
        minor: u8,
    },
}

/// A frame that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// The sender as written in the frame, if the header could be read. Proven only if the reason
    /// [is authentic](RefusalReason::is_authentic).
    pub claimed_sender: Option<HostId>,
}

/// Why a frame was refused; in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RefusalReason {
    /// Shorter than a frame without payload.
    TooShort,
    /// Longer than any frame of the channel.
    TooLong,
    /// Does not start with the magic: no frame of ours.
    BadMagic,
    /// A layout that this version does not know, or a version range that does not hold the frame's own.
    BadVersion,
    /// The length in the header is not that of the payload.
    LengthMismatch,
    /// A flag that does not exist in the frame's minor version.
    UnknownFlags,
    /// An echo or a term in a frame whose flags say that there is none.
    NonZeroAbsentField,
    /// Sent by the other channel: a datagram on a stream, a stream's frame as a datagram, or a kind that does
    /// not belong there.
    WrongChannel,
    /// Of another cluster.
    ForeignCluster,
    /// Sent by ourselves: reflected, or by a second host with our id.
    FromOurselves,
    /// For another host.
    NotForUs,
    /// By a host that is not in the host list.
    UnknownSender,
    /// Under a key that is not in the ring, or unauthenticated where keys are used, or the reverse.
    UnknownKey,
    /// The tag is not that of these bytes.
    BadTag,
    /// Authentic, by an earlier life of the sender than one already heard.
    OldIncarnation,
    /// Authentic, but accepted before, or too far behind the latest to tell.
    Replayed,
}

impl RefusalReason {
    /// Every reason, in the order of the checks.
    pub const ALL: [Self; 16] = [
        Self::TooShort,
        Self::TooLong,
        Self::BadMagic,
        Self::BadVersion,
        Self::LengthMismatch,
        Self::UnknownFlags,
        Self::NonZeroAbsentField,
        Self::WrongChannel,
        Self::ForeignCluster,
        Self::FromOurselves,
        Self::NotForUs,
        Self::UnknownSender,
        Self::UnknownKey,
        Self::BadTag,
        Self::OldIncarnation,
        Self::Replayed,
    ];

    /// Whether the frame's tag was checked and good: who sent it once is then proven.
    #[must_use]
    pub const fn is_authentic(self) -> bool {
        matches!(self, Self::OldIncarnation | Self::Replayed)
    }
}
