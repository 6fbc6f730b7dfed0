use std::io;

use ha_core::StorageFault;
use rustix::io::Errno;

/// The storage fault that an error of the operating system stands for.
///
/// An error without a fault of its own is [`StorageFault::Unknown`]: the call may have had its effect.
#[must_use]
pub fn fault_of(error: &io::Error) -> StorageFault {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return StorageFault::Short;
    }
    let Some(errno) = Errno::from_io_error(error) else { return StorageFault::Unknown };
    match errno {
        Errno::NOENT | Errno::NOTDIR => StorageFault::Missing,
        // The latter five are how network and FUSE mounts say that the datastore is gone (real-parts 3).
        Errno::IO | Errno::NOTCONN | Errno::SHUTDOWN | Errno::BADFD | Errno::NODEV | Errno::NXIO => {
            StorageFault::Io
        }
        Errno::NOSPC => StorageFault::NoSpace,
        Errno::DQUOT => StorageFault::Quota,
        Errno::ROFS => StorageFault::ReadOnly,
        Errno::ACCESS | Errno::PERM => StorageFault::Denied,
        Errno::STALE => StorageFault::Stale,
        Errno::ISDIR | Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP => StorageFault::Unsupported,
        _ => StorageFault::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_fault() {
        let cases = [
            (Errno::NOENT, StorageFault::Missing),
            (Errno::IO, StorageFault::Io),
            (Errno::NOTCONN, StorageFault::Io),
            (Errno::NOSPC, StorageFault::NoSpace),
            (Errno::DQUOT, StorageFault::Quota),
            (Errno::ROFS, StorageFault::ReadOnly),
            (Errno::ACCESS, StorageFault::Denied),
            (Errno::PERM, StorageFault::Denied),
            (Errno::STALE, StorageFault::Stale),
            (Errno::NOLCK, StorageFault::Unsupported),
            (Errno::TIMEDOUT, StorageFault::Unknown),
        ];
        for (errno, fault) in cases {
            assert_eq!(fault_of(&errno.into()), fault, "{errno:?}");
        }
        assert_eq!(fault_of(&io::ErrorKind::UnexpectedEof.into()), StorageFault::Short);
        assert_eq!(fault_of(&io::ErrorKind::WriteZero.into()), StorageFault::Unknown);
    }
}
