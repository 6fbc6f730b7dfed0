use bytes::Bytes;
use ha_core::{Random, StorageFault};

/// Storage that answers, but with anything.
#[derive(Clone, Debug)]
pub(crate) struct Garble {
    random: Random,
}

impl Garble {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { random: Random::from_seed(seed) }
    }

    /// Noise, a flipped bit, a torn half, another length, a fault; sometimes the truth.
    pub(crate) fn read(&mut self, truth: Result<Bytes, StorageFault>) -> Result<Bytes, StorageFault> {
        let mut bytes = Vec::from(truth?);
        let length = u64::try_from(bytes.len()).unwrap();
        let at = usize::try_from(self.random.below(length)).unwrap();
        match self.random.below(7) {
            0 => bytes.iter_mut().for_each(|byte| *byte = self.random.next_u64().to_le_bytes()[0]),
            1 => bytes[at] ^= 1 << self.random.below(8),
            2 => bytes[at..].fill(0),
            3 => bytes.truncate(at),
            4 => bytes.rotate_left(at),
            5 => return Err(self.fault()),
            _ => {}
        }
        Ok(Bytes::from(bytes))
    }

    /// Whether a write or a lock works.
    pub(crate) fn works(&mut self) -> Result<(), StorageFault> {
        if self.random.below(4) == 0 { Err(self.fault()) } else { Ok(()) }
    }

    fn fault(&mut self) -> StorageFault {
        let faults = [
            StorageFault::Missing,
            StorageFault::Short,
            StorageFault::Expired,
            StorageFault::Io,
            StorageFault::NoSpace,
            StorageFault::Stale,
            StorageFault::ReadBackDiffers,
            StorageFault::Unknown,
        ];
        faults[usize::try_from(self.random.below(8)).unwrap()]
    }
}
