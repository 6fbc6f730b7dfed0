use core::fmt::{self, Write};

/// A running hash (FNV-1a, 64 bits) over everything that hosts were told and asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace(u64);

impl Trace {
    pub(crate) const fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    pub(crate) fn note(&mut self, what: &dyn fmt::Debug) {
        let written = writeln!(self, "{what:?}");
        debug_assert!(written.is_ok(), "hashing cannot fail");
    }

    /// Whole words, for what happens too often to be written out as text. A word is mixed as one: its high half
    /// is folded down, which a plain step of FNV would leave there.
    pub(crate) fn words(&mut self, words: &[u64]) {
        for word in words {
            let mixed = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01B3);
            self.0 = mixed ^ (mixed >> 32);
        }
    }

    pub(crate) const fn hash(self) -> u64 {
        self.0
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        Ok(())
    }
}
