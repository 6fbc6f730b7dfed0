//! Unix sockets in a host's local folder, however long the folder's path is.
//!
//! A socket's address has room for 108 bytes. The folder is therefore named through a descriptor of it, as
//! `/proc/self/fd/<n>`, and not by its path.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// Listens on the socket `name` in `folder`, replacing one that an earlier process left there.
///
/// # Errors
///
/// Those of the system.
pub fn listen(folder: &Path, name: &str) -> io::Result<UnixListener> {
    let (_folder, path) = short_path(folder, name)?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    UnixListener::bind(path)
}

/// Connects to the socket `name` in `folder`.
///
/// # Errors
///
/// Those of the system.
pub fn connect(folder: &Path, name: &str) -> io::Result<UnixStream> {
    let (_folder, path) = short_path(folder, name)?;
    UnixStream::connect(path)
}

fn short_path(folder: &Path, name: &str) -> io::Result<(OwnedFd, PathBuf)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let descriptor = rustix::fs::open(folder, flags, Mode::empty())?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", descriptor.as_raw_fd()));
    Ok((descriptor, path))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_folder_with_a_long_path_will_do() {
        let top = std::env::temp_dir().join(format!("ha-local-socket-{}", std::process::id()));
        let folder = top.join("x".repeat(200));
        std::fs::create_dir_all(&folder).unwrap();
        let listener = listen(&folder, "a.sock").unwrap();
        drop(listener);
        let listener = listen(&folder, "a.sock").unwrap();
        connect(&folder, "a.sock").unwrap().write_all(b"hello").unwrap();
        let mut heard = String::new();
        listener.accept().unwrap().0.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "hello");
        std::fs::remove_dir_all(top).unwrap();
    }
}
