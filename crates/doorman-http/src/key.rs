//! A hash of what ties requests together: a client's address, a cookie, a path.
//!
//! It is the same on every core, in every process and after every restart, and it is ours, so that
//! no other release of a library moves clients from server to server: FNV-1a over the bytes, and the
//! finish of MurmurHash3 behind it, which FNV lacks. It is no secret. Somebody who can choose what
//! is hashed can send everything to one server, but so can somebody who sends one value over and
//! over; that is for limits to bound, not for a hash.

/// A hash that is being made.
#[derive(Clone, Copy, Debug)]
pub struct KeyHash(u64);

impl KeyHash {
    /// The hash of nothing. Another `seed` gives an independent hash.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(0xCBF2_9CE4_8422_2325 ^ seed)
    }

    /// Takes bytes in.
    pub fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes
            .iter()
            .fold(self.0, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    }

    /// The hash of all that was taken in.
    #[must_use]
    pub const fn finish(self) -> u64 {
        mix(self.0)
    }

    /// The hash of these bytes.
    #[must_use]
    pub fn of(seed: u64, bytes: &[u8]) -> u64 {
        let mut hash = Self::new(seed);
        hash.write(bytes);
        hash.finish()
    }
}

/// Spreads the bits of a number over all of it.
#[must_use]
pub const fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These values are a promise: were they others, an upgrade would move every client.
    #[test]
    fn hashes_stay_what_they_are() {
        assert_eq!(KeyHash::of(0, b""), mix(0xCBF2_9CE4_8422_2325));
        assert_eq!(KeyHash::of(0, b"a"), mix(0xAF63_DC4C_8601_EC8C));
        assert_eq!(KeyHash::of(0, b"foobar"), mix(0x8594_4171_F739_67E8));
        assert_eq!(mix(1), 0xB456_BCFC_34C2_CB2C);
        assert_ne!(KeyHash::of(0, b"a"), KeyHash::of(1, b"a"));
    }

    #[test]
    fn pieces_hash_as_the_whole() {
        let mut hash = KeyHash::new(7);
        hash.write(b"foo");
        hash.write(b"bar");
        assert_eq!(hash.finish(), KeyHash::of(7, b"foobar"));
    }

    #[test]
    fn numbers_in_a_row_spread_over_all_buckets() {
        let mut buckets = [0u32; 16];
        for n in 0..16_000u32 {
            let hash = KeyHash::of(0, format!("10.0.{}.{}", n / 256, n % 256).as_bytes());
            buckets[(hash >> 60) as usize] += 1;
        }
        assert!(buckets.iter().all(|&n| (850..1150).contains(&n)), "{buckets:?}");
    }
}
