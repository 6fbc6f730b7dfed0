//! JSON forms of the outcomes that `ha-core` defines, which itself knows no JSON.

use bytes::Bytes;
use ha_core::operation::{StartOutcome, StopOutcome, TakeOutcome};
use ha_core::{FileIdentity, StorageFault};
use serde::{Deserialize, Serialize};

use super::hex;

#[derive(Serialize, Deserialize)]
#[serde(remote = "StorageFault", rename_all = "snake_case")]
pub(super) enum Fault {
    Missing,
    Short,
    Expired,
    Io,
    NoSpace,
    Quota,
    ReadOnly,
    Denied,
    Stale,
    ReadBackDiffers,
    Unsupported,
    Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TakeOutcome", rename_all = "snake_case")]
pub(super) enum Take {
    Locked {
        #[serde(with = "hex")]
        record: Bytes,
        same_file: bool,
        #[serde(with = "file")]
        file: Option<FileIdentity>,
    },
    Held,
    Expired,
    Fault(#[serde(with = "Fault")] StorageFault),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StartOutcome", rename_all = "snake_case")]
pub(super) enum Start {
    Running,
    Expired,
    Failed,
    HolderGone,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StopOutcome", rename_all = "snake_case")]
pub(super) enum Stop {
    Stopped,
    NotHere,
    Unknown,
}

/// `Option<FileIdentity>`: the inode number, or null.
mod file {
    use super::FileIdentity;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes fields by reference")]
    pub(super) fn serialize<S: Serializer>(
        file: &Option<FileIdentity>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        file.map(FileIdentity::inode).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<FileIdentity>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.and_then(FileIdentity::new))
    }
}

/// `Result<(), StorageFault>`.
pub(super) mod write {
    use super::{Deserialize, Fault, Serialize, StorageFault};
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Write {
        Done,
        Fault(#[serde(with = "Fault")] StorageFault),
    }

    pub(in super::super) fn serialize<S: Serializer>(
        outcome: &Result<(), StorageFault>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        outcome.map_or_else(Write::Fault, |()| Write::Done).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Result<(), StorageFault>, D::Error> {
        Ok(match Write::deserialize(deserializer)? {
            Write::Done => Ok(()),
            Write::Fault(fault) => Err(fault),
        })
    }
}
