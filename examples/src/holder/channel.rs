//! Talking to the launcher with one eye on the clock.

use core::time::Duration;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use ha_core::Instant;
use ha_datastore::fs::boot_clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Context, Failure};
use crate::lines::{self, MAX_LINE};

/// The launcher's socket, as seen by the holder and later by the virtual machine: waits until a moment of the boot
/// clock, where a blocking reader could only wait for ever.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
    received: Vec<u8>,
}

/// What came of waiting for a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// A message.
    Message(T),
    /// The moment came first.
    TimedOut,
    /// The other side is gone.
    Closed,
}

impl Channel {
    /// Over the socket that is this process's standard output, and stays so across exec.
    ///
    /// # Errors
    ///
    /// A failure if there is no standard output.
    pub fn on_standard_output() -> Result<Self, Failure> {
        let copy = io::stdout().as_fd().try_clone_to_owned();
        Ok(Self::new(copy.context(|| "taking the socket to the launcher".into())?.into()))
    }

    /// Over `stream`.
    #[must_use]
    pub const fn new(stream: UnixStream) -> Self {
        Self { stream, received: Vec::new() }
    }

    /// Sends one message.
    ///
    /// # Errors
    ///
    /// A failure if the other side is gone.
    pub fn send(&mut self, message: &impl Serialize) -> Result<(), Failure> {
        lines::send(&mut self.stream, message).context(|| "speaking to the launcher".into())
    }

    /// Waits for the next message until `until`, or for ever.
    ///
    /// # Errors
    ///
    /// A failure if the bytes are no such message, or those of the system.
    pub fn receive<T: DeserializeOwned>(&mut self, until: Option<Instant>) -> Result<Received<T>, Failure> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                let message = serde_json::from_slice(&line);
                return Ok(Received::Message(message.context(|| "hearing the launcher".into())?));
            }
            if self.received.len() >= MAX_LINE {
                return Err(Failure::new("hearing the launcher: a line is longer than 1 MiB"));
            }
            if !self.readable(until)? {
                return Ok(Received::TimedOut);
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(Received::Closed),
                Ok(length) => self.received.extend_from_slice(&bytes[..length]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Received::Closed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context(|| "hearing the launcher".into()),
            }
        }
    }

    /// Waits until `until` whatever arrives.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn wait_until(&self, until: Instant) -> Result<(), Failure> {
        while let Some(left) = left_until(until) {
            match poll(&mut [], Some(&left)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context(|| "waiting".into()),
            }
        }
        Ok(())
    }

    fn readable(&self, until: Option<Instant>) -> Result<bool, Failure> {
        loop {
            let left = until.map(|until| left_until(until).unwrap_or_default());
            let mut descriptors = [PollFd::new(&self.stream, PollFlags::IN)];
            match poll(&mut descriptors, left.as_ref()) {
                Ok(0) if until.is_none_or(|until| boot_clock() < until) => {}
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context(|| "waiting for the launcher".into()),
            }
        }
    }
}

/// How long a wait until `until` still is; `None` once it has come.
fn left_until(until: Instant) -> Option<Timespec> {
    let left = until.since(boot_clock());
    if left.is_zero() { None } else { Some(timespec(left)) }
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn soon() -> Option<Instant> {
        Some(boot_clock().after(Duration::from_millis(30)))
    }

    #[test]
    fn messages_cut_anywhere_arrive_in_order() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(ours);
        theirs.write_all(b"1\n2").unwrap();
        assert_eq!(channel.receive(None).unwrap(), Received::Message(1));
        assert_eq!(channel.receive::<u32>(soon()).unwrap(), Received::TimedOut);
        theirs.write_all(b"3\n").unwrap();
        assert_eq!(channel.receive(soon()).unwrap(), Received::Message(23));
        drop(theirs);
        assert_eq!(channel.receive::<u32>(None).unwrap(), Received::Closed);
    }

    #[test]
    fn a_wait_ends_at_its_moment_and_not_before() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(ours);
        let until = boot_clock().after(Duration::from_millis(30));
        assert_eq!(channel.receive::<u32>(Some(until)).unwrap(), Received::TimedOut);
        assert!(boot_clock() >= until);
        let until = boot_clock().after(Duration::from_millis(30));
        channel.wait_until(until).unwrap();
        assert!(boot_clock() >= until);
    }

    #[test]
    fn nonsense_is_an_error() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"nonsense\n").unwrap();
        assert!(Channel::new(ours).receive::<u32>(None).is_err());
    }
}
