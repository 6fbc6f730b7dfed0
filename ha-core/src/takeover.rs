//! How long a host's silence must last before its virtual machines may be taken over.
//!
//! Pure arithmetic over the owner's numbers, the datastore's capability and the proofs at hand (architecture 8,
//! reliability 6). It answers *when a virtual machine's lock may be tried*, never whether it will be won: the
//! lock and its record have the last word in every case.

use core::time::Duration;

use crate::{Capability, Rating};

/// What an owner of virtual machines promises about itself; its heartbeat file carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerNumbers {
    /// It has stopped its virtual machines by itself this long after its last confirmed renewal.
    pub ttl: Duration,
    /// Its watchdog resets the machine at the latest this long after the last pet. `None`: it has none, so
    /// nothing bounds how long a hung owner goes on.
    pub watchdog: Option<Duration>,
    /// Between two renewals.
    pub period: Duration,
    /// After this a renewal is overdue.
    pub io_timeout: Duration,
}

impl OwnerNumbers {
    /// The larger of each number; no watchdog is larger than any.
    #[must_use]
    pub fn larger(self, other: Self) -> Self {
        Self {
            ttl: self.ttl.max(other.ttl),
            watchdog: self.watchdog.zip(other.watchdog).map(|(a, b)| a.max(b)),
            period: self.period.max(other.period),
            io_timeout: self.io_timeout.max(other.io_timeout),
        }
    }
}

/// How far the rates of two clocks may be apart from true time, each, in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DriftPpm(pub u32);

impl DriftPpm {
    /// 500 ppm: what kernels accept as the largest correction of a clock's rate.
    pub const KERNEL_MAX: Self = Self(500);
}

/// A cooperative proof that the old copy of one virtual machine has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopProof {
    /// A poweron generation with `inventory complete`, newer than the request, without that machine's epoch.
    CompletePoweron,
    /// The machine's marker says `done` for the lock record's epoch.
    MarkerDone,
    /// Its host sent an authentic "stopped" that names the epoch.
    SignedStopped,
    /// Its host runs under a newer boot id. Never under [`Rating::SameKernel`], where all share one.
    NewerBoot,
    /// The lock record says `free`.
    FreeRecord,
    /// The lock record says `cleanly off`.
    CleanlyOff,
    /// The lock record names an older boot of the very host that asks.
    OwnOlderBoot,
    /// An operator or a fence device confirmed the end of the boot and incarnation that the record names.
    Confirmed,
}

/// When the lock of a silent host's virtual machine may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// At once; winning the lock is all that is needed.
    AtOnceByLock,
    /// Not before the owner's heartbeat file has stood still this long, on the observer's own clock, from its
    /// first good read, counting only while its own write and read-back there worked.
    AfterSilence(Duration),
    /// Not before an operator or a fence device confirms the owner's end: no wait is long enough.
    OperatorOnly,
}

/// Everything the rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeoverCase {
    /// Of the virtual machine: the weakest over all datastores that hold a writable disk of it.
    pub capability: Capability,
    /// The owner's numbers as last read; `None` if they cannot be read.
    pub owner: Option<OwnerNumbers>,
    /// The configured maxima, above which no host may start.
    pub maxima: OwnerNumbers,
    /// The largest numbers ever read from that owner; `None` if none ever were.
    pub largest_read: Option<OwnerNumbers>,
    /// The best proof at hand.
    pub proof: Option<StopProof>,
    /// p: between two reads of the observer.
    pub poll: Duration,
    /// The bound on clock rates.
    pub drift: DriftPpm,
}

impl Takeover {
    /// The rule of architecture 8.
    ///
    /// # Errors
    ///
    /// [`LocksNotShared`] on F0, where winning a lock means nothing.
    pub fn rule(case: &TakeoverCase) -> Result<Self, LocksNotShared> {
        let capability = &case.capability;
        match capability.rating {
            Rating::F0 => return Err(LocksNotShared),
            Rating::F3 | Rating::SameKernel => return Ok(Self::AtOnceByLock),
            Rating::F1 | Rating::F2 => {}
        }
        if case.proof.is_some() {
            return Ok(Self::AtOnceByLock);
        }
        let largest = case.largest_read.map_or(case.maxima, |read| case.maxima.larger(read));
        let owner = case.owner.unwrap_or(largest);
        let wait =
            required_silence(owner.ttl, owner.watchdog, capability.queued_writes, case.poll, case.drift);
        Ok(wait.map_or(Self::OperatorOnly, Self::AfterSilence))
    }
}

/// D of reliability 6: `(TTL + WD) x (1 + rho) / (1 - rho) + Q + p`, rounded up to the nanosecond.
///
/// The factor covers an owner whose clock runs slow by rho while the observer's runs fast by rho. `None` if no
/// wait suffices: without a watchdog, with clocks that may stand still (rho of one or more), or if the sum
/// is past every clock.
#[must_use]
pub fn required_silence(
    ttl: Duration,
    watchdog: Option<Duration>,
    queued_writes: Duration,
    poll: Duration,
    drift: DriftPpm,
) -> Option<Duration> {
    const MILLION: u128 = 1_000_000;
    let rho = u128::from(drift.0);
    let slowest = MILLION.checked_sub(rho).filter(|rate| *rate > 0)?;
    let owner = ttl.checked_add(watchdog?)?;
    // At most 2^64 s x 10^9 x 2 x 10^6 < 2^115: no overflow.
    let scaled = (owner.as_nanos() * (MILLION + rho)).div_ceil(slowest);
    from_nanos(scaled)?.checked_add(queued_writes)?.checked_add(poll)
}

/// The datastore is rated F0: its locks are not shared between hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("locks are not shared between hosts (F0): nothing can be taken over by them")]
pub struct LocksNotShared;

fn from_nanos(nanos: u128) -> Option<Duration> {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / SECOND).ok()?;
    let rest = u32::try_from(nanos % SECOND).ok()?;
    Some(Duration::new(seconds, rest))
}
