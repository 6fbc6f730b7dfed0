use core::fmt;

use ha_core::HostId;

/// The hosts that can run one virtual machine, as they stand in the file: a bit for each host of its table.
#[derive(Clone, Copy)]
pub struct CompatibleHosts<'a> {
    /// The numbers of the table, ascending.
    pub(super) hosts: &'a [[u8; 4]],
    /// As many bits as hosts, the first host's lowest.
    pub(super) bits: &'a [[u8; 8]],
}

impl<'a> CompatibleHosts<'a> {
    /// Whether this host can run it; O(log n). A host that the table does not know cannot.
    #[must_use]
    pub fn contains(&self, host: HostId) -> bool {
        let found = self.hosts.binary_search_by_key(&host.number(), |number| u32::from_le_bytes(*number));
        found.is_ok_and(|index| is_set(self.bits, index))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.bits.iter().map(|word| u64::from_le_bytes(*word).count_ones()).sum()
    }

    /// All of them, by number, ascending.
    pub fn iter(&self) -> impl Iterator<Item = HostId> + use<'a> {
        let Self { hosts, bits } = *self;
        let numbers = hosts.iter().enumerate().filter(move |(index, _)| is_set(bits, *index));
        numbers.map(|(_, number)| HostId::new(u32::from_le_bytes(*number)))
    }
}

impl fmt::Debug for CompatibleHosts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// For people: the hosts, or that there is none.
impl fmt::Display for CompatibleHosts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count() == 0 {
            return f.write_str("no host");
        }
        self.iter().enumerate().try_for_each(|(index, host)| {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{host}")
        })
    }
}

fn is_set(bits: &[[u8; 8]], index: usize) -> bool {
    let word = bits.get(index / 64).map_or(0, |word| u64::from_le_bytes(*word));
    word >> (index % 64) & 1 == 1
}
