use core::time::Duration;

use ha_core::Instant;
use ha_datastore::fs::boot_clock;
use rustix::time::{ClockId, clock_gettime};

/// A difference between two readings that is smaller than this is noise.
const NOISE: Duration = Duration::from_millis(10);

/// Notices that the machine was suspended: the boot clock counted on, the monotonic clock stood still.
///
/// A process that was merely stopped is another matter; both clocks go on then.
#[derive(Debug)]
pub(super) struct SuspendWatch {
    /// Boot clock less monotonic clock.
    offset: Duration,
}

impl SuspendWatch {
    pub(super) fn new() -> Self {
        Self { offset: read_offset().unwrap_or_default() }
    }

    /// How long the machine was suspended since the last look, if it was.
    pub(super) fn look(&mut self) -> Option<Duration> {
        let offset = read_offset()?;
        let gap = grown(self.offset, offset)?;
        self.offset = offset;
        Some(gap)
    }
}

fn grown(before: Duration, now: Duration) -> Option<Duration> {
    now.checked_sub(before).filter(|gap| *gap >= NOISE)
}

/// `None` if this thread was interrupted between the readings, which would look like a suspend.
fn read_offset() -> Option<Duration> {
    let before = boot_clock();
    let monotonic = clock_gettime(ClockId::Monotonic);
    let after = boot_clock();
    let seconds = u64::try_from(monotonic.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(monotonic.tv_nsec).unwrap_or(0);
    let offset = before.since(Instant::ORIGIN).saturating_sub(Duration::new(seconds, nanos));
    (after.since(before) < NOISE / 10).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_gap_above_the_noise_counts() {
        let ms = Duration::from_millis;
        assert_eq!(grown(ms(100), ms(109)), None);
        assert_eq!(grown(ms(100), ms(110)), Some(ms(10)));
        assert_eq!(grown(ms(100), ms(111)), Some(ms(11)));
        assert_eq!(grown(ms(100), ms(50)), None);
    }

    #[test]
    fn a_machine_that_was_not_suspended_has_no_gap() {
        let mut watch = SuspendWatch::new();
        assert!((0..1000).all(|_| watch.look().is_none()));
    }
}
