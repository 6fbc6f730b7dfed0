//! Whether the locks of a datastore are shared between hosts, or each host has its own: rating F0 (architecture 8).
//!
//! Two hosts that hear each other now find it out together. [`ProbeHolder`] on host A holds a lock, [`ProbeTaker`] on
//! host B tries it. Their words travel by the parents' transport ([`Question`], [`Answer`]); no layout is given here.
//!
//! | | A: [`ProbeHolder`] | B: [`ProbeTaker`] |
//! |---|---|---|
//! | 1 | locks its own `host-<a>-probe`, writes a nonce into it, reads it back, asks [`Question::Try`] | |
//! | 2 | | reads the nonce, tries the lock: found it held -> [`Answer::Held`], and the round is over |
//! | | | was granted it -> keeps it, [`Answer::Taken`] |
//! | 3 | lets go, locks *afresh*: granted again -> asks [`Question::StillHeld`] | |
//! | 4 | | never let go -> [`Answer::StillHeld`], and lets go |
//!
//! Three rounds must say the same, and none the contrary; of nine rounds at most.
//!
//! # Which file
//!
//! A lock file of its own, on which nobody's right depends, so that whoever loses its lock loses nothing. The lock of
//! a heartbeat file would do for step 2, but may only be looked at where looking is safe, which is just what a
//! datastore of unknown locks cannot promise; and step 3 must let go of it.
//!
//! The file alone makes a try harmless only to those who still speak with the server. On NFSv4 a conflicting request
//! may end *everything* that a silent client holds (architecture 1). So B tries only while A's word counts: A's write
//! into this very file ended well within the I/O timeout, and the try begins within [`Question::Try::valid_for`] of
//! the frame of B's that the question echoes. That is a heartbeat and two I/O timeouts after A's write began, at most:
//! 5 s by FDM's times, where the shortest lease of a server that is on record is 30 s (reliability 3). In step 3 the
//! same holds the other way round: what A's try meets is a lock that B was granted in this round.
//!
//! # What each verdict proves
//!
//! * [`Verdict::LocksShared`]: B was refused the lock of a file in which it read the nonce that A had just written
//!   under it. Nobody else locks the file: one host at a time tries it, and B keeps no lock after a round. It does
//!   **not** prove F1 or more of what happens when a host falls silent.
//! * [`Verdict::LocksNotShared`]: A and B held *one* lock at one moment: B from before its first answer to after its
//!   second, without letting go; A by a fresh grant in between. A lock that A lost on the way (F1, F2) is not taken for
//!   that: step 3 then meets B's lock, and the round tells [`Inconclusive::HolderLostLock`]. To pass for F0, shared
//!   locks must be lost by both hosts within one round, and so three times in a row, between hosts that reached
//!   the storage moments before. Such locks are worth no more than local ones.
//! * [`Verdict::Inconclusive`]: anything else. It changes no rating. Silence, a cut, a slow network or disk, a
//!   missing file and a restarted peer all end here, never in one of the others.
//!
//! # Hearing
//!
//! The parent tells each machine when its host and the other *heard each other*: a heartbeat of the other's present life
//! that echoes the own one. That counts for one heartbeat period. Each host looks at it before it lets the other act and
//! before it believes the answer, so no verdict spans a cut: the holder before each question and at each answer, the
//! taker at each question and when its try has ended.
//!
//! Answers and questions of other rounds are counted and dropped; lost ones end the round by its time.

mod holder;
mod spans;
mod taker;

use core::time::Duration;

use ha_core::{Instant, StorageFault, UnknownRequest};

use crate::format::ProbeNonce;

pub use holder::{HolderInput, HolderOutput, ProbeHolder, ProbeHolderConfig};
pub use taker::{OwnFile, ProbeTaker, ProbeTakerConfig, TakerInput, TakerOutput};

/// So many rounds are tried at most.
pub const MAX_ROUNDS: u8 = 9;

/// So many rounds must say the same.
pub const AGREEING_ROUNDS: u8 = 3;

/// From the holder to the taker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// I hold the lock and have written this nonce: try it.
    Try {
        /// The round.
        nonce: ProbeNonce,
        /// For how long the try may begin, after the send time of the taker's last frame that this one echoes.
        valid_for: Duration,
    },
    /// I was granted the lock again: do you still hold yours?
    StillHeld {
        /// The round.
        nonce: ProbeNonce,
    },
}

/// From the taker to the holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The lock was found held.
    Held {
        /// The round.
        nonce: ProbeNonce,
        /// Whether the nonce stood in the file right before.
        nonce_seen: bool,
    },
    /// The lock was granted, and is kept for a while.
    Taken {
        /// The round.
        nonce: ProbeNonce,
        /// Whether the nonce stood in the file right before.
        nonce_seen: bool,
    },
    /// It was kept until this question came; it is let go now.
    StillHeld {
        /// The round.
        nonce: ProbeNonce,
    },
    /// Nothing can be said.
    Refused {
        /// The round.
        nonce: ProbeNonce,
        /// Why.
        why: Refusal,
    },
}

impl Answer {
    /// The round that is answered.
    #[must_use]
    pub const fn nonce(&self) -> ProbeNonce {
        match self {
            Self::Held { nonce, .. }
            | Self::Taken { nonce, .. }
            | Self::StillHeld { nonce }
            | Self::Refused { nonce, .. } => *nonce,
        }
    }
}

/// Why a taker can say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The two hosts did not hear each other within one heartbeat.
    #[error("the hosts do not hear each other now")]
    NotHeard,
    /// A request of an earlier round is still out.
    #[error("an earlier round is still on its way")]
    Busy,
    /// The question came, or the try could begin, too late.
    #[error("the question came too late")]
    Expired,
    /// The lock of this round is not held, or not any more.
    #[error("the lock is not held any more")]
    NotHeld,
    /// Storage did not answer, or answered otherwise.
    #[error("storage: {0}")]
    Fault(StorageFault),
}

/// What two hosts found out about a datastore's locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A lock that one host holds is refused to the other.
    LocksShared {
        /// When the holder asked for the last try, on its own clock.
        at: Instant,
    },
    /// Both hosts held one lock at one moment: rating F0.
    LocksNotShared {
        /// When the holder asked for the last try, on its own clock.
        at: Instant,
        /// Whether the taker read the holder's nonce each time. If not, the two hosts may not even see one
        /// datastore: two exports under one name.
        same_file: bool,
    },
    /// Neither was shown.
    Inconclusive {
        /// What stood against the last round that showed nothing.
        why: Inconclusive,
    },
}

/// Why a round, or the whole probe, shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconclusive {
    /// The two hosts did not hear each other within one heartbeat.
    #[error("the hosts do not hear each other now")]
    NotHeard,
    /// No answer came in time.
    #[error("no answer came in time")]
    NoAnswer,
    /// The taker could say nothing.
    #[error("the other host: {0}")]
    Refused(Refusal),
    /// The holder's own probe file is locked by somebody: an older life of its agent, or a taker that ended badly.
    #[error("the own probe file is locked by somebody")]
    FileHeld,
    /// The taker was refused the lock, but did not read the nonce: it may have met somebody else's lock.
    #[error("the other host found a lock held, but not by this host")]
    HeldByAnother,
    /// The holder had lost its lock when the taker was granted it. So locks are shared, and can be lost (F1, F2).
    #[error("the own lock was lost and taken by the other host")]
    HolderLostLock,
    /// Storage took longer than the I/O timeout, so what it said is too old to be acted upon.
    #[error("storage is too slow now")]
    Slow,
    /// A request has been out for `storage_stall_max`. The probe ends.
    #[error("storage does not answer")]
    Stalled,
    /// Storage answered otherwise. The probe ends if the holder's file does not exist.
    #[error("storage: {0}")]
    Fault(StorageFault),
    /// Some rounds showed shared locks, and some did not. The probe ends.
    #[error("the rounds contradict each other")]
    Contradictory,
    /// The parent gave the probe up. It ends.
    #[error("given up")]
    Cancelled,
}

/// A mistake of the parent. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The completion answers no open request of this machine.
    #[error(transparent)]
    UnknownRequest(#[from] UnknownRequest),
}
