//! Body bytes and where they live.
//!
//! Buffers are lent by a free list of the thread and go back when they are dropped, so a
//! connection holds memory only while bytes wait in it, and the request path allocates nothing
//! once the list is warm. A body passes from the socket that read it to the socket that writes it
//! as one [`Chunk`]: moved, never copied.

use std::cell::RefCell;

use bytes::{Buf, Bytes};

/// Size of a small buffer, bytes: room for a head and the 16 KiB in which many servers send, so that
/// both come with one read and leave with one write.
pub const SMALL: usize = 20 * 1024;
/// Size of a large buffer, bytes: used once a body is known to be long. Measured: 256 KiB relays
/// 1 MiB bodies 10 % cheaper than 64 KiB.
pub const LARGE: usize = 256 * 1024;
/// The most that is worth a copy to give a buffer back, bytes: a fifth of a small one.
const FEW: usize = 4 * 1024;
/// Buffers of each size that a thread keeps for reuse; more are freed. Bounds what an idle
/// thread holds to 10 MiB small and 4 MiB large.
const KEPT_SMALL: usize = 512;
const KEPT_LARGE: usize = 16;

#[derive(Default)]
struct Lists {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

thread_local! {
    static LISTS: RefCell<Lists> = RefCell::default();
}

/// A lent buffer with bytes from `start` to `end`. It goes back to its thread's list on drop.
#[derive(Debug)]
pub struct Chunk {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Chunk {
    /// An empty chunk of [`SMALL`] bytes.
    #[must_use]
    pub fn small() -> Self {
        let bytes = LISTS.with_borrow_mut(|lists| lists.small.pop());
        Self { bytes: bytes.unwrap_or_else(|| vec![0; SMALL]), start: 0, end: 0 }
    }

    /// An empty chunk of [`LARGE`] bytes.
    #[must_use]
    pub fn large() -> Self {
        let bytes = LISTS.with_borrow_mut(|lists| lists.large.pop());
        Self { bytes: bytes.unwrap_or_else(|| vec![0; LARGE]), start: 0, end: 0 }
    }

    /// The same bytes in a buffer that is no longer than they are, if they are at most 4 KiB; it has no
    /// room. For bytes that may have to wait long for those behind them.
    #[must_use]
    pub fn fitted(self) -> Self {
        if self.len() > FEW || self.len() == self.capacity() {
            return self;
        }
        Self { bytes: self.filled().to_vec(), start: 0, end: self.len() }
    }

    /// The bytes that are filled and not yet consumed.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The filled bytes, for decoding in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// The room behind the filled bytes. Empty when the chunk is full.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Counts `n` bytes of [`Chunk::room`] as filled. `n` beyond the room is cut to it.
    pub fn fill(&mut self, n: usize) {
        self.end = (self.end + n).min(self.bytes.len());
    }

    /// Drops `n` filled bytes from the front; at most what is filled.
    pub fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Keeps only the first `n` filled bytes.
    pub fn truncate(&mut self, n: usize) {
        self.end = self.end.min(self.start.saturating_add(n));
    }

    /// Moves the filled bytes to the front, so that the room is as large as it can be.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Appends as much of `bytes` as there is room for and says how much that was.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let n = bytes.len().min(room.len());
        room[..n].copy_from_slice(&bytes[..n]);
        self.end += n;
        n
    }

    /// Filled bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether no byte is filled.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Size of the whole buffer, bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self.filled()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // Fails only while the thread is being torn down: then the memory is simply freed.
        let _ = LISTS.try_with(|lists| {
            let Ok(mut lists) = lists.try_borrow_mut() else { return };
            match bytes.len() {
                SMALL if lists.small.len() < KEPT_SMALL => lists.small.push(bytes),
                LARGE if lists.large.len() < KEPT_LARGE => lists.large.push(bytes),
                _ => {}
            }
        });
    }
}

/// Bytes of a body on their way.
#[derive(Debug)]
pub enum Data {
    /// In a lent buffer.
    Lent(Chunk),
    /// Shared bytes, from a library or from the configuration.
    Shared(Bytes),
}

impl Data {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Lent(chunk) => chunk.filled(),
            Self::Shared(bytes) => bytes,
        }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether no byte is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Data {
    fn from(bytes: Bytes) -> Self {
        Self::Shared(bytes)
    }
}

impl Buf for Data {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.as_slice()
    }

    fn advance(&mut self, n: usize) {
        match self {
            Self::Lent(chunk) => chunk.consume(n),
            Self::Shared(bytes) => bytes.advance(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_fills_consumes_and_compacts() {
        let mut chunk = Chunk::small();
        assert_eq!(chunk.append(b"hello world"), 11);
        chunk.consume(6);
        assert_eq!(chunk.filled(), b"world");
        assert_eq!(chunk.room().len(), SMALL - 11);
        chunk.compact();
        assert_eq!(chunk.filled(), b"world");
        assert_eq!(chunk.room().len(), SMALL - 5);
        chunk.truncate(2);
        assert_eq!(chunk.filled(), b"wo");
        chunk.consume(99);
        assert!(chunk.is_empty());
    }

    #[test]
    fn few_bytes_need_no_buffer_of_their_own() {
        let mut chunk = Chunk::small();
        chunk.append(b"hello world");
        chunk.consume(6);
        let mut fitted = chunk.fitted();
        assert_eq!((fitted.filled(), fitted.capacity()), (&b"world"[..], 5));
        assert!(fitted.room().is_empty());
        assert_eq!(fitted.fitted().filled(), b"world");
        let mut many = Chunk::small();
        many.append(&[7; FEW + 1]);
        assert_eq!(many.fitted().capacity(), SMALL);
    }

    #[test]
    fn a_full_chunk_takes_no_more() {
        let mut chunk = Chunk::small();
        assert_eq!(chunk.append(&vec![7; SMALL + 1]), SMALL);
        assert!(chunk.room().is_empty());
        assert_eq!(chunk.append(b"x"), 0);
    }

    #[test]
    fn a_dropped_buffer_is_lent_again() {
        let chunk = Chunk::large();
        let place = chunk.bytes.as_ptr();
        drop(chunk);
        assert_eq!(Chunk::large().bytes.as_ptr(), place);
    }
}
