//! How many of many sorted numbers are not greater than one: the search beneath sets of addresses and
//! what is known of addresses.
//!
//! A binary search of a hundred thousand numbers waits for memory at each of its last steps. So large
//! lists get an index: numbers are dealt into buckets of equal width, and crowded buckets into buckets of
//! their own, since addresses come in clusters. A look-up then waits for memory two to four times. Small
//! lists have no index and cost what a binary search costs.

use std::hash::{Hash, Hasher};

/// Lists of fewer numbers get no index: they lie in the nearest cache, where a binary search is as fast.
const INDEXED_FROM: usize = 512;

/// More numbers than this in a bucket are dealt once more.
const CROWD: usize = 24;

/// Numbers for each bucket, if they are spread evenly: the price of the index is 8 bytes a bucket.
const SHARE: usize = 4;

/// How often a bucket is dealt anew. What is still crowded then is searched.
const DEPTH_MAX: u32 = 4;

/// A number that ranks are sought of.
pub(crate) trait Number: Copy + Ord {
    /// How far it is above `base`, which is not greater, in buckets of `1 << shift`; no more than `u32::MAX`.
    fn above(self, base: Self, shift: u32) -> u32;
}

impl Number for u32 {
    fn above(self, base: Self, shift: u32) -> u32 {
        self.wrapping_sub(base) >> shift
    }
}

impl Number for u128 {
    fn above(self, base: Self, shift: u32) -> u32 {
        u32::try_from(self.wrapping_sub(base) >> shift).unwrap_or(u32::MAX)
    }
}

/// Sorted numbers, each once.
#[derive(Clone, Debug)]
pub(crate) struct Ranks<T> {
    numbers: Box<[T]>,
    index: Option<Box<Index<T>>>,
}

impl<T> Default for Ranks<T> {
    fn default() -> Self {
        Self { numbers: Box::default(), index: None }
    }
}

// The index follows from the numbers.
impl<T: PartialEq> PartialEq for Ranks<T> {
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }
}

impl<T: Eq> Eq for Ranks<T> {}

impl<T: Hash> Hash for Ranks<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.numbers.hash(state);
    }
}

impl<T> Ranks<T> {
    /// How many numbers there are.
    pub(crate) const fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

#[derive(Clone, Debug)]
struct Index<T> {
    deals: Box<[Deal<T>]>,
    buckets: Box<[Bucket]>,
}

/// Numbers that were dealt into buckets of `1 << shift`.
#[derive(Clone, Copy, Debug)]
struct Deal<T> {
    /// The lowest number.
    base: T,
    shift: u32,
    /// Its buckets: the first one, and how many. One more stands behind them, which says where they end.
    first: u32,
    count: u32,
    /// The rank of what is below `base`.
    below: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The place of its first number.
    start: u32,
    /// Which deal goes on from here; 0, which is the root, if none does.
    deal: u32,
}

impl<T: Number> Ranks<T> {
    /// `numbers` are sorted and each is there once; no more than `u32::MAX`.
    pub(crate) fn new(numbers: Box<[T]>) -> Self {
        debug_assert!(numbers.is_sorted_by(|a, b| a < b), "numbers are sorted, each once");
        let fits = u32::try_from(numbers.len()).is_ok();
        let index = (fits && numbers.len() >= INDEXED_FROM).then(|| Box::new(Index::new(&numbers)));
        Self { numbers, index }
    }

    /// How many numbers are not greater than `number`.
    pub(crate) fn of(&self, number: T) -> usize {
        let (start, end) = match &self.index {
            None => (0, self.numbers.len()),
            Some(index) => index.narrow(number),
        };
        start + self.numbers.get(start..end).map_or(0, |few| few.partition_point(|&n| n <= number))
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let index = self.index.as_ref().map_or(0, |index| {
            size_of_val(&**index) + size_of_val(&*index.deals) + size_of_val(&*index.buckets)
        });
        size_of_val(&*self.numbers) + index
    }
}

impl<T: Number> Index<T> {
    fn new(numbers: &[T]) -> Self {
        let (mut deals, mut buckets) = (Vec::new(), Vec::new());
        deal(numbers, (0, numbers.len()), 0, &mut deals, &mut buckets);
        Self { deals: deals.into(), buckets: buckets.into() }
    }

    /// Between which places of `numbers` the rank of `number` lies.
    fn narrow(&self, number: T) -> (usize, usize) {
        let mut deal = &self.deals[0];
        loop {
            if number < deal.base {
                return (deal.below as usize, deal.below as usize);
            }
            // What is above all of its buckets has the rank at which the last one ends.
            let at = number.above(deal.base, deal.shift).min(deal.count);
            let bucket = self.buckets[(deal.first + at) as usize];
            if at == deal.count {
                return (bucket.start as usize, bucket.start as usize);
            }
            if bucket.deal == 0 {
                let next = self.buckets[(deal.first + at + 1) as usize];
                return (bucket.start as usize, next.start as usize);
            }
            deal = &self.deals[bucket.deal as usize];
        }
    }
}

/// Deals the numbers of these places, of which there are at least two, and then what is crowded.
fn deal<T: Number>(
    numbers: &[T],
    (start, end): (usize, usize),
    depth: u32,
    deals: &mut Vec<Deal<T>>,
    buckets: &mut Vec<Bucket>,
) {
    let (base, top) = (numbers[start], numbers[end - 1]);
    let wanted = narrow(((end - start) / SHARE).max(2));
    let mut shift = 0;
    while top.above(base, shift) >= wanted {
        shift += 1;
    }
    let (first, count) = (narrow(buckets.len()), top.above(base, shift) + 1);
    let own = deals.len();
    deals.push(Deal { base, shift, first, count, below: narrow(start) });
    let mut place = start;
    for bucket in 0..count {
        buckets.push(Bucket { start: narrow(place), deal: 0 });
        let rest = &numbers[place..end];
        place += rest.iter().take_while(|n| n.above(base, shift) == bucket).count();
    }
    buckets.push(Bucket { start: narrow(end), deal: 0 });
    if depth == DEPTH_MAX {
        return;
    }
    for bucket in (deals[own].first..).take(count as usize).map(|n| n as usize) {
        let (start, end) = (buckets[bucket].start as usize, buckets[bucket + 1].start as usize);
        if end - start > CROWD {
            buckets[bucket].deal = narrow(deals.len());
            deal(numbers, (start, end), depth + 1, deals, buckets);
        }
    }
}

/// Places fit: there are no more numbers than `u32::MAX`, and fewer buckets than numbers.
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<T: Number + std::fmt::Debug>(mut numbers: Vec<T>, asked: &[T]) {
        numbers.sort_unstable();
        numbers.dedup();
        let ranks = Ranks::new(numbers.clone().into());
        for &number in numbers.iter().chain(asked) {
            let expect = numbers.iter().filter(|&&n| n <= number).count();
            assert_eq!(ranks.of(number), expect, "{number:?}");
        }
    }

    #[test]
    fn few_and_none() {
        check::<u32>(vec![], &[0, 1, u32::MAX]);
        check(vec![7_u32], &[0, 6, 8, u32::MAX]);
        check(vec![0, u32::MAX], &[1, 9]);
    }

    #[test]
    fn numbers_that_crowd_together() {
        // Each is half of the one before: no bucket of equal width ever parts them.
        let halves: Vec<u128> = (0..128).map(|n| 1 << n).collect();
        let crowds = halves.iter().flat_map(|&half| (0..40).map(move |n| half.saturating_add(n)));
        check(crowds.collect(), &[0, 3, u128::MAX]);
        check((0..2_000_u32).collect(), &[2_000, u32::MAX]);
        check((0..2_000_u32).map(|n| u32::MAX - 3 * n).collect(), &[0, u32::MAX - 1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_rank_is_a_count(
            clusters in prop::collection::vec((any::<u128>(), 0_u32..128, 1_usize..300), 1..8),
            seed in any::<u64>(),
        ) {
            let mut state = u128::from(seed) | 1;
            let mut dice = || {
                state = state.wrapping_mul(0xDA94_2042_E4DD_58B5_0000_0000_0000_0001);
                state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                state ^ state >> 64
            };
            let mut numbers = Vec::new();
            for (centre, width, count) in clusters {
                numbers.extend((0..count).map(|_| centre.wrapping_add(dice() >> (127 - width))));
            }
            let asked: Vec<u128> = numbers.iter().flat_map(|&n| [n.wrapping_sub(1), n.wrapping_add(1)])
                .chain((0..20).map(|_| dice())).collect();
            let short = |numbers: &[u128]| numbers.iter().map(|&n| (n >> 96) as u32).collect::<Vec<_>>();
            check(short(&numbers), &short(&asked));
            check(numbers, &asked);
        }
    }
}
