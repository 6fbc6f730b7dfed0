use alloc::vec::Vec;
use core::time::Duration;

use ha_core::Random;

/// What a link does to datagrams: how long they travel, and how many are lost, doubled or late.
///
/// Datagrams overtake each other wherever [`Noise::jitter`] or the tail is longer than the pause between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noise {
    /// Of a thousand datagrams, how many are lost.
    pub loss_per_mille: u16,
    /// Of a thousand datagrams that are not lost, how many arrive twice.
    pub duplicate_per_mille: u16,
    /// How long a datagram travels at least.
    pub delay: Duration,
    /// How much longer it may travel.
    pub jitter: Duration,
    /// Of a thousand datagrams, how many travel for as long as the tail says instead.
    pub tail_per_mille: u16,
    /// The longest travel of the tail; it is drawn log-uniform from a microsecond to this.
    pub tail: Duration,
    /// Half of the tail travels for one of these, or a nanosecond less or more: a timeout's very edge.
    pub spikes: Vec<Duration>,
}

/// When a datagram arrives, and when its copy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrivals {
    pub(crate) first: Option<Duration>,
    pub(crate) copy: Option<Duration>,
}

impl Arrivals {
    pub(crate) const NONE: Self = Self { first: None, copy: None };
}

/// A copy may come this much later than any tail.
const LATEST_COPY: Duration = Duration::from_secs(120);

impl Noise {
    /// Nothing is lost, doubled or late.
    #[must_use]
    pub const fn calm(delay: Duration, jitter: Duration) -> Self {
        Self {
            loss_per_mille: 0,
            duplicate_per_mille: 0,
            delay,
            jitter,
            tail_per_mille: 0,
            tail: Duration::ZERO,
            spikes: Vec::new(),
        }
    }

    /// The longest travel without a tail.
    #[must_use]
    pub const fn max_delay(&self) -> Duration {
        self.delay.saturating_add(self.jitter)
    }

    /// What becomes of one datagram.
    pub(crate) fn arrivals(&self, random: &mut Random) -> Arrivals {
        if happens(random, self.loss_per_mille) {
            return Arrivals::NONE;
        }
        let first = Some(self.travel(random));
        let copy = happens(random, self.duplicate_per_mille).then(|| {
            if random.below(8) == 0 { log_uniform(random, LATEST_COPY) } else { self.travel(random) }
        });
        Arrivals { first, copy }
    }

    fn travel(&self, random: &mut Random) -> Duration {
        if !happens(random, self.tail_per_mille) {
            return self.delay + random.span_below(self.jitter);
        }
        let spike = usize::try_from(random.below(2 * self.spikes.len() as u64)).unwrap_or(usize::MAX);
        match self.spikes.get(spike) {
            Some(spike) => edge(random, *spike),
            None => log_uniform(random, self.tail),
        }
    }
}

/// Whether something happens that happens so often in a thousand times. Draws nothing if it never does.
fn happens(random: &mut Random, per_mille: u16) -> bool {
    per_mille > 0 && random.below(1_000) < u64::from(per_mille)
}

/// This span, or a nanosecond less or more.
pub(crate) fn edge(random: &mut Random, span: Duration) -> Duration {
    (span + Duration::from_nanos(random.below(3))).saturating_sub(Duration::from_nanos(1))
}

/// From a microsecond to `longest`, each power of two as likely as any other.
pub(crate) fn log_uniform(random: &mut Random, longest: Duration) -> Duration {
    let most = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX).max(1);
    let power = random.below(u64::from(most.ilog2()) + 1);
    let from = 1_u64 << power;
    Duration::from_micros((from + random.below(from)).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy() -> Noise {
        Noise {
            loss_per_mille: 300,
            duplicate_per_mille: 200,
            tail_per_mille: 100,
            tail: Duration::from_secs(10),
            spikes: alloc::vec![Duration::from_millis(500)],
            ..Noise::calm(Duration::from_micros(100), Duration::from_micros(50))
        }
    }

    #[test]
    fn each_fault_is_as_frequent_as_it_says() {
        let noise = noisy();
        let run = Random::from_seed(1);
        let (mut lost, mut doubled, mut late, mut edges) = (0_u32, 0_u32, 0_u32, 0_u32);
        for n in 0..100_000 {
            let Arrivals { first, copy } = noise.arrivals(&mut run.fork(n));
            lost += u32::from(first.is_none());
            doubled += u32::from(copy.is_some());
            late += u32::from(first.is_some_and(|first| first > noise.max_delay()));
            let spike = noise.spikes[0].as_nanos();
            edges += u32::from(first.is_some_and(|first| first.as_nanos().abs_diff(spike) <= 1));
        }
        assert!((29_000..31_000).contains(&lost), "{lost}");
        assert!((13_500..14_500).contains(&doubled), "{doubled}");
        assert!((4_500..7_000).contains(&late), "{late}");
        assert!((3_200..3_800).contains(&edges), "{edges}");
    }

    #[test]
    fn calm_loses_doubles_and_delays_nothing() {
        let noise = Noise::calm(Duration::from_micros(100), Duration::from_micros(50));
        let run = Random::from_seed(1);
        for n in 0..1_000 {
            let Arrivals { first, copy } = noise.arrivals(&mut run.fork(n));
            assert!(first.is_some_and(|first| (noise.delay..noise.max_delay()).contains(&first)));
            assert_eq!(copy, None);
        }
    }

    #[test]
    fn spans_reach_both_ends_of_a_log_uniform_range() {
        let mut random = Random::from_seed(2);
        let longest = Duration::from_secs(3_600);
        let spans: Vec<_> = (0..10_000).map(|_| log_uniform(&mut random, longest)).collect();
        assert!(spans.iter().any(|span| *span == Duration::from_micros(1)));
        assert!(spans.iter().any(|span| *span > longest / 2) && spans.iter().all(|span| *span <= longest));
    }
}
