use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use ha_core::{ClusterId, ParseError};

/// The name of a cluster's directory below `<root>/.vSphere-HA/` (fdm-facts 4):
/// `<cluster uuid>-<cluster number>-<8 random characters>-<manager host name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterDirectory {
    cluster: ClusterId,
    number: u32,
    random: String,
    manager: String,
}

impl ClusterDirectory {
    /// The directory that holds the cluster directories of a datastore.
    pub const PARENT: &'static str = ".vSphere-HA";

    /// The most memory, in bytes, that parsing holds at once, whatever the text.
    pub const MAX_ALLOCATED: usize = 512;

    const RANDOM: usize = 8;
    const UUID: usize = 36;
    /// A name in a directory has at most 255 bytes; a cluster number at most ten digits.
    const MANAGER: usize = 255 - Self::UUID - 10 - Self::RANDOM - 3;
    const EXPECTED: &'static str = "`<cluster uuid>-<number>-<8 characters of a-z, 0-9>-<manager host name>`";

    /// Puts a name together.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if `random` is not 8 characters of `a-z` and `0-9`, or if `manager` is not 1 to 198
    /// letters, digits, `-` and `.`, the first one a letter or digit.
    pub fn new(cluster: ClusterId, number: u32, random: &str, manager: &str) -> Result<Self, ParseError> {
        let random_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if random.len() != Self::RANDOM || !random.bytes().all(random_byte) {
            return Err(ParseError::new(
                "random part of a cluster directory",
                "8 characters of `a-z` and `0-9`",
                random,
            ));
        }
        let manager_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let begins_well = manager.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !begins_well || manager.len() > Self::MANAGER || !manager.bytes().all(manager_byte) {
            let expected = "1 to 198 letters, digits, `-` or `.`, the first one a letter or digit";
            return Err(ParseError::new("manager host name", expected, manager));
        }
        Ok(Self { cluster, number, random: random.to_string(), manager: manager.to_string() })
    }

    /// The cluster.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The manager's number of the cluster.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// What keeps two clusters of one number apart.
    #[must_use]
    pub fn random(&self) -> &str {
        &self.random
    }

    /// The host name of the manager that configured the cluster.
    #[must_use]
    pub fn manager(&self) -> &str {
        &self.manager
    }
}

impl fmt::Display for ClusterDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}-{}", self.cluster, self.number, self.random, self.manager)
    }
}

/// Whatever the text, this allocates at most [`ClusterDirectory::MAX_ALLOCATED`] bytes.
impl FromStr for ClusterDirectory {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || ParseError::new("cluster directory", Self::EXPECTED, text);
        let (uuid, rest) = text.split_at_checked(Self::UUID).ok_or_else(bad)?;
        let mut parts = rest.strip_prefix('-').ok_or_else(bad)?.splitn(3, '-');
        let mut part = || parts.next().ok_or_else(bad);
        let (number, random, manager) = (part()?, part()?, part()?);
        let number = number.parse().ok().filter(|parsed: &u32| parsed.to_string() == number);
        Self::new(uuid.parse().map_err(|_| bad())?, number.ok_or_else(bad)?, random, manager)
    }
}
