//! Sets of bytes.

/// A set of bytes: one bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
        // Most values are ASCII, and then two words are enough: they stay in registers, where a table
        // in memory would make each byte wait for the one before it.
        if !value.is_ascii() {
            return Self::of(value);
        }
        let (mut low, mut high) = (0_u64, 0_u64);
        for &byte in value {
            let bit = 1_u64 << (byte & 63);
            let is_high = 0_u64.wrapping_sub(u64::from(byte >> 6));
            high |= bit & is_high;
            low |= bit & !is_high;
        }
        Self([low, high, 0, 0])
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

    /// Its bytes, in order.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        let set = *self;
        (0..=u8::MAX).filter(move |&byte| set.contains(byte))
    }
}
