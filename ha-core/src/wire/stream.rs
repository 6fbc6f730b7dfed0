use alloc::vec::Vec;

use bytes::Bytes;

use super::header::{MAGIC, VERSION};
use super::{Channel, FRAME_OVERHEAD};

/// Cuts the bytes of one stream into frames, however they arrive.
///
/// It looks at no more than magic, version and length; [`Wire::open`](super::Wire::open) judges the frames.
/// Take all frames with [`next_frame`](Self::next_frame) after every [`push`](Self::push).
///
/// Memory follows the bytes that have arrived, never a length that is only claimed: at most two bytes for each of
/// the most that were ever waiting, and three while the buffer grows; at most [`CAPACITY`](Self::CAPACITY), and
/// less than twice that while it grows. Each frame that is taken is one more allocation, of exactly its length.
#[derive(Debug, Default)]
pub struct StreamBuffer {
    bytes: Vec<u8>,
    /// Where the next frame to be taken starts.
    taken: usize,
    /// Where the first frame starts that is not complete yet; `taken <= complete <= bytes.len()`.
    complete: usize,
    broken: Option<StreamBroken>,
}

/// The bytes are no stream of frames any more, and nothing after them can be trusted. Close the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamBroken {
    /// A frame does not start with the magic.
    #[error("a frame on the stream does not start with the magic")]
    BadMagic,
    /// A frame is of a layout whose length field this version cannot find.
    #[error("a frame on the stream has version {version}, which is unknown")]
    BadVersion {
        /// The version in the frame.
        version: u8,
    },
    /// A frame claims to be longer than any may be.
    #[error("a frame on the stream claims a payload of {payload} bytes, at most {most} are possible")]
    TooLong {
        /// The claimed length of the payload, in bytes.
        payload: u32,
        /// The longest payload on a stream, in bytes.
        most: usize,
    },
    /// More was pushed than fits beside the frames that were not taken.
    #[error("more than {capacity} bytes were pushed without taking the frames")]
    Overrun {
        /// [`StreamBuffer::CAPACITY`].
        capacity: usize,
    },
}

/// Where the length of the payload ends in a header.
const LENGTH_END: usize = 16;
/// An empty buffer larger than this gives its memory back.
const KEPT: usize = 64 << 10;

impl StreamBuffer {
    /// The most bytes held: one frame that is not complete yet, and as much again pushed behind it.
    pub const CAPACITY: usize = 2 * Channel::Stream.max_frame();

    /// An empty buffer; it allocates with the first bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), taken: 0, complete: 0, broken: None }
    }

    /// Adds the next bytes of the stream. Chunks of up to 1 MiB always fit if all frames were taken before.
    ///
    /// # Errors
    ///
    /// [`StreamBroken`], from then on and for ever. Frames that were complete before the bad bytes can still
    /// be taken, wherever the stream was cut into chunks.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), StreamBroken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let pushed = self.append(chunk).and_then(|()| self.scan());
        self.broken = pushed.err();
        pushed
    }

    /// Takes the oldest complete frame.
    pub fn next_frame(&mut self) -> Option<Bytes> {
        let ready = self.bytes.get(self.taken..self.complete)?;
        let length = frame_length(ready).ok().flatten()?;
        let frame = Bytes::copy_from_slice(ready.get(..length)?);
        self.taken += length;
        if self.taken == self.bytes.len() && self.bytes.capacity() > KEPT {
            *self = Self { broken: self.broken, ..Self::new() };
        }
        Some(frame)
    }

    fn append(&mut self, chunk: &[u8]) -> Result<(), StreamBroken> {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.complete -= self.taken;
            self.taken = 0;
        }
        let needed = self.bytes.len().saturating_add(chunk.len());
        if needed > Self::CAPACITY {
            return Err(StreamBroken::Overrun { capacity: Self::CAPACITY });
        }
        if needed > self.bytes.capacity() {
            // Doubled, so that many small chunks cost no more than one large one; but never past the bound.
            let grown = self.bytes.capacity().saturating_mul(2).clamp(needed, Self::CAPACITY);
            self.bytes.reserve_exact(grown - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Moves `complete` past every frame that is.
    fn scan(&mut self) -> Result<(), StreamBroken> {
        while let Some(waiting) = self.bytes.get(self.complete..)
            && let Some(length) = frame_length(waiting)?
            && length <= waiting.len()
        {
            self.complete += length;
        }
        Ok(())
    }
}

/// The whole length of the frame that starts here, as soon as its header tells. Looks at each field as early
/// as it is there, so that a stream of anything else is found out by its first byte.
fn frame_length(waiting: &[u8]) -> Result<Option<usize>, StreamBroken> {
    if waiting.iter().zip(&MAGIC).any(|(found, expected)| found != expected) {
        return Err(StreamBroken::BadMagic);
    }
    if let Some(version) = waiting.get(MAGIC.len()).copied().filter(|version| *version != VERSION) {
        return Err(StreamBroken::BadVersion { version });
    }
    let Some((_, length)) = waiting.get(..LENGTH_END).and_then(<[u8]>::split_last_chunk) else {
        return Ok(None);
    };
    let payload = u32::from_le_bytes(*length);
    let most = Channel::Stream.max_payload();
    match usize::try_from(payload) {
        Ok(fits) if fits <= most => Ok(Some(fits + FRAME_OVERHEAD)),
        Ok(_) | Err(_) => Err(StreamBroken::TooLong { payload, most }),
    }
}
