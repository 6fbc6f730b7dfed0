use core::fmt;

use super::PerHostOutOfRange;

/// How many heartbeat datastores a host should have: `das.heartbeatDsPerHost`, two to five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerHost(u8);

impl PerHost {
    /// The fewest.
    pub const MIN: Self = Self(2);
    /// The most.
    pub const MAX: Self = Self(5);

    /// This many.
    ///
    /// # Errors
    ///
    /// [`PerHostOutOfRange`] below [`PerHost::MIN`] and above [`PerHost::MAX`].
    pub fn new(number: u32) -> Result<Self, PerHostOutOfRange> {
        let in_range = |number: &u8| (Self::MIN.0..=Self::MAX.0).contains(number);
        u8::try_from(number).ok().filter(in_range).map(Self).ok_or(PerHostOutOfRange { found: number })
    }

    /// As a number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// FDM's default: two.
impl Default for PerHost {
    fn default() -> Self {
        Self::MIN
    }
}

impl fmt::Display for PerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
