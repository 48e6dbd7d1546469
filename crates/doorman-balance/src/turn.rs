//! Smooth weighted round robin: whose turn it is among those that may be chosen.
//!
//! Each choice adds every candidate's weight to its credit, takes the one with the most credit,
//! and takes the sum of the weights off it. Over a sum of weights each is chosen exactly as often
//! as its weight says, and never in a burst: 5, 1, 1 gives a a b a c a a.

use std::cell::Cell;

/// Credits of one core. Bounded: each stays within the sum of all weights, and 65,535 servers of
/// weight 65,535 stay within 2^32.
#[derive(Debug)]
pub(crate) struct Turn {
    credits: Box<[Cell<i64>]>,
}

impl Turn {
    pub(crate) fn new(count: usize) -> Self {
        Self { credits: (0..count).map(|_| Cell::new(0)).collect() }
    }

    /// The next of `candidates`, which are indices with their weights; `None` if there is none.
    pub(crate) fn next(&self, candidates: impl Iterator<Item = (usize, u32)>) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for (index, weight) in candidates {
            let weight = i64::from(weight);
            total += weight;
            let credit = self.credits[index].get() + weight;
            self.credits[index].set(credit);
            if best.is_none_or(|(_, most)| credit > most) {
                best = Some((index, credit));
            }
        }
        let (index, credit) = best?;
        self.credits[index].set(credit - total);
        Some(index)
    }
}
