//! How long a server takes to answer, as one number that fades.
//!
//! The number and its moment lie in one atomic, so that they always fit each other; that two cores
//! may overwrite each other's sample costs one sample of many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_http::Instant;

use crate::dice::low;

/// A new sample counts for all of the old ones after about this long: soon enough to follow a
/// server that changes, long enough to see past single answers.
const MEMORY_MILLIS: f32 = 10_000.0;
/// A number that has not been renewed for so long begins to fade, so that a server that was slow
/// once is asked again.
const FRESH_MILLIS: u32 = 1_000;

/// After so long nothing is known any more: the server gets a request to show what it does now.
const STALE_MILLIS: u32 = 10_000;

/// Seconds as `f32` in the upper half, milliseconds of the clock in the lower; 0: nothing known.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU64);

/// Whether a slow answer counts in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As one of many.
    Mean,
    /// At once: the number jumps up and comes down slowly.
    Peak,
}

impl Pace {
    /// Takes a sample in.
    pub(crate) fn note(&self, after: Duration, manner: Manner, now: Instant) {
        let sample = after.as_secs_f32().max(f32::MIN_POSITIVE);
        let before = self.0.load(Ordering::Relaxed);
        let value = if before == 0 {
            sample
        } else {
            let old = f32::from_bits((before >> 32) as u32);
            if manner == Manner::Peak && sample > old {
                sample
            } else {
                let age = elapsed(low(before), now) as f32;
                // What the exponential is for short times, without its price. A mean has a floor, so
                // that it follows many samples in one millisecond, too; a peak is to stay.
                let floor = if manner == Manner::Mean { 1.0 / 256.0 } else { 0.0 };
                let part = (age / (age + MEMORY_MILLIS)).max(floor);
                old + (sample - old) * part
            }
        };
        let next = u64::from(value.to_bits()) << 32 | u64::from(millis(now));
        self.0.store(next, Ordering::Relaxed);
    }

    /// Seconds, faded with age; `None`: nothing known.
    pub(crate) fn seconds(&self, now: Instant) -> Option<f32> {
        let both = self.0.load(Ordering::Relaxed);
        if both == 0 {
            return None;
        }
        let value = f32::from_bits((both >> 32) as u32);
        let age = elapsed(low(both), now);
        if age > STALE_MILLIS {
            return None;
        }
        if age <= FRESH_MILLIS {
            return Some(value);
        }
        let stale = age.saturating_sub(FRESH_MILLIS) as f32;
        Some(value / (1.0 + stale / MEMORY_MILLIS))
    }
}

/// Wraps after 49 days: what is older than that has faded or is taken for fresh once more.
const fn millis(now: Instant) -> u32 {
    low(now.0 / 1_000_000)
}

/// Milliseconds since; none if another core was ahead.
const fn elapsed(stamp: u32, now: Instant) -> u32 {
    let age = millis(now).wrapping_sub(stamp);
    if age > u32::MAX / 2 { 0 } else { age }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant(0) + Duration::from_millis(millis)
    }

    fn about(pace: &Pace, now: Instant, millis: f32) {
        let is = pace.seconds(now).unwrap() * 1_000.0;
        assert!((is - millis).abs() < millis / 10.0, "{is} is not about {millis}");
    }

    #[test]
    fn a_mean_follows_slowly_and_a_peak_at_once() {
        for (manner, slow) in [(Manner::Mean, 10.4), (Manner::Peak, 100.0)] {
            let pace = Pace::default();
            assert_eq!(pace.seconds(at(5)), None);
            for n in 0..1_000 {
                pace.note(Duration::from_millis(10), manner, at(n));
            }
            about(&pace, at(1_000), 10.0);
            pace.note(Duration::from_millis(100), manner, at(1_000));
            about(&pace, at(1_000), slow);
            pace.note(Duration::from_millis(10), manner, at(2_000));
            about(&pace, at(2_000), slow);
            for n in 1_000..81_000 {
                pace.note(Duration::from_millis(10), manner, at(n));
            }
            about(&pace, at(81_000), 10.0);
        }
    }

    #[test]
    fn what_is_not_renewed_fades() {
        let pace = Pace::default();
        pace.note(Duration::from_millis(800), Manner::Peak, at(0));
        about(&pace, at(1_000), 800.0);
        about(&pace, at(6_000), 533.0);
        about(&pace, at(10_000), 421.0);
        assert_eq!(pace.seconds(at(10_001)), None);
    }
}
