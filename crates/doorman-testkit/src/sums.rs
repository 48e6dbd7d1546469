//! Seeded chance and checksums: all that the rig needs of either, small enough to be replayed on
//! any machine. Neither is for keys.

/// SplitMix64 (Steele, Lea, Flood 2014). One seed, one sequence.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that start from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `bound`; zero if `bound` is zero. The bias of the remainder is far below
    /// what any test could see.
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.roll() % bound }
    }

    /// True once in `n` rolls on average.
    pub const fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A length from 1 to `max`, small ones as likely as large ones: where a cut falls matters
    /// more often among the first bytes. Zero if `max` is zero.
    pub fn length(&mut self, max: usize) -> usize {
        if max == 0 {
            return 0;
        }
        let bits = self.below(u64::from(usize::BITS - max.leading_zeros())) + 1;
        let span = usize::try_from(self.below(1 << bits)).unwrap_or(max);
        span.clamp(1, max)
    }

    /// Other dice, independent of these from now on.
    #[must_use]
    pub const fn fork(&mut self) -> Self {
        Self(self.roll())
    }
}

/// The finisher of SplitMix64: spreads every bit of `z` over all 64.
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A checksum over bytes in order; how they were cut into pieces makes no difference.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    state: u64,
    tail: u64,
    length: u64,
}

impl Sum {
    /// The checksum of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> u64 {
        let mut sum = Self::default();
        sum.add(bytes);
        sum.value()
    }

    /// Adds bytes.
    pub fn add(&mut self, mut bytes: &[u8]) {
        while !self.length.is_multiple_of(8)
            && let Some((first, rest)) = bytes.split_first()
        {
            self.push(*first);
            bytes = rest;
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.state = mix(self.state ^ u64::from_le_bytes(*word)).wrapping_add(1);
        }
        self.length += 8 * words.len() as u64;
        for byte in rest {
            self.push(*byte);
        }
    }

    /// Adds a number.
    pub fn add_number(&mut self, number: u64) {
        self.add(&number.to_le_bytes());
    }

    fn push(&mut self, byte: u8) {
        self.tail |= u64::from(byte) << (8 * (self.length % 8));
        self.length += 1;
        if self.length.is_multiple_of(8) {
            self.state = mix(self.state ^ self.tail).wrapping_add(1);
            self.tail = 0;
        }
    }

    /// How many bytes were added.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The checksum of what was added so far.
    #[must_use]
    pub const fn value(&self) -> u64 {
        mix(mix(self.state ^ self.tail) ^ self.length)
    }
}

/// Bytes that can be made and checked at any offset without keeping them: a body of any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Which bytes.
    pub seed: u64,
}

impl Pattern {
    /// Fills `room` with the bytes from `offset` on.
    pub fn fill(self, offset: u64, room: &mut [u8]) {
        let mut at = offset;
        let mut left = room;
        while !left.is_empty() {
            let word = mix(self.seed ^ (at / 8).wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_le_bytes();
            let skip = usize::try_from(at % 8).unwrap_or(0);
            let n = left.len().min(8 - skip);
            let (now, rest) = left.split_at_mut(n);
            now.copy_from_slice(&word[skip..skip + n]);
            left = rest;
            at += n as u64;
        }
    }

    /// The first `length` bytes.
    #[must_use]
    pub fn bytes(self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(0, &mut bytes);
        bytes
    }

    /// The place of the first byte of `bytes`, which should stand at `offset`, that differs.
    #[must_use]
    pub fn differs(self, offset: u64, bytes: &[u8]) -> Option<u64> {
        let mut expected = vec![0; bytes.len()];
        self.fill(offset, &mut expected);
        let place = expected.iter().zip(bytes).position(|(one, other)| one != other)?;
        Some(offset + place as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_no_difference() {
        let mut dice = Dice::new(7);
        for seed in 0..200 {
            let bytes = Pattern { seed }.bytes(dice.length(500));
            let whole = Sum::of(&bytes);
            let (mut sum, mut at) = (Sum::default(), 0);
            while at < bytes.len() {
                let n = dice.length(bytes.len() - at);
                let mut piece = vec![0; n];
                Pattern { seed }.fill(at as u64, &mut piece);
                assert_eq!(Pattern { seed }.differs(at as u64, &bytes[at..at + n]), None);
                sum.add(&piece);
                at += n;
            }
            assert_eq!(sum.value(), whole, "seed {seed}, {} bytes", bytes.len());
            let mut wrong = bytes.clone();
            wrong[at / 2] ^= 1;
            assert_ne!(Sum::of(&wrong), whole);
            assert_eq!(Pattern { seed }.differs(0, &wrong), Some((at / 2) as u64));
        }
    }

    #[test]
    fn lengths_stay_in_range() {
        let mut dice = Dice::new(1);
        for max in [1, 2, 3, 7, 8, 1000] {
            let lengths: Vec<usize> = (0..2000).map(|_| dice.length(max)).collect();
            assert!(lengths.iter().all(|n| (1..=max).contains(n)));
            assert!(lengths.contains(&1) && lengths.contains(&max));
        }
        assert_eq!(dice.length(0), 0);
    }
}
