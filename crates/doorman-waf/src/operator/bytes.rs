//! Sets of bytes.

/// A set of bytes: one bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// Takes a byte in.
    pub const fn insert(&mut self, byte: u8) {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
    }

    /// Whether it has the byte.
    #[must_use]
    pub const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    /// The set of no byte.
    #[must_use]
    pub const fn none() -> Self {
        Self([0; 4])
    }

    /// All bytes from the first to the last, both included.
    #[must_use]
    pub fn range(first: u8, last: u8) -> Self {
        (first..=last).collect()
    }

    /// The bytes that are in one of the two.
    #[must_use]
    pub const fn union(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        Self([a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]])
    }

    /// The bytes that are not in it.
    #[must_use]
    pub const fn complement(&self) -> Self {
        Self([!self.0[0], !self.0[1], !self.0[2], !self.0[3]])
    }

    /// Whether a byte is in both.
    #[must_use]
    pub const fn meets(&self, other: &Self) -> bool {
        let (a, b) = (&self.0, &other.0);
        (a[0] & b[0]) | (a[1] & b[1]) | (a[2] & b[2]) | (a[3] & b[3]) != 0
    }

    /// Whether all of its bytes are in the other.
    #[must_use]
    pub const fn is_subset(&self, other: &Self) -> bool {
        !self.meets(&other.complement())
    }

    /// How many bytes it has: 0 to 256.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.0[0].count_ones()
            + self.0[1].count_ones()
            + self.0[2].count_ones()
            + self.0[3].count_ones()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
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
        let mut set = Self::default();
        for byte in bytes {
            set.insert(byte);
        }
        set
    }
}
