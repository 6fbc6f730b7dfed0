use super::Generation;
use crate::{ClusterId, HostId};

/// Why a slot area is not the record that was expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// Every byte is zero: nothing was ever written here. No damage.
    #[error("nothing was ever written here")]
    NeverWritten,
    /// The area is empty or no multiple of 4096 bytes, or the pair is not of two such areas.
    #[error("an area of {found} bytes is not of the expected size")]
    WrongSize {
        /// The length that was given, in bytes.
        found: usize,
    },
    /// It does not begin as a record does.
    #[error("not a record")]
    BadMagic,
    /// The header's sum does not fit its bytes.
    #[error("the header is damaged")]
    BadHeader,
    /// A newer version wrote it, in a form that this one does not understand.
    #[error("written by version {version}, readable from version {oldest_reader}")]
    NewerVersion {
        /// The writer's version.
        version: u8,
        /// The oldest version that understands it.
        oldest_reader: u8,
    },
    /// A record of another kind.
    #[error("a record of kind {found}, which is not the expected one")]
    WrongKind {
        /// The kind that was found, as stored.
        found: u16,
    },
    /// A record of another cluster.
    #[error("a record of cluster {found}")]
    ForeignCluster {
        /// The cluster that it names.
        found: ClusterId,
    },
    /// A record of a host that does not write this file.
    #[error("a record of {found}, which does not write this file")]
    WrongWriter {
        /// The host that it names.
        found: HostId,
    },
    /// A record of the other slot, or whose generation belongs into the other slot.
    #[error("a record of slot {found} with generation {generation}, which does not belong here")]
    WrongSlot {
        /// The slot index that it names.
        found: u32,
        /// Its generation.
        generation: Generation,
    },
    /// The payload would not fit into the area.
    #[error("a payload of {found} bytes does not fit")]
    BadLength {
        /// The length that it names, in bytes.
        found: u32,
    },
    /// The payload's sum does not fit its bytes.
    #[error("the payload is damaged")]
    BadPayload,
    /// A byte between the payload and the end of the area is not zero.
    #[error("the area is not zero after the payload")]
    NotZeroAfterPayload,
    /// Every sum fits, but a field holds what no writer of a known version writes.
    #[error("the field `{field}` makes no sense")]
    BadContent {
        /// The field.
        field: &'static str,
    },
}

/// A record that cannot be sealed as asked. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The payload does not fit into the slot area.
    #[error("{needed} bytes of payload, of which {available} fit into the slot")]
    TooLong {
        /// The payload's length, in bytes.
        needed: usize,
        /// What the area has room for, in bytes.
        available: usize,
    },
    /// The area is empty or no multiple of 4096 bytes.
    #[error("a slot area of {area} bytes is no multiple of 4096")]
    AreaSize {
        /// The length that was given, in bytes.
        area: usize,
    },
}
