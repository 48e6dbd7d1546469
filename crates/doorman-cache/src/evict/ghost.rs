//! Fingerprints of what left the small queue, for as long as as many others have left as the main
//! queue has entries.
//!
//! A fingerprint is 32 bits: 24 are kept, and the lowest 8 are told by the bucket that it is in. The
//! other 8 bits of a slot are the time, counted in steps of a 64th of the bound. A bucket is a line of
//! the processor's cache, and whatever is too old in it is free, so nothing is ever moved or cleared
//! but when the table grows. Two things with one fingerprint are taken for one another: with a million
//! in the table, one new entry in four thousand goes to the main queue that should not have.

/// Slots of a bucket.
const WAYS: usize = 16;
/// Buckets at least: as many as the lowest 8 bits of a fingerprint tell apart.
const BUCKETS_MIN: usize = 256;
/// Buckets at most: 256 MiB of them, for fifty million fingerprints.
const BUCKETS_MAX: usize = 1 << 22;
/// Steps of time for which a fingerprint stays.
const STEPS: u8 = 64;
/// Slots for each fingerprint that the bound allows, in eighths: buckets do not fill evenly.
const SLACK: usize = 10;

/// A slot: 24 bits of the fingerprint, 8 bits of time. Time 0 is no time: the slot is empty.
type Mark = u32;

#[derive(Debug)]
pub(super) struct Ghost {
    buckets: Vec<[Mark; WAYS]>,
    /// From 1 to 255 and over again.
    step: u8,
    /// Entries that have come since the step began.
    since: usize,
}

impl Ghost {
    pub(super) const fn new() -> Self {
        Self { buckets: Vec::new(), step: 1, since: 0 }
    }

    /// Keeps a fingerprint; `bound` is how many there may be.
    pub(super) fn insert(&mut self, hash: u64, bound: usize) {
        self.grow(bound);
        self.since += 1;
        if self.since * usize::from(STEPS) >= bound {
            self.since = 0;
            self.step = if self.step == u8::MAX { 1 } else { self.step + 1 };
        }
        let step = self.step;
        let fingerprint = fingerprint(hash);
        let Some(bucket) = self.bucket(fingerprint) else { return };
        let age_of = |mark: Mark| age(mark, step);
        let Some(oldest) = bucket.iter_mut().max_by_key(|mark| age_of(**mark)) else { return };
        *oldest = mark(fingerprint, step);
        for mark in bucket.iter_mut().filter(|mark| age_of(**mark) > STEPS) {
            *mark = 0;
        }
    }

    /// Whether the fingerprint is there; it is taken out.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        let step = self.step;
        let fingerprint = fingerprint(hash);
        let Some(bucket) = self.bucket(fingerprint) else { return false };
        let wanted = mark(fingerprint, 0);
        let found =
            bucket.iter_mut().find(|mark| **mark & !0xFF == wanted && age(**mark, step) <= STEPS);
        found.map(|mark| *mark = 0).is_some()
    }

    fn bucket(&mut self, fingerprint: u32) -> Option<&mut [Mark; WAYS]> {
        let mask = self.buckets.len().checked_sub(1)?;
        self.buckets.get_mut(fingerprint as usize & mask)
    }

    /// Doubles the table until `bound` fits; each half of a bucket's marks goes where its bits say.
    fn grow(&mut self, bound: usize) {
        if self.buckets.is_empty() {
            self.buckets.resize(BUCKETS_MIN, [0; WAYS]);
        }
        let wanted = bound.saturating_mul(SLACK) / 8;
        while self.buckets.len() * WAYS < wanted && self.buckets.len() < BUCKETS_MAX {
            let half = self.buckets.len();
            self.buckets.extend_from_within(..);
            for (at, bucket) in self.buckets.iter_mut().enumerate() {
                for mark in bucket {
                    // The bit that now counts is above the lowest 8, so it is one of those kept.
                    if *mark as usize & half != at & half {
                        *mark = 0;
                    }
                }
            }
        }
    }
}

const fn fingerprint(hash: u64) -> u32 {
    let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
    u32::from_le_bytes([a ^ e, b ^ f, c ^ g, d ^ h])
}

const fn mark(fingerprint: u32, step: u8) -> Mark {
    fingerprint & !0xFF | step as u32
}

/// Steps since a mark was made, from 1; the most there is for an empty slot.
const fn age(mark: Mark, step: u8) -> u8 {
    match mark.to_le_bytes()[0] {
        0 => u8::MAX,
        made if made <= step => step - made + 1,
        // Time 0 is left out when the steps start over.
        made => u8::MAX - (made - step) + 1,
    }
}

#[cfg(test)]
mod tests {
    use doorman_http::mix;

    use super::*;

    #[test]
    fn a_fingerprint_stays_until_so_many_others_have_come() {
        for bound in [100, 1_000, 50_000] {
            let mut ghost = Ghost::new();
            let count = bound as u64 * 10;
            (0..count).for_each(|n| ghost.insert(mix(n + 1), bound));
            let kept = (0..count).filter(|&n| ghost.take(mix(n + 1))).count();
            // Some steps more or less, and a bucket in a hundred that was too full.
            assert!(
                (bound * 97 / 100..=bound * 104 / 100 + 64).contains(&kept),
                "{kept} of {bound}"
            );
            assert_eq!((0..count).filter(|&n| ghost.take(mix(n + 1))).count(), 0, "taken out");
        }
    }

    #[test]
    fn the_youngest_are_the_ones_that_stay() {
        let mut ghost = Ghost::new();
        (0..5_000).for_each(|n| ghost.insert(mix(n + 1), 1_000));
        assert!((4_100..5_000).all(|n| ghost.take(mix(n + 1))));
        assert!(!(0..3_900).any(|n| ghost.take(mix(n + 1))));
        assert!(!ghost.take(mix(9_999)));
    }

    #[test]
    fn nothing_is_lost_when_the_table_grows() {
        let mut ghost = Ghost::new();
        (0..1_000).for_each(|n| ghost.insert(mix(n + 1), 3_000));
        let before = ghost.buckets.len();
        ghost.grow(200_000);
        assert!(ghost.buckets.len() > 8 * before);
        assert!(size_of_val(&ghost.buckets[..]) <= 200_000 * 12);
        assert!((0..1_000).all(|n| ghost.take(mix(n + 1))));
    }

    #[test]
    fn time_starts_over() {
        for step in [1, 2, 64, 65, 254, 255] {
            let back =
                |steps: u8| (0..steps).fold(step, |at, _| if at == 1 { 255 } else { at - 1 });
            for steps in [0, 1, 63, 64, 100, 254] {
                assert_eq!(age(mark(0, back(steps)), step), steps + 1, "{steps} before {step}");
            }
            assert_eq!(age(0, step), 255);
        }
    }
}
