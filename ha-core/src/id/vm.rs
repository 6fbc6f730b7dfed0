use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::DatastoreId;
use super::cluster::uuid_identity;
use super::parse::{ParseError, number_after};
use uuid::Uuid;

uuid_identity! {
    /// The hypervisor's uuid of a virtual machine. The key of every list, marker, intent and lock record.
    VmUuid, "virtual machine uuid"
}

/// A virtual machine and where its configuration lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmId {
    uuid: VmUuid,
    home: DatastoreId,
    config: String,
}

impl VmId {
    /// The longest accepted config path, in bytes.
    pub const MAX_CONFIG: usize = 512;

    /// Names a virtual machine.
    ///
    /// `config` is the path of its config file below the datastore's root, such as `web-1/web-1.vmx`: a folder
    /// and a file name at least, `/` between them, no empty part, no part that starts with a dot.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if the path is longer than [`VmId::MAX_CONFIG`] or is not of that form.
    pub fn new(uuid: VmUuid, home: DatastoreId, config: &str) -> Result<Self, ParseError> {
        ConfigPath::new(config).map(|config| Self::at(uuid, home, config))
    }

    /// Names a virtual machine by a path that is known to be one.
    #[must_use]
    pub fn at(uuid: VmUuid, home: DatastoreId, config: ConfigPath<'_>) -> Self {
        Self { uuid, home, config: config.0.into() }
    }

    /// The hypervisor's uuid.
    #[must_use]
    pub const fn uuid(&self) -> VmUuid {
        self.uuid
    }

    /// The datastore that homes the config file, the lock file and the list entry.
    #[must_use]
    pub const fn home(&self) -> DatastoreId {
        self.home
    }

    /// The path of the config file below the datastore's root.
    #[must_use]
    pub fn config(&self) -> &str {
        &self.config
    }
}

/// A borrowed path of a config file, checked once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigPath<'a>(&'a str);

impl<'a> ConfigPath<'a> {
    /// Checks a path as [`VmId::new`] does.
    ///
    /// # Errors
    ///
    /// [`ParseError`] as there.
    pub fn new(path: &'a str) -> Result<Self, ParseError> {
        if Self::fits(path) {
            return Ok(Self(path));
        }
        let expected = "at most 512 bytes of `folder/file`, no part empty or starting with a dot";
        Err(ParseError::new("config path", expected, path))
    }

    /// The path.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Byte by byte beside its predecessor, so that sixteen are looked at in one step: a list has a hundred
    /// thousand paths.
    fn fits(path: &str) -> bool {
        let bytes = path.as_bytes();
        let (Some((first, after)), Some((last, before))) = (bytes.split_first(), bytes.split_last()) else {
            return false;
        };
        let starts_part = |byte: u8| (byte != b'/') & (byte != b'.');
        let (mut in_folder, mut bad) = (false, *first == 0);
        for (&previous, &byte) in before.iter().zip(after) {
            let at_start = previous == b'/';
            in_folder |= at_start;
            bad |= (byte == 0) | (at_start & !starts_part(byte));
        }
        bytes.len() <= VmId::MAX_CONFIG && in_folder && !bad && starts_part(*first) && *last != b'/'
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.home, self.config)
    }
}

/// The fencing token of a virtual machine: raised in its lock record by each start, handed to the hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmEpoch(u64);

impl VmEpoch {
    /// Before the first start.
    pub const ZERO: Self = Self(0);

    /// The epoch with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number that records carry.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The epoch that the next start makes durable before it runs anything.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for VmEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch-{}", self.0)
    }
}

impl FromStr for VmEpoch {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        number_after("epoch-", text)
            .map(Self)
            .ok_or_else(|| ParseError::new("epoch", "`epoch-<number>`", text))
    }
}
