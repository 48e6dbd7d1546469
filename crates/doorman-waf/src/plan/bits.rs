//! Sets of small numbers, one bit for each.

/// A set of numbers below a bound that its maker knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set of numbers below `bound`.
    pub(super) fn new(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(64)])
    }

    /// Makes it the empty set of numbers below `bound`, in the memory it has.
    pub(super) fn reset(&mut self, bound: usize) {
        self.0.clear();
        self.0.resize(bound.div_ceil(64), 0);
    }

    /// Takes a number in.
    pub(super) fn insert(&mut self, number: usize) {
        self.0[number >> 6] |= 1 << (number & 63);
    }

    /// Whether it has the number.
    pub(super) fn contains(&self, number: usize) -> bool {
        self.0.get(number >> 6).is_some_and(|word| word >> (number & 63) & 1 == 1)
    }

    /// Takes all of another set in.
    pub(super) fn extend(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    /// The numbers that both have, in order.
    pub(super) fn both<'b>(&'b self, other: &'b Self) -> impl Iterator<Item = usize> + 'b {
        let words = self.0.iter().zip(&other.0).enumerate();
        words.flat_map(|(index, (word, other))| Ones(word & other).map(move |bit| index << 6 | bit))
    }

    /// Bytes that it holds.
    pub(super) const fn memory(&self) -> usize {
        self.0.len() * 8
    }
}

/// The places of a word's ones.
struct Ones(u64);

impl Iterator for Ones {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let place = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        (place < 64).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_where_they_were_put() {
        let (mut some, mut others) = (Bits::new(200), Bits::new(200));
        [0, 63, 64, 199].iter().for_each(|number| some.insert(*number));
        [63, 65, 199].iter().for_each(|number| others.insert(*number));
        assert_eq!(some.both(&others).collect::<Vec<_>>(), [63, 199]);
        assert!(some.contains(64) && !some.contains(65) && !some.contains(100_000));
        some.extend(&others);
        assert!(some.contains(65));
        some.reset(64);
        assert_eq!(some, Bits::new(64));
    }
}
