use alloc::string::String;
use core::fmt;

use ha_core::Instant;

/// What must hold, named as in reliability 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Injected frames that no member sent change nothing.
    NoForgery,
    /// No term is reigned in twice, or by a host that it does not name.
    TermOnce,
    /// No host goes back from a term that it has acknowledged in this life.
    TermsRise,
    /// Nor from one of an earlier life.
    TermsRiseOverLives,
    /// No host follows a term that nobody began.
    KnownReign,
    /// No incarnation is used for two lives.
    LifeOnce,
    /// No frame number is used for two frames.
    FrameOnce,
    /// Equal scenarios give equal runs.
    Deterministic,
    /// Every component has one master that all of it follow, in time and from then on.
    OneMaster,
    /// The same for a core whose outside stays broken for ever.
    CoreSettles,
}

impl Invariant {
    /// Its stable id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::NoForgery => "S9",
            Self::TermOnce => "S10.term-once",
            Self::TermsRise => "S10.terms-rise",
            Self::TermsRiseOverLives => "S10.terms-rise-over-lives",
            Self::KnownReign => "S10.known-reign",
            Self::LifeOnce => "S10.life-once",
            Self::FrameOnce => "S10.frame-once",
            Self::Deterministic => "S12",
            Self::OneMaster => "L1",
            Self::CoreSettles => "L6",
        }
    }
}

/// An invariant that a run has broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Instant,
    /// Which.
    pub invariant: Invariant,
    /// How.
    pub what: String,
}

impl Violation {
    /// The same on a clock that began at `start`.
    pub(crate) fn since(self, start: Instant) -> Self {
        Self { at: Instant::ORIGIN.after(self.at.since(start)), ..self }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.at.as_nanos();
        let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        write!(f, "{seconds:>6}.{rest:09} s  {} is violated: {}", self.invariant.id(), self.what)
    }
}
