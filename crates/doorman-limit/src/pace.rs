//! Bytes of one response in a time: how many may go now, and when the next ones may.
//!
//! A token bucket that counts in bytes times nanoseconds, so nothing is lost by rounding. Over any span of time
//!
//! ```text
//! bytes <= after + depth + rate * span
//! ```
//!
//! where `depth` is what the rate gives in a tenth of a second. Pieces smaller than a twentieth of a second's, or than
//! 16 KiB, are waited for: a response at 1 MiB/s goes in about 64 pieces a second, and not byte by byte.

use std::num::NonZeroU64;
use std::time::Duration;

use doorman_http::Instant;

const SECOND: i128 = 1_000_000_000;

/// No piece needs to be larger to be worth its write.
const PIECE_MAX: u64 = 16 * 1024;

/// How fast one response goes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rate: NonZeroU64,
    /// Bytes that still go at once.
    free: u64,
    /// Bytes that may go, times nanoseconds of a second; below zero after a piece that was too large.
    credit: i128,
    filled: Instant,
}

/// What may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what may not go has to wait"]
pub enum Due {
    /// So many bytes, at least 1 and at most what was wished for.
    Now(u64),
    /// Nothing until then.
    At(Instant),
}

impl Pace {
    /// `rate` bytes a second, after the first `after` bytes, which go at once.
    #[must_use]
    pub fn new(rate: NonZeroU64, after: u64, now: Instant) -> Self {
        let mut pace = Self { rate, free: after, credit: 0, filled: now };
        pace.credit = pace.depth();
        pace
    }

    /// How many of the `wish` bytes that are there may go now. A wish for none may go.
    pub fn due(&mut self, wish: u64, now: Instant) -> Due {
        self.fill(now);
        let may = u64::try_from(self.credit.max(0) / SECOND).unwrap_or(u64::MAX);
        let may = may.saturating_add(self.free);
        // The last bytes of a response, and few ones, go as soon as they may.
        let least = wish.min(self.piece());
        if may >= least {
            return Due::Now(wish.min(may));
        }
        let missing = i128::from(least - self.free) * SECOND - self.credit;
        let wait = missing.max(1).unsigned_abs().div_ceil(u128::from(self.rate.get()));
        Due::At(self.filled + Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// So many bytes went. More than may is charged too, and waited for with the next.
    pub fn sent(&mut self, bytes: u64) {
        let free = bytes.min(self.free);
        self.free -= free;
        self.credit -= i128::from(bytes - free) * SECOND;
    }

    /// A clock that went back fills nothing, and does not empty.
    fn fill(&mut self, now: Instant) {
        let span = i128::from(now.0.saturating_sub(self.filled.0));
        self.filled = self.filled.max(now);
        // What a slow client did not take is not kept for later.
        let full = self.credit.saturating_add(span.saturating_mul(i128::from(self.rate.get())));
        self.credit = full.min(self.depth());
    }

    /// A tenth of a second's bytes, times nanoseconds; at least one byte, or none could ever go.
    fn depth(&self) -> i128 {
        i128::from((self.rate.get() / 10).max(1)) * SECOND
    }

    fn piece(&self) -> u64 {
        (self.rate.get() / 20).clamp(1, PIECE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pace(rate: u64, after: u64) -> Pace {
        Pace::new(NonZeroU64::new(rate).expect("positive"), after, Instant(0))
    }

    fn at(millis: u64) -> Instant {
        Instant(millis * 1_000_000)
    }

    #[test]
    fn bytes_go_at_their_rate() {
        let mut pace = pace(1_000, 500);
        assert_eq!(
            pace.due(10_000, at(0)),
            Due::Now(600),
            "the first bytes, and a tenth of a second"
        );
        pace.sent(600);
        assert_eq!(pace.due(10_000, at(0)), Due::At(at(50)), "a piece worth sending");
        assert_eq!(pace.due(3, at(0)), Due::At(at(3)), "or all there is");
        assert_eq!(pace.due(10_000, at(49)), Due::At(at(50)));
        assert_eq!(pace.due(10_000, at(50)), Due::Now(50));
        pace.sent(20);
        assert_eq!(pace.due(10_000, at(70)), Due::Now(50));
        assert_eq!(pace.due(10_000, at(9_000)), Due::Now(100), "time that was not used is gone");
        pace.sent(1_100);
        assert_eq!(pace.due(10_000, at(9_000)), Due::At(at(10_050)));
        assert_eq!(pace.due(10_000, at(5_000)), Due::At(at(10_050)), "the clock went back");
        assert_eq!(pace.due(0, at(0)), Due::Now(0));
    }

    #[test]
    fn the_slowest_and_the_fastest_go() {
        let mut slow = pace(1, 0);
        assert_eq!(slow.due(9, at(0)), Due::Now(1));
        slow.sent(1);
        assert_eq!(slow.due(9, at(0)), Due::At(at(1_000)));
        let mut fast = pace(u64::MAX, u64::MAX);
        assert_eq!(fast.due(u64::MAX, at(0)), Due::Now(u64::MAX));
        for _ in 0..3 {
            fast.sent(u64::MAX);
        }
        assert!(matches!(fast.due(1, Instant(u64::MAX)), Due::Now(1)));
    }

    proptest! {
        /// Never too much, and who does as he is told keeps to the rate: he is not too slow either.
        #[test]
        fn never_more_and_not_much_less(
            rate in 1u64..10_000_000, after in 0u64..100_000, size in 1u64..1_000_000,
        ) {
            let mut pace = pace(rate, after);
            let (mut now, mut sent, mut turns) = (Instant(0), 0, 0);
            while sent < size && turns < 2_000 {
                turns += 1;
                match pace.due(size - sent, now) {
                    Due::Now(bytes) => {
                        prop_assert!((1..=size - sent).contains(&bytes));
                        pace.sent(bytes);
                        sent += bytes;
                        let most = u128::from(after + (rate / 10).max(1))
                            + u128::from(rate) * u128::from(now.0) / 1_000_000_000;
                        prop_assert!(u128::from(sent) <= most, "{sent} > {most}");
                    }
                    Due::At(then) => {
                        prop_assert!(then > now);
                        now = then;
                    }
                }
            }
            let least = u128::from(rate) * u128::from(now.0) / 1_000_000_000;
            prop_assert!(u128::from(sent) + 1 >= least.min(u128::from(size)), "{sent} < {least}");
        }
    }
}
