use ha_core::codec::DecodeError;
use ha_core::record::RecordFault;

use super::HostListError;

/// Why a file is not the host-local file that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalFault {
    /// The envelope, or a field of fixed place, is not as it should be.
    #[error(transparent)]
    Record(#[from] RecordFault),
    /// Every sum fits, but the payload is no encoding of its value.
    #[error(transparent)]
    Encoding(#[from] DecodeError),
    /// Every sum fits, but the members contradict each other.
    #[error(transparent)]
    HostList(#[from] HostListError),
}
