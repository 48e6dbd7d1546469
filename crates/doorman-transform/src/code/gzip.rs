//! gzip (RFC 1952): a head and a tail of our own around what the library deflates.
//!
//! The library would write a head, too, but none with padding in it, and its memory could not be used
//! again for a stream that has another.

use flate2::{Compress, Compression, Crc, FlushCompress};

use super::{Level, make_room};

/// Memory that a stream takes, bytes: a window of 32 KiB twice over, the chains over it, the table of
/// hashes, and symbols that wait for their block to end.
pub(super) const BYTES: usize = 320 * 1024;

/// The head: deflate, no name, no time, from an unknown system (RFC 1952 section 2.3.1).
const HEAD: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];
/// The flag in the fourth byte that says that an extra field follows.
const FEXTRA: u8 = 4;
/// The name of the one subfield in it, which readers that do not know it skip.
const SUBFIELD: [u8; 2] = *b"Pd";

/// A stream.
pub(super) struct Gzip {
    deflate: Compress,
    crc: Crc,
}

impl Gzip {
    pub(super) fn new(level: Level) -> Self {
        // Level 1 of this library is a quickest one of its own, whose streams are a quarter longer than
        // those that everybody knows as level 1; its second is what is meant.
        let level = Compression::new(u32::from(level.number()).max(2));
        Self { deflate: Compress::new(level, false), crc: Crc::new() }
    }

    /// Makes it ready for the next stream.
    pub(super) fn reuse(&mut self) {
        self.deflate.reset();
        self.crc.reset();
    }

    pub(super) fn begin(&self, padding: Option<usize>, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&HEAD);
        // `PAD_MAX` makes them fit.
        let lengths = padding.map(|n| (n, u16::try_from(n), u16::try_from(n + 4)));
        if let Some((n, Ok(subfield), Ok(extra))) = lengths {
            if let Some(flags) = out.get_mut(at + 3) {
                *flags |= FEXTRA;
            }
            out.extend_from_slice(&extra.to_le_bytes());
            out.extend_from_slice(&SUBFIELD);
            out.extend_from_slice(&subfield.to_le_bytes());
            out.resize(out.len() + n, 0);
        }
    }

    pub(super) fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        self.crc.update(input);
        while !input.is_empty() {
            let taken = self.deflate(input, out, FlushCompress::None);
            input = input.get(taken..).unwrap_or_default();
        }
    }

    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        self.drain(out, FlushCompress::Sync);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.drain(out, FlushCompress::Finish);
        out.extend_from_slice(&self.crc.sum().to_le_bytes());
        // The length modulo 2^32, as the format has it.
        out.extend_from_slice(&self.crc.amount().to_le_bytes());
    }

    /// Asks until the library leaves room: then it has no more to give.
    fn drain(&mut self, out: &mut Vec<u8>, flush: FlushCompress) {
        loop {
            self.deflate(&[], out, flush);
            if out.len() < out.capacity() {
                return;
            }
        }
    }

    /// One call of the library; how much of the input it took.
    fn deflate(&mut self, input: &[u8], out: &mut Vec<u8>, flush: FlushCompress) -> usize {
        make_room(out);
        let before = self.deflate.total_in();
        let done = self.deflate.compress_vec(input, out, flush);
        debug_assert!(done.is_ok(), "deflate only fails on a stream that was not set up");
        usize::try_from(self.deflate.total_in() - before).unwrap_or(input.len())
    }
}
