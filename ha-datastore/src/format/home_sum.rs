use ha_core::VmId;
use xxhash_rust::xxh3::xxh3_64;

/// Which home of a virtual machine is meant, where a record of fixed size has no room for its path: 63 bits of the
/// XXH3-64 of datastore and config path. Two homes of one machine that share it do not happen by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HomeSum(u64);

impl HomeSum {
    /// The lowest bit is no part of the sum: a record may keep a flag there.
    const FLAG: u64 = 1;

    /// The sum of the machine's datastore and config path. Its uuid makes no difference.
    #[must_use]
    pub fn of(vm: &VmId) -> Self {
        let datastore = vm.home().number().to_le_bytes();
        Self::from_field(xxh3_64(&[&datastore, vm.config().as_bytes()].concat()))
    }

    /// The sum in a field, whatever its flag says.
    pub(super) const fn from_field(field: u64) -> Self {
        Self(field & !Self::FLAG)
    }

    /// The flag in a field, whatever its sum is.
    pub(super) const fn flag(field: u64) -> bool {
        field & Self::FLAG != 0
    }

    /// The sum as a field with the flag in it.
    pub(super) const fn with_flag(self, flag: bool) -> u64 {
        self.0 | if flag { Self::FLAG } else { 0 }
    }
}
