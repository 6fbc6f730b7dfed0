//! When a host ends an agent that shows no life.

use core::time::Duration;

use ha_core::Instant;

/// The host's watch over its agent's process: an agent that shows no life for `limit` is to be ended.
///
/// Only time in which the host itself ran counts. If the host was stopped as well, the agent may have been alive
/// all along, and its signs of life are still to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchdog {
    limit: Duration,
    look_period: Duration,
    last_sign: Instant,
    last_look: Instant,
}

impl Watchdog {
    /// A watch that begins at `now`. The host promises to look at least every `look_period`.
    #[must_use]
    pub const fn new(limit: Duration, look_period: Duration, now: Instant) -> Self {
        Self { limit, look_period, last_sign: now, last_look: now }
    }

    /// Looks: `sign` is whether the agent gave any since the last look. Whether it is to be ended.
    pub fn look(&mut self, now: Instant, sign: bool) -> bool {
        let host_was_stopped = now.since(self.last_look) > self.look_period * 4;
        self.last_look = now;
        if sign || host_was_stopped {
            self.last_sign = now;
        }
        now.since(self.last_sign) >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(250);
    const LIMIT: Duration = Duration::from_secs(20);

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn watched_until(silent: u64) -> (Watchdog, bool) {
        let mut watchdog = Watchdog::new(LIMIT, PERIOD, at(0));
        assert!(!watchdog.look(at(200), true));
        let mut end = false;
        for now in (400..silent).step_by(200) {
            end |= watchdog.look(at(now), false);
        }
        end |= watchdog.look(at(silent), false);
        (watchdog, end)
    }

    #[test]
    fn silence_ends_the_agent_at_the_limit_and_not_before() {
        assert!(!watched_until(20_199).1);
        assert!(watched_until(20_200).1);
        assert!(watched_until(20_201).1);
    }

    #[test]
    fn a_sign_of_life_starts_the_count_again() {
        let mut watchdog = watched_until(20_199).0;
        assert!(!watchdog.look(at(20_200), true));
        assert!(!watchdog.look(at(20_400), false));
    }

    #[test]
    fn time_in_which_the_host_itself_was_stopped_does_not_count() {
        let mut watchdog = watched_until(19_000).0;
        assert!(!watchdog.look(at(60_000), false));
        assert!(!watchdog.look(at(60_200), false));
    }

    #[test]
    fn a_look_that_is_merely_late_still_counts() {
        let mut watchdog = watched_until(19_300).0;
        assert!(watchdog.look(at(20_300), false));
    }
}
