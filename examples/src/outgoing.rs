//! Sending without waiting.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;

/// A stream's outgoing side: a bounded queue before a thread that writes, so that whoever sends never waits.
#[derive(Debug)]
pub struct Outgoing {
    queue: SyncSender<Bytes>,
}

impl Outgoing {
    /// Starts to write to `stream` whatever is sent, of which at most `capacity` pieces wait.
    ///
    /// # Errors
    ///
    /// That no thread could be started.
    pub fn start(stream: impl Write + Send + 'static, capacity: usize) -> io::Result<Self> {
        Self::start_with(move || Ok(stream), capacity)
    }

    /// The same with a stream that is opened on the writing thread first, because that may take its time.
    ///
    /// # Errors
    ///
    /// That no thread could be started.
    pub fn start_with<W: Write>(
        open: impl FnOnce() -> io::Result<W> + Send + 'static,
        capacity: usize,
    ) -> io::Result<Self> {
        let (queue, waiting) = sync_channel::<Bytes>(capacity);
        thread::Builder::new().name("writer".into()).spawn(move || {
            // A broken stream also ends the thread that reads it, which tells.
            open()
                .and_then(|mut stream| waiting.into_iter().try_for_each(|bytes| stream.write_all(&bytes)))
                .ok();
        })?;
        Ok(Self { queue })
    }

    /// Sends `bytes` after all that was sent before. `false` if the queue is full or the stream broken: then they
    /// are lost, and the stream should be closed.
    #[must_use]
    pub fn send(&self, bytes: impl Into<Bytes>) -> bool {
        self.queue.try_send(bytes.into()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_is_sent_is_written_in_order() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let outgoing = Outgoing::start(ours, 4).unwrap();
        assert!(outgoing.send(&b"ab"[..]));
        assert!(outgoing.send(&b"cd"[..]));
        drop(outgoing);
        let mut heard = String::new();
        theirs.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "abcd");
    }

    #[test]
    fn a_stream_that_takes_nothing_fills_the_queue_and_never_blocks() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        let outgoing = Outgoing::start(ours, 2).unwrap();
        let piece = Bytes::from(vec![0; 1 << 20]);
        let taken = (0..8).take_while(|_| outgoing.send(piece.clone())).count();
        assert!((2..=3).contains(&taken), "{taken}");
        drop(theirs);
    }
}
