//! How many requests may be sent again: a share of those that came lately.
//!
//! When an upstream fails, every request wants to be sent again, and an upstream that fails for want
//! of room gets several times its load. A bound on each request's tries does not help: it is the sum
//! that hurts. So what is sent again is a part of what comes, whatever happens (RXU-04).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_http::Instant;

use crate::window::Window;

/// What "lately" is: long enough to smooth bursts out, short enough that a quiet night leaves
/// nothing for the morning's fault.
pub const BUDGET_WINDOW: Duration = Duration::from_secs(10);
/// What may be sent again in a window however few requests came, so that a site with one visitor a
/// second has retries at all. Three a second hurt no server.
pub const BUDGET_FLOOR: u64 = 30;

/// The books of one upstream's retries, over all cores.
#[derive(Debug)]
pub struct Budget {
    asked: Window,
    again: Window,
    denied: AtomicU64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            asked: Window::new(BUDGET_WINDOW),
            again: Window::new(BUDGET_WINDOW),
            denied: AtomicU64::new(0),
        }
    }
}

impl Budget {
    /// A request came.
    pub fn asked(&self, now: Instant) {
        self.asked.add(now);
    }

    /// Whether one more may be sent again, where `share` of 10,000 may; then it is counted.
    #[must_use]
    pub fn draw(&self, share: u32, now: Instant) -> bool {
        let most = self.asked.sum(now) * u64::from(share) / 10_000 + BUDGET_FLOOR;
        let may = self.again.add_below(most, now);
        if !may {
            self.denied.fetch_add(1, Ordering::Relaxed);
        }
        may
    }

    /// How many were not sent again for want of budget.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.denied.load(Ordering::Relaxed)
    }

    /// Requests that came in the window that ends now, and how many were sent again.
    #[must_use]
    pub fn counts(&self, now: Instant) -> (u64, u64) {
        (self.asked.sum(now), self.again.sum(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RXU-04: every request fails, and each wants to be sent again as often as it may.
    #[test]
    fn a_storm_is_held_to_its_share_rxu_04() {
        let budget = Budget::default();
        let (mut asked, mut again) = (0u64, 0u64);
        // 10,000 requests a second for a minute.
        for n in 0..600_000u64 {
            let now = Instant(n * 100_000);
            budget.asked(now);
            asked += 1;
            again += (0..3).filter(|_| budget.draw(2_000, now)).count() as u64;
        }
        assert!(again * 100 <= asked * 20 + BUDGET_FLOOR * 100 * 7, "{again} of {asked}");
        assert!(again * 100 >= asked * 19, "and no less than it may: {again} of {asked}");
    }

    #[test]
    fn a_site_with_few_visitors_has_its_floor() {
        let budget = Budget::default();
        budget.asked(Instant(0));
        assert_eq!((0..100).filter(|_| budget.draw(2_000, Instant(1))).count(), 30);
        assert!(!budget.draw(2_000, Instant(9_999_999_999)));
        assert!(budget.draw(2_000, Instant(10_000_000_000)));
    }

    proptest! {
        /// Whatever comes when: in no window is more sent again than the share and the floor.
        #[test]
        fn no_window_has_more_than_its_share(
            steps in prop::collection::vec((0u64..800, 0usize..4, 0usize..40), 1..200),
            share in 1u32..=10_000,
        ) {
            let budget = Budget::default();
            let (mut now, mut log) = (0u64, Vec::new());
            for (wait, requests, wishes) in steps {
                now += wait * 1_000_000;
                for _ in 0..requests {
                    budget.asked(Instant(now));
                    log.push((now, 1u64, 0u64));
                }
                for _ in 0..wishes {
                    if budget.draw(share, Instant(now)) {
                        log.push((now, 0, 1));
                    }
                    // Counted apart, by turns of a second.
                    let since = (now / 1_000_000_000).saturating_sub(9) * 1_000_000_000;
                    let recent = log.iter().filter(|(at, ..)| *at >= since);
                    let (asked, again) = recent.fold((0, 0), |sum, &(_, a, b)| (sum.0 + a, sum.1 + b));
                    prop_assert_eq!(budget.counts(Instant(now)), (asked, again));
                }
            }
        }
    }
}
