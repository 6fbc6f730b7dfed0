use alloc::vec::Vec;

use crate::Random;

/// Numbers that stand for lengths, counts and states sooner or later break a careless reader.
const EDGES: [u64; 12] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, i64::MAX as u64, u64::MAX];

/// Bytes as an enemy, or a bad disk, would give them to a decoder; the same from the same seed.
///
/// A decoder behind a sum or a tag is reached only if the caller makes that right again.
#[derive(Clone, Debug)]
pub struct Hostile {
    random: Random,
}

impl Hostile {
    /// A stream of such bytes.
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        Self { random: Random::from_seed(seed) }
    }

    /// Fills `out` with at most `longest` bytes without any sense. Half of the words are small numbers: counts,
    /// states, flags and lengths are read from them.
    pub fn noise(&mut self, longest: usize, out: &mut Vec<u8>) {
        let length = self.at_most(longest);
        out.clear();
        while out.len() < length {
            let word = self.random.next_u64() >> (8 * self.random.below(8));
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.truncate(length);
    }

    /// Fills `out` with `good` bytes after one to four changes, at most `longest` of them: a bit flipped, a byte or
    /// a number replaced, a piece doubled, cut out or cut off.
    pub fn mutation(&mut self, good: &[u8], longest: usize, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(good);
        for _ in 0..=self.random.below(4) {
            self.change(out);
        }
        out.truncate(longest);
    }

    /// Noise one time in four, else a mutation of one of `goods`.
    pub fn payload(&mut self, goods: &[Vec<u8>], longest: usize, out: &mut Vec<u8>) {
        let at = self.at_most(goods.len().saturating_sub(1));
        match goods.get(at) {
            Some(good) if self.random.below(4) > 0 => self.mutation(good, longest, out),
            Some(_) | None => self.noise(longest, out),
        }
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.at_most(bytes.len().saturating_sub(1));
        let (kept, rest) = bytes.split_at_mut(at);
        let Some(byte) = rest.first_mut() else { return };
        match self.random.below(8) {
            0 | 1 => *byte ^= 1 << self.random.below(8),
            2 | 3 => *byte = self.random.next_u64().to_le_bytes()[0],
            4 | 5 => {
                let width = 1 << self.random.below(4);
                let number = self.number().to_le_bytes();
                rest.iter_mut().zip(number).take(width).for_each(|(byte, new)| *byte = new);
            }
            6 => {
                let doubled = rest.to_vec();
                bytes.extend_from_slice(&doubled);
            }
            7.. => {
                let end = kept.len().saturating_add(self.at_most(16)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }

    fn number(&mut self) -> u64 {
        let edge = self.at_most(EDGES.len() - 1);
        match EDGES.get(edge) {
            Some(edge) if self.random.below(4) > 0 => *edge,
            Some(_) | None => self.random.next_u64() >> self.random.below(64),
        }
    }

    fn at_most(&mut self, most: usize) -> usize {
        // Lengths fit into 64 bits, and what is at most `most` into a `usize`.
        usize::try_from(self.random.below(most as u64 + 1)).unwrap_or(most)
    }
}
