//! FNV-1a, byte by byte, so that one pass over a path gives the hash of each of its beginnings.
//!
//! It needs no key against flooding: the tables hold only the operator's words, and a request only
//! looks up.

use std::hash::{BuildHasherDefault, Hasher};

pub(crate) const START: u64 = 0xCBF2_9CE4_8422_2325;

#[inline]
pub(crate) const fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0100_0000_01B3)
}

/// [`step`] as a standard hasher.
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(START)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| step(hash, byte));
    }

    // The length that slices write first adds nothing here: keys are whole.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        // The table takes its buckets from one end and its tags from the other.
        self.0 ^ (self.0 >> 32)
    }
}

pub(crate) type Map<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Fnv>>;
