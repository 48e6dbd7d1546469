//! How often keys were asked for in vain, about: a sketch of fixed size.
//!
//! Each key has three counters among many, shared with other keys; the lowest of them is nearest to
//! the truth and never below it. Counters are halved now and then, so that what was asked for long
//! ago is forgotten.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// Counters: 128 KiB, of which a store that never counts has none.
const COUNTERS: usize = 1 << 17;
/// Misses after which all counters are halved.
const HALVED_AFTER: u32 = 1 << 17;

#[derive(Default)]
pub(crate) struct Seen {
    counters: OnceLock<Box<[AtomicU8]>>,
    since: AtomicU32,
}

impl Seen {
    /// Counts a miss and says how many there were.
    pub(crate) fn count(&self, hash: u128) -> u32 {
        let counters =
            self.counters.get_or_init(|| (0..COUNTERS).map(|_| AtomicU8::new(0)).collect());
        if self.since.fetch_add(1, Ordering::Relaxed) >= HALVED_AFTER {
            self.since.store(0, Ordering::Relaxed);
            for counter in counters {
                counter.store(counter.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
        let places = [0, 32, 64].map(|shift| {
            let place = (hash >> shift) % COUNTERS as u128;
            &counters[usize::try_from(place).unwrap_or(0)]
        });
        let lowest = places.iter().map(|place| place.load(Ordering::Relaxed)).min().unwrap_or(0);
        let counted = lowest.saturating_add(1);
        for place in places {
            // Only the lowest go up: the others count somebody else already.
            place.fetch_max(counted, Ordering::Relaxed);
        }
        counted.into()
    }
}

#[cfg(test)]
mod tests {
    use doorman_http::mix;

    use super::*;

    fn hash(n: u64) -> u128 {
        u128::from(mix(n)) << 64 | u128::from(mix(n ^ 0x5555))
    }

    #[test]
    fn misses_are_counted_by_key() {
        let seen = Seen::default();
        for round in 1..=3 {
            for n in 1..=1_000 {
                assert_eq!(seen.count(hash(n)), round, "{n}");
            }
        }
    }

    #[test]
    fn old_misses_are_forgotten_and_counters_end() {
        let seen = Seen::default();
        assert_eq!((0..300).map(|_| seen.count(hash(1))).last(), Some(255));
        for n in 0..u64::from(HALVED_AFTER) * 9 {
            seen.count(hash(n + 2));
        }
        assert!(seen.count(hash(1)) < 60);
    }
}
