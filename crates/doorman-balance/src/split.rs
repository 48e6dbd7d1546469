//! A weighted split of a route's requests over several upstreams.

use crate::turn::Smooth;

/// Shares of several ways. One value a core; over a sum of shares each way is taken exactly as
/// often as its share, evenly spread.
#[derive(Debug)]
pub struct Split {
    shares: Box<[u32]>,
    turn: Smooth,
}

impl Split {
    /// A split by these shares; their sum may be anything. A share of 0 is never taken.
    #[must_use]
    pub fn new(shares: &[u32]) -> Self {
        // 95 and 5 percent may come as 9,500 and 500: the smallest whole numbers say the same.
        let divisor = shares.iter().fold(0, |a, &b| greatest_common_divisor(a, b)).max(1);
        Self {
            shares: shares.iter().map(|share| share / divisor).collect(),
            turn: Smooth::new(shares.len()),
        }
    }

    /// The way of the next request; `None` only if no way has a share.
    #[must_use]
    pub fn pick(&self) -> Option<usize> {
        let ways = self.shares.iter().copied().enumerate();
        self.turn.next(ways.filter(|&(_, share)| share > 0))
    }
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentages_are_exact_over_a_hundred() {
        let split = Split::new(&[95, 5]);
        let picks: Vec<_> = (0..300).map(|_| split.pick().unwrap()).collect();
        for hundred in picks.chunks(100) {
            assert_eq!(hundred.iter().filter(|&&way| way == 1).count(), 5);
        }
        // Spread out: never two of the small share close together.
        let small: Vec<_> = (0..300).filter(|&i| picks[i] == 1).collect();
        assert!(small.windows(2).all(|pair| pair[1] - pair[0] == 20));
    }

    #[test]
    fn a_share_of_nothing_is_never_taken() {
        let split = Split::new(&[0, 7, 0]);
        assert!((0..10).all(|_| split.pick() == Some(1)));
        assert_eq!(Split::new(&[0, 0]).pick(), None);
        assert_eq!(Split::new(&[]).pick(), None);
    }

    proptest! {
        #[test]
        fn shares_are_exact_over_their_sum(shares in prop::collection::vec(0u32..30, 1..6)) {
            let sum: u32 = shares.iter().sum();
            let split = Split::new(&shares);
            let mut counts = vec![0; shares.len()];
            for _ in 0..sum {
                counts[split.pick().unwrap()] += 1;
            }
            prop_assert_eq!(counts, shares);
        }
    }
}
