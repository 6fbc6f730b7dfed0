use ha_core::Random;

/// Random numbers by name instead of by order.
///
/// Each choice has a generator of its own: a hash of the run's key, the name of the stream, the ids that the choice
/// is about, and a counter of such choices. Removing one event therefore shifts no other choice, without which no
/// scenario could be shrunk (reliability 9).
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    run: Random,
}

/// What a choice is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream(u64);

impl Stream {
    /// The stream of this name.
    pub(crate) const fn named(name: &str) -> Self {
        let bytes = name.as_bytes();
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01B3);
            at += 1;
        }
        Self(hash)
    }
}

impl Draws {
    /// Every choice of the run with this key.
    pub(crate) const fn new(key: u64) -> Self {
        Self { run: Random::from_seed(key) }
    }

    /// The generator of one choice.
    pub(crate) const fn draw(&self, stream: Stream, ids: u64, counter: u64) -> Random {
        self.run.fork(stream.0).fork(ids).fork(counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_stream_ids_and_counter_each_make_another_choice() {
        let first =
            |key, name, ids, counter| Draws::new(key).draw(Stream::named(name), ids, counter).next_u64();
        let choice = first(1, "delay", 2, 3);
        assert_eq!(choice, first(1, "delay", 2, 3));
        for other in [
            first(2, "delay", 2, 3),
            first(1, "loss", 2, 3),
            first(1, "delay", 3, 3),
            first(1, "delay", 2, 4),
        ] {
            assert_ne!(choice, other);
        }
    }
}
