use std::format;
use std::{fs, io};

use ha_core::{BootId, Instant};
use rustix::time::{ClockId, clock_gettime};

/// The kernel's boot clock (`CLOCK_BOOTTIME`), which counts suspend: nanoseconds, unshifted.
///
/// All processes of one boot read the same number, so an agent, its launcher and a holder may compare instants.
#[must_use]
pub fn boot_clock() -> Instant {
    let time = clock_gettime(ClockId::Boottime);
    // Neither part is ever negative on this clock.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// The kernel's random id of this boot.
///
/// # Errors
///
/// That `/proc/sys/kernel/random/boot_id` cannot be read or holds no uuid.
pub fn boot_id() -> io::Result<BootId> {
    let path = "/proc/sys/kernel/random/boot_id";
    let named = |kind, why: &dyn core::fmt::Display| io::Error::new(kind, format!("{path}: {why}"));
    let text = fs::read_to_string(path).map_err(|error| named(error.kind(), &error))?;
    text.trim().parse().map_err(|error| named(io::ErrorKind::InvalidData, &error))
}
