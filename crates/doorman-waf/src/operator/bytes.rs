//! Sets of bytes.

/// A set of bytes: one bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// The set of none.
    pub const EMPTY: Self = Self([0; 4]);
    /// The set of all.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// The bytes that are written in a constant.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Self {
        let mut set = Self::EMPTY;
        let mut index = 0;
        while index < bytes.len() {
            set.insert(bytes[index]);
            index += 1;
        }
        set
    }

    /// From one to another, both included.
    #[must_use]
    pub const fn range(first: u8, last: u8) -> Self {
        let mut set = Self::EMPTY;
        let mut byte = first;
        while byte <= last {
            set.insert(byte);
            if byte == u8::MAX {
                break;
            }
            byte += 1;
        }
        set
    }

    /// The bytes that a value has, in one pass over it.
    #[must_use]
    pub fn present(value: &[u8]) -> Self {
        // A look into a table of sets is cheaper than shifts, and no byte waits for another but in the
        // unions, of which each ends in one step.
        let mut set = [0; 4];
        for &byte in value {
            for (word, bits) in set.iter_mut().zip(&ALONE[usize::from(byte)].0) {
                *word |= bits;
            }
        }
        Self(set)
    }

    /// Reads `@validateByteRange`'s list: numbers and ranges of them with commas between.
    ///
    /// # Errors
    /// The first part that is neither, or not within 0 to 255, or the wrong way around.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut set = Self::EMPTY;
        for part in text.split(',').map(str::trim) {
            let number = |word: &str| word.trim().parse::<u8>().map_err(|_| part.to_owned());
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(part.to_owned());
            }
            set = set.union(Self::range(first, last));
        }
        Ok(set)
    }

    /// Takes a byte in.
    pub const fn insert(&mut self, byte: u8) {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
    }

    /// Whether it has the byte.
    #[must_use]
    pub const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0[0] | self.0[1] | self.0[2] | self.0[3] == 0
    }

    /// How many it has.
    #[must_use]
    pub const fn len(&self) -> u32 {
        let [a, b, c, d] = self.0;
        a.count_ones() + b.count_ones() + c.count_ones() + d.count_ones()
    }

    /// Those of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a | e, b | f, c | g, d | h])
    }

    /// All but its own.
    #[must_use]
    pub const fn complement(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([!a, !b, !c, !d])
    }

    /// Whether both have a byte in common.
    #[must_use]
    pub const fn intersects(&self, other: &Self) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        (a & e) | (b & f) | (c & g) | (d & h) != 0
    }

    /// Whether the other has all of its bytes.
    #[must_use]
    pub const fn is_subset(&self, other: &Self) -> bool {
        !self.intersects(&other.complement())
    }

    /// Its bytes in order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        let mut left = self.0;
        let mut word = 0_u8;
        std::iter::from_fn(move || {
            while left[usize::from(word)] == 0 {
                word += 1;
                if word == 4 {
                    word = 3;
                    return None;
                }
            }
            let bits = &mut left[usize::from(word)];
            let bit = bits.trailing_zeros();
            *bits &= *bits - 1;
            u8::try_from(u32::from(word) * 64 + bit).ok()
        })
    }
}

impl FromIterator<u8> for ByteSet {
    fn from_iter<T: IntoIterator<Item = u8>>(bytes: T) -> Self {
        let mut set = Self::EMPTY;
        for byte in bytes {
            set.insert(byte);
        }
        set
    }
}

/// For each byte the set of it alone.
static ALONE: [ByteSet; 256] = {
    let mut sets = [ByteSet::EMPTY; 256];
    let mut byte = 0;
    while byte < sets.len() {
        sets[byte].0[byte >> 6] = 1 << (byte & 63);
        byte += 1;
    }
    sets
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists() {
        let set = ByteSet::parse("9,10, 32-126 ,255").unwrap();
        assert_eq!(set.len(), 98);
        for (byte, expected) in [(9, true), (8, false), (32, true), (126, true), (127, false)] {
            assert_eq!(set.contains(byte), expected, "{byte}");
        }
        assert_eq!(ByteSet::parse("0-255"), Ok(ByteSet::ALL));
        for wrong in ["", "256", "1-", "a", "5-3", "1,,2", "-1"] {
            assert!(ByteSet::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn present_is_what_is_there(value in prop::collection::vec(any::<u8>(), 0..300)) {
            for value in [value.clone(), value.iter().map(|byte| byte & 0x7f).collect()] {
                let set = ByteSet::present(&value);
                prop_assert_eq!(set, ByteSet::of(&value));
                let mut sorted = value;
                sorted.sort_unstable();
                sorted.dedup();
                prop_assert_eq!(set.iter().collect::<Vec<_>>(), sorted.clone());
                prop_assert_eq!(set.len() as usize, sorted.len());
                prop_assert_eq!(set.is_empty(), sorted.is_empty());
            }
        }

        #[test]
        fn sets_are_sets(a in any::<[u64; 4]>(), b in any::<[u64; 4]>()) {
            let (a, b) = (ByteSet(a), ByteSet(b));
            let all = |set: ByteSet| set.iter().collect::<Vec<_>>();
            prop_assert!(a.is_subset(&a.union(b)));
            prop_assert_eq!(a.is_subset(&b), all(a).iter().all(|&byte| b.contains(byte)));
            prop_assert_eq!(a.intersects(&b), all(a).iter().any(|&byte| b.contains(byte)));
            prop_assert!(!a.intersects(&a.complement()));
            prop_assert_eq!(a.union(a.complement()), ByteSet::ALL);
        }
    }
}
