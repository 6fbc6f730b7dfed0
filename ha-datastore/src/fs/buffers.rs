use bytes::{Bytes, BytesMut};

/// So much is asked of the allocator at once.
const CHUNK: usize = 1 << 20;

/// Memory for many small reads, used again once their readers have dropped them.
///
/// Fresh memory costs a page fault for each page, which is more than the rest of reading it. Bytes that somebody keeps
/// keep a whole chunk; machines look at what they read and drop it.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// Used in turn, so that one is free again when its turn comes.
    chunks: [BytesMut; 4],
    current: usize,
}

impl Buffers {
    /// `length` bytes filled by `fill`. For more than a chunk of its own, memory of its own.
    pub(super) fn filled<E>(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        if length > CHUNK / 8 {
            let mut bytes = BytesMut::zeroed(length);
            fill(&mut bytes)?;
            return Ok(bytes.freeze());
        }
        let chunk = self.with_room(length);
        chunk.resize(length, 0);
        fill(chunk)?;
        Ok(chunk.split().freeze())
    }

    fn with_room(&mut self, length: usize) -> &mut BytesMut {
        self.chunks[self.current].clear();
        if self.chunks[self.current].capacity() < length {
            self.current = (self.current + 1) % self.chunks.len();
            // Takes the same memory if nobody has a part of it any more.
            self.chunks[self.current].reserve(CHUNK);
        }
        &mut self.chunks[self.current]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffers: &mut Buffers, length: usize, with: u8) -> Bytes {
        let filled = buffers.filled(length, |bytes| {
            assert!(bytes.iter().all(|byte| *byte == 0), "nothing of an earlier read");
            bytes.fill(with);
            Ok::<(), ()>(())
        });
        filled.unwrap_or_default()
    }

    #[test]
    fn bytes_that_are_kept_never_change() {
        let mut buffers = Buffers::default();
        let kept: alloc::vec::Vec<Bytes> = (0..200_u8).map(|with| fill(&mut buffers, 50_000, with)).collect();
        for (with, bytes) in (0..).zip(&kept) {
            assert!(bytes.len() == 50_000 && bytes.iter().all(|byte| *byte == with));
        }
    }

    #[test]
    fn memory_is_used_again() {
        let mut buffers = Buffers::default();
        let mut places = alloc::collections::BTreeSet::new();
        for with in 0..2_000_u32 {
            places.insert(fill(&mut buffers, 8_192, with.to_le_bytes()[0]).as_ptr());
        }
        assert!(places.len() <= 4 * CHUNK / 8_192 + 4, "{}", places.len());
    }

    #[test]
    fn a_read_that_fails_leaves_nothing() {
        let mut buffers = Buffers::default();
        let failed = buffers.filled(10, |bytes| {
            bytes.fill(7);
            Err(1)
        });
        assert_eq!(failed, Err(1));
        assert_eq!(fill(&mut buffers, 20, 3), [3; 20].as_slice());
        assert_eq!(fill(&mut buffers, CHUNK, 4).len(), CHUNK);
    }
}
