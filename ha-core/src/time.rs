use core::fmt;
use core::time::Duration;

/// A point on the embedder's clock: nanoseconds, unshifted, of a clock that counts suspend.
///
/// On Linux this is `CLOCK_BOOTTIME`, so that the agent, the launcher of virtual machines and the holders of
/// their locks compare one number. All arithmetic saturates; nothing here panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The clock's origin.
    pub const ORIGIN: Self = Self(0);

    /// From nanoseconds of the embedder's clock.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds of the embedder's clock.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This long after `self`; the end of time if that is later than it.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// This long before `self`; the origin if that is earlier than it.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// The span since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s", self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 1_000)
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// The clock as one machine has seen it: never backwards (contract rule R5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonotonicNow {
    latest: Instant,
    regressions: u64,
}

impl MonotonicNow {
    /// A clock that starts at `now`.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { latest: now, regressions: 0 }
    }

    /// Takes in a reading; a smaller one than before counts as the largest seen and is counted.
    pub fn advance(&mut self, now: Instant) -> Instant {
        if now < self.latest {
            self.regressions = self.regressions.saturating_add(1);
        } else {
            self.latest = now;
        }
        self.latest
    }

    /// The largest reading so far.
    #[must_use]
    pub const fn latest(&self) -> Instant {
        self.latest
    }

    /// How often a reading went back.
    #[must_use]
    pub const fn regressions(&self) -> u64 {
        self.regressions
    }
}
