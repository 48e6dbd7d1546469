//! What is made of a random number: places among many, evenly or by weight.

/// Spreads every bit of a number over all of them (the finalizer of SplitMix64). A bijection, so
/// distinct numbers stay distinct.
pub(crate) const fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// The next number that a number leads to.
pub(crate) const fn next(n: u64) -> u64 {
    mix(n.wrapping_add(0x9E37_79B9_7F4A_7C15))
}

/// One of `0..count`, from the upper half of a random number; 0 if there is none. The bias is below
/// one in 2^32 / count.
pub(crate) const fn below(dice: u64, count: usize) -> usize {
    (((dice >> 32) * count as u64) >> 32) as usize
}

/// The lower half.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
pub(crate) const fn low(n: u64) -> u32 {
    n as u32
}

/// A draw among many, by weight, in constant time: Vose's alias method. Each column is split between
/// its own server and one other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draw {
    count: usize,
    /// Empty if all weigh the same.
    columns: Vec<Column>,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    /// In 2^32 parts: below it, the column's own.
    own: u32,
    other: u32,
}

impl Draw {
    pub(crate) fn new(weights: impl ExactSizeIterator<Item = u32> + Clone) -> Self {
        let count = weights.len();
        let first = weights.clone().next().unwrap_or(0);
        if weights.clone().all(|weight| weight == first) {
            return Self { count, columns: Vec::new() };
        }
        let total: u64 = weights.clone().map(u64::from).sum();
        // A column holds `total`; a server fills `weight * count` of the whole.
        let mut fill: Vec<u64> = weights.map(|weight| u64::from(weight) * count as u64).collect();
        let mut columns = vec![Column { own: u32::MAX, other: 0 }; count];
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..count).partition(|&at| fill[at] < total);
        while let (Some(at), Some(&from)) = (small.pop(), large.last()) {
            let own = u128::from(fill[at]) * (1 << 32) / u128::from(total.max(1));
            columns[at] = Column {
                own: u32::try_from(own).unwrap_or(u32::MAX),
                other: u32::try_from(from).unwrap_or(0),
            };
            fill[from] -= total - fill[at];
            if fill[from] < total {
                large.pop();
                small.push(from);
            }
        }
        Self { count, columns }
    }

    /// Whether all weigh the same.
    pub(crate) const fn is_even(&self) -> bool {
        self.columns.is_empty()
    }

    /// One of the places; 0 if there is none.
    pub(crate) fn pick(&self, dice: u64) -> usize {
        let at = below(dice, self.count);
        match self.columns.get(at) {
            // The lower half is independent of the upper, which chose the column.
            Some(column) if low(dice) >= column.own => column.other as usize,
            _ => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn draws_are_by_weight(weights in prop::collection::vec(0u32..50, 1..40), seed: u64) {
            prop_assume!(weights.iter().any(|&weight| weight > 0));
            let draw = Draw::new(weights.iter().copied());
            let mut counts = vec![0_u32; weights.len()];
            let mut dice = seed;
            for _ in 0..20_000 {
                dice = next(dice);
                counts[draw.pick(dice)] += 1;
            }
            let total: u32 = weights.iter().sum();
            for (&count, &weight) in counts.iter().zip(&weights) {
                let share = f64::from(weight) / f64::from(total);
                let spread = (20_000.0 * share * (1.0 - share)).sqrt();
                prop_assert!((f64::from(count) - 20_000.0 * share).abs() <= 6.0 * spread + 1.0);
                prop_assert!(weight > 0 || count == 0);
            }
        }
    }

    #[test]
    fn places_are_within_bounds() {
        for count in [1, 2, 3, 1_000] {
            assert_eq!(below(0, count), 0);
            assert_eq!(below(u64::MAX, count), count - 1);
        }
        assert_eq!((below(u64::MAX, 0), Draw::new([].into_iter()).pick(7)), (0, 0));
    }
}
