use xxhash_rust::xxh3::xxh3_64;

/// XXH3-64 of all that a list says up to some point: of a snapshot, or of a snapshot and the records after it.
/// Lists are longer than CRC-32 is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListSum(u64);

impl ListSum {
    pub(super) const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(super) const fn number(self) -> u64 {
        self.0
    }

    pub(super) fn of(snapshot: &[u8]) -> Self {
        Self(xxh3_64(snapshot))
    }
}
